"""Products of one column or of one term as loops: sums of products along a row, and products of two vectors.

    x @ w, w one column          sum(x * transpose(w), last axis)
    transpose(x) @ g, one column sum(x * g, rows)
    g @ transpose(w), one term   g * transpose(w)

The microkernels of products fill whole vectors of columns, of which such a product has one element. As loops
they are fused with what stands before and behind them, which they would not be as products. Behind `hoist`,
which looks for products.
"""

from __future__ import annotations

from typing import Any

from graphc.ir.builder import Builder, Expr
from graphc.ir.graph import Graph, Node
from graphc.passes.manager import register
from graphc.passes.rewrite import Rewriter, in_regions


@register("thin")
def thin(graph: Graph) -> Graph:
    """The graph without floating-point products of one column or one term."""
    rewriter = Rewriter(graph)
    for node in graph.nodes:
        if not (node.op.name == "matmul" and _replaced(rewriter, node)):
            rewriter.keep(node, in_regions(node, thin))
    return rewriter.finish()


def _replaced(rewriter: Rewriter, node: Node) -> bool:
    a, turned = node.operands[0].type, node.attrs["transpose_a"]
    if not a.dtype.is_floating:
        return False
    if a.shape[-2 if turned else -1] == 1:
        return rewriter.replace(node, _one_term)
    return node.result.type.shape[-1] == 1 and rewriter.replace(node, _one_column)


def _one_term(b: Builder, /, x: Expr, y: Expr, transpose_a: bool, transpose_b: bool, **_: Any) -> Expr:
    return _turned(b, x, transpose_a) * _turned(b, y, transpose_b)


def _one_column(b: Builder, /, x: Expr, y: Expr, transpose_a: bool, transpose_b: bool, **_: Any) -> Expr:
    if transpose_a:
        total = b.sum(x * _turned(b, y, transpose_b), axes=(max(x.rank, y.rank) - 2,))
        return b.reshape(total, shape=(*total.shape, 1))
    return b.sum(x * _turned(b, y, not transpose_b), axes=(max(x.rank, y.rank) - 1,), keepdims=True)


def _turned(b: Builder, x: Expr, wanted: bool) -> Expr:
    """x with its last two axes, of which one has size 1, in the other order."""
    return b.reshape(x, shape=(*x.shape[:-2], x.shape[-1], x.shape[-2])) if wanted else x
