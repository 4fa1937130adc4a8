"""The same elements in other places: reshaping, turning, joining, splitting, repeating."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.npjit.native.operands import (
    Item,
    Operand,
    Unexpressed,
    axes_of,
    axis_of,
    broadcast,
    constant,
    expr_of,
    integer,
    operand,
    reshaped,
    size_of,
)
from graphc.npjit.native.rules.table import rule
from graphc.npjit.native.symbols import reaches


def whole(b: Builder, a: Item) -> Expr:
    """An array's value; elements under a mask have no known shape."""
    x = operand(b, a)
    if x.mask is not None:
        raise Unexpressed("the shape of elements under a mask")
    return x.expr


def _new_shape(x: Expr, shape: Any) -> tuple[int, ...]:
    sizes = [integer(d) for d in (shape if isinstance(shape, (tuple, list)) else (shape,))]
    if -1 in sizes:
        known = size_of([d for d in sizes if d != -1])
        if known == 0:
            raise Unexpressed("an unknown size beside 0")
        sizes[sizes.index(-1)] = size_of(x.shape) // known
    return tuple(sizes)


def _order(order: Any) -> None:
    if order not in ("C", "K", "A", None):
        raise Unexpressed(f"order {order!r}")


@rule(np.reshape)
def reshape(b: Builder, a: Item, shape: Any, order: str = "C") -> Expr:
    """Row-major order under another shape."""
    if order != "C":
        raise Unexpressed(f"order {order!r}")
    x = whole(b, a)
    return reshaped(b, x, _new_shape(x, shape))


@rule(methods="reshape")
def reshape_method(b: Builder, a: Item, *shape: Any, order: str = "C") -> Expr:
    """`x.reshape(2, -1)` or `x.reshape((2, -1))`."""
    return reshape(b, a, shape[0] if len(shape) == 1 else shape, order)


@rule(np.ravel, methods="ravel flatten")
def ravel(b: Builder, a: Item, order: str = "C") -> Expr:
    """All elements in one axis."""
    return reshape(b, a, (-1,), order)


@rule(np.squeeze, methods="squeeze")
def squeeze(b: Builder, a: Item, axis: Any = None) -> Expr:
    """Without axes of size 1."""
    x = whole(b, a)
    gone = [i for i, d in enumerate(x.shape) if d == 1] if axis is None else axes_of(axis, x.rank)
    return reshaped(b, x, [d for i, d in enumerate(x.shape) if i not in gone])


@rule(np.expand_dims)
def expand_dims(b: Builder, a: Item, axis: Any) -> Expr:
    """With axes of size 1 at these places of the result."""
    x = whole(b, a)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    new, old = axes_of(axis, x.rank + count), iter(x.shape)
    return reshaped(b, x, [1 if i in new else next(old) for i in range(x.rank + count)])


@rule(np.transpose)
def transpose(b: Builder, a: Item, axes: Any = None) -> Expr:
    """Axes in another order, reversed where none is given."""
    x = whole(b, a)
    order = range(x.rank)[::-1] if axes is None else [axis_of(i, x.rank) for i in axes]
    return turned(b, x, order)


def turned(b: Builder, x: Expr, order: Sequence[int]) -> Expr:
    return x if list(order) == list(range(x.rank)) else b.transpose(x, axes=tuple(order))


@rule(methods="transpose")
def transpose_method(b: Builder, a: Item, *axes: Any) -> Expr:
    """`x.transpose(1, 0)` or `x.transpose((1, 0))`."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        return transpose(b, a, axes[0])
    return transpose(b, a, axes or None)


@rule(("attribute", "T"))
def turned_attribute(b: Builder, a: Item) -> Expr:
    """`x.T`"""
    return transpose(b, a)


@rule(("attribute", "mT"), np.matrix_transpose)
def matrix_turned(b: Builder, a: Item) -> Expr:
    """`x.mT`: the last two axes swapped."""
    return swapaxes(b, a, -1, -2)


@rule(("attribute", "real"))
def real(b: Builder, a: Item) -> Expr:
    """The real part, which is all that there is."""
    return whole(b, a)


@rule(np.swapaxes, methods="swapaxes")
def swapaxes(b: Builder, a: Item, axis1: Any, axis2: Any) -> Expr:
    """Two axes in each other's place."""
    x = whole(b, a)
    order = list(range(x.rank))
    i, j = axis_of(axis1, x.rank), axis_of(axis2, x.rank)
    order[i], order[j] = j, i
    return turned(b, x, order)


@rule(np.moveaxis)
def moveaxis(b: Builder, a: Item, source: Any, destination: Any) -> Expr:
    """Some axes at other places."""
    x = whole(b, a)
    several = [s if isinstance(s, (tuple, list)) else (s,) for s in (source, destination)]
    sources, places = ([axis_of(i, x.rank) for i in s] for s in several)
    order = [i for i in range(x.rank) if i not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return turned(b, x, order)


@rule(np.flip)
def flip(b: Builder, m: Item, axis: Any = None) -> Expr:
    """The order along axes turned round."""
    x = whole(b, m)
    axes = axes_of(axis, x.rank)
    return b.reverse(x, axes=axes) if axes else x


@rule(np.fliplr)
def fliplr(b: Builder, m: Item) -> Expr:
    """The second axis turned round."""
    return flip(b, m, 1)


@rule(np.flipud)
def flipud(b: Builder, m: Item) -> Expr:
    """The first axis turned round."""
    return flip(b, m, 0)


@rule(np.broadcast_to)
def broadcast_to(b: Builder, array: Item, shape: Any) -> Expr:
    """Repeated to a shape."""
    x = whole(b, array)
    return broadcast(b, x, _new_shape(x, shape))


def _at_least(rank: int) -> Any:
    def padded(b: Builder, *arys: Item) -> Any:
        if len(arys) != 1:
            raise Unexpressed("several arrays at once")
        x = whole(b, arys[0])
        if x.rank >= rank:
            return x
        if rank == 3:
            raise Unexpressed("a third axis")
        return reshaped(b, x, (*(1 for _ in range(rank - x.rank)), *x.shape))

    return padded


rule(np.atleast_1d)(_at_least(1))
rule(np.atleast_2d)(_at_least(2))
rule(np.atleast_3d)(_at_least(3))


@rule(np.pad)
def pad(b: Builder, array: Item, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Expr:
    """A border of one constant."""
    x = whole(b, array)
    if mode != "constant" or isinstance(constant_values, (tuple, list, Operand)):
        raise Unexpressed(f"this padding in mode {mode!r}")
    widths = np.broadcast_to(np.asarray(pad_width), (x.rank, 2)).tolist()
    constant(b, constant_values, x.dtype.numpy)  # it must fit the element type
    fill = b.nodes.pop().attrs["value"]
    if x.dtype.kind == "b":
        bits = b.cast(x, dtype="u8")
        return b.cast(_padded(b, bits, widths, int(fill)), dtype="bool")
    return _padded(b, x, widths, fill)


def _padded(b: Builder, x: Expr, widths: list[list[int]], value: Any) -> Expr:
    low, high = (tuple(w[i] for w in widths) for i in (0, 1))
    if any(not isinstance(n, int) for n in (*low, *high)):
        raise Unexpressed("a border that is no int")
    return b.pad(x, low=low, high=high, value=value)


@rule(np.tile)
def tile(b: Builder, A: Item, reps: Any) -> Expr:
    """The array repeated as a whole."""
    x = whole(b, A)
    counts = [integer(n) for n in (reps if isinstance(reps, (tuple, list)) else (reps,))]
    rank = max(x.rank, len(counts))
    counts = [1] * (rank - len(counts)) + counts
    shape = [1] * (rank - x.rank) + list(x.shape)
    apart = [d for n, size in zip(counts, shape, strict=True) for d in (1, size)]
    spread = [d for n, size in zip(counts, shape, strict=True) for d in (n, size)]
    result = [n * size for n, size in zip(counts, shape, strict=True)]
    return reshaped(b, broadcast(b, reshaped(b, x, apart), spread), result)


@rule(np.repeat, methods="repeat")
def repeat(b: Builder, a: Item, repeats: Any, axis: Any = None) -> Expr:
    """Each element so many times."""
    x, count = whole(b, a), integer(repeats)
    if axis is None:
        x = reshaped(b, x, (size_of(x.shape),))
    place = axis_of(0 if axis is None else axis, x.rank)
    before, size, after = x.shape[:place], x.shape[place], x.shape[place + 1 :]
    spread = broadcast(b, reshaped(b, x, (*before, size, 1, *after)), (*before, size, count, *after))
    return reshaped(b, spread, (*before, size * count, *after))


@rule(np.copy, np.ascontiguousarray, methods="copy")
def copy(b: Builder, a: Item, order: str = "K") -> Any:
    """The same values in new memory."""
    _order(order)
    return operand(b, a)


@rule(np.meshgrid)
def meshgrid(b: Builder, *xi: Item, indexing: str = "xy") -> list[Expr]:
    """Coordinate vectors as grids."""
    vectors = [whole(b, x) for x in xi]
    if any(v.rank != 1 for v in vectors) or indexing not in ("xy", "ij"):
        raise Unexpressed("a grid of this kind")
    places = list(range(len(vectors)))
    if indexing == "xy" and len(places) > 1:
        places[0], places[1] = 1, 0
    shape = [0] * len(vectors)
    for v, place in zip(vectors, places, strict=True):
        shape[place] = integer(v.shape[0])
    grids = []
    for v, place in zip(vectors, places, strict=True):
        column = reshaped(b, v, [d if i == place else 1 for i, d in enumerate(shape)])
        grids.append(broadcast(b, column, shape))
    return grids


@rule(np.trace, methods="trace")
def trace(b: Builder, a: Item) -> Expr:
    """The sum of the diagonal of a matrix."""
    x = whole(b, a)
    if x.dtype.kind != "f":
        raise Unexpressed("the trace of integers")
    return b.sum(diagonal(b, Operand(x)), axes=(0,), keepdims=False)


@rule(np.diagonal, methods="diagonal")
def diagonal(b: Builder, a: Item) -> Expr:
    """The diagonal of a matrix."""
    x = expr_of(b, a)
    if x.rank != 2 or 0 in x.shape:
        raise Unexpressed("this diagonal")
    rows, columns = (integer(d) for d in x.shape)
    count = columns if reaches(b, rows, columns) else rows
    flat = reshaped(b, x, (rows * columns,))
    if not isinstance(columns, int):
        return b.gather(flat, b.iota(shape=(count,), axis=0, dtype="i64") * (columns + 1), axis=0)
    stop = (count - 1) * (columns + 1) + 1
    return b.slice(flat, start=(0,), stop=(stop,), step=(columns + 1,))
