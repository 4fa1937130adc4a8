"""Products whose left operand is the windows of a value with one or two spatial axes, which is not stored:
what most convolutions and their gradients decompose to.

`out`, `size`, `strides`, `low` and `dilation` mean what they do in `windows`, whose elements outside are 0.
"""

from __future__ import annotations

import numpy as np

from graphc.ir.dims import product
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError
from graphc.ir.inference import require_kind
from graphc.ir.opdef import Kind, Sample, op
from graphc.ir.ops.convolution import as_matrix, contracted, parted
from graphc.ir.ops.unrolled import correlated, multiplied
from graphc.ir.ops.window import require_entries, take_windows
from graphc.ir.relations import same


def _require(x, other, size, out, strides, low, dilation, groups):
    require_kind("f", x, other)
    rank = x.rank - 2
    if x.dtype != other.dtype:
        raise DTypeError(f"needs equal element types, got {x} and {other}; add a cast")
    if rank not in (1, 2) or other.rank != x.rank:
        raise ShapeError(f"takes two values with one or two spatial axes each, got {x} and {other}")
    require_entries(rank, size=size, strides=strides, dilation=dilation)
    if not len(out) == len(low) == rank or any(isinstance(d, int) and d < 0 for d in out):
        raise ShapeError(f"{x} has no windows with out = {out} and low = {low}")
    if not isinstance(groups, int) or groups < 1:
        raise ArgumentError(f"groups must be a whole number above 0, got {groups!r}")


def _windows(x, size, out, strides, low, dilation, groups):
    """The windows of an array as an array (pixels, taps, groups, C / groups)."""
    found = take_windows(x, size, out, strides, low, dilation, (1,) * len(size), 0.0)
    return as_matrix(found, len(size), groups)


def _whole(*shapes):
    return lambda rng, dtype: [rng.integers(-3, 4, shape).astype(dtype) for shape in shapes]


def _places(rank, **given):
    plain = {"strides": (1,) * rank, "low": (0,) * rank, "dilation": (1,) * rank, "groups": 1}
    return {**plain, **given}


# spatial sizes, channels of x, channels of the result, attributes
_CASES = (
    ((7,), 2, 4, _places(1, size=(3,), out=(5,))),
    ((9,), 17, 3, _places(1, size=(3,), out=(4,), strides=(2,), low=(2,), dilation=(2,))),
    ((6, 5), 3, 4, _places(2, size=(3, 3), out=(6, 5), low=(1, 1))),
    ((6, 5), 18, 9, _places(2, size=(3, 2), out=(7, 5), low=(2, -1))),
    ((7, 8), 2, 17, _places(2, size=(3, 3), out=(4, 4), strides=(2, 2), low=(1, 0))),
    ((5, 4), 20, 6, _places(2, size=(2, 3), out=(5, 4), low=(1, 1), groups=2)),
    ((4, 4), 6, 6, _places(2, size=(1, 1), out=(2, 2), strides=(2, 2), groups=3)),
    ((3, 2), 0, 2, _places(2, size=(1, 2), out=(3, 1))),
    ((1, 1), 1, 1, _places(2, size=(3, 3), out=(1, 1), low=(1, 1))),
)


def _shapes(spatial, channels, results, places, batch=2):
    kernel = (*places["size"], channels // places["groups"], results)
    return (batch, *spatial, channels), kernel, (batch, *places["out"], results)


def _without_out(places):
    return {name: value for name, value in places.items() if name != "out"}


@op("window_product", Kind.CONTRACTION)
class WindowProduct:
    """y[n, o, c] = sum over taps t and channels k of windows(x)[n, o, t, k] * kernel[t, k, c]: the kernel is
    (size..., C / groups, channels).

    `turned`: the kernel is the one of the convolution whose gradient this is, (size..., channels / groups,
    C): it is taken with its taps in reverse order, and its last two axes change places.
    """

    def infer(x, kernel, *, size, out, strides, low, dilation, groups=1, turned=False):
        _require(x, kernel, size, out, strides, low, dilation, groups)
        for d, k in zip(kernel.shape, size):
            same(d, k, f"the size of the kernel {kernel}")
        each, channels = kernel.shape[-2:]
        mine, result = (channels, each * groups) if turned else (each * groups, channels)
        same(x.shape[-1], mine, f"the channels of {x} and of {groups} groups of {kernel}")
        if isinstance(channels, int) and channels % groups:
            raise ShapeError(f"{channels} channels can't be divided into {groups} groups")
        return x.with_shape((x.shape[0], *out, result))

    def evaluate(x, kernel, size, out, strides, low, dilation, groups, turned):
        windows = _windows(x, size, out, strides, low, dilation, groups)
        if turned:
            terms = windows, parted(np.flip(kernel, tuple(range(len(size)))), groups)
            y = contracted("mtgo,tcgo->mgc", *terms, groups)
            return y.reshape(x.shape[0], *out, kernel.shape[-2] * groups)
        y = contracted("mtgc,tcgo->mgo", windows, parted(kernel, groups), groups)
        return y.reshape(x.shape[0], *out, kernel.shape[-1])

    decompose = multiplied

    samples = tuple(
        Sample(_whole(*_shapes(*case)[:2]), case[-1] | {"turned": False}) for case in _CASES
    ) + tuple(
        Sample(_whole(x, (*places["size"], results // places["groups"], channels)), places | {"turned": True})
        for spatial, channels, results, places in _CASES
        for x, _, _ in [_shapes(spatial, channels, results, places)]
        if channels
    )


@op("window_correlation", Kind.CONTRACTION)
class WindowCorrelation:
    """dw[t, k, c] = sum over images and windows of windows(x)[n, o, t, k] * ct[n, o, c], for windows of the
    spatial sizes of ct: (size..., C / groups, channels).
    """

    def infer(x, ct, *, size, strides, low, dilation, groups=1):
        _require(x, ct, size, ct.shape[1:-1], strides, low, dilation, groups)
        same(x.shape[0], ct.shape[0], f"the batches of {x} and {ct}")
        for channels in (x.shape[-1], ct.shape[-1]):
            if isinstance(channels, int) and channels % groups:
                raise ShapeError(f"{channels} channels can't be divided into {groups} groups")
        return x.with_shape((*size, x.shape[-1] // groups, ct.shape[-1]))

    def evaluate(x, ct, size, strides, low, dilation, groups):
        windows = _windows(x, size, ct.shape[1:-1], strides, low, dilation, groups)
        parts = ct.reshape(product(ct.shape[:-1]), groups, ct.shape[-1] // groups)
        dw = contracted("mtgc,mgo->tcgo", windows, parts, groups)
        return dw.reshape(*size, x.shape[-1] // groups, ct.shape[-1])

    decompose = correlated

    samples = tuple(Sample(_whole(*_shapes(*case)[::2]), _without_out(case[-1])) for case in _CASES)
