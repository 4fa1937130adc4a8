"""Outputs that need an order: scatters, updates of a slice, running sums."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.codegen import index_maps
from graphc.codegen.index_maps import Indices, combine, linear, variable
from graphc.codegen.loops import Nest, Running, Stage, Store
from graphc.codegen.lower_map import Outputs
from graphc.codegen.scalar import BODY, OUTER, Scalar
from graphc.codegen.values import Values
from graphc.codegen.view_rules import range_message, wrapped
from graphc.ir import Node, Value
from graphc.ir.dims import Shape
from graphc.ir.errors import CompileError

ORDERED = frozenset({"scatter_add", "update_slice", "cumsum"})


def lower_ordered(values: Values, outputs: Outputs, in_place: Mapping[str, str] | None = None) -> list[Nest]:
    """A copy and the writes after it, or a running sum, for each output; a result that lies where the array
    lies needs no copy.
    """
    nests: list[Nest] = []
    for buffer, value in outputs:
        node = values.region.producers[value]
        if node.op.name == "cumsum":
            values.start()
            nests.append(_cumsum(values, node, buffer))
        elif node.op.name in ORDERED:
            if not _is_there(values, node.operands[0], buffer, in_place):
                values.start()
                nests.append(_copy(values, node.operands[0], buffer))
            values.start()
            nests.append(
                (_update_slice if node.op.name == "update_slice" else _scatter_add)(values, node, buffer)
            )
        else:
            raise CompileError(f"%{value.name} follows a scatter or a running sum inside its kernel")
    return nests


def _is_there(values: Values, x: Value, buffer: str, in_place: Mapping[str, str] | None) -> bool:
    return in_place is not None and in_place.get(buffer, "") == values.buffers.get(x)


def _axes(values: Values, shape: Shape) -> Indices:
    return tuple(values.axis(f"i{axis}", d, OUTER) for axis, d in enumerate(shape))


def _nest(values: Values, indices: Indices, lane: bool, ordered: bool = False) -> Nest:
    """A nest with one stage without loops, from what was written."""
    start, body, _ = values.scalars.code
    axes = tuple(values.loop(i.terms[0][0]) for i in indices if i.terms)
    name = axes[-1].name if axes and lane else None
    return Nest(axes, (Stage((), tuple(body)),), name, start=tuple(start), ordered=ordered)


def _copy(values: Values, x: Value, buffer: str) -> Nest:
    indices = _axes(values, x.type.shape)
    element = values.at(x, indices)
    place = linear(indices, x.type.shape)
    values.scalars.code[OUTER].append(Store(buffer, place, element.name))
    return _nest(values, indices, lane=True)


def _update_slice(values: Values, node: Node, buffer: str) -> Nest:
    x, new = node.operands
    indices = _axes(values, new.type.shape)
    element = values.at(new, indices)
    start, step = node.attrs["start"], node.attrs["step"]
    place = tuple(combine([(i, s)], a) for i, a, s in zip(indices, start, step))
    strides = index_maps.row_major(x.type.shape)
    store = Store(buffer, combine(list(zip(place, strides))), element.name)
    values.scalars.code[OUTER].append(store)
    return _nest(values, indices, lane=True)


def _scatter_add(values: Values, node: Node, buffer: str) -> Nest:
    """Update after update, in order; the axes behind the indexed one are the lanes, since they never meet."""
    x, where, updates = node.operands
    axis, rank = node.attrs["axis"], where.type.rank
    indices = _axes(values, updates.type.shape)
    index = values.at(where, indices[axis : axis + rank])
    size = x.type.shape[axis]
    position = wrapped(values, index, size, None, range_message(size))
    place = linear((*indices[:axis], variable(position.name), *indices[axis + rank :]), x.type.shape)
    scalars = values.scalars
    before = scalars.load(buffer, x.type.dtype, place, least=OUTER)
    after = scalars.primitive("add", x.type.dtype, before, values.at(updates, indices))
    depth = scalars.depth[after.name]
    scalars.code[max(depth, OUTER)].append(Store(buffer, place, after.name))
    lane = any(i.terms for i in indices[axis + rank :]) and bool(indices[-1].terms)
    return _nest(values, indices, lane, ordered=True)


def _cumsum(values: Values, node: Node, buffer: str) -> Nest:
    """Columns run down the axis together; along the last axis a row is summed one by one."""
    (x,) = node.operands
    axis, shape, scalars = node.attrs["axis"], x.type.shape, values.scalars
    indices = tuple(
        values.axis(f"{'j' if a == axis else 'i'}{a}", d, BODY if a == axis else OUTER)
        for a, d in enumerate(shape)
    )
    if node.attrs["reverse"] and indices[axis].terms:
        turned = combine([(indices[axis], -1)], shape[axis] - 1)
        indices = (*indices[:axis], turned, *indices[axis + 1 :])
    element = values.at(x, indices)
    total: Scalar = scalars.named(scalars.fresh("cumsum"), element.dtype, BODY)
    running = Running(total.name, element.dtype, "sum", element.name, bool(node.attrs["exclusive"]))
    scalars.code[BODY].extend((running, Store(buffer, linear(indices, shape), total.name)))
    start, outer, body = scalars.code
    stages = [Stage((), tuple(outer))] if outer else []
    loops = tuple(values.loop(i.terms[0][0]) for a, i in enumerate(indices) if i.terms and a == axis)
    axes = tuple(values.loop(i.terms[0][0]) for a, i in enumerate(indices) if i.terms and a != axis)
    lane = axes[-1].name if axes and indices[-1].terms and axis != len(shape) - 1 else None
    return Nest(axes, (*stages, Stage(loops, tuple(body))), lane, start=tuple(start))
