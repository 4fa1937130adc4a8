"""Dead code: nodes that no output, update or check needs are left out."""

from __future__ import annotations

from graphc.ir.graph import Graph, Node, Value
from graphc.passes.manager import register
from graphc.passes.rewrite import Rewriter, in_regions


def can_fail(node: Node) -> bool:
    """Whether running the node can raise an error that its user must see."""
    return node.op.can_fail or any(can_fail(n) for region in node.regions for n in region.nodes)


@register("dce")
def dce(graph: Graph) -> Graph:
    """The graph without nodes that nothing needs; those that can fail stay, with all that they read."""
    needed: set[Value] = set(graph.results)
    live: set[Node] = set()
    for node in reversed(graph.nodes):
        if can_fail(node) or not needed.isdisjoint(node.results):
            live.add(node)
            needed.update(node.operands)
    rewriter = Rewriter(graph)
    for node in graph.nodes:
        if node in live:
            rewriter.keep(node, in_regions(node, dce))
        else:
            rewriter.drop(node)
    return rewriter.finish()
