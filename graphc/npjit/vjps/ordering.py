"""Rules of sort, partition, unique and running extremes: cotangents go back to the places the values came
from."""

from __future__ import annotations

from typing import Any

from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.indexing import along
from graphc.npjit.vjps.table import define


def unsort(ct: Any, order: Any, axis: int) -> Any:
    """Element `order[i]` of the result is element i of ct, along the axis."""
    return np.take_along_axis(ct, np.argsort(order, axis=axis), axis=axis)


def _sort(
    ct: Any, out: Any, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    if axis is None:
        flat = np.reshape(a, (-1,))
        return np.reshape(unsort(ct, np.argsort(flat, kind="stable"), 0), np.shape(a))
    return unsort(ct, np.argsort(a, axis=axis, kind="stable"), axis)


def _partition(
    ct: Any, out: Any, a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Any:
    if axis is None:
        flat = np.reshape(a, (-1,))
        return np.reshape(unsort(ct, np.argpartition(flat, kth), 0), np.shape(a))
    return unsort(ct, np.argpartition(a, kth, axis=axis), axis)


define("sort", _sort, keeps=True)
define("partition", _partition, keeps=True)


def _unique(
    ct: Any,
    out: Any,
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    **options: Any,
) -> Any:
    """To the first of the equal ones."""
    values = ct[0] if isinstance(ct, (list, tuple)) else ct
    flat = np.reshape(ar, (-1,)) if axis is None else np.moveaxis(ar, axis, 0)
    index = np.unique(ar, return_index=True, axis=axis)[1]
    g = np.zeros_like(flat)
    g[index] = values if axis is None else np.moveaxis(values, axis, 0)
    return np.reshape(g, np.shape(ar)) if axis is None else np.moveaxis(g, 0, axis)


define("unique", _unique, masks=True)


def _running(ct: Any, out: Any, array: Any, axis: int = 0, dtype: Any = None, o: Any = None) -> Any:
    """To the first element that reached the extreme."""
    n = np.shape(array)[axis]
    rank = np.ndim(array)
    steps = np.reshape(np.arange(n), tuple(-1 if i == axis % rank else 1 for i in range(rank)))
    before = np.roll(out, 1, axis=axis)
    fresh = (steps == 0) | (out != before)
    origin = np.maximum.accumulate(np.where(fresh, steps, 0), axis=axis)
    g = np.zeros_like(array)
    np.add.at(g, along(g, origin, axis), ct)
    return g


define("maximum.accumulate", _running, keeps=True)
define("minimum.accumulate", _running, keeps=True)
