"""Sums of what loops over rows compute go along the rows first:

    sum(x - mean(x, rows), all axes)        sum(sum(x - mean(x, rows), rows), all axes)

So the loops that fold the rows give a number for each, and x - mean is never in memory: a sum over more axes
than they fold has loops of its own, which could only begin when all rows are done.
"""

from __future__ import annotations

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Shape
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.clusters import reduction_axes
from graphc.passes.manager import register
from graphc.passes.rewrite import Rewriter, in_regions

VIEWS = frozenset({"broadcast", "reshape"})


@register("row_sums")
def row_sums(graph: Graph) -> Graph:
    """The graph with sums in two steps where what they add up depends on folds along some of their axes."""
    rewriter = Rewriter(graph)
    folded: dict[Value, tuple[Shape, tuple[int, ...]]] = {}
    for node in graph.nodes:
        if not (node.op.name == "sum" and _replaced(rewriter, node, folded)):
            rewriter.keep(node, in_regions(node, row_sums))
        if node.op.kind is Kind.REDUCTION:
            folded[node.result] = (node.operands[0].type.shape, reduction_axes(node))
        elif node.op.kind is Kind.ELEMENTWISE or node.op.name in VIEWS:
            above = next((folded[v] for v in node.operands if v in folded), None)
            if above is not None:
                folded.update(dict.fromkeys(node.results, above))
    return rewriter.finish()


def _replaced(rewriter: Rewriter, node: Node, folded: dict[Value, tuple[Shape, tuple[int, ...]]]) -> bool:
    x = node.operands[0]
    shape, rows = folded.get(x, ((), ()))
    if shape != x.type.shape or not set(rows) < set(node.attrs["axes"]):
        return False

    def made(b: Builder, /, x: Expr, axes: tuple[int, ...], keepdims: bool) -> Expr:
        return b.sum(b.sum(x, axes=rows, keepdims=True), axes=axes, keepdims=keepdims)

    return bool(rows) and rewriter.replace(node, made)
