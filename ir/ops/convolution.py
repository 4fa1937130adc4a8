"""Convolution and its two gradients, each of which is among the gradients of the other two.

    x[N, spatial..., C]   kernel[size..., C / groups, channels]   y[N, out..., channels]
    y[n, o, c] = sum of x[n, o * strides + t * dilation - low, k] * kernel[t, k, c]
                 over the taps t and the channels k of c's group

`padding` has a pair (low, high) of zeros per spatial axis. An op decomposes to `windows` and one product for
all taps; with one channel per group (depthwise), to a sum over the taps.
"""

from __future__ import annotations

import numpy as np

from graphc.ir.dims import product
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError
from graphc.ir.inference import require_kind
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.ops.unrolled import backward_data, backward_kernel, forward
from graphc.ir.ops.window import (
    require_entries,
    require_windows,
    returned_windows,
    take_windows,
    taken_windows,
    window_counts,
)
from graphc.ir.relations import same


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


# -- on arrays -----------------------------------------------------------------------------------------------


def as_matrix(windows, rank, groups):
    """Windows as an array (pixels, taps, groups, C / groups)."""
    shape = windows.shape
    rows, taps = product(shape[: rank + 1]), product(shape[rank + 1 : -1])
    return windows.reshape(rows, taps, groups, shape[-1] // groups)


def parted(kernel, groups):
    """A kernel as an array (taps, C / groups, groups, channels / groups)."""
    *size, each, channels = kernel.shape
    return kernel.reshape(product(size), each, groups, channels // groups)


def contracted(subscripts, left, right, groups):
    """np.einsum; without the axis g of a single group, so that it is one matrix product."""
    if groups == 1:
        first, second = subscripts.split("->")[0].split(",")
        left, right = left.squeeze(first.index("g")), right.squeeze(second.index("g"))
        subscripts = subscripts.replace("g", "")
    return np.einsum(subscripts, left, right, optimize=True)


def _evaluate(x, kernel, size, strides, padding, dilation, groups):
    out = window_counts(x.shape[1:-1], size, strides, padding, dilation)
    windows = take_windows(x, **taken_windows(out, size, strides, padding, dilation), value=0.0)
    terms = as_matrix(windows, len(size), groups), parted(kernel, groups)
    y = contracted("mtgc,tcgo->mgo", *terms, groups)
    return y.reshape(x.shape[0], *out, kernel.shape[-1])


def _evaluate_data(ct, kernel, sizes, size, strides, padding, dilation, groups):
    windows = take_windows(ct, **returned_windows(sizes, size, strides, padding, dilation), value=0.0)
    turned = np.flip(kernel, tuple(range(len(size))))
    terms = as_matrix(windows, len(size), groups), parted(turned, groups)
    dx = contracted("mtgo,tcgo->mgc", *terms, groups)
    return dx.reshape(ct.shape[0], *sizes, kernel.shape[-2] * groups)


def _evaluate_weights(x, ct, size, strides, padding, dilation, groups):
    out = tuple(ct.shape[1:-1])
    windows = take_windows(x, **taken_windows(out, size, strides, padding, dilation), value=0.0)
    parts = ct.reshape(product(ct.shape[:-1]), groups, ct.shape[-1] // groups)
    dw = contracted("mtgc,mgo->tcgo", as_matrix(windows, len(size), groups), parts, groups)
    return dw.reshape(*size, x.shape[-1] // groups, ct.shape[-1])


# -- the ops -------------------------------------------------------------------------------------------------


def _whole(*shapes):
    """A maker of small whole numbers, whose sums of products are exact in any order."""
    return lambda rng, dtype: [rng.integers(-3, 4, shape).astype(dtype) for shape in shapes]


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

    evaluate = _evaluate

    decompose = forward

    def vjp(b, x, kernel, out, ct, **attributes):
        dx = b.conv_data_gradient(ct, kernel, sizes=x.shape[1:-1], **attributes)
        return dx, b.conv_weight_gradient(x, ct, **attributes)

    samples = tuple(Sample(_whole(x, k), a) for x, k, _, a in _CASES)


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

    evaluate = _evaluate_data

    decompose = backward_data

    def vjp(b, ct, kernel, out, other, sizes, **attributes):
        return b.conv(other, kernel, **attributes), b.conv_weight_gradient(other, ct, **attributes)

    samples = tuple(Sample(_whole(y, k), {"sizes": x[1:-1], **a}) for x, k, y, a in _CASES)


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

    evaluate = _evaluate_weights

    decompose = backward_kernel

    def vjp(b, x, ct, out, other, **attributes):
        dx = b.conv_data_gradient(ct, other, sizes=x.shape[1:-1], **attributes)
        return dx, b.conv(x, other, **attributes)

    samples = tuple(Sample(_whole(x, y), a) for x, _, y, a in _CASES)
