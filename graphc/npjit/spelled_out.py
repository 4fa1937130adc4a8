"""NumPy functions that call functions of the user or give iterators, spelled out in other calls.

Plain recordings stop at them (a break). Where a gradient is recorded they are spelled out, element by element
or line by line as NumPy does it, so that the gradient goes through.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from graphc.npjit.builtin_calls import HANDLERS
from graphc.npjit.lookup import is_array
from graphc.npjit.values import Sym

Handler = Callable[..., Any]


def where_differentiated(f: Any, spelled: Handler) -> Handler:
    """The handler of f: `spelled` while a gradient is recorded, else a break."""

    def handler(rt: Any, *args: Any, **kwargs: Any) -> Any:
        if rt.rec.differentiating:
            return spelled(rt, *args, **kwargs)
        return rt.opaque(f, *args, **kwargs)

    return handler


def places(rt: Any, x: Any) -> Iterator[tuple[int, ...]]:
    """The indices of an array's elements, row by row."""
    return itertools.product(*[range(int(rt.steered(n))) for n in rt.call(np.shape, x)])


def ndenumerate(rt: Any, arr: Any) -> Any:
    x = arr if type(arr) is Sym or is_array(arr) else rt.call(np.asarray, arr)
    return ((place, rt.getitem(x, place)) for place in places(rt, x))


def ndindex(rt: Any, *shape: Any) -> Any:
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
    return itertools.product(*[range(int(rt.steered(n))) for n in sizes])


def fromiter(rt: Any, iter: Any, dtype: Any, count: int = -1) -> Any:
    elements = rt.iter(iter)
    return rt.call(np.array, list(elements if count < 0 else itertools.islice(elements, count)), dtype)


def fromfunction(rt: Any, function: Any, shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    grids = np.indices(tuple(int(rt.steered(n)) for n in rt.iter(shape)), dtype=dtype)
    return rt.call(function, *grids, **kwargs)


def piecewise(rt: Any, x: Any, condlist: Any, funclist: Any, *args: Any, **kwargs: Any) -> Any:
    """As NumPy does it: stores through masks; functions of no element are not called."""
    x = rt.call(np.asanyarray, x)
    pieces = list(rt.iter(funclist))
    first = next(rt.iter(condlist))
    if not isinstance(first, list) and not rt.call(np.shape, first) and rt.call(np.shape, x):
        condlist = [condlist]  # a mask of one axis
    conditions = [rt.call(np.asarray, c, dtype=bool) for c in rt.iter(condlist)]
    if len(conditions) == len(pieces) - 1:
        known = rt.call(np.any, rt.call(np.array, conditions), axis=0)
        conditions.append(rt.uop("invert", known))
    elif len(conditions) != len(pieces):
        return np.piecewise(np.zeros(1), [True] * len(conditions), pieces)  # raises
    y = rt.call(np.zeros_like, x)
    for condition, piece in zip(conditions, pieces):
        if not callable(piece):
            rt.setitem(piece, y, condition)
            continue
        values = rt.getitem(x, condition)
        if rt.truth(rt.op("gt", rt.getattr(values, "size"), 0)):
            rt.setitem(rt.call(piece, values, *args, **kwargs), y, condition)
    return y


def apply_along_axis(rt: Any, func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """One call for each line; the axes of its result stand where the line stood."""
    axis, rank = int(rt.steered(axis)), len(rt.call(np.shape, arr))
    moved = rt.call(np.moveaxis, arr, axis, -1)
    lead = rt.call(np.shape, moved)[:-1]
    found = [
        rt.call(np.asanyarray, rt.call(func1d, rt.getitem(moved, place), *args, **kwargs))
        for place in places(rt, rt.getitem(moved, (..., 0)))
    ]
    own = rt.call(np.shape, found[0])
    whole = rt.call(np.reshape, rt.call(np.stack, found), (*lead, *own))
    behind = range(rank - 1, rank - 1 + len(own))
    return rt.call(np.moveaxis, whole, tuple(behind), tuple(range(axis % rank, axis % rank + len(own))))


def apply_over_axes(rt: Any, func: Any, a: Any, axes: Any) -> Any:
    for axis in rt.iter(axes if isinstance(axes, (list, tuple)) else [axes]):
        rank, found = len(rt.call(np.shape, a)), rt.call(func, a, axis)
        lost = len(rt.call(np.shape, found)) < rank
        a = rt.call(np.expand_dims, found, axis) if lost else found
    return a


def vectorized(rt: Any, f: np.vectorize, args: tuple[Any, ...]) -> Any:
    """Element by element, as Python's numbers; the first one decides the type, and is computed once more for
    that."""
    wide = rt.call(np.broadcast_arrays, *args) if len(args) > 1 else [rt.call(np.asarray, args[0])]
    kind: Any = f.otypes and f.otypes[0]
    if not kind:
        first = rt.call(f.pyfunc, *[rt.getitem(x, (0,) * len(rt.call(np.shape, x))) for x in wide])
        kind = rt.getattr(rt.call(np.asarray, first), "dtype")
    rows = [[rt.method(x, "item", *place) for x in wide] for place in places(rt, wide[0])]
    found = rt.call(np.array, [rt.call(f.pyfunc, *row) for row in rows])
    return rt.call(np.reshape, rt.method(found, "astype", kind), rt.call(np.shape, wide[0]))


def is_plain(f: np.vectorize, args: Any, kwargs: Any) -> bool:
    """Whether `vectorized` knows the form: positional arguments, one result, at least one element."""
    otypes = f.otypes is None or len(f.otypes) == 1
    ordinary = otypes and not (f.excluded or f.signature or f.cache or kwargs)
    shapes = [a.meta.shape if type(a) is Sym else np.shape(a) for a in args]
    return bool(ordinary and shapes and not any(0 in shape or None in shape for shape in shapes))


def construct_vectorized(rt: Any, *args: Any, **kwargs: Any) -> Any:
    return np.vectorize(*args, **kwargs)


_SPELLED: dict[Any, Handler] = {
    np.ndenumerate: ndenumerate,
    np.ndindex: ndindex,
    np.fromiter: fromiter,
    np.fromfunction: fromfunction,
    np.piecewise: piecewise,
    np.apply_along_axis: apply_along_axis,
    np.apply_over_axes: apply_over_axes,
    np.vectorize: construct_vectorized,
}
HANDLERS |= {f: where_differentiated(f, spelled) for f, spelled in _SPELLED.items()}
