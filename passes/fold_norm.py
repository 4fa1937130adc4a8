"""A scale per column behind a product becomes a part of its second operand: x @ k * s + t = x @ (k * s) + t.

This is what batch normalisation at inference, or with frozen statistics, is to the convolution before it. The
operand is scaled in each call, since weights may change between calls. So it pays only where the product has
many more rows than the operand: elsewhere the scale stays in the product's epilogue, which costs 2 to 9 % of
a product with 64 to 80 terms and less of others.
"""

from __future__ import annotations

from typing import Any

from graphc.ir import dims
from graphc.ir.builder import Builder, Expr
from graphc.ir.graph import Graph, Node, Value
from graphc.passes.manager import register
from graphc.passes.rewrite import Rewriter, in_regions

LEAST_ROWS = 2
"""A product has so many rows per term (for a batch of one) where scaling its operand is cheaper."""


@register("fold_norm")
def fold_norm(graph: Graph) -> Graph:
    """The graph with scales moved into the operands of products where that is cheaper."""
    rewriter = Rewriter(graph)
    for node in graph.nodes:
        if node.op.name != "fma" or not _fold(rewriter, node):
            rewriter.keep(node, in_regions(node, fold_norm))
    return rewriter.finish()


def _fold(rewriter: Rewriter, node: Node) -> bool:
    value, scale, shift = node.operands
    if scale.type.rank != 1 or shift.type.rank != 1 or node.result.type.rank != 2:
        return False
    bias = _bias(rewriter, value)
    product = _alone(rewriter, value if bias is None else bias[0], "matmul")
    if product is None or not _pays(product, rewriter.graph):
        return False

    def build(b: Builder, /, x: Expr, s: Expr, t: Expr, **attrs: Any) -> Expr:
        left, right = (Expr(b, rewriter.value(v)) for v in product.operands)
        columns = b.reshape(s, shape=(*s.shape, 1)) if product.attrs["transpose_b"] else s
        t = t if bias is None else b.fma(Expr(b, rewriter.value(bias[1])), s, t)
        return b.matmul(left, right * columns, **product.attrs) + t

    return rewriter.replace(node, build)


def _alone(rewriter: Rewriter, value: Value, op: str) -> Node | None:
    """The node of this op that gives a value, if only one node reads it."""
    graph = rewriter.graph
    node = graph.producers.get(value)
    read_once = node is not None and len(graph.users[value]) == 1 and value not in graph.results
    return node if node is not None and read_once and node.op.name == op else None


def _bias(rewriter: Rewriter, value: Value) -> tuple[Value, Value] | None:
    """What a row is added to, and the row."""
    node = _alone(rewriter, value, "add")
    if node is None:
        return None
    first, second = node.operands
    return (second, first) if first.type.rank == 1 else (first, second) if second.type.rank == 1 else None


def _pays(product: Node, graph: Graph) -> bool:
    left, right = (v.type for v in product.operands)
    if left.rank != 2 or right.rank != 2 or not right.dtype.is_floating:
        return False
    ones = dict.fromkeys(graph.symbols, 1)
    sizes = (*product.result.type.shape, *right.shape)
    if not all(dims.symbols(d) <= ones.keys() for d in sizes):
        return False
    rows, columns = (dims.evaluate(d, ones) for d in product.result.type.shape)
    terms = dims.evaluate(right.size, ones) // max(columns, 1)
    return rows >= LEAST_ROWS * terms
