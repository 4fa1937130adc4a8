"""Folds along axes: sums, extrema, any, all, and their positions.

`axes` is a sorted tuple of non-negative axes.
"""

from __future__ import annotations

import numpy as np

from graphc.ir.dims import product
from graphc.ir.errors import ShapeError
from graphc.ir.inference import reduced_shape, reduction, require_axis, require_kind, require_nonempty
from graphc.ir.opdef import Kind, Sample, define, op
from graphc.ir.samples import COMMON, FLOATS, NUMBERS, distinct
from graphc.ir.types import I64

_LAYOUTS = (
    ((7,), (0,)),
    ((3, 5), (1,)),
    ((3, 5), (0,)),
    ((2, 3, 4), (0, 2)),
    ((4, 3), (0, 1)),
    ((3, 3), ()),
    ((5, 33), (1,)),
    ((1, 1), (1,)),
)
_EMPTY = (((0, 3), (0,)), ((3, 0), (0,)), ((0,), ()))


def _samples(make, dtypes, empty=True, smooth=lambda shape: True):
    def shaped(shape):
        return lambda rng, dtype: [make(rng, dtype, shape)]

    layouts = _LAYOUTS + (_EMPTY if empty else ())
    return tuple(
        Sample(shaped(shape), {"axes": axes, "keepdims": keep}, dtypes, smooth(shape))
        for shape, axes in layouts
        for keep in (False, True)
    )


def _small(rng, dtype, shape):
    return (
        rng.integers(-3 if dtype.kind != "u" else 0, 4, shape).astype(dtype)
        if dtype.kind in "iu"
        else rng.uniform(-2, 2, shape).astype(dtype)
    )


def _special(*rows):
    return Sample(
        lambda rng, dtype: [np.array(rows, dtype)], {"axes": (1,), "keepdims": False}, FLOATS, False
    )


NAN_ROWS = _special((1, np.nan, 2), (np.inf, 3, -np.inf), (-0.0, 0.0, -0.0))


def expand(b, value, x, axes):
    """`value`, folded over `axes` without or with keepdims, in the shape of x with 1 along `axes`.

    It broadcasts to x.
    """
    shape = reduced_shape(x.shape, axes, True)
    return value if value.rank == x.rank else b.reshape(value, shape=shape)


def _along(function, **options):
    """A NumPy fold under this IR's attributes, in the operand's element type."""
    return lambda x, axes, keepdims: function(x, axis=axes, keepdims=keepdims, **options)


@op("sum", Kind.REDUCTION)
class Sum:
    """The sum over `axes`, in the element type of x (integers wrap around)."""

    infer = reduction("iuf", empty=True)

    def evaluate(x, axes, keepdims):
        return np.sum(x, axis=axes, keepdims=keepdims, dtype=x.dtype)

    def vjp(b, x, out, ct, axes, keepdims):
        return (b.broadcast(expand(b, ct, x, axes), shape=x.shape),)

    samples = (*_samples(_small, NUMBERS), NAN_ROWS)


@op("mean", Kind.COARSE)
class Mean:
    """The sum over `axes` divided by the number of elements; NaN where there are none."""

    infer = reduction("f", empty=True)

    def evaluate(x, axes, keepdims):
        count = x.dtype.type(product(x.shape[a] for a in axes))
        return np.divide(np.sum(x, axis=axes, keepdims=keepdims, dtype=x.dtype), count, dtype=x.dtype)

    def decompose(b, x, axes, keepdims):
        return b.sum(x, axes=axes, keepdims=keepdims) / product(x.shape[a] for a in axes)

    def vjp(b, x, out, ct, axes, keepdims):
        share = ct / product(x.shape[a] for a in axes)
        return (b.broadcast(expand(b, share, x, axes), shape=x.shape),)

    samples = (*_samples(_small, FLOATS, smooth=lambda shape: 0 not in shape), NAN_ROWS)


@op("prod", Kind.REDUCTION)
class Prod:
    """The product over `axes`, in the element type of x.

    The gradient is right where some elements are zero.
    """

    infer = reduction("iuf", empty=True)

    def evaluate(x, axes, keepdims):
        return np.prod(x, axis=axes, keepdims=keepdims, dtype=x.dtype)

    def vjp(b, x, out, ct, axes, keepdims):
        zero = b.equal(x, 0)
        nonzero = b.select(zero, 1, x)
        zeros = b.sum(b.cast(zero, dtype=x.dtype), axes=axes, keepdims=True)
        others = b.prod(nonzero, axes=axes, keepdims=True)
        alone = b.select(b.logical_and(zero, b.equal(zeros, 1)), others, 0)
        return (expand(b, ct, x, axes) * b.select(b.equal(zeros, 0), others / nonzero, alone),)

    samples = (
        *_samples(_small, NUMBERS),
        Sample(
            lambda rng, dtype: [np.array([[2, 0, 3], [0, 0, 5], [1, 2, 4]], dtype)], {"axes": (1,)}, COMMON
        ),
    )


def _extremum(name, doc, function):
    def evaluate(x, axes, keepdims):
        if any(x.shape[a] == 0 for a in axes):
            raise ShapeError(f"{name} of an empty axis: {x.dtype}{list(x.shape)} over {axes} has no value")
        return function(x, axis=axes, keepdims=keepdims)

    def vjp(b, x, out, ct, axes, keepdims):
        winner = b.equal(x, expand(b, out, x, axes))
        count = b.sum(b.cast(winner, dtype=x.dtype), axes=axes, keepdims=True)
        return (b.select(winner, expand(b, ct, x, axes) / count, 0),)

    define(
        name,
        Kind.REDUCTION,
        doc,
        infer=reduction("iuf", empty=False),
        evaluate=evaluate,
        vjp=vjp,
        samples=(*_samples(distinct, NUMBERS, empty=False), NAN_ROWS),
    )


_extremum(
    "max", "The largest element over `axes`; NaN if there is one. Equal ones share the gradient.", np.max
)
_extremum(
    "min", "The smallest element over `axes`; NaN if there is one. Equal ones share the gradient.", np.min
)

for _name, _doc, _function in (
    ("any", "Whether any element over `axes` is true.", np.any),
    ("all", "Whether all elements over `axes` are true.", np.all),
):
    define(
        _name,
        Kind.REDUCTION,
        _doc,
        infer=reduction("b", empty=True),
        evaluate=_along(_function),
        samples=_samples(lambda rng, dtype, shape: rng.random(shape) < 0.4, ("bool",)),
    )


def _position(name, doc, function):
    def infer(x, *, axis, keepdims=False):
        require_kind("iuf", x)
        require_axis(axis, x.rank)
        require_nonempty(x.shape[axis], x)
        return x.with_dtype(I64).with_shape(reduced_shape(x.shape, (axis,), keepdims))

    def evaluate(x, axis, keepdims):
        if x.shape[axis] == 0:
            raise ShapeError(f"{name} of an empty axis: {x.dtype}{list(x.shape)} along {axis} has no value")
        return function(x, axis=axis, keepdims=keepdims)

    def of(values, axis, keepdims=False):
        return Sample(values, {"axis": axis, "keepdims": keepdims}, COMMON, False)

    ties = np.array([[1, 3, 3, 0], [2, 2, 2, 2]])
    nans = np.array([[1, np.nan, 3, np.nan], [np.inf, np.inf, 0, -np.inf]])
    samples = (
        of(lambda rng, dtype: [distinct(rng, dtype, (3, 5))], 1),
        of(lambda rng, dtype: [distinct(rng, dtype, (3, 5))], 0, True),
        of(lambda rng, dtype: [distinct(rng, dtype, (2, 33))], 1),
        of(lambda rng, dtype: [distinct(rng, dtype, (1,))], 0),
        of(lambda rng, dtype: [ties.astype(dtype)], 1),
        Sample(lambda rng, dtype: [nans.astype(dtype)], {"axis": 1, "keepdims": False}, FLOATS, False),
    )
    define(name, Kind.REDUCTION, doc, infer=infer, evaluate=evaluate, samples=samples)


_position(
    "argmax",
    "The position of the first largest element along `axis`, of the first NaN if there is one.",
    np.argmax,
)
_position(
    "argmin",
    "The position of the first smallest element along `axis`, of the first NaN if there is one.",
    np.argmin,
)
