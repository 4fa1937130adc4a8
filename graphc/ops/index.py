"""Indexing: `x[...]`, `take`, and one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir.dims import Dim, Size, maximum, minimum
from graphc.ir.errors import ArgumentError, IndexRangeError, ShapeError
from graphc.ir.relations import normalize_axis
from graphc.ir.types import dtype_of
from graphc.ops.dispatch import emit, operation
from graphc.ops.promotion import tensor
from graphc.ops.shape import reshape, sizes_of, transpose
from graphc.tensor import Tensor


@operation
def getitem(x: Any, key: Any) -> Any:
    """`x[key]` with ints, slices, `...`, None, and index arrays (several are taken together, as in NumPy)."""
    x = tensor(x)
    entries = _with_integers_as_arrays(_entries(x, key if isinstance(key, tuple) else (key,)))
    sliced, axes = x, 0
    arrays: list[tuple[int, Tensor]] = []
    shape: list[Dim] = []
    start: list[Dim] = []
    stop: list[Dim] = []
    step: list[int] = []
    for entry in entries:
        if entry is None:
            shape.append(1)
            continue
        length = x.shape[axes]
        first, last, stride, count = _range(entry, length, axes, x)
        start.append(first)
        stop.append(last)
        step.append(stride)
        if isinstance(entry, Tensor):
            arrays.append((len(shape), entry))
        if not isinstance(entry, (int, Size)):
            shape.append(count)
        axes += 1
    whole = all(isinstance(e, Tensor) or e is None or e == slice(None) for e in entries)
    if not whole:
        sliced = emit("slice", x, start=tuple(start), stop=tuple(stop), step=tuple(step))
    sliced = reshape(sliced, shape)
    return _gather_together(sliced, arrays) if arrays else sliced


def _entries(x: Tensor, key: tuple[Any, ...]) -> list[Any]:
    """The key with `...` written out, one entry per axis beside the Nones."""
    key = tuple(_entry(k) for k in key)
    used = sum(k is not None and k is not Ellipsis for k in key)
    if used > x.ndim:
        raise IndexRangeError(f"{used} indices for a tensor of shape {x.shape}")
    missing = [slice(None)] * (x.ndim - used)
    places = [i for i, k in enumerate(key) if k is Ellipsis]
    if len(places) > 1:
        raise IndexRangeError("an index can have only one ellipsis ('...')")
    at = places[0] if places else len(key)
    return [*key[:at], *missing, *key[at + 1 :]]


def _with_integers_as_arrays(entries: list[Any]) -> list[Any]:
    """NumPy takes integers together with index arrays; where slices stand between them, that moves axes."""
    taken = [i for i, e in enumerate(entries) if isinstance(e, (int, Size, Tensor))]
    if not any(isinstance(e, Tensor) for e in entries) or taken[-1] - taken[0] + 1 == len(taken):
        return entries
    return [tensor(e) if isinstance(e, int) else e for e in entries]


def _entry(k: Any) -> Any:
    if k is None or k is Ellipsis or isinstance(k, slice):
        return k
    if isinstance(k, (bool, np.bool_)) or (isinstance(k, (np.ndarray, list, Tensor)) and _is_bool(k)):
        raise ShapeError(
            "indexing with a mask gives a shape that is not known while the graph is made.\n"
            "  fix     use graphc.ops.where(mask, x, 0), which keeps the shape."
        )
    if isinstance(k, (Tensor, np.ndarray, list)):
        return tensor(np.asarray(k) if isinstance(k, list) and not _has_tensors(k) else k)
    return k if isinstance(k, Size) else int(k)


def _is_bool(k: Any) -> bool:
    return (k.dtype if hasattr(k, "dtype") else np.asarray(k).dtype) == np.dtype(bool)


def _has_tensors(items: list[Any]) -> bool:
    return any(isinstance(i, Tensor) for i in items)


def _range(entry: Any, length: Dim, axis: int, x: Tensor) -> tuple[Dim, Dim, int, Dim]:
    """start, stop, step and number of elements of one entry."""
    if isinstance(entry, Tensor):
        return 0, length, 1, length
    if isinstance(entry, slice):
        return _bounds(entry, length)
    if isinstance(length, int) and isinstance(entry, int) and not -length <= entry < length:
        raise IndexRangeError(f"index {entry} is out of range for axis {axis} of shape {x.shape}")
    first = entry + length if isinstance(entry, int) and entry < 0 else entry
    return first, first + 1, 1, 1


def _bounds(s: slice, length: Dim) -> tuple[Dim, Dim, int, Dim]:
    step = 1 if s.step is None else int(s.step)
    if step == 0:
        raise ArgumentError("the step of a slice can't be 0")
    if isinstance(length, int) and not isinstance(s.start, Size) and not isinstance(s.stop, Size):
        start, stop, step = s.indices(length)
        count = len(range(start, stop, step))
        return (start, stop, step, count) if count else (0, 0, 1, 0)
    if step < 0:
        if s.start is not None or s.stop is not None:
            raise ShapeError("a slice with bounds and a negative step needs a known size")
        return length - 1, -1, step, -(-length // -step)
    first, last = _clamp(s.start, length, 0), _clamp(s.stop, length, length)
    if isinstance(first, int) and first == 0:
        return first, last, step, -(-last // step)
    last = maximum(first, last) if last != length else last
    return first, last, step, -(-(last - first) // step)


def _clamp(bound: Any, length: Dim, default: Dim) -> Dim:
    if bound is None:
        return default
    if isinstance(bound, int) and bound < 0:
        return maximum(length + bound, 0)
    return bound if isinstance(bound, int) and bound == 0 else minimum(bound, length)


def _gather_together(x: Tensor, arrays: list[tuple[int, Tensor]]) -> Any:
    """x indexed by index tensors along some axes, together; the result's place is NumPy's."""
    axes = [a for a, _ in arrays]
    if len(arrays) == 1:
        return take(x, arrays[0][1], axes[0])
    flat: Any = 0
    for axis, indices in arrays:
        length = x.shape[axis]
        if not isinstance(length, int):
            raise ShapeError(f"several index arrays need known sizes, but axis {axis} of {x.shape} has none")
        flat = flat * length + _wrapped(indices, length)
    others = [a for a in range(x.ndim) if a not in axes]
    adjacent = axes == list(range(axes[0], axes[-1] + 1))
    moved = transpose(x, [*axes, *others])
    merged = reshape(moved, (-1, *(x.shape[a] for a in others)))
    result = take(merged, flat, 0)
    if not adjacent or axes[0] == 0:
        return result
    lead = list(range(flat.ndim, flat.ndim + axes[0]))
    return transpose(result, [*lead, *range(flat.ndim), *range(flat.ndim + axes[0], result.ndim)])


def _wrapped(indices: Any, length: int) -> Any:
    """Indices counted from the start; out of range fails when the function runs."""
    fits = emit("logical_and", indices >= -length, indices < length)
    checked = emit(
        "check",
        indices,
        fits,
        message=f"an index is out of range for an axis of size {length}",
        error="index",
    )
    return emit("select", checked < 0, checked + length, checked)


@operation
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements at `indices` along `axis`, or of the flattened tensor; fails at run time if one is out of
    range.
    """
    x, indices = tensor(x), tensor(indices)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    return emit("gather", x, indices, axis=normalize_axis(int(axis), x.ndim))


@operation
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None) -> Any:
    """1 at the index along a new axis, 0 elsewhere; an index out of range gives zeros only."""
    from graphc.backend import floatx
    from graphc.ops.shape import moveaxis

    encoded = emit("one_hot", tensor(x), depth=int(num_classes), dtype=dtype_of(dtype or floatx()))
    return encoded if axis in (-1, encoded.ndim - 1) else moveaxis(encoded, -1, axis)


@operation
def scatter_add(x: Any, indices: Any, updates: Any, axis: int = 0) -> Any:
    """`x` with `updates` added at `indices` along `axis`; an index that occurs twice adds twice."""
    x = tensor(x)
    return emit(
        "scatter_add", x, tensor(indices), tensor(updates, x.dtype), axis=normalize_axis(axis, x.ndim)
    )


@operation
def slice_update(x: Any, start_indices: Any, updates: Any) -> Any:
    """`x` with a block replaced by `updates`, from `start_indices` on."""
    x = tensor(x)
    start = sizes_of(start_indices)
    return emit("update_slice", x, tensor(updates, x.dtype), start=start, step=(1,) * len(start))
