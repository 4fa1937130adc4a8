"""When nodes run: a number for each, counted through the regions of control ops, so that the lifetimes of all
buffers of a call can be compared.

A kernel takes one number. A control op begins with one; then come its regions, one after the other, each
with one more number for what happens after its last node. Turns after the first have the same numbers: what
lives from one turn to the next lives as long as the whole op.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.ir.graph import Graph, Node
from graphc.ir.opdef import Kind


@dataclass(frozen=True)
class Times:
    """The first and the last number of each node of a graph (regions apart), and those with which the graph
    starts and of what comes after its last node.
    """

    start: int
    nodes: dict[Node, tuple[int, int]]
    end: int


def times_of(graph: Graph, start: int = 0) -> Times:
    """The times of a graph's or of a region's nodes."""
    nodes: dict[Node, tuple[int, int]] = {}
    now = start
    for node in graph.nodes:
        length = _length(node)
        nodes[node] = (now, now + length - 1)
        now += length
    return Times(start, nodes, now)


def region_times(node: Node, begin: int) -> list[Times]:
    """The times of each region of a control op that begins at that time."""
    found = []
    now = begin + 1
    for region in node.regions:
        found.append(times_of(region, now))
        now = found[-1].end + 1
    return found


def _length(node: Node) -> int:
    if node.op.kind is not Kind.CONTROL:
        return 1
    return 1 + sum(1 + sum(map(_length, region.nodes)) for region in node.regions)
