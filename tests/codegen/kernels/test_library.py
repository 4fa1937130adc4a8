"""A graph loads the drivers that it calls, and no others."""

import pytest

from graphc.codegen import compile
from graphc.codegen.kernels.library import driver_symbols, library
from graphc.codegen.target import host
from graphc.ir import Builder, tensor

CONV = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


def product(b, x, dtype):
    flat = b.reshape(x, shape=(2, 8 * 8 * 16))
    return b.matmul(flat, b.input("w", tensor(dtype, 1024, 4)))


def convolution(b, x, dtype):
    return b.conv(x, b.input("w", tensor(dtype, 3, 3, 16, 24)), size=(3, 3), **CONV)


def kernel_gradient(b, x, dtype):
    ct = b.input("ct", tensor(dtype, 2, 8, 8, 24))
    return b.conv_weight_gradient(x, ct, size=(3, 3), **CONV)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize(
    ("make", "driver"), [(product, "product"), (convolution, "convolve"), (kernel_gradient, "correlate")]
)
def test_a_graph_names_the_drivers_that_it_calls(make, driver, dtype):
    b = Builder("f")
    b.output(make(b, b.input("x", tensor(dtype, 2, 8, 8, 16)), dtype))
    assert compile(b.build(), cache=False).program.layout.drivers == (f"{driver}_{dtype}",)


def test_elementwise_graphs_need_no_library():
    b = Builder("f")
    b.output(b.exp(b.input("x", tensor("f32", 5))))
    assert compile(b.build(), cache=False).program.layout.drivers == ()


def test_modules_are_loaded_once():
    first, second = (driver_symbols(["correlate_f32", "product_f64"], host()) for _ in range(2))
    assert first == second
    assert all(first.values())
    assert library("correlate", "f32", host()) is library("correlate", "f32", host())
