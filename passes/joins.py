"""Concatenations that need no code: their operands are computed in slices of the result.

A concatenation of channels is a kernel of its own (`join`). Where its operands are results of kernels that
nothing but kernels reads, they live in its result from the start, as columns of the rows of pixels; so do the
operands of a concatenation that is an operand itself. Elsewhere the kernel runs, and copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.ir.graph import Graph, Node, Value
from graphc.passes.plan import Strip
from graphc.passes.schedule import is_alias

WRITERS = frozenset({"contract", "map", "reduce", "rows", "join"})
"""Strategies of kernels that can write slices, and read them."""


@dataclass
class Joins:
    """`strips`: each value (no alias) that is a slice, with the value that it is a slice of and its place;
    `joined`: the results of concatenations that need no code.
    """

    strips: dict[Value, tuple[Value, Strip]] = field(default_factory=dict)
    joined: set[Value] = field(default_factory=set)


def is_join(node: Node) -> bool:
    """Whether a node is a kernel that concatenates channels."""
    return node.op.name == "kernel" and node.attrs["strategy"] == "join"


def joins_of(graph: Graph, root: Mapping[Value, Value]) -> Joins:
    """Which concatenations of a graph need no code; the last come first, so that those before them can be
    slices of theirs.
    """
    aliases: dict[Value, list[Value]] = {}
    for v in graph.values():
        aliases.setdefault(root[v], []).append(v)
    leaving = {root[v] for v in graph.results}
    found = Joins()
    for node in reversed(graph.nodes):
        if not is_join(node) or node.results[0] in leaving:
            continue
        operands = _operands(node)
        roots = [root[v] for v in operands]
        free = len(set(roots)) == len(roots) and not leaving.intersection(roots)
        if free and all(v not in found.strips and _fits(graph, v, aliases[v]) for v in roots):
            _claim(found, node.results[0], roots)
    return found


def _operands(node: Node) -> list[Value]:
    """What is concatenated, in order."""
    (region,) = node.regions
    given = dict(zip(region.inputs, node.operands))
    return [given[v] for v in region.nodes[-1].operands]


def channels(x: Value) -> int:
    """The number of channels, which concatenations of this kind know."""
    size = x.type.shape[-1]
    assert isinstance(size, int)
    return size


def _claim(found: Joins, result: Value, operands: list[Value]) -> None:
    base, strip = found.strips.get(result, (result, Strip(channels(result), 0)))
    column = strip.column
    for v in operands:
        found.strips[v] = (base, Strip(strip.width, column))
        column += channels(v)
    found.joined.add(result)


def _fits(graph: Graph, value: Value, aliases: list[Value]) -> bool:
    """Whether kernels alone write and read a value, row of channels by row."""
    node = graph.producers.get(value)
    if node is None or node.op.name != "kernel" or node.attrs["strategy"] not in WRITERS:
        return False
    if any(v.type.rank < 2 or v.type.shape[-1] != value.type.shape[-1] for v in aliases):
        return False
    readers = [n for v in aliases for n in graph.users[v] if not is_alias(n)]
    return all(n.op.name == "kernel" and n.attrs["strategy"] in WRITERS for n in readers)
