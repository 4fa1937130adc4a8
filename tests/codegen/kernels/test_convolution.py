import numpy as np
import pytest

from graphc.codegen.buffers import aligned_empty
from graphc.codegen.cache import Cache, Counters
from graphc.codegen.kernels.geometry import FIELDS
from graphc.codegen.kernels.library import library, windows_scratch_bytes
from graphc.codegen.target import host, named
from graphc.ir.ops.window import take_windows

TARGETS = {"native": host(), "baseline": named("x86-64"), "haswell": named("haswell")}
NUMPY = {"f32": "f4", "f64": "f8"}
GUARD = 7

# images, height, width, channels, columns, size, strides, low, dilation, out
CASES = [
    (2, 9, 9, 3, 20, (3, 3), (1, 1), (1, 1), (1, 1), (9, 9)),
    (1, 12, 13, 1, 70, (5, 5), (2, 2), (0, 0), (1, 1), (4, 5)),
    (2, 8, 8, 16, 33, (3, 3), (2, 2), (1, 1), (1, 1), (4, 4)),
    (2, 5, 7, 600, 24, (3, 3), (1, 1), (1, 1), (1, 1), (5, 7)),
    (1, 11, 11, 5, 9, (5, 5), (3, 3), (2, 2), (1, 1), (4, 4)),
    (3, 10, 10, 17, 1, (3, 2), (1, 2), (1, 0), (2, 3), (9, 4)),
    (1, 16, 5, 20, 1100, (1, 7), (1, 1), (0, 3), (1, 1), (16, 5)),
    (1, 12, 12, 64, 64, (3, 3), (1, 1), (-1, 3), (1, 1), (8, 15)),
    (1, 6, 6, 2, 3, (9, 1), (1, 1), (4, 0), (1, 1), (6, 6)),
    (1, 2, 100, 1, 3, (1, 500), (1, 1), (0, 200), (1, 1), (2, 100)),
    (1, 4, 5, 16, 3, (7, 7), (1, 1), (3, 3), (1, 1), (4, 5)),
    (7, 10, 10, 16, 40, (3, 3), (1, 1), (1, 1), (1, 1), (10, 10)),
    (3, 17, 13, 33, 9, (3, 2), (2, 1), (1, 0), (2, 3), (8, 10)),
    (2, 12, 30, 200, 17, (1, 7), (1, 1), (0, 3), (1, 1), (12, 30)),
    (1, 9, 20, 47, 24, (3, 3), (1, 1), (-1, 3), (1, 1), (6, 22)),
    (2, 5, 6, 0, 4, (3, 3), (1, 1), (1, 1), (1, 1), (5, 6)),
    (0, 5, 6, 3, 4, (3, 3), (1, 1), (1, 1), (1, 1), (5, 6)),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"), Counters())


class Windows:
    """The two drivers of one target, with a guard behind their scratch memory."""

    def __init__(self, dtype, target, store):
        self.dtype, letter = dtype, "f" if dtype == "f32" else "d"
        convolve, correlate = (library(d, dtype, TARGETS[target], store) for d in ("convolve", "correlate"))
        self.convolve = convolve.function(f"convolve_{dtype}", f"pppiiipiiiipi{letter}{letter}ppp")
        self.correlate = correlate.function(f"correlate_{dtype}", f"pppiipiiiiiipi{letter}{letter}ppppp")
        self.bytes = windows_scratch_bytes(dtype, TARGETS[target])
        self.scratch = aligned_empty((self.bytes + 64,), "u1")

    def new(self, *shape, seed=0):
        x = aligned_empty(shape, NUMPY[self.dtype])
        x[:] = np.random.default_rng(seed).standard_normal(shape)
        return x

    def run(self, function, *arguments):
        self.scratch[self.bytes :] = GUARD
        function(*(self.scratch if a is SCRATCH else a for a in arguments))
        assert (self.scratch[self.bytes :] == GUARD).all()

    def close(self, got, expected, terms):
        loose = self.dtype == "f32"
        atol = (2e-6 if loose else 1e-14) * max(1, terms)
        np.testing.assert_allclose(got, expected, rtol=1e-4 if loose else 1e-10, atol=atol)


SCRATCH = object()


@pytest.fixture(params=[(d, t) for t in TARGETS for d in NUMPY], ids=lambda p: f"{p[0]}-{p[1]}")
def windows(request, store):
    return Windows(*request.param, store)


def geometry(x, size, strides, low, dilation, out, channels=None):
    given = [*x.shape[1:3], *out, *size, *strides, *low, *dilation, channels or x.shape[3], x.shape[3]]
    assert len(given) == len(FIELDS)
    return np.array(given, "i8")


def stacked(x, size, strides, low, dilation, out):
    return take_windows(x.astype("f8"), size, out, strides, low, dilation, (1, 1), 0.0)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolve_walks_along_windows(windows, case, turned):
    images, height, width, channels, n, size, strides, low, dilation, out = case
    place = (size, strides, low, dilation, out)
    x, bias = windows.new(images, height, width, channels), windows.new(n, seed=1)
    kernel = windows.new(*size, *((n, channels) if turned else (channels, n)), seed=2)
    b, b_row, b_col, b_tap = kernel, n, 1, channels * n
    expected = kernel
    if turned:  # the last tap comes first, and a row of the kernel is a column of b
        b, b_row, b_col, b_tap = kernel[-1, -1], 1, channels, -channels * n
        expected = kernel[::-1, ::-1].swapaxes(2, 3)
    y = windows.new(images, *out, n)
    rows, start = images * out[0] * out[1], images * out[0] * out[1] // 3
    for first, count in ((0, start), (start, rows - start)):
        matrices = (
            geometry(x, *place),
            x,
            b,
            b_row,
            b_col,
            b_tap,
            y.reshape(-1, n)[first:],
            n,
            first,
            count,
            n,
        )
        windows.run(windows.convolve, *matrices, bias, 0, 0.5, 0.0, SCRATCH, 0, 0)
    term = np.einsum("nhwijc,ijck->nhwk", stacked(x, *place), expected.astype("f8"), optimize=True)
    windows.close(y, np.maximum(bias + 0.5 * term, 0), channels * size[0] * size[1])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_correlate_sums_over_windows(windows, case):
    images, height, width, channels, n, size, strides, low, dilation, out = case
    place = (size, strides, low, dilation, out)
    x, dy = windows.new(images, height, width, channels), windows.new(images, *out, n, seed=1)
    dw = windows.new(*size, channels, n, seed=2)
    before, rows = dw.copy(), images * out[0] * out[1]
    start, b = rows // 3, dy.reshape(-1, n)
    for first, count in ((0, start), (start, rows - start)):
        for tap, taps in ((0, size[0]), (size[0], size[0] * (size[1] - 1))):
            c = dw.reshape(-1, n)[tap * channels :]
            matrices = (geometry(x, *place), x, b[first:], n, 1, c, n, first, tap, taps, n, count)
            windows.run(windows.correlate, *matrices, c, n, -0.5, -np.inf, SCRATCH, 0, 0, 0, 0)
    term = np.einsum("nhwijc,nhwk->ijck", stacked(x, *place), dy.astype("f8"), optimize=True)
    windows.close(dw, before - 0.5 * term, rows)


def test_channels_may_be_a_part_of_a_pixel(windows):
    x, kernel, y = windows.new(1, 5, 6, 7), windows.new(3, 3, 4, 9, seed=1), windows.new(1, 5, 6, 9)
    place = ((3, 3), (1, 1), (1, 1), (1, 1), (5, 6))
    zeros = np.zeros(9, x.dtype)
    table = geometry(x, *place, channels=4)
    matrices = (table, x[0, 0, 0, 2:], kernel, 9, 1, 36, y, 9, 0, 30, 9)
    windows.run(windows.convolve, *matrices, zeros, 0, 1.0, -np.inf, SCRATCH, 0, 0)
    term = np.einsum("nhwijc,ijck->nhwk", stacked(x[..., 2:6], *place), kernel.astype("f8"))
    windows.close(y, term, 36)


def test_a_product_with_nan_is_nan_and_padding_times_infinity_too(windows):
    x, kernel, y = windows.new(1, 3, 3, 17), windows.new(3, 3, 17, 8, seed=1), windows.new(1, 3, 3, 8)
    x[0, 0, 0, 5] = np.nan
    kernel[0, 0, 0, 3] = np.inf
    table = geometry(x, (3, 3), (1, 1), (1, 1), (1, 1), (3, 3))
    matrices = (table, x, kernel, 8, 1, 17 * 8, y, 8, 0, 9, 8)
    zeros = np.zeros(8, x.dtype)
    windows.run(windows.convolve, *matrices, zeros, 0, 1.0, 0.0, SCRATCH, 0, 0)
    assert np.isnan(y[0, :2, :2]).all()
    assert np.isnan(y[0, 0, 2, 3])
    assert not np.isnan(y[0, 2, 2, 0])


@pytest.mark.parametrize("case", [c for c in CASES if c[3] >= 16 and c[9][1] >= 8], ids=str)
def test_a_tap_has_the_same_bits_alone_and_among_others(windows, case):
    """Members divide taps, and one tap alone is packed in another way."""
    images, height, width, channels, n, size, strides, low, dilation, out = case
    x, dy = windows.new(images, height, width, channels), windows.new(images, *out, n, seed=1)
    together, alone = (windows.new(size[0] * size[1] * channels, n, seed=s) for s in (2, 3))
    table, zeros = geometry(x, size, strides, low, dilation, out), np.zeros(n, x.dtype)

    def run(c, tap, taps):
        matrices = (table, x, dy, n, 1, c, n, 0, tap, taps, n, images * out[0] * out[1])
        windows.run(windows.correlate, *matrices, zeros, 0, 1.0, -np.inf, SCRATCH, 0, 0, 0, 0)

    run(together, 0, size[0] * size[1])
    for tap in range(size[0] * size[1]):
        run(alone[tap * channels :], tap, 1)
    assert together.tobytes() == alone.tobytes()
