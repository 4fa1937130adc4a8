"""Arrays made of constants, counters and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Size, ceildiv
from graphc.npjit.native.operands import (
    Item,
    Operand,
    Unexpressed,
    axis_of,
    broadcast,
    constant,
    expr_as,
    expr_of,
    filled,
    integer,
    ir_dtype,
    is_value,
    operand,
    own_dtype,
    reshaped,
    size_of,
    strong,
)
from graphc.npjit.native.rules.joining import stack
from graphc.npjit.native.rules.shapes import diagonal, whole
from graphc.npjit.native.rules.table import RULES, rule
from graphc.npjit.native.symbols import reaches


def _shape(b: Builder, shape: Any) -> tuple[Any, ...]:
    found = tuple(integer(d) for d in (shape if isinstance(shape, (tuple, list)) else (shape,)))
    if not all(reaches(b, d, 0) for d in found):
        raise Unexpressed("a negative size")
    return found


def _constant_maker(value: int) -> Any:
    def make(b: Builder, shape: Any, dtype: Any = float, order: str = "C") -> Expr:
        return filled(b, _shape(b, shape), value, np.dtype(float if dtype is None else dtype))

    return make


def _like_maker(value: int) -> Any:
    def make(b: Builder, a: Item, dtype: Any = None, order: str = "K", subok: bool = True) -> Expr:
        x = whole(b, a)
        return filled(b, x.shape, value, np.dtype(x.dtype.numpy if dtype is None else dtype))

    return make


# what np.empty holds is anybody's guess: zeros are as good
rule(np.zeros, np.empty)(_constant_maker(0))
rule(np.ones)(_constant_maker(1))
rule(np.zeros_like, np.empty_like)(_like_maker(0))
rule(np.ones_like)(_like_maker(1))


@rule(np.full)
def full(b: Builder, shape: Any, fill_value: Item, dtype: Any = None, order: str = "C") -> Expr:
    """One value everywhere."""
    stored = expr_as(b, fill_value, own_dtype(fill_value) if dtype is None else dtype)
    return broadcast(b, stored, _shape(b, shape))


@rule(np.full_like)
def full_like(b: Builder, a: Item, fill_value: Item, dtype: Any = None) -> Expr:
    """One value everywhere, in an array's shape and type."""
    x = whole(b, a)
    return broadcast(b, _stored(b, fill_value, x.dtype.numpy if dtype is None else dtype), x.shape)


def _stored(b: Builder, x: Item, dtype: Any) -> Expr:
    """A number as a store into an array converts it: floats are cut, integers must fit."""
    if type(x) is float and np.dtype(dtype).kind in "iu":
        raise Unexpressed("a float in an array of integers")
    return expr_as(b, x, dtype)


@rule(np.eye)
def eye(b: Builder, N: Any, M: Any = None, k: Any = 0, dtype: Any = float) -> Expr:
    """Ones on a diagonal."""
    shape = (integer(N), integer(N if M is None else M))
    shift, wanted = integer(k), ir_dtype(np.dtype(dtype))
    rows, columns = (b.iota(shape=shape, axis=i, dtype="i64") for i in (0, 1))
    return b.cast(b.equal(rows + shift if shift else rows, columns), dtype=wanted)


@rule(np.identity)
def identity(b: Builder, n: Any, dtype: Any = float) -> Expr:
    """The unit matrix."""
    return eye(b, n, dtype=float if dtype is None else dtype)


@rule(np.arange)
def arange(b: Builder, *limits: Any, dtype: Any = None) -> Expr:
    """Integers counted at run time; others made here, as NumPy rounds them."""
    limits = tuple(x.size if isinstance(x, Operand) and x.size is not None else x for x in limits)
    if any(isinstance(x, Operand) for x in limits):
        raise Unexpressed("a range whose ends are no constants")
    counted = all(isinstance(x, (int, np.integer, Size)) for x in limits)
    kind = np.dtype(dtype) if dtype is not None else np.dtype(np.int64) if counted else None
    if counted and kind == np.int64:
        return _counted(b, [x if isinstance(x, Size) else int(x) for x in limits])
    made = np.arange(*limits, dtype=dtype)
    return constant(b, made, made.dtype)


def _counted(b: Builder, limits: list[Any]) -> Expr:
    """The integers of a range."""
    start, stop, step, *_ = (0, *limits, 1) if len(limits) == 1 else (*limits, 1)
    if not isinstance(step, int) or not step:
        raise Unexpressed("a range with this step")
    apart = stop - start if step > 0 else start - stop
    count = ceildiv(apart, abs(step)) if reaches(b, apart, 1) else 0
    places = b.iota(shape=(count,), axis=0, dtype="i64")
    places = places * step if step != 1 else places
    return places if start == 0 else places + start


@rule(np.linspace)
def linspace(
    b: Builder, start: Any, stop: Any, num: Any = 50, endpoint: bool = True, *, dtype: Any = None
) -> Expr:
    """Equal steps between constants, made here."""
    if isinstance(start, Operand) or isinstance(stop, Operand):
        raise Unexpressed("a range whose ends are no constants")
    made = np.linspace(start, stop, integer(num), endpoint=endpoint, dtype=dtype)
    return constant(b, made, made.dtype)


@rule(np.array, np.asarray)
def array(
    b: Builder, object: Any, dtype: Any = None, *, copy: Any = True, order: str = "K", ndmin: int = 0
) -> Any:
    """A copy of an array, or nested sequences of values."""
    if ndmin:
        raise Unexpressed("ndmin")
    if type(object) is range:
        object = list(object)
    if isinstance(object, (tuple, list)):
        return _nested(b, object, dtype)
    x = operand(b, object)
    return x if dtype is None else Operand(expr_as(b, Operand(x.expr), np.dtype(dtype)), mask=x.mask)


def _nested(b: Builder, items: Any, dtype: Any) -> Expr:
    """A sequence of values or sequences as an array; plain constants are converted by NumPy."""
    flat = list(_leaves(items))
    if not any(isinstance(x, Operand) for x in flat):
        made = np.array(items, dtype)
        return constant(b, made, made.dtype)
    if not all(is_value(x) for x in flat):
        raise Unexpressed("an array of other objects")
    parts = [_nested(b, x, dtype) if isinstance(x, (tuple, list)) else x for x in items]
    values = [Operand(p) if isinstance(p, Expr) else p for p in parts]
    if dtype is None:
        # inside a sequence Python's numbers are strong
        dtype = np.result_type(*(own_dtype(v) for v in values))
    return stack(b, [Operand(expr_as(b, strong(b, v), np.dtype(dtype))) for v in values])


def _leaves(items: Any) -> Any:
    for x in items:
        if isinstance(x, (tuple, list)):
            yield from _leaves(x)
        else:
            yield x


RULES[np.asanyarray] = array


@rule(np.diag)
def diag(b: Builder, v: Item, k: Any = 0) -> Expr:
    """A matrix with this diagonal, or the diagonal of a matrix."""
    x = expr_of(b, v)
    if integer(k):
        raise Unexpressed("another diagonal than the main one")
    if x.rank == 2:
        return diagonal(b, v)
    if x.rank != 1:
        raise Unexpressed("the diagonal of this")
    shape = (*x.shape, *x.shape)
    places = [b.iota(shape=shape, axis=i, dtype="i64") for i in (0, 1)]
    return b.select(b.equal(*places), x, b.constant(0, x.dtype))


def _triangle(lower: bool) -> Any:
    def triangle(b: Builder, m: Item, k: Any = 0) -> Expr:
        x = whole(b, m)
        if x.rank < 2:
            raise Unexpressed("the triangle of a vector")
        rows, columns = (b.iota(shape=x.shape, axis=i, dtype="i64") for i in (x.rank - 2, x.rank - 1))
        shift = integer(k)
        rows = rows + shift if shift else rows
        kept = b.less_equal(columns, rows) if lower else b.greater_equal(columns, rows)
        return b.select(kept, x, b.constant(0, x.dtype))

    return triangle


rule(np.tril)(_triangle(True))
rule(np.triu)(_triangle(False))


@rule(np.take)
def take(b: Builder, a: Item, indices: Item, axis: Any = None) -> Expr:
    """Slices at positions."""
    x = whole(b, a)
    where = expr_of(b, Operand(array(b, indices)) if isinstance(indices, (list, tuple)) else indices)
    if axis is None:
        x = reshaped(b, x, (size_of(x.shape),))
    if where.dtype.kind not in "iu":
        raise Unexpressed("positions that are no integers")
    return b.gather(x, where, axis=axis_of(0 if axis is None else axis, x.rank))
