"""Reading and writing by index: numbers, slices, new axes, integer arrays, masks.

`index_plan` sorts an index out once. A read takes the basic part as a slice, then gathers by the integer
arrays; a write goes the same way back.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.opdef import Kind
from graphc.ir.ops.index import is_class
from graphc.npjit.native.buffers import Box, Pieces
from graphc.npjit.native.operands import (
    Item,
    Operand,
    Unexpressed,
    broadcast,
    expr_as,
    expr_of,
    integer,
    operand,
    own_dtype,
    producer,
    reshaped,
)
from graphc.npjit.native.rules.index_plan import Places, Plan, checked, is_iota, places_of, plan
from graphc.npjit.native.rules.table import rule


def basic_read(b: Builder, x: Expr, p: Plan) -> Expr:
    """The part of an array that the slices of a plan take."""
    whole = all(
        a == 0 and s == 1 and n == d for a, s, n, d in zip(p.start, p.step, p.count, x.shape, strict=True)
    )
    if not whole:
        if 0 in p.count:
            return _empty(b, x, p.shape)
        stop = tuple(
            a + (n - 1) * s + (1 if s > 0 else -1) for a, n, s in zip(p.start, p.count, p.step, strict=True)
        )
        x = b.slice(x, start=p.start, stop=stop, step=p.step)
    return reshaped(b, x, p.shape)


def _empty(b: Builder, x: Expr, shape: Sequence[int]) -> Expr:
    return broadcast(b, b.constant(0, x.dtype), shape)


def basic_write(b: Builder, x: Expr, p: Plan, new: Expr) -> Expr:
    """The array with the part that the slices take replaced by `new`, of the plan's shape."""
    if 0 in p.count:
        return x
    pieces = reshaped(b, new, p.count)
    down = tuple(i for i, s in enumerate(p.step) if s < 0)
    if down:
        pieces = b.reverse(pieces, axes=down)
    if p.count == x.shape:
        return pieces
    start = tuple(a + (n - 1) * s if s < 0 else a for a, n, s in zip(p.start, p.count, p.step, strict=True))
    step = tuple(abs(s) if n != 1 else 1 for n, s in zip(p.count, p.step, strict=True))
    return b.update_slice(x, pieces, start=start, step=step)


@rule(operator.getitem)
def getitem(b: Builder, a: Item, key: Any) -> Any:
    """`a[key]`."""
    if isinstance(a, (list, tuple)):
        return a[integer(key)]
    x = operand(b, a)
    if x.mask is not None:
        raise Unexpressed("an index on elements under a mask")
    if type(key) is Operand and key.dtype.kind == "b" and key.rank:
        if key.shape != x.shape[: key.rank]:
            raise Unexpressed("a mask of another shape")
        return Operand(x.expr, mask=key.expr)
    p = plan(b, x.shape, key)
    part = read_part(b, x, p)
    return part if not p.arrays else _gathered(b, part, p)


def _box(p: Plan) -> Box | None:
    """The elements that the slices of a plan take, if they lie side by side."""
    if any(s != 1 and n not in (0, 1) for s, n in zip(p.step, p.count, strict=True)) or 0 in p.count:
        return None
    return tuple((a, a + n) for a, n in zip(p.start, p.count, strict=True))


def read_part(b: Builder, x: Operand, p: Plan) -> Expr:
    """The part that the slices of a plan take; of a buffer, what was stored there."""
    if isinstance(x.value, Pieces):
        box = _box(p)
        part = x.value.read(box) if box is not None else None
        if part is not None:
            return reshaped(b, part, p.shape)
    return basic_read(b, x.expr, p)


def basic_write_to(b: Builder, x: Operand, p: Plan, new: Expr) -> Operand:
    """The array with the part that the slices take replaced by `new`, of the plan's shape."""
    box = _box(p)
    if box is None or p.count == x.shape:
        return Operand(basic_write(b, x.expr, p, new))
    buffer = x.value if isinstance(x.value, Pieces) else Pieces(b, x.expr, ())
    return Operand(buffer.write(box, reshaped(b, new, p.count)))


def written_to(b: Builder, x: Operand, key: Any, value: Item) -> Operand:
    """The array after `x[key] = value`."""
    if not (type(key) is Operand and key.dtype.kind == "b" and key.rank):
        p = plan(b, x.shape, key)
        if not p.arrays:
            return basic_write_to(b, x, p, _fitted(b, value, x.dtype, p.shape))
    return Operand(written(b, x.expr, key, value))


def _gathered(b: Builder, x: Expr, p: Plan) -> Expr:
    columns = _column_of_each_row(x, p)
    maker = producer(x)
    if columns is not None and x.rank == 2 and maker is not None and maker.op.kind is Kind.ELEMENTWISE:
        # what is computed is chosen from where that is done; what lies in memory is not read as a whole
        return b.sum(b.select(_is_column(b, x, columns), x, b.constant(0, x.dtype)), axes=(1,))
    g = places_of(b, x.shape, p)  # type: ignore[arg-type]
    turned = x if g.order == tuple(range(x.rank)) else b.transpose(x, axes=g.order)
    picked = b.gather(reshaped(b, turned, (*g.lead, g.size, *g.rest)), g.positions, axis=len(g.lead))
    return reshaped(b, picked, g.result)


def written(b: Builder, x: Expr, key: Any, value: Item) -> Expr:
    """The array after `x[key] = value`."""
    if type(key) is Operand and key.dtype.kind == "b" and key.rank:
        return _masked_write(b, x, key, value)
    p = plan(b, x.shape, key)  # type: ignore[arg-type]
    if type(value) is Operand and value.mask is not None:
        raise Unexpressed("elements under a mask in another array")
    part = basic_read(b, x, p)
    return basic_write(b, x, p, _scattered(b, part, p, value))


def _fitted(b: Builder, value: Item, dtype: np.dtype, shape: Sequence[Any]) -> Expr:
    """A value as it is stored: in the array's element type, broadcast to a shape."""
    stored = store_as(b, value, dtype)
    extra = stored.rank - len(shape)
    if extra > 0:
        if any(d != 1 for d in stored.shape[:extra]):
            raise Unexpressed("a value with too many axes")
        stored = reshaped(b, stored, stored.shape[extra:])
    return broadcast(b, stored, shape)


def store_as(b: Builder, value: Item, dtype: np.dtype) -> Expr:
    """A value in the element type of the array it is stored into."""
    if type(value) is Operand and value.mask is not None:
        raise Unexpressed("elements under a mask in another array")
    if isinstance(value, (list, tuple)):
        from graphc.npjit.native.rules.creation import array

        value = Operand(expr_of(b, _wrapped(array(b, value))))
    if dtype.kind in "iu" and own_dtype(value).kind == "f":
        number = operand(b, value)
        return b.cast(number.expr, dtype=expr_as(b, 0, dtype).dtype)
    if dtype.kind == "b" and type(value) is not Operand:
        return expr_as(b, bool(value), dtype)
    return expr_as(b, value if type(value) is not Operand else Operand(value.expr), dtype)


def _wrapped(x: Any) -> Operand:
    return x if type(x) is Operand else Operand(x)


def _masked_write(b: Builder, x: Expr, mask: Operand, value: Item) -> Expr:
    if mask.shape != x.shape[: mask.rank]:
        raise Unexpressed("a mask of another shape")
    test = reshaped(b, mask.expr, (*mask.shape, *(1 for _ in range(x.rank - mask.rank))))
    if type(value) is Operand and value.mask is not None:
        if value.mask.value is not mask.expr.value:
            raise Unexpressed("elements under two masks")
        return b.select(test, expr_as(b, Operand(value.expr), x.dtype.numpy), x)
    stored = store_as(b, value, x.dtype.numpy)
    if stored.rank > x.rank - mask.rank:
        raise Unexpressed("one value for each element under a mask")
    return b.select(test, stored, x)


def _scattered(b: Builder, x: Expr, p: Plan, value: Item) -> Expr:
    """Integer arrays. Where positions of several values repeat, the last counts: then the graph fails."""
    columns = _column_of_each_row(x, p)
    if columns is not None:
        stored = _fitted(b, value, x.dtype.numpy, (x.shape[0], *x.shape[2:]))
        return b.select(_is_column(b, x, columns), _over_columns(b, stored), x)
    if len(p.arrays) == 1 and not p.arrays[0][1].shape:
        return _one_position(b, x, p, value)
    g = places_of(b, x.shape, p)  # type: ignore[arg-type]
    counts = _turned_in(b, broadcast(b, b.constant(0, "i64"), x.shape), g)
    ones = broadcast(b, b.constant(1, "i64"), (*g.lead, *g.positions.shape, *g.rest))
    hits = b.scatter_add(counts, g.positions, ones, axis=len(g.lead))
    if type(value) is Operand and value.rank:
        once = b.less_equal(hits, 1)
        hits = b.check(hits, once, message="a position {position} that is written twice", error="index")
        stored = _turned_out(b, _each_once(b, x, g, value), g, x.shape)
    else:
        stored = store_as(b, value, x.dtype.numpy)
    return b.select(b.not_equal(_turned_out(b, hits, g, x.shape), 0), stored, x)


def _each_once(b: Builder, x: Expr, g: Places, value: Item) -> Expr:
    """The values at their places, as sums with -0.0, which change no number; other elements do not count."""
    new = _fitted(b, value, x.dtype.numpy, g.result)
    updates = reshaped(b, new, (*g.lead, *g.positions.shape, *g.rest))
    bools = x.dtype.kind == "b"
    number = b.cast(updates, dtype="u8") if bools else updates
    nothing = b.constant(-0.0 if number.dtype.kind == "f" else 0, number.dtype)
    empty = _turned_in(b, broadcast(b, nothing, x.shape), g)
    summed = b.scatter_add(empty, g.positions, number, axis=len(g.lead))
    return b.cast(summed, dtype="bool") if bools else summed


def _one_position(b: Builder, x: Expr, p: Plan, value: Item) -> Expr:
    """`x[..., i, ...] = value` for a number i that is known at run time only."""
    ((axis, index),) = p.arrays
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    stored = _fitted(b, value, x.dtype.numpy, shape)
    chosen = b.equal(b.iota(shape=x.shape, axis=axis, dtype="i64"), checked(b, index, x.shape[axis]))
    return b.select(chosen, reshaped(b, stored, (*x.shape[:axis], 1, *x.shape[axis + 1 :])), x)


def _column_of_each_row(x: Expr, p: Plan) -> Expr | None:
    """The numbers of columns, if integer arrays pick one from each row: x[np.arange(len(x)), columns]."""
    if len(p.arrays) != 2 or [axis for axis, _ in p.arrays] != [0, 1]:
        return None
    (_, rows), (_, columns) = p.arrays
    each = is_iota(rows, x.shape[0]) and rows.shape == (x.shape[0],)  # type: ignore[arg-type]
    return columns if each and columns.rank == 1 else None


def _is_column(b: Builder, x: Expr, columns: Expr) -> Expr:
    """Where the chosen element of each row is, as bools that broadcast to x; numbers are checked."""
    at, size = checked(b, columns, x.shape[1]), x.shape[1]
    if isinstance(size, int) and size < 1 << 31:
        at = b.cast(at, dtype="i32")
    return reshaped(b, is_class(b, at, size), (*x.shape[:2], *(1 for _ in x.shape[2:])))


def _over_columns(b: Builder, picked: Expr) -> Expr:
    """What stands for one element of each row, for all columns."""
    return reshaped(b, picked, (picked.shape[0], 1, *picked.shape[1:]))


def _turned_in(b: Builder, x: Expr, g: Places) -> Expr:
    turned = x if g.order == tuple(range(x.rank)) else b.transpose(x, axes=g.order)
    return reshaped(b, turned, (*g.lead, g.size, *g.rest))


def _turned_out(b: Builder, x: Expr, g: Places, shape: Sequence[Any]) -> Expr:
    whole = reshaped(b, x, [shape[i] for i in g.order])
    back = tuple(sorted(range(len(shape)), key=g.order.__getitem__))
    return whole if back == tuple(range(len(shape))) else b.transpose(whole, axes=back)


def added(b: Builder, x: Expr, key: Any, value: Item) -> Expr:
    """The array after `np.add.at(x, key, value)`: repeated positions add each time."""
    p = plan(b, x.shape, key)  # type: ignore[arg-type]
    if x.dtype.kind == "b":
        raise Unexpressed("adding bools at positions")
    part = basic_read(b, x, p)
    if not p.arrays:
        return basic_write(b, x, p, part + _fitted(b, value, x.dtype.numpy, p.shape))
    columns = _column_of_each_row(part, p)
    if columns is not None and part.dtype.is_floating and _is_zero(part):
        new = _over_columns(b, _fitted(b, value, x.dtype.numpy, (part.shape[0], *part.shape[2:])))
        chosen = b.select(_is_column(b, part, columns), new, b.constant(0, part.dtype))
        return basic_write(b, x, p, chosen)
    g = places_of(b, part.shape, p)  # type: ignore[arg-type]
    new = _fitted(b, value, x.dtype.numpy, g.result)
    updates = reshaped(b, new, (*g.lead, *g.positions.shape, *g.rest))
    summed = b.scatter_add(_turned_in(b, part, g), g.positions, updates, axis=len(g.lead))
    return basic_write(b, x, p, _turned_out(b, summed, g, part.shape))


def _is_zero(x: Expr) -> bool:
    """Whether an array is known to be zeros, as a gradient is at first."""
    node = producer(x)
    while node is not None and node.op.name in ("broadcast", "reshape"):
        node = producer(Expr(x.builder, node.operands[0]))
    return node is not None and node.op.name == "constant" and not np.any(node.attrs["value"])
