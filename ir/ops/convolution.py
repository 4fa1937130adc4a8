"""Convolution and its two gradients, each of which is among the gradients of the other two.

    x[N, spatial..., C]   kernel[size..., C / groups, channels]   y[N, out..., channels]
    y[n, o, c] = sum of x[n, o * strides + t * dilation - low, k] * kernel[t, k, c]
                 over the taps t and the channels k of c's group

`padding` has a pair (low, high) of zeros per spatial axis. An op decomposes to `windows` and one product for
all taps; with one channel per group (depthwise), to a sum over the taps.
"""

from __future__ import annotations

import itertools

import numpy as np

from graphc.ir.dims import product
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError
from graphc.ir.inference import require_kind
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.ops.phases import added_windows, by_phases, can_divide, lows_of
from graphc.ir.ops.window import (
    elements,
    few,
    require_entries,
    require_windows,
    returned_windows,
    take_windows,
    taken_windows,
    window_counts,
)
from graphc.ir.relations import same
from graphc.ir.samples import arrays


def _require(x, kernel, size, strides, padding, dilation, groups):
    """Check what the three ops share; the types are those of an input and a kernel."""
    require_kind("f", x, kernel)
    rank = len(size)
    if x.dtype != kernel.dtype:
        raise DTypeError(f"needs equal element types, got {x} and {kernel}; add a cast")
    if x.rank != rank + 2 or kernel.rank != rank + 2:
        raise ShapeError(f"with {rank} spatial axes takes operands with {rank + 2}, got {x} and {kernel}")
    require_entries(rank, size=size, strides=strides, dilation=dilation)
    if not isinstance(groups, int) or groups < 1:
        raise ArgumentError(f"groups must be a whole number above 0, got {groups!r}")
    for d, k in zip(kernel.shape, size):
        same(d, k, f"the size of the kernel {kernel}")
    same(x.shape[-1], kernel.shape[-2] * groups, f"the channels of {x} and of {groups} groups of {kernel}")
    if isinstance(kernel.shape[-1], int) and kernel.shape[-1] % groups:
        raise ShapeError(f"{kernel.shape[-1]} output channels can't be divided into {groups} groups")


def _turned(b, kernel, size):
    """The kernel with its taps in reverse order."""
    return kernel if all(k == 1 for k in size) else b.reverse(kernel, axes=tuple(range(len(size))))


class _NumPy:
    """The builder's functions that the formulas below need, on arrays."""

    @staticmethod
    def windows(x, **attributes):
        return take_windows(x, **attributes, value=0.0)

    @staticmethod
    def reshape(x, shape):
        return np.reshape(x, shape)

    @staticmethod
    def transpose(x, axes):
        return np.transpose(x, axes)

    @staticmethod
    def reverse(x, axes):
        return np.flip(x, axes)

    @staticmethod
    def matmul(x, y, transpose_a=False):
        return np.matmul(np.swapaxes(x, -1, -2) if transpose_a else x, y)

    @staticmethod
    def sum(x, axes):
        return np.sum(x, axis=axes)

    @staticmethod
    def broadcast(x, shape):
        return np.broadcast_to(x, shape)

    @staticmethod
    def pad(x, low, high):
        return np.pad(x, tuple(zip(low, high)))


_NUMPY = _NumPy()


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


FEW_CHANNELS, FEW_TERMS, LEAST_CHANNELS = 16, 16, 8


def _with_border(b, x, attributes):
    """The value with its zeros around it in memory, and the windows of that, where channels are so few that
    rows of a window are worth more than to ask at each element whether it lies inside.
    """
    low, n = attributes["low"], x.shape[1:-1]
    known = all(isinstance(d, int) for d in (*low, *n, *attributes["out"], x.shape[-1]))
    if b is _NUMPY or not known or x.shape[-1] > FEW_CHANNELS or any(s > 1 for s in attributes["spread"]):
        return x, attributes
    steps = zip(attributes["out"], attributes["strides"], attributes["size"], attributes["dilation"], low, n)
    high = [max(0, (o - 1) * s + (k - 1) * d + 1 - p - m) for o, s, k, d, p, m in steps]
    if not any(low + tuple(high)) or any(p < 0 for p in low):
        return x, attributes
    padded = b.pad(x, low=(0, *low, 0), high=(0, *high, 0))
    return padded, {**attributes, "low": (0,) * len(low)}


def _unrolled(b, x, attributes, groups):
    """The windows of x as a matrix; pixels alone where a window is one pixel."""
    out, size = attributes["out"], attributes["size"]
    alone = all(k == 1 for k in (*size, *attributes["strides"], *attributes["spread"]))
    if alone and out == tuple(x.shape[1:-1]) and all(p == 0 for p in attributes["low"]):
        return _rows(b, x, groups)
    x, attributes = _with_border(b, x, attributes)
    return _stacked(b, b.windows(x, **attributes), len(size), groups)


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
    parts = b.reshape(_turned(b, kernel, size), shape=(taps, each, groups, mine))
    parts = b.transpose(parts, axes=(2, 0, 3, 1))
    shape = (taps * mine, each) if groups == 1 else (groups, taps * mine, each)
    return b.reshape(parts, shape=shape)


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


def _adds_less(kernel, size):
    """Whether the products of all pixels with all taps are fewer than the elements of all windows."""
    each, channels = kernel.shape[-2:]
    known = isinstance(each, int) and isinstance(channels, int)
    return known and each <= channels and product(size) > 1 and (each == 1 or each >= LEAST_CHANNELS)


def _narrows(kernel, size, strides):
    """The same for a convolution: where its result has less than half of its input's channels."""
    each, channels = kernel.shape[-2:]
    known = isinstance(each, int) and isinstance(channels, int)
    return known and 2 * channels <= each and product(size) > 1 and all(s == 1 for s in strides)


def _has_few_terms(x, size, groups):
    """Whether an element of the result is a sum of so few products that a matrix of windows does not pay."""
    terms = product(size) * x.shape[-1]
    return groups == 1 and product(size) > 1 and isinstance(terms, int) and 0 < terms <= FEW_TERMS


def _term_by_term(b, x, attributes, kernel, shape):
    """The convolution as a sum over taps and channels of a pixel's value times a row of the kernel."""
    total = None
    x, attributes = _with_border(b, x, attributes)
    taps = itertools.product(*map(range, attributes["size"]))
    for tap, element in zip(taps, elements(b, x, attributes)):
        for channel in range(x.shape[-1]):
            value = element
            if x.shape[-1] > 1:
                start, stop = (*(0,) * (element.rank - 1), channel), (*element.shape[:-1], channel + 1)
                value = b.slice(element, start=start, stop=stop, step=(1,) * element.rank)
            place = (*tap, channel)
            start, stop = (*place, 0), (*(i + 1 for i in place), shape[-1])
            row = b.slice(kernel, start=start, stop=stop, step=(1,) * kernel.rank)
            row = b.reshape(row, shape=(shape[-1],))
            total = value * row if total is None else b.fma(value, row, total)
    return total


# -- one channel per group -----------------------------------------------------------------------------------


def _repeated(b, x, times):
    """Every channel so many times."""
    if times == 1:
        return x
    wide = b.broadcast(b.reshape(x, shape=(*x.shape, 1)), shape=(*x.shape, times))
    return b.reshape(wide, shape=(*x.shape[:-1], x.shape[-1] * times))


def _gathered(b, x, times):
    """The transpose of `_repeated`: the sum over the copies of a channel."""
    if times == 1:
        return x
    parts = b.reshape(x, shape=(*x.shape[:-1], x.shape[-1] // times, times))
    return b.sum(parts, axes=(len(x.shape),))


def _is_depthwise(groups, kernel_shape):
    return groups > 1 and kernel_shape[-2] == 1


def _per_channel(b, kernel):
    return b.reshape(kernel, shape=(*kernel.shape[:-2], kernel.shape[-1]))


def _weighted(b, x, attributes, weights):
    """The sum over the taps of windows times weights (size..., C)."""
    size, rank = attributes["size"], len(attributes["size"])
    if b is _NUMPY or not few(size):
        terms = b.windows(x, **attributes) * weights
        return b.sum(terms, axes=tuple(range(rank + 1, 2 * rank + 1)))
    total = None
    for tap, element in zip(itertools.product(*map(range, size)), elements(b, x, attributes)):
        start, stop = (*tap, 0), (*(t + 1 for t in tap), weights.shape[-1])
        weight = b.slice(weights, start=start, stop=stop, step=(1,) * (rank + 1))
        weight = b.reshape(weight, shape=(weights.shape[-1],))
        total = element * weight if total is None else b.fma(element, weight, total)
    return total


def _per_channel_sums(b, x, ct, attributes):
    """The sum over all windows of each of their elements times ct: (size..., C)."""
    size, rank = attributes["size"], len(attributes["size"])
    if b is _NUMPY or not few(size):
        terms = b.windows(x, **attributes) * b.reshape(ct, shape=(*ct.shape[:-1], *(1,) * rank, ct.shape[-1]))
        return b.sum(terms, axes=tuple(range(rank + 1)))
    # row by row first, so that what is read for one tap is in the cache for the others
    sums = [b.sum(element * ct, axes=(rank,)) for element in elements(b, x, attributes)]
    sums = [b.sum(s, axes=tuple(range(rank))) for s in sums]
    channels = ct.shape[-1]
    stacked = b.concatenate(*(b.reshape(s, shape=(1, channels)) for s in sums), axis=0)
    return b.reshape(stacked, shape=(*size, channels))


# -- the three formulas --------------------------------------------------------------------------------------


def _forward(b, x, kernel, size, strides, padding, dilation, groups):
    out = window_counts(x.shape[1:-1], size, strides, padding, dilation)
    attributes = taken_windows(out, size, strides, padding, dilation)
    if _is_depthwise(groups, kernel.shape):
        wide = _repeated(b, x, kernel.shape[-1] // groups)
        return _weighted(b, wide, attributes, _per_channel(b, kernel))
    shape = (x.shape[0], *out, kernel.shape[-1])
    if b is not _NUMPY and _has_few_terms(x, size, groups):
        return _term_by_term(b, x, attributes, kernel, shape)
    if b is not _NUMPY and groups == 1 and few(size) and _narrows(kernel, size, strides):
        turned = b.transpose(kernel, axes=(*range(len(size)), len(size) + 1, len(size)))
        return added_windows(b, x, turned, out, size, lows_of(size, padding, dilation, -1), (1,) * len(size))
    rows = _unrolled(b, x, attributes, groups)
    return _pixels(b, b.matmul(rows, _kernel_matrix(b, kernel, size, groups)), shape, groups)


def _backward_data(b, ct, kernel, sizes, size, strides, padding, dilation, groups):
    attributes = returned_windows(sizes, size, strides, padding, dilation)
    channels = kernel.shape[-2] * groups
    if _is_depthwise(groups, kernel.shape):
        turned = _turned(b, _per_channel(b, kernel), size)
        wide = _weighted(b, ct, attributes, turned)
        return _gathered(b, wide, kernel.shape[-1] // groups)

    def product_of(ct, kernel, size, attributes):
        rows = _unrolled(b, ct, attributes, groups)
        shape = (ct.shape[0], *attributes["out"], channels)
        return _pixels(b, b.matmul(rows, _kernel_back(b, kernel, size, groups)), shape, groups)

    if b is not _NUMPY and groups == 1 and few(size) and _adds_less(kernel, size):
        return added_windows(b, ct, kernel, sizes, size, lows_of(size, padding, dilation, 1), strides)
    if b is not _NUMPY and groups == 1 and can_divide(strides, padding, dilation):
        return by_phases(b, ct, kernel, sizes, size, strides, padding, product_of)
    return product_of(ct, kernel, size, attributes)


def _backward_kernel(b, x, ct, size, strides, padding, dilation, groups):
    out = tuple(ct.shape[1:-1])
    attributes = taken_windows(out, size, strides, padding, dilation)
    shape = (*size, x.shape[-1] // groups, ct.shape[-1])
    if _is_depthwise(groups, shape):
        wide = _repeated(b, x, shape[-1] // groups)
        return b.reshape(_per_channel_sums(b, wide, ct, attributes), shape=shape)
    rows = _unrolled(b, x, attributes, groups)
    matrix = b.matmul(rows, _rows(b, ct, groups), transpose_a=True)
    return _kernel_shaped(b, matrix, shape, groups)


# -- the ops -------------------------------------------------------------------------------------------------


def _case(spatial, size, channels, kernel_channels, batch=2, differentiable=True, **attributes):
    """(shape of x, shape of the kernel, shape of y, attributes) of a sample."""
    rank = len(spatial)
    plain = {
        "size": size,
        "strides": (1,) * rank,
        "padding": ((0, 0),) * rank,
        "dilation": (1,) * rank,
        "groups": 1,
        **attributes,
    }
    steps = (plain["strides"], plain["padding"], plain["dilation"])
    out = window_counts(spatial, size, *steps)
    kernel = (*size, channels // plain["groups"], kernel_channels)
    return (batch, *spatial, channels), kernel, (batch, *out, kernel_channels), plain


_CASES = (
    _case((7,), (3,), 2, 4),
    _case((9,), (3,), 2, 3, strides=(2,), padding=((2, 1),), dilation=(2,)),
    _case((6, 5), (3, 3), 3, 4),
    _case((6, 5), (3, 2), 3, 4, padding=((1, 1), (0, 1))),
    _case((7, 8), (3, 3), 2, 17, strides=(2, 2), padding=((1, 1), (0, 1))),
    _case((7, 7), (2, 3), 1, 5, strides=(3, 2)),
    _case((4, 4), (1, 1), 5, 3),
    _case((5, 4), (1, 1), 3, 2, strides=(2, 2)),
    _case((5, 5), (3, 3), 4, 6, groups=2, padding=((1, 1), (1, 1))),
    _case((6, 5), (3, 3), 3, 3, groups=3, padding=((1, 1), (1, 1))),
    _case((7, 5), (3, 2), 3, 6, groups=3, strides=(2, 2), padding=((1, 0), (0, 0))),
    _case((5, 4), (2, 2), 3, 3, groups=3, dilation=(2, 1)),
    _case((1, 1), (1, 1), 1, 1, batch=1),
    _case((3, 3), (3, 3), 2, 1, batch=1),
    _case((2, 3), (5, 5), 2, 3, padding=((2, 2), (2, 2))),
    _case((5, 5), (2, 2), 1, 3, strides=(3, 3)),
    _case((4, 4, 3), (2, 2, 2), 2, 3),
    _case((4, 4), (3, 3), 2, 3, batch=0),
    _case((5, 6), (3, 3), 9, 10, padding=((1, 1), (0, 1))),
    _case((6, 5), (3, 3), 8, 9, strides=(2, 2), padding=((0, 1), (1, 1))),
    _case((5, 4), (2, 3), 17, 3, padding=((1, 0), (1, 1)), dilation=(2, 1)),
    _case((5, 4), (3, 3), 17, 1),
    _case((5, 5), (3, 3), 5, 3, strides=(2, 2), padding=((1, 1), (0, 1))),
)


@op("conv", Kind.COARSE)
class Conv:
    """The convolution (cross-correlation) of x with a kernel; the module has the formula."""

    def infer(x, kernel, *, size, strides, padding, dilation, groups=1):
        _require(x, kernel, size, strides, padding, dilation, groups)
        out = require_windows(x.shape[1:-1], size, strides, padding, dilation)
        return x.with_shape((x.shape[0], *out, kernel.shape[-1]))

    def evaluate(x, kernel, **attributes):
        return _forward(_NUMPY, x, kernel, **attributes)

    decompose = _forward

    def vjp(b, x, kernel, out, ct, **attributes):
        dx = b.conv_data_gradient(ct, kernel, sizes=x.shape[1:-1], **attributes)
        return dx, b.conv_weight_gradient(x, ct, **attributes)

    samples = tuple(Sample(arrays(x, k), a) for x, k, _, a in _CASES)


@op("conv_data_gradient", Kind.COARSE)
class ConvDataGradient:
    """The gradient of `conv` by x, whose spatial sizes are `sizes`: a transposed convolution of ct."""

    def infer(ct, kernel, *, sizes, size, strides, padding, dilation, groups=1):
        x = ct.with_shape((ct.shape[0], *sizes, kernel.shape[-2] * groups))
        _require(x, kernel, size, strides, padding, dilation, groups)
        same(ct.shape[-1], kernel.shape[-1], f"the channels of {ct} and {kernel}")
        counts = require_windows(sizes, size, strides, padding, dilation)
        for d, wanted in zip(ct.shape[1:-1], counts, strict=True):
            same(d, wanted, f"the windows of {sizes} and the spatial sizes of {ct}")
        return x

    def evaluate(ct, kernel, **attributes):
        return _backward_data(_NUMPY, ct, kernel, **attributes)

    decompose = _backward_data

    def vjp(b, ct, kernel, out, other, sizes, **attributes):
        return b.conv(other, kernel, **attributes), b.conv_weight_gradient(other, ct, **attributes)

    samples = tuple(Sample(arrays(y, k), {"sizes": x[1:-1], **a}) for x, k, y, a in _CASES)


@op("conv_weight_gradient", Kind.COARSE)
class ConvWeightGradient:
    """The gradient of `conv` by its kernel, for the gradient ct of its result."""

    def infer(x, ct, *, size, strides, padding, dilation, groups=1):
        each = x.shape[-1] // groups if isinstance(groups, int) and groups > 0 else x.shape[-1]
        kernel = x.with_shape((*size, each, ct.shape[-1]))
        _require(x, kernel, size, strides, padding, dilation, groups)
        same(x.shape[0], ct.shape[0], f"the batches of {x} and {ct}")
        counts = require_windows(x.shape[1:-1], size, strides, padding, dilation)
        for d, wanted in zip(ct.shape[1:-1], counts, strict=True):
            same(d, wanted, f"the windows of {x} and the spatial sizes of {ct}")
        return kernel

    def evaluate(x, ct, **attributes):
        return _backward_kernel(_NUMPY, x, ct, **attributes)

    decompose = _backward_kernel

    def vjp(b, x, ct, out, other, **attributes):
        dx = b.conv_data_gradient(ct, other, sizes=x.shape[1:-1], **attributes)
        return dx, b.conv(x, other, **attributes)

    samples = tuple(Sample(arrays(x, y), a) for x, _, y, a in _CASES)
