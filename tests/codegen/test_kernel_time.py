"""Estimated times: what takes longer, and that estimates grow with the work."""

import functools

import pytest

from graphc.codegen.kernel_time import kernel_picoseconds
from graphc.codegen.target import host
from graphc.ir import dims, tensor

from .conftest import kernel


def estimate(make, *types, **sizes):
    found, _ = kernel(make, types)
    return dims.evaluate(kernel_picoseconds(found, host()), sizes)


ROW = tensor("f32", 4096)


@pytest.mark.parametrize(
    ("less", "more"),
    [("relu", "exp"), ("exp", "tanh"), ("tanh", "erf"), ("erf", "asin"), ("relu", "sqrt"), ("sqrt", "exp")],
)
def test_dear_operations_take_longer(less, more):
    times = [estimate(lambda b, x, op=op: getattr(b, op)(x), ROW) for op in (less, more)]
    assert times[0] < times[1]


def test_time_grows_with_sizes():
    def make(b, x):
        return b.exp(x)

    one, ten = (estimate(make, tensor("f32", "N"), N=n) for n in (1000, 10_000))
    assert one < ten <= 10 * one


def test_neighbours_in_a_row_cost_little_more_than_one():
    """Windows that overlap read the same lines of memory."""

    def shifted(count):
        def make(b, x):
            parts = [b.slice(x, start=(i,), stop=(4000 + i,), step=(1,)) for i in range(count)]
            return functools.reduce(lambda total, y: total + y, parts, b.constant(0, "f32"))

        return make

    one, nine = estimate(shifted(1), ROW), estimate(shifted(9), ROW)
    assert one < nine < 9 * one


def test_stray_elements_cost_more_than_rows():
    square = tensor("f32", 64, 64)
    rows = estimate(lambda b, x: b.relu(x), square)
    assert rows < estimate(lambda b, x: b.transpose(x, axes=(1, 0)), square)


def test_a_product_takes_longer_with_more_terms():
    def product(k):
        return estimate(lambda b, x, y: b.matmul(x, y), tensor("f32", 32, k), tensor("f32", k, 32))

    assert product(10) < product(1000) < 100 * product(10)
