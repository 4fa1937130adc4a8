"""What all pooling ops share: their windows, folds of these, and the samples of their tests.

Values are N x spatial... x C. `padding` has a pair (low, high) per spatial axis: elements that are never the
greatest, and that means leave out.
"""

from __future__ import annotations

import functools

from graphc.ir.errors import ArgumentError
from graphc.ir.inference import require_kind
from graphc.ir.ops.window import (
    elements,
    few,
    require_entries,
    require_windows,
    take_windows,
    taken_windows,
    window_counts,
)
from graphc.ir.relations import same


def require_pool(x, size, strides, padding):
    """Check what all pooling ops share; how many windows there are."""
    require_kind("f", x)
    require_entries(x.rank - 2, size=size, strides=strides)
    for k, pair in zip(size, padding):
        if any(isinstance(p, int) and p >= k for p in pair):
            raise ArgumentError(f"padding {pair} leaves a window of size {k} without elements")
    return require_windows(x.shape[1:-1], size, strides, padding, (1,) * len(size))


def taps_of(rank):
    """The axes of windows that count their elements."""
    return tuple(range(rank + 1, 2 * rank + 1))


def numpy_windows(x, size, strides, padding, value):
    """All windows of an array; `value` is what is outside."""
    once = (1,) * len(size)
    out = window_counts(x.shape[1:-1], size, strides, padding, once)
    return take_windows(x, **taken_windows(out, size, strides, padding, once), value=value)


def pooled(x, out):
    """The type of x pooled to so many windows."""
    return x.with_shape((x.shape[0], *out, x.shape[-1]))


def require_shape(x, wanted):
    """Check that x has a shape."""
    for d, w in zip(x.shape, wanted.shape, strict=True):
        same(d, w, f"the shape of {x} and of the pooled {wanted}")


def folded(b, x, attributes, fold, few_fold, value=0.0):
    """A fold over the elements of each window."""
    if few(attributes["size"]):
        return functools.reduce(few_fold, elements(b, x, attributes, value))
    return fold(b.windows(x, **attributes, value=value), axes=taps_of(len(attributes["size"])))


def pool_case(spatial, size, strides=None, padding=None, channels=3, batch=2):
    """(shape of x, shape of the result, attributes) of a sample."""
    rank = len(size)
    steps = strides or size, padding or ((0, 0),) * rank
    out = window_counts(spatial, size, *steps, (1,) * rank)
    attributes = {"size": size, "strides": steps[0], "padding": steps[1]}
    return (batch, *spatial, channels), (batch, *out, channels), attributes


CASES = (
    pool_case((6,), (2,)),
    pool_case((7,), (3,), (2,), ((1, 1),)),
    pool_case((4, 6), (2, 2), channels=17),
    pool_case((7, 5), (3, 2), (2, 1), ((1, 1), (0, 1))),
    pool_case((5, 5), (3, 3), (2, 2), ((1, 1), (1, 1)), channels=1),
    pool_case((5, 7), (2, 2), (3, 3)),
    pool_case((1, 1), (1, 1), batch=1, channels=1),
    pool_case((3, 3), (3, 3)),
    pool_case((4, 4), (2, 2), batch=0),
    pool_case((4, 4, 2), (2, 2, 2)),
    pool_case((6, 7), (5, 4), (1, 1), ((2, 2), (0, 3))),
    pool_case((4, 3, 4), (2, 3, 3), (1, 1, 1), ((1, 0), (1, 1), (2, 2))),
    pool_case((9, 8), (7, 6), (2, 3), ((3, 3), (2, 2)), channels=9),
)
