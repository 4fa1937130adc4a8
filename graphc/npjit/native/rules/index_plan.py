"""An index sorted out: what its slices take, and which elements its integer arrays pick of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Dim, Shape, ceildiv
from graphc.ir.relations import broadcast_shapes
from graphc.npjit.native.operands import (
    Operand,
    Unexpressed,
    broadcast,
    integer,
    producer,
    size_of,
)
from graphc.npjit.native.symbols import reaches, surely_reaches


@dataclass(frozen=True)
class Plan:
    """An index on an array: a slice per axis (integers take one element), the shape of what it gives before
    integer arrays, and these, by the axis that they stand for.

    `start`, `count`, `step`: one entry per axis of the array. `shape`: the axes of the basic result, new ones
    included. `arrays`: (axis of that shape, integer values), in order; `leading`: their result comes first.
    """

    start: tuple[int, ...]
    count: tuple[int, ...]
    step: tuple[int, ...]
    shape: tuple[int, ...]
    arrays: tuple[tuple[int, Expr], ...]
    leading: bool


def _entries(key: Any, rank: int) -> list[Any]:
    """An index with its ellipsis written out, one entry for each axis, and None for new ones."""
    entries = list(key) if isinstance(key, tuple) else [key]
    used = sum(e is not None and e is not Ellipsis for e in entries)
    if used > rank or sum(e is Ellipsis for e in entries) > 1:
        raise Unexpressed("an index with too many entries")
    at = next((i for i, e in enumerate(entries) if e is Ellipsis), len(entries))
    return entries[:at] + [slice(None)] * (rank - used) + entries[at + 1 :]


def _as_array(b: Builder, entry: Any) -> Expr | None:
    """The value of an entry that is an integer array, or an integer known at run time only."""
    if isinstance(entry, range):
        entry = list(entry)
    if isinstance(entry, list):
        if any(isinstance(x, (Operand, list)) for x in entry):
            raise Unexpressed("a nested index")
        if entry and entry == list(range(len(entry))):
            return b.iota(shape=(len(entry),), axis=0, dtype="i64")
        made = np.array(entry, dtype=None if entry else np.int64)
        if made.dtype.kind != "i":
            raise Unexpressed("an index of this type")
        return b.constant(made, "i64")
    if type(entry) is not Operand or entry.size is not None:
        return None
    if entry.dtype.kind not in "iu" or entry.mask is not None:
        raise Unexpressed("an index of this type")
    return entry.expr


def plan(b: Builder, shape: Sequence[int], key: Any) -> Plan:
    """An index sorted out for an array of this shape."""
    start, count, step, kept = [], [], [], []
    arrays: list[tuple[int, Expr]] = []
    scalars_only, places = True, []
    axis = 0
    for number, entry in enumerate(_entries(key, len(shape))):
        if entry is None:
            kept.append(1)
            continue
        size = shape[axis]
        axis += 1
        values = _as_array(b, entry)
        if values is not None:
            arrays.append((len(kept), values))
            places.append(number)
            scalars_only = False
        first, n, by, dropped = _basic(b, entry, size, values is not None)
        if dropped:
            places.append(number)
        start.append(first)
        count.append(n)
        step.append(by)
        if not dropped:
            kept.append(n)
    apart = not scalars_only and places != list(range(places[0], places[-1] + 1))
    return Plan(tuple(start), tuple(count), tuple(step), tuple(kept), tuple(arrays), apart)


def _basic(b: Builder, entry: Any, size: Any, is_array: bool) -> tuple[Any, Any, int, bool]:
    """First position, number and step of an entry on an axis, and whether the axis goes."""
    if is_array:
        return 0, size, 1, False
    if isinstance(entry, slice):
        start, stop, step = (x if x is None else integer(x) for x in (entry.start, entry.stop, entry.step))
        return *_span(b, start, stop, 1 if step is None else step, size), False
    index = integer(entry)
    if not reaches(b, index, -size) or reaches(b, index, size):
        raise Unexpressed("an index out of range")
    return index if reaches(b, index, 0) else index + size, 1, 1, True


def _span(b: Builder, start: Dim | None, stop: Dim | None, step: Any, size: Dim) -> tuple[Any, Any, int]:
    """First position, number and step of a slice on an axis, as Python's `slice.indices` has it."""
    if not isinstance(step, int):
        raise Unexpressed("a step that is no constant")
    low, high = (0, size) if step > 0 else (-1, size - 1)
    first, last = (low, high) if step > 0 else (high, low)
    first = first if start is None else clipped(b, start, size, low, high)
    last = last if stop is None else clipped(b, stop, size, low, high)
    apart = last - first if step > 0 else first - last
    return first, ceildiv(apart, abs(step)) if reaches(b, apart, 1) else 0, step


def clipped(b: Builder, mark: Dim, size: Dim, low: Dim, high: Dim) -> Dim:
    """A mark of a slice counted from the front, between two positions."""
    place = mark if reaches(b, mark, 0) else mark + size
    if not reaches(b, place, low):
        return low
    return place if reaches(b, high, place) else high


@dataclass(frozen=True)
class Places:
    """The elements that integer arrays pick from an array, seen as (outer..., picked, rest...): one position
    for each in the picked axis, which is all indexed axes in one.
    """

    order: tuple[int, ...]
    lead: Shape
    size: Dim
    rest: Shape
    positions: Expr
    result: Shape


def places_of(b: Builder, shape: Sequence[int], p: Plan) -> Places:
    """What the integer arrays of a plan pick."""
    axes = [axis for axis, _ in p.arrays]
    sizes = [shape[a] for a in axes]
    at = 0 if p.leading else axes[0]
    others = [i for i in range(len(shape)) if i not in axes]
    before = [i for i in others if i < at] if not p.leading else []
    after = [i for i in others if i not in before]
    common = broadcast_shapes(*(v.shape for _, v in p.arrays))
    positions = _linear(b, [v for _, v in p.arrays], sizes, common)
    lead, rest = (tuple(shape[i] for i in part) for part in (before, after))
    size = size_of(sizes)
    return Places((*before, *axes, *after), lead, size, rest, positions, (*lead, *common, *rest))


def _linear(b: Builder, values: list[Expr], sizes: list[Any], shape: Shape) -> Expr:
    """One position for several indices; each of these is checked and counted from the front here."""
    if len(values) == 1:
        return values[0]
    total: Expr | None = None
    for value, size in zip(values, sizes, strict=True):
        place = value if is_iota(value, size) else checked(b, value, size)
        total = place if total is None else total * size + place
    assert total is not None
    return broadcast(b, total, shape)


def is_iota(value: Expr, size: int) -> bool:
    """Whether an index is 0, 1, 2, ... and so lies inside."""
    node = producer(value)
    return (
        node is not None
        and node.op.name == "iota"
        and value.rank == 1
        and surely_reaches(size, value.shape[0])
    )


def checked(b: Builder, index: Expr, size: Any) -> Expr:
    """Positions counted from the front; the graph fails where one is out of range."""
    at = index if index.dtype.name == "i64" else b.cast(index, dtype="i64")
    inside = b.logical_and(b.greater_equal(at, -size), b.less(at, size))
    at = b.check(at, inside, message=f"index {{value}} is out of bounds for size {size}", error="index")
    return b.select(b.less(at, 0), at + size, at)
