"""Coarse ops become the simpler ones that their definitions say, down to ops that have no decomposition."""

from __future__ import annotations

from collections.abc import Callable

from graphc.ir.graph import Graph, Node
from graphc.ir.opdef import Kind
from graphc.passes.manager import register
from graphc.passes.rewrite import Rewriter, in_regions


@register("decompose")
def decompose(graph: Graph) -> Graph:
    """The graph without coarse ops; new nodes say in their location what they are a part of."""
    return expand(graph, lambda node: node.op.kind is Kind.COARSE)


def expand(graph: Graph, chosen: Callable[[Node], bool]) -> Graph:
    """Put their decompositions in the place of the chosen nodes, until none is left that has one."""
    while True:
        after = _expand_once(graph, chosen)
        if after is graph:
            return graph
        graph = after


def _expand_once(graph: Graph, chosen: Callable[[Node], bool]) -> Graph:
    rewriter = Rewriter(graph)
    for node in graph.nodes:
        formula = node.op.decompose
        if formula is None or not chosen(node):
            rewriter.keep(node, in_regions(node, lambda region: expand(region, chosen)))
            continue
        place = node.location
        note = place.derived or f"part of {node.op.name}"
        if not rewriter.replace(node, formula, place.derive(note)):
            rewriter.keep(node)
    return rewriter.finish()
