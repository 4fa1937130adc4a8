"""The formulas that convolutions decompose to: products of windows and a kernel, with windows that are never
stored (`implicit.py`) where there are one or two spatial axes, and views of windows otherwise.
"""

from __future__ import annotations

from graphc.ir.dims import product
from graphc.ir.ops.channelwise import (
    gathered,
    grouped,
    grouped_sums,
    has_few_sums,
    has_few_terms,
    has_small_groups,
    is_depthwise,
    per_channel,
    per_channel_sums,
    repeated,
    summed_by_terms,
    term_by_term,
    weighted,
)
from graphc.ir.ops.phases import added_windows, by_phases, can_divide, few_phases, in_phases, lows_of
from graphc.ir.ops.window import few, returned_windows, taken_windows, window_counts, with_border

LEAST_CHANNELS = 8
LEAST_PIXELS, LEAST_WALK = 16, 16
NARROW = 8
MOST_AXES = 2
"""Spatial axes of windows that products read where they are."""


def turned(b, kernel, size):
    """The kernel with its taps in reverse order."""
    return kernel if all(k == 1 for k in size) else b.reverse(kernel, axes=tuple(range(len(size))))


def _exchanged(b, kernel):
    """The kernel with its last two axes exchanged."""
    rank = kernel.rank
    return b.transpose(kernel, axes=(*range(rank - 2), rank - 1, rank - 2))


# -- products of all taps ------------------------------------------------------------------------------------


def _stacked(b, windows, rank, groups):
    """Windows as the rows of a matrix (M, taps * C), or of one for each group."""
    shape = windows.shape
    rows, taps, channels = product(shape[: rank + 1]), product(shape[rank + 1 : -1]), shape[-1]
    if groups == 1:
        return b.reshape(windows, shape=(rows, taps * channels))
    each = channels // groups
    parts = b.reshape(windows, shape=(rows, taps, groups, each))
    return b.reshape(b.transpose(parts, axes=(2, 0, 1, 3)), shape=(groups, rows, taps * each))


def _rows(b, x, groups):
    """A value's pixels as the rows of a matrix (M, C), or of one for each group."""
    rows, channels = product(x.shape[:-1]), x.shape[-1]
    if groups == 1:
        return b.reshape(x, shape=(rows, channels))
    parts = b.reshape(x, shape=(rows, groups, channels // groups))
    return b.transpose(parts, axes=(1, 0, 2))


def _is_alone(x, attributes):
    """Whether each window is one pixel, and all pixels are windows."""
    alone = all(k == 1 for k in (*attributes["size"], *attributes["strides"], *attributes["spread"]))
    whole = attributes["out"] == tuple(x.shape[1:-1])
    return alone and whole and all(p == 0 for p in attributes["low"])


def _is_implicit(x, attributes):
    """Whether the windows of x need not be stored for a product."""
    return len(attributes["size"]) <= MOST_AXES and all(s == 1 for s in attributes["spread"])


def _walks(x, attributes, groups):
    """Whether a product reads the windows of x where they are. Of pixels alone it does so if there are enough
    of them: few rows are better read by columns, and few channels packed.
    """
    if not _is_implicit(x, attributes):
        return False
    pixels, channels = product(attributes["out"]), x.shape[-1]
    enough = not isinstance(pixels, int) or pixels >= LEAST_PIXELS
    many = not isinstance(channels, int) or channels >= LEAST_WALK
    return groups > 1 or not _is_alone(x, attributes) or (enough and many)


def _places(attributes, *names):
    return {name: attributes[name] for name in ("size", "strides", "low", "dilation", *names)}


def _unrolled(b, x, attributes, groups):
    """The windows of x as a matrix; pixels alone where a window is one pixel."""
    if _is_alone(x, attributes):
        return _rows(b, x, groups)
    x, attributes = with_border(b, x, attributes)
    return _stacked(b, b.windows(x, **attributes), len(attributes["size"]), groups)


def _kernel_matrix(b, kernel, size, groups):
    """The kernel as a matrix (taps * C, channels), or one for each group."""
    each, channels = kernel.shape[-2:]
    rows = product(size) * each
    if groups == 1:
        return b.reshape(kernel, shape=(rows, channels))
    parts = b.reshape(kernel, shape=(rows, groups, channels // groups))
    return b.transpose(parts, axes=(1, 0, 2))


def _kernel_back(b, kernel, size, groups):
    """The kernel that carries gradients back, as a matrix (taps * channels, C), or one for each group."""
    each, channels = kernel.shape[-2:]
    taps, mine = product(size), channels // groups
    parts = b.reshape(turned(b, kernel, size), shape=(taps, each, groups, mine))
    parts = b.transpose(parts, axes=(2, 0, 3, 1))
    shape = (taps * mine, each) if groups == 1 else (groups, taps * mine, each)
    return b.reshape(parts, shape=shape)


def _rows_back(b, kernel, size, groups):
    """The rows of factors with which groups of few channels carry gradients back."""
    each, channels = kernel.shape[-2:]
    taps, mine = product(size), channels // groups
    parts = b.reshape(turned(b, kernel, size), shape=(taps, each, groups, mine))
    return b.reshape(b.transpose(parts, axes=(0, 3, 2, 1)), shape=(taps * mine, groups * each))


def _kernel_shaped(b, matrix, shape, groups):
    """The kernel whose matrix this is."""
    if groups > 1:
        matrix = b.transpose(matrix, axes=(1, 0, 2))
    return b.reshape(matrix, shape=shape)


def _pixels(b, matrix, shape, groups):
    """The value whose rows these are."""
    if groups > 1:
        matrix = b.transpose(matrix, axes=(1, 0, 2))
    return b.reshape(matrix, shape=shape)


def _adds_less(kernel, size, implicit):
    """Whether the products of all pixels with all taps are fewer than the elements of all windows; where
    windows are not stored, a single channel decides.
    """
    each, channels = kernel.shape[-2:]
    known = isinstance(each, int) and isinstance(channels, int)
    if not known or each > channels or product(size) == 1:
        return False
    return each == 1 or (not implicit and each >= LEAST_CHANNELS)


def _narrows(kernel, size, strides):
    """The same for a convolution: where its result has less than half of its input's channels."""
    each, channels = kernel.shape[-2:]
    known = isinstance(each, int) and isinstance(channels, int)
    return known and 2 * channels <= each and product(size) > 1 and all(s == 1 for s in strides)


def _is_narrow(x, ct, size, strides, padding, dilation):
    """Whether the gradient by a kernel has so few columns that the windows of ct, and the channels of x as
    columns, are better: the sum over x's pixels of the same products.
    """
    each, channels = x.shape[-1], ct.shape[-1]
    known = isinstance(each, int) and isinstance(channels, int) and len(size) <= MOST_AXES
    fits = all(isinstance(p, int) and p <= (k - 1) * d for k, d, (p, _) in zip(size, dilation, padding))
    plain = fits and product(size) > 1 and all(s == 1 for s in strides)
    return known and plain and channels < NARROW and 2 * channels <= each


def _product(b, x, kernel, attributes, groups):
    """Windows, stored, times a kernel; pixels alone keep their axes, as the products of other windows do."""
    if groups == 1 and _is_alone(x, attributes):
        return b.matmul(x, _kernel_matrix(b, kernel, attributes["size"], groups))
    shape = (x.shape[0], *attributes["out"], kernel.shape[-1])
    rows = _unrolled(b, x, attributes, groups)
    matrix = _kernel_matrix(b, kernel, attributes["size"], groups)
    return _pixels(b, b.matmul(rows, matrix), shape, groups)


def _product_back(b, ct, kernel, attributes, groups):
    """Windows of a gradient, stored, times the kernel that carries it back."""
    if groups == 1 and _is_alone(ct, attributes):
        matrix = _kernel_matrix(b, kernel, attributes["size"], groups)
        return b.matmul(ct, matrix, transpose_b=True)
    shape = (ct.shape[0], *attributes["out"], kernel.shape[-2] * groups)
    rows = _unrolled(b, ct, attributes, groups)
    if groups == 1 and all(k == 1 for k in attributes["size"]):
        matrix = _kernel_matrix(b, kernel, attributes["size"], groups)
        return _pixels(b, b.matmul(rows, matrix, transpose_b=True), shape, groups)
    matrix = _kernel_back(b, kernel, attributes["size"], groups)
    return _pixels(b, b.matmul(rows, matrix), shape, groups)


def _outer(b, x, ct, attributes, groups):
    """Windows, stored, times a gradient, summed over all windows."""
    shape = (*attributes["size"], x.shape[-1] // groups, ct.shape[-1])
    rows = _unrolled(b, x, attributes, groups)
    matrix = b.matmul(rows, _rows(b, ct, groups), transpose_a=True)
    return _kernel_shaped(b, matrix, shape, groups)


def multiplied(b, x, kernel, size, out, strides, low, dilation, groups, turned):
    """`window_product` with stored windows."""
    attributes = _all_places(size, out, strides, low, dilation)
    return (_product_back if turned else _product)(b, x, kernel, attributes, groups)


def correlated(b, x, ct, size, strides, low, dilation, groups):
    """`window_correlation` with stored windows."""
    return _outer(b, x, ct, _all_places(size, tuple(ct.shape[1:-1]), strides, low, dilation), groups)


def _all_places(size, out, strides, low, dilation):
    places = {"size": size, "out": out, "strides": strides, "low": low, "dilation": dilation}
    return {**places, "spread": (1,) * len(size)}


# -- the three formulas --------------------------------------------------------------------------------------


def forward(b, x, kernel, size, strides, padding, dilation, groups):
    out = window_counts(x.shape[1:-1], size, strides, padding, dilation)
    attributes = taken_windows(out, size, strides, padding, dilation)
    if is_depthwise(groups, kernel.shape):
        wide = repeated(b, x, kernel.shape[-1] // groups)
        return weighted(b, wide, attributes, per_channel(b, kernel))
    each, results = kernel.shape[-2], kernel.shape[-1] // groups
    if has_small_groups(size, groups, each, results):
        rows = b.reshape(kernel, shape=(product(size) * each, kernel.shape[-1]))
        return grouped(b, x, attributes, rows, groups, results)
    shape = (x.shape[0], *out, kernel.shape[-1])
    if has_few_terms(x, size, groups):
        return term_by_term(b, x, attributes, kernel, shape)
    narrows = groups == 1 and few(size) and _narrows(kernel, size, strides)
    if _walks(x, attributes, groups) and not (narrows and kernel.shape[-1] == 1):
        return b.window_product(x, kernel, **_places(attributes, "out"), groups=groups)
    if narrows:
        lows = lows_of(size, padding, dilation, -1)
        return added_windows(b, x, _exchanged(b, kernel), out, size, lows, (1,) * len(size))
    return _product(b, x, kernel, attributes, groups)


def backward_data(b, ct, kernel, sizes, size, strides, padding, dilation, groups):
    attributes = returned_windows(sizes, size, strides, padding, dilation)
    if is_depthwise(groups, kernel.shape):
        wide = _depthwise_back(b, ct, per_channel(b, kernel), sizes, size, strides, padding, dilation)
        return gathered(b, wide, kernel.shape[-1] // groups)

    each, results = kernel.shape[-2], kernel.shape[-1] // groups

    def product_of(ct, kernel, size, attributes):
        if has_small_groups(size, groups, results, each):
            return grouped(b, ct, attributes, _rows_back(b, kernel, size, groups), groups, each)
        if _walks(ct, attributes, groups):
            return b.window_product(ct, kernel, **_places(attributes, "out"), groups=groups, turned=True)
        return _product_back(b, ct, kernel, attributes, groups)

    if groups == 1 and few(size) and _adds_less(kernel, size, len(size) <= MOST_AXES):
        return added_windows(b, ct, kernel, sizes, size, lows_of(size, padding, dilation, 1), strides)
    if has_few_terms(ct, size, groups) and all(s == 1 for s in strides):
        shape = (ct.shape[0], *sizes, kernel.shape[-2])
        return term_by_term(b, ct, attributes, _exchanged(b, turned(b, kernel, size)), shape)
    if can_divide(strides, padding, dilation):
        return by_phases(b, ct, kernel, sizes, size, strides, padding, groups, product_of)
    return product_of(ct, kernel, size, attributes)


def _depthwise_back(b, ct, kernel, sizes, size, strides, padding, dilation):
    """The gradient by every copy of a channel, in phases where there are strides."""

    def one_phase(firsts, attributes):
        steps = zip(firsts, attributes["size"], strides)
        stop = (*(t + (n - 1) * s + 1 for t, n, s in steps), kernel.shape[-1])
        part = b.slice(kernel, start=(*firsts, 0), stop=stop, step=(*strides, 1))
        return weighted(b, ct, attributes, turned(b, part, attributes["size"]))

    if few(size) and few_phases(strides, padding, dilation):
        wanted = ct.type.with_shape((ct.shape[0], *sizes, ct.shape[-1]))
        return in_phases(b, wanted, size, strides, padding, one_phase)
    attributes = returned_windows(sizes, size, strides, padding, dilation)
    return weighted(b, ct, attributes, turned(b, kernel, size))


def backward_kernel(b, x, ct, size, strides, padding, dilation, groups):
    out = tuple(ct.shape[1:-1])
    attributes = taken_windows(out, size, strides, padding, dilation)
    shape = (*size, x.shape[-1] // groups, ct.shape[-1])
    if is_depthwise(groups, shape):
        wide = repeated(b, x, shape[-1] // groups)
        return b.reshape(per_channel_sums(b, wide, ct, attributes), shape=shape)
    if has_small_groups(size, groups, shape[-2], shape[-1] // groups):
        return grouped_sums(b, x, ct, attributes, groups)
    if groups == 1 and has_few_sums(x, ct, size):
        return summed_by_terms(b, x, ct, attributes)
    if groups == 1 and _is_narrow(x, ct, size, strides, padding, dilation):
        back = returned_windows(tuple(x.shape[1:-1]), size, strides, padding, dilation)
        return _exchanged(b, turned(b, b.window_correlation(ct, x, **_places(back)), size))
    if _is_implicit(x, attributes) and (groups > 1 or not _is_alone(x, attributes)):
        return b.window_correlation(x, ct, **_places(attributes), groups=groups)
    return _outer(b, x, ct, attributes, groups)
