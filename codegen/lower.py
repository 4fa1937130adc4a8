"""A `kernel` node of the final graph -> loop nests.

The outputs of the region are divided into parts: those that a product gives, those around reductions over the
same axes, and those that need neither. Each part becomes one nest (or product); every value inside is
computed backwards from its store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphc.codegen.collapse import collapse
from graphc.codegen.loops import Buffer, Kernel, Part
from graphc.codegen.lower_map import lower_map
from graphc.codegen.lower_ordered import ORDERED, lower_ordered
from graphc.codegen.lower_product import lower_product
from graphc.codegen.lower_reduce import lower_reduce
from graphc.codegen.scalar import Scalars
from graphc.codegen.values import Values
from graphc.ir import Graph, Kind, Node, Value
from graphc.ir.dims import Shape


@dataclass(frozen=True)
class Group:
    """Outputs of a region that one nest computes: by a product, around reductions of the shape over the axes,
    or neither.
    """

    kind: str
    shape: Shape
    axes: tuple[int, ...] = ()


def lower(node: Node, name: str = "", in_place: Mapping[str, str] | None = None) -> Kernel:
    """The loop nests of a `kernel` node; its buffers bear the names of the node's operands and results.

    `in_place` says which results take the place of which operands in memory; where it is not given, any
    result may take the place of any operand of its type.
    """
    (region,) = node.regions
    inputs = {v: x.name for v, x in zip(region.inputs, node.operands)}
    outputs = [(r.name, v) for r, v in zip(node.results, region.outputs)]
    scalars = Scalars()
    for buffer in dict.fromkeys([*inputs.values(), *(n for n, _ in outputs)]):
        scalars.fresh(buffer)
    values = Values(region, inputs, scalars)
    parts: list[Part] = []
    for group, members in divide(region, outputs).items():
        values.start()
        if group.kind == "product":
            parts.append(lower_product(values, members, in_place))
        elif group.kind == "ordered":
            parts.extend(lower_ordered(values, members))
        elif group.kind == "map":
            parts.append(lower_map(values, members, group.shape))
        else:
            parts.append(lower_reduce(values, members, group.shape, group.axes))
    return Kernel(
        name or node.results[0].name,
        _buffers(node),
        tuple(collapse(p) for p in parts),
        tuple(values.failures),
        tuple(values.tables.values()),
    )


def _buffers(node: Node) -> tuple[Buffer, ...]:
    found = {x.name: Buffer(x.name, x.type.dtype, x.type.size) for x in node.operands}
    found |= {r.name: Buffer(r.name, r.type.dtype, r.type.size, output=True) for r in node.results}
    return tuple(found.values())


def divide(region: Graph, outputs: list[tuple[str, Value]]) -> dict[Group, list[tuple[str, Value]]]:
    """Which outputs one nest computes together."""
    reductions = {n.op.kind is Kind.REDUCTION: n for n in region.nodes}
    shapes = {_reduced(n) for n in region.nodes if n.op.kind is Kind.REDUCTION}
    groups: dict[Group, list[tuple[str, Value]]] = {}
    for name, value in outputs:
        cone = _cone(region, value)
        inner = {_reduced(n) for n in cone if n.op.kind is Kind.REDUCTION}
        if any(n.op.name in ORDERED for n in cone):
            group = Group("ordered", value.type.shape)
        elif any(n.op.kind is Kind.CONTRACTION for n in cone):
            group = Group("product", value.type.shape)
        elif inner:
            group = Group("reduce", *max(inner, key=lambda s: len(s[0])))
        elif reductions.get(True) is not None and any(value.type.shape == s for s, _ in shapes):
            group = Group("reduce", *next(s for s in shapes if s[0] == value.type.shape))
        else:
            group = Group("map", value.type.shape)
        groups.setdefault(group, []).append((name, value))
    return groups


def _reduced(node: Node) -> tuple[Shape, tuple[int, ...]]:
    axes = (node.attrs["axis"],) if "axis" in node.attrs else tuple(node.attrs["axes"])
    return node.operands[0].type.shape, axes


def _cone(region: Graph, value: Value) -> set[Node]:
    found: set[Node] = set()
    todo = [value]
    while todo:
        node = region.producers.get(todo.pop())
        if node is not None and node not in found:
            found.add(node)
            todo += node.operands
    return found
