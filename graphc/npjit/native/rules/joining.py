"""Arrays put together and cut: concatenating, stacking, splitting, rolling."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.npjit.native.operands import (
    Item,
    Operand,
    Unexpressed,
    axis_of,
    common,
    expr_as,
    integer,
    is_value,
    is_weak,
    own_dtype,
    reshaped,
    size_of,
    strong,
)
from graphc.npjit.native.rules.index_plan import clipped
from graphc.npjit.native.rules.shapes import whole
from graphc.npjit.native.rules.table import rule
from graphc.npjit.native.symbols import reaches


def _joined(b: Builder, arrays: Any, dtype: Any = None) -> list[Expr]:
    """The arrays of a sequence in their common type."""
    if isinstance(arrays, Operand):
        arrays = [row(b, arrays.expr, i) for i in range(arrays.shape[0])] if arrays.rank else [arrays]
    if not isinstance(arrays, (tuple, list)) or not arrays:
        raise Unexpressed("a sequence of this kind")
    arrays = [strong(b, x) for x in arrays]
    wanted = np.dtype(dtype) if dtype is not None else common(arrays)
    if any(x.mask is not None for x in arrays):
        raise Unexpressed("the shape of elements under a mask")
    return [expr_as(b, x, wanted) for x in arrays]


def row(b: Builder, x: Expr, i: int) -> Operand:
    """`x[i]` for a constant i from 0 on."""
    start, stop = (i, *(0 for _ in x.shape[1:])), (i + 1, *x.shape[1:])
    piece = b.slice(x, start=start, stop=stop, step=(1,) * x.rank)
    return Operand(reshaped(b, piece, x.shape[1:]))


@rule(np.concatenate)
def concatenate(b: Builder, arrays: Any, axis: Any = 0, *, dtype: Any = None) -> Expr:
    """One after the other."""
    parts = _joined(b, arrays, dtype)
    if axis is None:
        return _concatenated(b, [reshaped(b, p, (size_of(p.shape),)) for p in parts], 0)
    return _concatenated(b, parts, axis_of(axis, parts[0].rank))


def _concatenated(b: Builder, parts: list[Expr], axis: int) -> Expr:
    return parts[0] if len(parts) == 1 else b.concatenate(*parts, axis=axis)


@rule(np.stack)
def stack(b: Builder, arrays: Any, axis: Any = 0) -> Expr:
    """One after the other along a new axis."""
    parts = _joined(b, arrays)
    place = axis_of(axis, parts[0].rank + 1)
    shape = [(*p.shape[:place], 1, *p.shape[place:]) for p in parts]
    return _concatenated(b, [reshaped(b, p, s) for p, s in zip(parts, shape, strict=True)], place)


@rule(np.vstack)
def vstack(b: Builder, tup: Any) -> Expr:
    """Rows below each other."""
    parts = [reshaped(b, p, (1, *p.shape) if p.rank == 1 else p.shape or (1, 1)) for p in _joined(b, tup)]
    return _concatenated(b, parts, 0)


@rule(np.hstack)
def hstack(b: Builder, tup: Any) -> Expr:
    """Side by side: along the first axis of vectors, else the second."""
    parts = [reshaped(b, p, p.shape or (1,)) for p in _joined(b, tup)]
    return _concatenated(b, parts, 0 if parts[0].rank == 1 else 1)


@rule(np.column_stack)
def column_stack(b: Builder, tup: Any) -> Expr:
    """Vectors as columns."""
    parts = [reshaped(b, p, (*p.shape, 1) if p.rank == 1 else p.shape or (1, 1)) for p in _joined(b, tup)]
    return _concatenated(b, parts, 1)


@rule(("join", "c_"))
def columns_of(b: Builder, key: Any) -> Expr:
    """`np.c_[x, y]`: vectors as columns, side by side."""
    parts = [reshaped(b, p, (*p.shape, 1) if p.rank == 1 else p.shape) for p in _listed(b, key)]
    if any(p.rank != 2 for p in parts):
        raise Unexpressed("np.c_ of other arrays than vectors and matrices")
    return _concatenated(b, parts, 1)


@rule(("join", "r_"))
def rows_of(b: Builder, key: Any) -> Expr:
    """`np.r_[x, 0.0, y]`: vectors and numbers one after the other."""
    parts = [reshaped(b, p, p.shape or (1,)) for p in _listed(b, key)]
    if any(p.rank != 1 for p in parts):
        raise Unexpressed("np.r_ of other arrays than vectors and numbers")
    return _concatenated(b, parts, 0)


def _listed(b: Builder, key: Any) -> list[Expr]:
    entries = key if isinstance(key, tuple) else (key,)
    if any(type(x) is not Operand or x.weak for x in entries) and not all(map(is_value, entries)):
        raise Unexpressed("slices or texts where arrays are joined")
    if any(is_weak(x) for x in entries) and all(own_dtype(x).kind != "f" for x in entries):
        raise Unexpressed("numbers among integers")
    return [expr_as(b, x, common(entries)) for x in entries]


@rule(np.append)
def append(b: Builder, arr: Item, values: Item, axis: Any = None) -> Expr:
    """The values after the array."""
    return concatenate(b, (arr, values), axis)


@rule(np.split, np.array_split)
def split(b: Builder, ary: Item, indices_or_sections: Any, axis: Any = 0) -> list[Expr]:
    """Pieces along an axis: so many, or between positions."""
    x = whole(b, ary)
    place = axis_of(axis, x.rank)
    size = x.shape[place]
    marks = split_marks(b, indices_or_sections, integer(size))
    pieces = []
    for first, last in pairwise(marks):
        start = [first if i == place else 0 for i in range(x.rank)]
        stop = [last if i == place else d for i, d in enumerate(x.shape)]
        pieces.append(b.slice(x, start=tuple(start), stop=tuple(stop), step=(1,) * x.rank))
    return pieces


def split_marks(b: Builder, sections: Any, size: Any) -> list[Any]:
    """The positions at which pieces begin, and the end."""
    if isinstance(sections, (tuple, list)):
        marks = [0, *(clipped(b, integer(i), size, 0, size) for i in sections), size]
    elif isinstance(size, int):
        count = integer(sections)
        short, extra = divmod(size, count)
        marks = [i * short + min(i, extra) for i in range(count + 1)]
    else:
        count = integer(sections)
        short = size // count
        b.require(short * count, size, "pieces of one size")
        marks = [*(i * short for i in range(count)), size]
    if not all(reaches(b, after, before) for before, after in pairwise(marks)):
        raise Unexpressed("pieces in a falling order")
    return marks


@rule(np.diff)
def diff(b: Builder, a: Item, n: Any = 1, axis: Any = -1) -> Expr:
    """Each element less the one before it."""
    x = whole(b, a)
    place = axis_of(axis, x.rank)
    size = integer(x.shape[place])
    if n != 1 or x.dtype.kind in "bu" or size == 0:
        raise Unexpressed("these differences")
    first = split(b, Operand(x), [size - 1], place)[0]
    return split(b, Operand(x), [1], place)[1] - first


@rule(np.roll)
def roll(b: Builder, a: Item, shift: Any, axis: Any = None) -> Expr:
    """Elements pushed along, and in again at the other end."""
    x = whole(b, a)
    if axis is None:
        flat = reshaped(b, x, (size_of(x.shape),))
        return reshaped(b, _rolled(b, flat, integer(shift), 0), x.shape)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    if len(shifts) != len(axes):
        raise Unexpressed("as many shifts as axes")
    for s, i in zip(shifts, axes, strict=True):
        x = _rolled(b, x, integer(s), axis_of(i, x.rank))
    return x


def _rolled(b: Builder, x: Expr, shift: Any, axis: int) -> Expr:
    size = x.shape[axis]
    if isinstance(size, int):
        cut = -shift % size if size else 0
    else:
        cut = -shift if reaches(b, 0, shift) else size - shift
        if not reaches(b, cut, 0) or reaches(b, cut, size):
            raise Unexpressed("a shift by more than the size")
    if cut == 0:
        return x
    first, last = split(b, Operand(x), [cut], axis)
    return b.concatenate(last, first, axis=axis)
