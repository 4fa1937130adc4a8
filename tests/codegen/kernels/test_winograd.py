"""The driver against sums of products in float64, and against `convolve`, bit by bit, where a guard fails."""

import ctypes

import numpy as np
import pytest

from graphc.codegen.buffers import aligned_empty
from graphc.codegen.cache import Cache, Counters
from graphc.codegen.kernels.library import library
from graphc.codegen.kernels.winograd_guards import MOST
from graphc.codegen.kernels.winograd_places import winograd_scratch_bytes
from graphc.codegen.target import host, named
from graphc.ir.ops.window import take_windows

TARGETS = {"native": host(), "baseline": named("x86-64"), "haswell": named("haswell")}
ARGUMENTS = "pppiiipiiiipiffppp"
GUARD = 7
HOOK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 5)

# images, height, width, channels, columns, low, out
CASES = [
    (2, 12, 12, 16, 16, (1, 1), (12, 12)),
    (1, 35, 37, 32, 48, (1, 1), (35, 37)),
    (2, 26, 13, 64, 80, (0, 0), (24, 11)),
    (1, 9, 41, 16, 32, (2, 2), (11, 43)),
    (3, 7, 5, 48, 16, (1, 1), (7, 5)),
    (1, 30, 1, 16, 16, (1, 1), (30, 1)),
    (1, 1, 30, 16, 16, (1, 1), (1, 30)),
    (1, 11, 12, 16, 32, (-1, 1), (8, 13)),
    (1, 120, 2, 16, 16, (1, 1), (120, 2)),
    (1, 4, 4, 16, 16, (1, 1), (4, 4)),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"), Counters())


def new(*shape, seed=0):
    x = aligned_empty(shape, "f4")
    x[...] = np.random.default_rng(seed).standard_normal(shape)
    return x


class Driver:
    """Winograd's driver and the direct one, on one target."""

    def __init__(self, target, store):
        self.target = TARGETS[target]
        code = {name: library(name, "f32", self.target, store) for name in ("winograd", "convolve")}
        self.functions = {
            name: code[name.split(".")[0]].function(f"{name}_f32", ARGUMENTS)
            for name in ("winograd", "winograd.fast", "winograd.lines", "convolve")
        }

    def __call__(self, name, x, kernel, low, out, **given):
        """c for all windows; `turned`: channels are the kernel's columns, and its last tap comes first."""
        channels, columns = (kernel.shape[i] for i in ((3, 2) if given.get("turned") else (2, 3)))
        size, strides = kernel.shape[:2], (kernel, columns, 1, channels * columns)
        if given.get("turned"):
            strides = (kernel[-1, -1], 1, channels, -channels * columns)
        c = given.get("c", aligned_empty((x.shape[0], *out, columns), "f4"))
        c_row = c.strides[2] // 4
        init, init_row = given.get("init", (np.zeros(columns, "f4"), 0))
        numbers = [*x.shape[1:3], *out, *size, 1, 1, *low, 1, 1, channels, x.strides[2] // 4]
        end = winograd_scratch_bytes(self.target, channels, columns)
        scratch = aligned_empty((end + 64,), "u1")
        scratch[end:] = GUARD
        rows = (given.get("first", 0), given.get("rows", x.shape[0] * out[0] * out[1]))
        place = c.reshape(-1)[rows[0] * c_row :] if c.flags.c_contiguous else c
        ends = (given.get("alpha", 1.0), given.get("floor", -np.inf), scratch, given.get("hook", 0))
        context = np.zeros(1, "i8") if "hook" in given else 0
        name = name + ".lines" if name == "winograd" and 1 in size else name
        self.functions[name](
            np.array(numbers, "i8"), x, *strides, place, c_row, *rows, columns, init, init_row, *ends, context
        )
        assert (scratch[end:] == GUARD).all()
        return c


@pytest.fixture(params=list(TARGETS))
def driver(request, store):
    return Driver(request.param, store)


@pytest.fixture
def native(store):
    return Driver("native", store)


def exact(x, kernel, low, out, turned=False):
    taps = kernel[::-1, ::-1].swapaxes(2, 3) if turned else kernel
    windows = take_windows(x.astype("f8"), kernel.shape[:2], out, (1, 1), low, (1, 1), (1, 1), 0.0)
    return np.einsum("nhwijc,ijck->nhwk", windows, taps.astype("f8"), optimize=True)


def close(got, expected, channels):
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-6 * 9 * channels)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_a_convolution(driver, case, turned):
    images, height, width, channels, columns, low, out = case
    x = new(images, height, width, channels)
    kernel = new(3, 3, *((columns, channels) if turned else (channels, columns)), seed=1)
    bias = new(columns, seed=2)
    y = driver("winograd", x, kernel, low, out, turned=turned, init=(bias, 0), alpha=0.5, floor=0.0)
    expected = exact(x, kernel, low, out, turned)
    close(y, np.maximum(bias + 0.5 * expected, 0), channels)
    direct = driver("convolve", x, kernel, low, out, turned=turned, init=(bias, 0), alpha=0.5, floor=0.0)
    assert y.tobytes() != direct.tobytes()


LINES = [
    (2, 17, 17, 16, 32, (0, 3), (17, 17), (1, 7)),
    (2, 17, 17, 16, 32, (3, 0), (17, 17), (7, 1)),
    (1, 12, 40, 32, 16, (0, 0), (12, 34), (1, 7)),
    (1, 40, 12, 144, 48, (6, 0), (46, 12), (7, 1)),
    (3, 1, 25, 16, 16, (0, 3), (1, 25), (1, 7)),
    (1, 3, 3, 16, 16, (0, 3), (3, 3), (1, 7)),
    (1, 20, 5, 16, 16, (-1, 1), (13, 7), (7, 1)),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("case", LINES, ids=str)
def test_lines_of_seven_taps(driver, case, turned):
    images, height, width, channels, columns, low, out, size = case
    x, start = new(images, height, width, channels), new(images, *out, columns, seed=2)
    kernel = new(*size, *((columns, channels) if turned else (channels, columns)), seed=1)
    given = {"turned": turned, "init": (start, columns), "alpha": 0.5, "floor": 0.0}
    y = driver("winograd", x, kernel, low, out, **given)
    close(y, np.maximum(start + 0.5 * exact(x, kernel, low, out, turned), 0), channels)
    assert y.tobytes() != driver("convolve", x, kernel, low, out, **given).tobytes()


@pytest.mark.parametrize("size", [(1, 7), (7, 1)])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9, 0.0])
def test_a_pixel_of_a_line_has_no_part_in_other_windows(driver, size, value):
    x, kernel, low = new(1, 20, 18, 16), new(*size, 16, 16, seed=1), (size[0] // 2, size[1] // 2)
    plain = driver("winograd", x, kernel, low, (20, 18))
    x[0, 9, 8] = value
    got, direct = (driver(name, x, kernel, low, (20, 18)) for name in ("winograd", "convolve"))
    assert (np.isnan(got) == np.isnan(direct)).all()
    assert (np.isfinite(got) == np.isfinite(direct)).all()
    here = (slice(9 - low[0], 10 + low[0]), slice(8 - low[1], 9 + low[1]))
    if np.isfinite(value):
        differs = (got != plain).any(axis=(0, 3))
        assert differs[here].all()
        differs[here] = False
        assert not differs.any()


@pytest.mark.parametrize("size", [(1, 7), (7, 1)])
def test_lines_with_a_mask_are_summed_directly(driver, size):
    x, kernel, low = new(1, 14, 13, 16), new(*size, 16, 16, seed=1), (size[0] // 2, size[1] // 2)
    kernel.reshape(7, 16, 16)[6, 3, 4] = 0
    got, direct = (driver(name, x, kernel, low, (14, 13)) for name in ("winograd", "convolve"))
    assert got.tobytes() == direct.tobytes()


@pytest.mark.parametrize("size", [(1, 7), (7, 1)])
def test_errors_of_lines_are_those_of_sums_of_products(native, size):
    low = (size[0] // 2, size[1] // 2)
    for channels, columns in ((16, 32), (192, 48)):
        x, kernel = np.maximum(new(2, 17, 17, channels), 0), new(*size, channels, columns, seed=1)
        expected = exact(x, kernel, low, (17, 17))
        ours, direct = (native(name, x, kernel, low, (17, 17)) for name in ("winograd", "convolve"))
        assert np.mean((ours - expected) ** 2) < 4 * np.mean((direct - expected) ** 2)


def test_errors_are_those_of_sums_of_products(native):
    """For ordinary data; `docs/kernels.md` has the figures."""
    for channels, columns in ((16, 32), (64, 96), (192, 80)):
        x, kernel = np.maximum(new(1, 35, 35, channels), 0), new(3, 3, channels, columns, seed=1)
        expected = exact(x, kernel, (1, 1), (35, 35))
        errors = []
        for name in ("winograd", "convolve"):
            y = native(name, x, kernel, (1, 1), (35, 35))
            errors.append(np.sqrt(np.mean((y - expected) ** 2)))
        assert errors[0] < 2 * errors[1]


def test_values_may_be_columns_of_wider_rows(driver):
    whole, wide = new(2, 14, 15, 40), new(2, 14, 15, 70, seed=3)
    x, kernel, before = whole[..., 4:20], new(3, 3, 16, 32, seed=1), wide.copy()
    c = wide[..., 8:40]
    y = driver("winograd", x, kernel, (1, 1), (14, 15), c=c)
    close(y, exact(x, kernel, (1, 1), (14, 15)), 16)
    assert (wide[..., :8] == before[..., :8]).all()
    assert (wide[..., 40:] == before[..., 40:]).all()


def test_it_may_begin_with_a_matrix_or_with_the_result_itself(driver):
    x, kernel, start = new(1, 13, 13, 16), new(3, 3, 16, 16, seed=1), new(1, 13, 13, 16, seed=2)
    expected = start + exact(x, kernel, (1, 1), (13, 13))
    other = driver("winograd", x, kernel, (1, 1), (13, 13), init=(start, 16))
    close(other, expected, 16)
    same = driver("winograd", x, kernel, (1, 1), (13, 13), init=(start, 16), c=start)
    assert same.tobytes() == other.tobytes()


def units(out, wide=18, tiles=54):
    """Rows of results of a unit, as `winograd.Units` has them."""
    high, columns = -(-out[0] // 2), -(-out[1] // 2)
    widest = -(-columns // -(-columns // wide))
    most = min(tiles // widest, max(-(-high // 2), 1))
    return 2 * -(-high // -(-high // most))


@pytest.mark.parametrize("out", [(12, 12), (35, 37), (13, 40), (7, 3)], ids=str)
def test_units_have_the_same_bits_alone(native, out):
    """Members divide units, and samples come in batches of any size."""
    x, kernel = new(3, *out, 16), new(3, 3, 16, 16, seed=1)
    together = native("winograd", x, kernel, (1, 1), out)
    each, row = units(out), out[1]
    alone = np.full_like(together, 5)
    for image in range(3):
        for y in range(0, out[0], each):
            first = (image * out[0] + y) * row
            rows = min(each, out[0] - y) * row
            native("winograd", x, kernel, (1, 1), out, c=alone, first=first, rows=rows)
    assert alone.tobytes() == together.tobytes()
    one = native("winograd", x[1:2].copy(), kernel, (1, 1), out)
    assert one.tobytes() == together[1:2].tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 2 * MOST], ids=str)
def test_pixels_that_are_not_finite_or_huge_are_summed_directly(driver, value):
    x, kernel = new(2, 24, 20, 16), new(3, 3, 16, 16, seed=1)
    plain = driver("winograd", x, kernel, (1, 1), (24, 20))
    x[1, 9, 3, 5] = value
    got, direct = (driver(name, x, kernel, (1, 1), (24, 20)) for name in ("winograd", "convolve"))
    unit, first = units((24, 20)), 9 // units((24, 20)) * units((24, 20))
    assert got[1, first : first + unit].tobytes() == direct[1, first : first + unit].tobytes()
    assert (np.isfinite(got) == np.isfinite(direct)).all()
    assert (np.isnan(got) == np.isnan(direct)).all()
    assert got[0].tobytes() == plain[0].tobytes()


@pytest.mark.parametrize("value", [-1e9, 1e14, 0.0])
@pytest.mark.parametrize("place", [(9, 3), (8, 4), (0, 0), (23, 19)])
def test_a_pixel_has_no_part_in_other_windows(driver, place, value):
    """Not a bit of the results of windows that it does not belong to changes, in the same tile either."""
    x, kernel = new(1, 24, 20, 16), new(3, 3, 16, 16, seed=1)
    plain = driver("winograd", x, kernel, (1, 1), (24, 20))
    y, at = place
    x[0, y, at] = value
    got = driver("winograd", x, kernel, (1, 1), (24, 20))
    differs = (got != plain).any(axis=(0, 3))
    assert differs[max(y - 1, 0) : y + 2, max(at - 1, 0) : at + 2].all()
    differs[max(y - 1, 0) : y + 2, max(at - 1, 0) : at + 2] = False
    assert not differs.any()


@pytest.mark.parametrize("edge", [11, 12])
def test_windows_of_zeros_give_zeros(driver, edge):
    """Beside other windows of their tiles, and in tiles of their own."""
    x, kernel = new(1, 24, 24, 32), new(3, 3, 32, 16, seed=1)
    x[:, :, edge:] = 0
    got = driver("winograd", x, kernel, (1, 1), (24, 24))
    assert (got[:, :, edge + 1 :] == 0).all()
    assert not np.signbit(got[:, :, edge + 1 :]).any()


def test_an_image_of_zeros_is_no_exception(native):
    x, kernel = np.zeros((1, 12, 12, 16), "f4"), new(3, 3, 16, 16, seed=1)
    y = native("winograd", x, kernel, (1, 1), (12, 12), init=(np.full(16, -0.0, "f4"), 0))
    assert y.tobytes() == native("convolve", x, kernel, (1, 1), (12, 12)).tobytes()


def spoil_tap(value, *where):
    def change(kernel):
        kernel[where] = value

    return change


SPOILT = {
    "NaN": spoil_tap(np.nan, 1, 1, 4, 3),
    "infinity": spoil_tap(np.inf, 0, 2, 15, 15),
    "a mask": spoil_tap(0, slice(2, 3)),
    "a mask of one column": spoil_tap(0, 1, 2, slice(None), 7),
    "a mask of one element": spoil_tap(0, 1, 1, 3, 5),
    "a small tap": spoil_tap(1e-4, 0, 0, slice(None), 9),
    "great taps": lambda kernel: np.multiply(kernel, 1e30, out=kernel),
    "least taps": lambda kernel: np.multiply(kernel, 1e-36, out=kernel),
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_kernel_that_is_not_even_is_summed_directly(driver, spoil, turned):
    x, kernel = new(1, 13, 12, 16), new(3, 3, 16, 16, seed=1)
    spoil(kernel.swapaxes(2, 3) if turned else kernel)
    with np.errstate(over="ignore"):
        got, direct = (
            driver(name, x, kernel, (1, 1), (13, 12), turned=turned) for name in ("winograd", "convolve")
        )
    assert got.tobytes() == direct.tobytes()


def test_columns_of_zeros_are_even(native):
    x, kernel = new(1, 13, 12, 16), new(3, 3, 16, 16, seed=1)
    kernel[..., 5] = 0
    got, direct = (native(name, x, kernel, (1, 1), (13, 12)) for name in ("winograd", "convolve"))
    assert (got[..., 5] == 0).all()
    assert got.tobytes() != direct.tobytes()


@pytest.mark.parametrize("channels", [16, 64, 192, 512])
def test_errors_are_small_beside_each_window(native, channels):
    """As `docs/kernels.md` has it, pixels being of very different sizes: in units of the greatest pixel of a
    window times the greatest tap of a column.
    """
    x, kernel = new(1, 14, 14, channels), new(3, 3, channels, 16, seed=1)
    x *= np.exp(new(1, 14, 14, 1, seed=3) * 5)
    x /= np.abs(x).max()
    got, direct = (native(name, x, kernel, (1, 1), (14, 14)) for name in ("winograd", "convolve"))
    assert got.tobytes() != direct.tobytes()
    windows = take_windows(np.abs(x).astype("f8"), (3, 3), (14, 14), (1, 1), (1, 1), (1, 1), (1, 1), 0.0)
    scale = windows.max(axis=(3, 4, 5))[..., None] * np.abs(kernel).max(axis=(0, 1, 2))
    error = np.abs(got - exact(x, kernel, (1, 1), (14, 14))) / scale
    assert error.max() < 2**-24 * channels**0.5 * 8


@pytest.mark.parametrize("spoilt", [False, True])
def test_finished_tiles_are_shown_once(native, spoilt):
    """By Winograd's algorithm and by the direct one: each element once, with its place."""
    x, kernel, out = new(2, 15, 43, 16), new(3, 3, 16, 32, seed=1), (15, 43)
    if spoilt:
        x[1, 3, 2] = np.nan
    seen, wrong = np.zeros((2 * 15 * 43, 32), "i4"), []
    c = aligned_empty((2, *out, 32), "f4")

    def look(_, block, stride, row, column, rows, n):
        seen[row : row + rows, column : column + n] += 1
        if block != c.ctypes.data + 4 * (row * 32 + column) or stride != 32:
            wrong.append((row, column))

    hook = HOOK(look)
    native("winograd", x, kernel, (1, 1), out, c=c, hook=ctypes.cast(hook, ctypes.c_void_p).value)
    assert (seen == 1).all()
    assert not wrong


def test_without_guards_masks_leave_errors(native):
    x, kernel = new(1, 24, 24, 32), new(3, 3, 32, 16, seed=1)
    plain = native("winograd", x, kernel, (1, 1), (24, 24))
    assert native("winograd.fast", x, kernel, (1, 1), (24, 24)).tobytes() == plain.tobytes()
    kernel[1, 1, :16] = 0
    fast, direct = (native(name, x, kernel, (1, 1), (24, 24)) for name in ("winograd.fast", "convolve"))
    assert fast.tobytes() != direct.tobytes()
    close(fast, direct, 32)
