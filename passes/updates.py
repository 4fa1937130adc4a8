"""Optimizer ops become elementwise nodes, which then fuse with the gradients that feed them."""

from __future__ import annotations

from graphc.ir.graph import Graph
from graphc.ir.ops.updates import UPDATES
from graphc.passes.decompose import expand
from graphc.passes.manager import register


@register("updates")
def updates(graph: Graph) -> Graph:
    """The graph with the formulas of `sgd`, `adam`, ... in their places."""
    return expand(graph, lambda node: node.op.name in UPDATES)
