"""Rules of reading elements: `x[key]` in all its forms, take, take_along_axis, compress, insert, delete."""

from __future__ import annotations

import operator
from typing import Any

from graphc.npjit.vjps.calls import dtype_of, np
from graphc.npjit.vjps.table import RULES, Rules, define


def is_array(k: Any) -> bool:
    """Whether a part of a key is an array, a list or a deferred value."""
    return (
        isinstance(k, list) or np.ndim(k) > 0
        if not isinstance(k, (slice, type(None), type(Ellipsis)))
        else False
    )


def repeats(key: Any) -> bool:
    """Whether a key may name an element twice: it has an array of integers."""
    return any(is_array(k) and dtype_of(k).kind != "b" for k in (key if isinstance(key, tuple) else (key,)))


def scatter(g: Any, key: Any, ct: Any) -> None:
    """Add ct into g where the key reads."""
    if repeats(key):
        np.add.at(g, key, ct)
    else:
        g[key] += ct


def _getitem(ct: Any, out: Any, x: Any, key: Any) -> Any:
    g = np.zeros_like(x)
    if repeats(key):
        np.add.at(g, key, ct)
    else:
        g[key] = ct
    return g


RULES[operator.getitem] = Rules("getitem", (_getitem,), masks=True)


def _take(
    ct: Any, out: Any, a: Any, indices: Any, axis: Any = None, o: Any = None, mode: str = "raise"
) -> Any:
    shape = np.shape(a)
    if axis is None:
        size = 1
        for n in shape:
            size = size * n
        return np.reshape(_take(ct, out, np.reshape(a, (size,)), indices, 0, None, mode), shape)
    axis = axis % len(shape)
    if mode != "raise":
        n = shape[axis]
        indices = np.remainder(indices, n) if mode == "wrap" else np.clip(indices, 0, n - 1)
    g = np.zeros_like(np.moveaxis(a, axis, 0))
    rank = np.ndim(indices)
    np.add.at(g, np.asarray(indices), np.moveaxis(ct, tuple(range(axis, axis + rank)), tuple(range(rank))))
    return np.moveaxis(g, 0, axis)


define("take", _take, masks=True)


def along(g: Any, indices: Any, axis: int) -> tuple[Any, ...]:
    """The key with which take_along_axis reads from an array like g."""
    shape = np.shape(g)
    axis = axis % len(shape)
    return tuple(
        indices
        if i == axis
        else np.reshape(np.arange(n), tuple(-1 if j == i else 1 for j in range(len(shape))))
        for i, n in enumerate(shape)
    )


def _take_along_axis(ct: Any, out: Any, arr: Any, indices: Any, axis: Any = -1) -> Any:
    if axis is None:
        return _take(ct, out, arr, indices)
    g = np.zeros_like(arr)
    np.add.at(g, along(g, indices, axis), ct)
    return g


define("take_along_axis", _take_along_axis, masks=True)


def _compress(ct: Any, out: Any, condition: Any, a: Any, axis: Any = None, o: Any = None) -> Any:
    chosen = np.flatnonzero(condition)
    return _take(ct, out, a, chosen, axis)


define("compress", None, _compress, masks=True)
define(
    "ndarray.compress",
    lambda ct, out, a, condition, axis=None, o=None: _compress(ct, out, condition, a, axis),
    masks=True,
)
define(
    "extract",
    None,
    lambda ct, out, condition, arr: _take(ct, out, arr, np.flatnonzero(condition)),
    masks=True,
)


def _delete(ct: Any, out: Any, arr: Any, obj: Any, axis: Any = None) -> Any:
    size = 1
    for n in np.shape(arr) if axis is None else (np.shape(arr)[axis],):
        size = size * n
    return _take(ct, out, arr, np.delete(np.arange(size), obj), axis)


define("delete", _delete, masks=True)


def _insert_places(arr: Any, obj: Any, values: Any, axis: int) -> Any:
    """Where the old elements stand in the result: numbers >= 0; new ones are -1."""
    return np.insert(np.arange(np.shape(arr)[axis]), obj, -1)


def _insert_old(ct: Any, out: Any, arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    if axis is None:
        flat = np.reshape(arr, (-1,))
        return np.reshape(_insert_old(ct, out, flat, obj, values, 0), np.shape(arr))
    places = _insert_places(arr, obj, values, axis)
    return np.compress(places >= 0, ct, axis=axis)


def _insert_new(ct: Any, out: Any, arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    if axis is None:
        return _insert_new(ct, out, np.reshape(arr, (-1,)), obj, values, 0)
    new = np.compress(_insert_places(arr, obj, values, axis) < 0, ct, axis=axis)
    return (
        np.sum(new, axis=axis)
        if np.ndim(values) < np.ndim(new) and np.ndim(obj) == 0 and np.ndim(values)
        else new
    )


define("insert", _insert_old, None, _insert_new, keeps=True)
