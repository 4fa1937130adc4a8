"""Which convolutions of a graph Winograd's algorithm computes, and that nothing else changes."""

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.kernels.winograd_places import winograd_scratch_bytes
from graphc.codegen.target import host
from graphc.ir import Builder, tensor
from graphc.ir.dims import evaluate

ATTRIBUTES = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def conv(dtype="f32", image=(14, 13), channels=16, columns=32, size=(3, 3), **changed):
    """One convolution of a batch of images."""
    b = Builder("f")
    x = b.input("x", tensor(dtype, "N", *image, channels))
    given = ATTRIBUTES | changed
    kernel = b.input("kernel", tensor(dtype, *size, channels // given["groups"], columns))
    b.output(b.conv(x, kernel, size=size, **given))
    return b.build()


def close(got, want, channels):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-6 * 9 * channels)


def drivers(graph, **options):
    return compile(graph, cache=False, **options).program.layout.drivers


def test_three_by_three_in_f32():
    graph = conv()
    f = compile(graph, cache=False)
    assert f.program.layout.drivers == ("winograd_f32",)
    x, kernel = array(2, 14, 13, 16), array(3, 3, 16, 32, seed=1)
    close(f(x, kernel), compile(graph, backend="reference")(x, kernel), 16)


def test_sizes_of_images_may_be_symbols():
    graph = conv(image=("H", "W"))
    f = compile(graph, cache=False)
    assert f.program.layout.drivers == ("winograd_f32",)
    for image in ((14, 13), (3, 40), (1, 1)):
        x, kernel = array(2, *image, 16), array(3, 3, 16, 32, seed=1)
        close(f(x, kernel), compile(graph, backend="reference")(x, kernel), 16)


@pytest.mark.parametrize("size", [(1, 7), (7, 1)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_lines_of_seven_taps(size, threads, divide_everything):
    padding = tuple((n // 2, n // 2) for n in size)
    b = Builder("f")
    x, kernel = b.input("x", tensor("f32", "N", 17, 17, 32)), b.input("k", tensor("f32", *size, 32, 16))
    y = b.conv(x, kernel, size=size, **ATTRIBUTES | {"padding": padding})
    ct = b.input("ct", tensor("f32", "N", 17, 17, 16))
    (dx,) = [b.gradient(b.tanh(y), ct, x, outputs=1)]
    b.output(b.tanh(y), dx)
    graph = b.build()
    given = [array(2, 17, 17, 32), array(*size, 32, 16, seed=1) * 0.1, array(2, 17, 17, 16, seed=2)]
    f = compile(graph, cache=False, threads=threads)
    assert "winograd.lines_f32" in f.program.layout.drivers
    got, want = f(*given), compile(graph, backend="reference")(*given)
    for one, other, alone in zip(got, want, compile(graph, cache=False)(*given), strict=True):
        close(one, other, 32)
        assert one.tobytes() == alone.tobytes()


OTHERS = {
    "f64": {"dtype": "f64"},
    "small images": {"image": (11, 12)},
    "too few channels": {"channels": 8},
    "no whole unit of columns": {"columns": 24},
    "strides": {"strides": (2, 2), "image": (40, 40)},
    "dilation": {"dilation": (2, 2), "image": (40, 40)},
    "groups": {"groups": 2, "channels": 128, "columns": 128},
    "1x5": {"size": (1, 5)},
    "5x5": {"size": (5, 5)},
}


@pytest.mark.parametrize("changed", OTHERS.values(), ids=OTHERS)
def test_other_convolutions_are_summed_directly(changed):
    assert {name.split("_")[0] for name in drivers(conv(**changed))} == {"convolve"}


def test_fast_math_is_without_guards():
    assert drivers(conv(), fast_math=True) == ("winograd.fast_f32",)
    f, g = (compile(conv(), cache=False, fast_math=fast) for fast in (False, True))
    x, kernel = array(2, 14, 13, 16), array(3, 3, 16, 32, seed=1)
    assert f(x, kernel).tobytes() == g(x, kernel).tobytes()
    kernel[1, 1, :8] = 0
    assert f(x, kernel).tobytes() != g(x, kernel).tobytes()


def epilogues(b):
    x, kernel = b.input("x", tensor("f32", "N", 19, 17, 32)), b.input("kernel", tensor("f32", 3, 3, 32, 48))
    bias, scale = (b.input(n, tensor("f32", 48)) for n in ("bias", "scale"))
    other = b.input("other", tensor("f32", "N", 19, 17, 48))
    return b.conv(x, kernel, size=(3, 3), **ATTRIBUTES), bias, scale, other


EPILOGUES = {
    "a bias and relu": lambda b, y, bias, scale, other: b.relu(y + bias),
    "scale and shift": lambda b, y, bias, scale, other: b.relu(y * scale + bias),
    "a residual": lambda b, y, bias, scale, other: b.relu(y + other),
    "all": lambda b, y, bias, scale, other: b.tanh(b.relu(y * scale + bias) + other) * other,
    "a concatenation": lambda b, y, bias, scale, other: b.concatenate(other * 2.0, b.relu(y + bias), axis=3),
    "two results": lambda b, y, bias, scale, other: (b.relu(y + bias), b.sigmoid(y + bias)),
}


def arrays(graph, batch=3):
    shapes = [
        [batch if d == "N" or not isinstance(d, int) else d for d in v.type.shape] for v in graph.inputs
    ]
    return [array(*shape, seed=i) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("make", EPILOGUES.values(), ids=EPILOGUES)
@pytest.mark.parametrize("spoilt", [False, True])
def test_epilogues(make, spoilt, divide_everything):
    """The same by Winograd's algorithm, where its guards fail, and for any number of threads."""
    b = Builder("f")
    found = make(b, *epilogues(b))
    b.output(*(found if isinstance(found, tuple) else (found,)))
    graph = b.build()
    given = arrays(graph)
    if spoilt:
        given[0][1, 5, 5, 5], given[0][2, 18, 3, 4] = np.inf, np.nan
    f = compile(graph, cache=False)
    assert "winograd_f32" in f.program.layout.drivers
    got, want = (g(*given) for g in (f, compile(graph, backend="reference")))
    for one, other in zip(*(x if isinstance(x, tuple) else (x,) for x in (got, want)), strict=True):
        close(one, other, 32)
    for threads in (2, 3, 4):
        again = compile(graph, cache=False, threads=threads)(*given)
        assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(got, again))
    alone = f(*(x[1:2] if x.ndim == 4 and len(x) == 3 and x.shape[1] == 19 else x for x in given))
    pairs = zip(alone, got) if isinstance(got, tuple) else [(alone, got)]
    assert all(np.array_equal(one[0], other[1], equal_nan=True) for one, other in pairs)


def test_gradients_by_the_input(divide_everything):
    """Through relu and bias; the kernel is read turned."""
    b = Builder("f")
    x, kernel = b.input("x", tensor("f32", "N", 21, 18, 32)), b.input("kernel", tensor("f32", 3, 3, 32, 16))
    y = b.conv(x, kernel, size=(3, 3), **ATTRIBUTES | {"padding": ((0, 0), (0, 0))})
    ct = b.input("ct", tensor("f32", "N", 19, 16, 16))
    dx, dk = b.gradient(b.relu(y), ct, x, kernel, outputs=1)
    b.output(dx, dk)
    graph = b.build()
    given = arrays(graph)
    f = compile(graph, cache=False)
    assert "winograd_f32" in f.program.layout.drivers
    got, want = f(*given), compile(graph, backend="reference")(*given)
    close(got[0], want[0], 32)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-3, atol=1e-3)
    for threads in (2, 3):
        again = compile(graph, cache=False, threads=threads)(*given)
        assert got[0].tobytes() == again[0].tobytes()


def test_scratch_memory_is_counted():
    f = compile(conv(channels=64, columns=64), cache=False, threads=2)
    assert evaluate(f.program.layout.scratch, {"N": 1}) >= 2 * winograd_scratch_bytes(host(), 64, 64)
