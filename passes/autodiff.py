"""`gradient` nodes become the nodes of the reverse sweep; after that nothing needs `stop_gradient` any
more.
"""

from __future__ import annotations

from graphc.ir.differentiate import expand_gradients
from graphc.ir.graph import Graph
from graphc.passes.manager import register
from graphc.passes.rewrite import Rewriter, in_regions


@register("autodiff")
def autodiff(graph: Graph) -> Graph:
    """The graph with every gradient written out."""
    if any(node.op.name == "gradient" for node in graph.nodes):
        graph = expand_gradients(graph)
    return _without_stops(graph)


def _without_stops(graph: Graph) -> Graph:
    rewriter = Rewriter(graph)
    for node in graph.nodes:
        if node.op.name == "stop_gradient":
            rewriter.stand_in(node, [rewriter.value(node.operands[0])])
        else:
            rewriter.keep(node, in_regions(node, _without_stops))
    return rewriter.finish()
