"""Views, creation ops and gathers as index arithmetic: which element of which operand an element is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc.codegen import index_maps
from graphc.codegen.index_maps import ZERO, Indices, combine, linear, variable
from graphc.codegen.loops import Offset
from graphc.codegen.scalar import Scalar
from graphc.codegen.values import Guard, Values, rule
from graphc.ir import DType, Node
from graphc.ir.dims import Dim
from graphc.ir.types import BOOL, I64


@rule("constant")
def _constant(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    value = np.asarray(node.attrs["value"])
    if value.ndim == 0:
        return v.scalars.constant(value.item(), node.result.type.dtype)
    table = v.table(node.result, value)
    return v.load(table, node.result, indices, guard)


@rule("iota")
def _iota(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    return _as(v, v.scalars.index(indices[node.attrs["axis"]]), node)


def _as(v: Values, x: Scalar, node: Node) -> Scalar:
    dtype = node.result.type.dtype
    return x if x.dtype == dtype else v.scalars.primitive("cast", dtype, x)


@rule("broadcast")
def _broadcast(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    (x,) = node.operands
    return v.at(x, index_maps.broadcast(indices, x.type.shape), guard)


@rule("transpose")
def _transpose(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    source: list[Offset] = [ZERO] * len(indices)
    for mine, theirs in enumerate(node.attrs["axes"]):
        source[theirs] = indices[mine]
    return v.at(node.operands[0], tuple(source), guard)


@rule("reverse")
def _reverse(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    (x,) = node.operands
    axes = node.attrs["axes"]
    source = (
        combine([(i, -1)], d - 1) if axis in axes and d != 1 else i
        for axis, (i, d) in enumerate(zip(indices, x.type.shape))
    )
    return v.at(x, tuple(source), guard)


@rule("take_of_groups")
def _take_of_groups(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    each, number, results = (node.attrs[name] for name in ("each", "number", "results"))
    group = _quotient(v, indices[-1], results)
    return v.at(node.operands[0], (*indices[:-1], combine([(group, each)], number)), guard)


def _quotient(v: Values, index: Offset, size: int) -> Offset:
    """An index that is not negative, divided by a number."""
    exact = index_maps.divide(index, size, v.extents)
    if exact is not None:
        return exact[0]
    position, divisor = v.scalars.index(index), v.scalars.constant(size, I64)
    return variable(v.scalars.primitive("index_divide", I64, position, divisor).name)


@rule("slice")
def _slice(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    start, step = node.attrs["start"], node.attrs["step"]
    source = tuple(combine([(i, s)], b) for i, b, s in zip(indices, start, step))
    return v.at(node.operands[0], source, guard)


@rule("pad")
def _pad(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    (x,) = node.operands
    source = tuple(combine([(i, 1)], -low) for i, low in zip(indices, node.attrs["low"]))
    if any(v.never_within(i, 0, d) for i, d in zip(source, x.type.shape)):
        return v.scalars.constant(node.attrs["value"], x.type.dtype)
    inside: Guard = None
    for i, d in zip(source, x.type.shape):
        inside = v.both(inside, v.within(i, 0, d))
    source = tuple(ZERO if d == 1 else i for i, d in zip(source, x.type.shape))
    element = v.at(x, source, v.both(guard, inside))
    if inside is None:
        return element
    fill = v.scalars.constant(node.attrs["value"], x.type.dtype)
    return v.scalars.primitive("select", x.type.dtype, inside, element, fill)


@rule("concatenate")
def _concatenate(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    axis = node.attrs["axis"]
    result: Scalar | None = None
    start: Dim = 0
    for x in node.operands:
        extent = x.type.shape[axis]
        mine = combine([(indices[axis], 1)], -start)
        start = start + extent
        if v.never_within(mine, 0, extent):
            continue
        inside = v.within(mine, 0, extent)
        source = (*indices[:axis], ZERO if extent == 1 else mine, *indices[axis + 1 :])
        if extent != 0:
            element = v.at(x, source, v.both(guard, inside))
            if result is None or inside is None:
                result = element
            else:
                result = v.scalars.primitive("select", element.dtype, inside, element, result)
    return result if result is not None else v.scalars.constant(0, node.result.type.dtype)


@rule("reshape")
def _reshape(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    (x,) = node.operands
    shape, source = node.result.type.shape, x.type.shape
    direct = index_maps.reshaped(indices, shape, source, v.extents)
    if direct is not None:
        return v.at(x, direct, guard)
    whole = linear(indices, shape)
    while x not in v.buffers and x in v.region.producers and v.region.producers[x].op.name == "reshape":
        (x,) = v.region.producers[x].operands
    if x in v.buffers:
        fill = v.scalars.constant(0, x.type.dtype) if guard else None
        return v.scalars.load(v.buffers[x], x.type.dtype, whole, guard, fill)
    return v.at(x, split(v, whole, x.type.shape), guard)


def split(v: Values, whole: Offset, shape: Sequence[Dim]) -> Indices:
    """The indices of the element at a row-major position, with divisions where they are needed."""
    result: list[Offset] = []
    for axis in range(len(shape) - 1, 0, -1):
        size = shape[axis]
        exact = index_maps.divide(whole, size, v.extents)
        if exact is None:
            position, divisor = v.scalars.index(whole), v.scalars.constant(size, I64)
            rest = v.scalars.primitive("index_remainder", I64, position, divisor)
            whole = variable(v.scalars.primitive("index_divide", I64, position, divisor).name)
            result.insert(0, variable(rest.name))
        else:
            whole, rest_index = exact
            result.insert(0, rest_index)
    return (ZERO if shape[0] == 1 else whole, *result) if shape else ()


@rule("gather")
def _gather(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    x, where = node.operands
    axis, rank = node.attrs["axis"], where.type.rank
    index = v.at(where, indices[axis : axis + rank], guard)
    size = x.type.shape[axis]
    position = wrapped(v, index, size, guard, range_message(size))
    source = (*indices[:axis], variable(position.name), *indices[axis + rank :])
    return v.at(x, source, guard)


def range_message(size: Dim) -> str:
    """What is said of an index from data that is out of range."""
    return f"index out of range for an axis of size {size}"


def wrapped(v: Values, index: Scalar, size: Dim, guard: Guard, message: str) -> Scalar:
    """An index from data as an i64 that is in range, negative ones counted from the end; the kernel fails
    otherwise.
    """
    s = v.scalars
    index = index if index.dtype == I64 else s.primitive("cast", I64, index)
    extent = s.constant(size, I64)
    negative = s.primitive("less", BOOL, index, s.constant(0, I64))
    index = s.primitive("select", I64, negative, s.primitive("add", I64, index, extent), index)
    inside = s.primitive(
        "bitwise_and",
        BOOL,
        s.primitive("greater_equal", BOOL, index, s.constant(0, I64)),
        s.primitive("less", BOOL, index, extent),
    )
    condition = inside
    if guard is not None:
        condition = s.primitive("bitwise_or", BOOL, inside, s.primitive("bitwise_not", BOOL, guard))
    v.fail(condition, "index", message)
    return s.primitive("select", I64, inside, index, s.constant(0, I64))


@rule("one_hot")
def _one_hot(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    (labels,) = node.operands
    label = v.at(labels, indices[:-1], guard)
    position = v.scalars.index(indices[-1])
    return _as(v, v.scalars.primitive("equal", BOOL, position, _cast(v, label, I64)), node)


def _cast(v: Values, x: Scalar, dtype: DType) -> Scalar:
    return x if x.dtype == dtype else v.scalars.primitive("cast", dtype, x)


@rule("check")
def _check(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    x, condition = node.operands
    holds = v.at(condition, index_maps.broadcast(indices, condition.type.shape), guard)
    if guard is not None:
        holds = v.scalars.primitive(
            "bitwise_or", BOOL, holds, v.scalars.primitive("bitwise_not", BOOL, guard)
        )
    v.fail(holds, node.attrs["error"], node.attrs["message"])
    return v.at(x, indices, guard)
