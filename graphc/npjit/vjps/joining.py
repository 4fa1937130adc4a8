"""Rules of functions that join or split arrays. Cotangents of lists of arrays are lists."""

from __future__ import annotations

from typing import Any

from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.table import define, joint


def _rows(x: Any) -> Any:
    """The arrays of a sequence, or of an array that stands for one."""
    return x if isinstance(x, (list, tuple)) else [x[i] for i in range(np.shape(x)[0])]


def _like(parts: list[Any], given: Any) -> Any:
    return parts if isinstance(given, (list, tuple)) else np.stack(parts)


def _cut(ct: Any, axis: int, start: Any, stop: Any) -> Any:
    return ct[(slice(None),) * axis + (slice(start, stop),)]


@joint("concatenate", keeps=True)
def _concatenate(
    ct: Any,
    out: Any,
    arrays: Any,
    axis: Any = 0,
    o: Any = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Any:
    parts, start, rows = [], 0, _rows(arrays)
    for x in rows:
        shape = np.shape(x)
        if axis is None:
            size = 1
            for n in shape:
                size = size * n
            parts.append(np.reshape(ct[start : start + size], shape))
            start = start + size
        else:
            axis = axis % len(shape)
            parts.append(_cut(ct, axis, start, start + shape[axis]))
            start = start + shape[axis]
    return (_like(parts, arrays),)


@joint("stack", keeps=True)
def _stack(ct: Any, out: Any, arrays: Any, axis: int = 0, o: Any = None, **options: Any) -> Any:
    moved = np.moveaxis(ct, axis, 0) if axis != 0 else ct
    return ([moved[i] for i in range(len(arrays))] if isinstance(arrays, (list, tuple)) else moved,)


def _stacked(name: str, least: Any, axis_of: Any) -> None:
    @joint(name, keeps=True)
    def rule(ct: Any, out: Any, tup: Any, **options: Any) -> Any:
        rows = _rows(tup)
        axis = axis_of(np.ndim(ct))
        parts, start = [], 0
        for x in rows:
            size = np.shape(least(x))[axis]
            parts.append(np.reshape(_cut(ct, axis, start, start + size), np.shape(x)))
            start = start + size
        return (_like(parts, tup),)


_stacked("vstack", np.atleast_2d, lambda rank: 0)
_stacked("hstack", np.atleast_1d, lambda rank: 0 if rank == 1 else 1)
_stacked("dstack", np.atleast_3d, lambda rank: 2)
_stacked("column_stack", lambda x: np.expand_dims(x, 1) if np.ndim(x) == 1 else x, lambda rank: 1)


@joint("append", keeps=True)
def _append(ct: Any, out: Any, arr: Any, values: Any, axis: Any = None) -> Any:
    return tuple(_concatenate(ct, out, [arr, np.asarray(values)], axis)[0])


def _nested(ct: Any, given: Any) -> Any:
    if isinstance(given, (list, tuple)):
        return [_nested(ct[i], x) for i, x in enumerate(given)]
    return ct


@joint("array", keeps=True)
def _array(ct: Any, out: Any, object: Any, dtype: Any = None, **options: Any) -> Any:
    return (_nested(ct, object),)


for _name in ("asarray", "asanyarray", "ascontiguousarray", "asfortranarray"):

    @joint(_name, keeps=True)
    def _as_array(ct: Any, out: Any, a: Any, *rest: Any, **options: Any) -> Any:
        return (_nested(ct, a), *(None for _ in rest))


def _joined(cts: Any, outs: Any, axis: int) -> Any:
    parts = [np.zeros_like(o) if c is None else c for c, o in zip(cts, outs)]
    return np.concatenate(parts, axis=axis)


for _name in ("split", "array_split"):
    define(
        _name,
        lambda cts, outs, ary, indices_or_sections, axis=0: _joined(cts, outs, axis),
        masks=True,
    )
define("vsplit", lambda cts, outs, ary, indices_or_sections: _joined(cts, outs, 0), masks=True)
define(
    "hsplit",
    lambda cts, outs, ary, indices_or_sections: _joined(cts, outs, 0 if np.ndim(ary) == 1 else 1),
    masks=True,
)
define("dsplit", lambda cts, outs, ary, indices_or_sections: _joined(cts, outs, 2), masks=True)


def _unstack(cts: Any, outs: Any, x: Any, *, axis: int = 0) -> Any:
    return np.stack([np.zeros_like(o) if c is None else c for c, o in zip(cts, outs)], axis=axis)


define("unstack", _unstack, masks=True)


@joint("c_.__getitem__", keeps=True)
def _columns(ct: Any, out: Any, key: Any) -> Any:
    """Arrays of fewer than two axes get a last axis; the join is along the last one."""
    parts, start, items = [], 0, key if isinstance(key, tuple) else (key,)
    for x in items:
        if isinstance(x, (slice, str)):
            raise_slices("np.c_")
        size = np.shape(x)[-1] if np.ndim(x) >= 2 else 1
        parts.append(np.reshape(_cut(ct, np.ndim(ct) - 1, start, start + size), np.shape(x)))
        start = start + size
    return (tuple(parts) if isinstance(key, tuple) else parts[0],)


@joint("r_.__getitem__", keeps=True)
def _along_rows(ct: Any, out: Any, key: Any) -> Any:
    parts, start, items = [], 0, key if isinstance(key, tuple) else (key,)
    for x in items:
        if isinstance(x, (slice, str)):
            raise_slices("np.r_")
        size = np.shape(x)[0] if np.ndim(x) else 1
        parts.append(np.reshape(ct[start : start + size], np.shape(x)))
        start = start + size
    return (tuple(parts) if isinstance(key, tuple) else parts[0],)


def raise_slices(name: str) -> None:
    """For forms of np.r_ and np.c_ that make ranges or name axes."""
    from graphc.ir.errors import ArgumentError

    raise ArgumentError(
        f"graphc has no gradient of {name} with slices or strings in it.\n"
        "  fix     write np.concatenate of arrays."
    )


@joint("block", keeps=True)
def _block(ct: Any, out: Any, arrays: Any) -> Any:
    return (_unblock(ct, arrays, _depth(arrays), np.ndim(ct)),)


def _depth(nested: Any) -> int:
    return 1 + max(map(_depth, nested)) if isinstance(nested, list) else 0


def _extent(nested: Any, axis: int, rank: int) -> Any:
    """The size of a block along an axis counted from the end of `rank`; deeper lists join later axes."""
    if not isinstance(nested, list):
        shape = (1,) * (rank - np.ndim(nested)) + tuple(np.shape(nested))
        return shape[axis]
    if rank - _depth(nested) == axis:
        return sum(_extent(n, axis, rank) for n in nested)
    return _extent(nested[0], axis, rank)


def _unblock(ct: Any, nested: Any, depth: int, rank: int) -> Any:
    if not isinstance(nested, list):
        return np.reshape(ct, np.shape(nested))
    parts, start, axis = [], 0, rank - depth
    for n in nested:
        size = _extent(n, axis, rank)
        parts.append(_unblock(_cut(ct, axis, start, start + size), n, depth - 1, rank))
        start = start + size
    return parts
