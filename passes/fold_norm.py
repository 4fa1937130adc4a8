"""A scale per column behind a product becomes a part of its second operand: x @ k * s + t = x @ (k * s) + t.

This is what batch normalisation at inference, or with frozen statistics, is to the convolution before it. The
operand is scaled in each call, since weights may change between calls. So it pays only where the product has
many more rows than the operand: elsewhere the scale stays in the product's epilogue, which costs 2 to 9 % of
a product with 64 to 80 terms and less of others.
"""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Any

from graphc.ir import dims
from graphc.ir.builder import Builder, Expr
from graphc.ir.graph import Graph, Node, Value
from graphc.passes.manager import register
from graphc.passes.rewrite import Rewriter, in_regions

PRODUCTS = ("matmul", "window_product")
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
    if not (_is_row(scale) and _is_row(shift)) or node.result.type.rank < 2:
        return False
    bias = _bias(rewriter, value)
    product = _alone(rewriter, value if bias is None else bias[0], PRODUCTS)
    if product is None or not _pays(product, rewriter.graph):
        return False

    def build(b: Builder, /, x: Expr, s: Expr, t: Expr, **attrs: Any) -> Expr:
        left, right = (Expr(b, rewriter.value(v)) for v in product.operands)
        s, t = (_row(rewriter, v) for v in (s, t))
        columns = b.reshape(s, shape=(*s.shape, 1)) if product.attrs.get("transpose_b") else s
        t = t if bias is None else b.fma(_row(rewriter, Expr(b, rewriter.value(bias[1]))), s, t)
        return b.op(product.op.name, left, right * columns, **product.attrs) + t

    return rewriter.replace(node, build)


def _is_row(x: Value) -> bool:
    return x.type.rank > 0 and all(d == 1 for d in x.type.shape[:-1])


def _row(rewriter: Rewriter, x: Expr) -> Expr:
    """A value per column without axes of size 1 in front."""
    node = rewriter.producer(x.value)
    if node is not None and node.op.name == "reshape" and node.operands[0].type.shape == x.shape[-1:]:
        return Expr(x.builder, node.operands[0])
    return x if x.rank == 1 else x.builder.reshape(x, shape=x.shape[-1:])


def _alone(rewriter: Rewriter, value: Value, ops: Container[str]) -> Node | None:
    """The node of one of these ops that gives a value, if only one node reads it."""
    graph = rewriter.graph
    node = graph.producers.get(value)
    read_once = node is not None and len(graph.users[value]) == 1 and value not in graph.results
    return node if node is not None and read_once and node.op.name in ops else None


def _bias(rewriter: Rewriter, value: Value) -> tuple[Value, Value] | None:
    """What a row is added to, and the row."""
    node = _alone(rewriter, value, ("add",))
    if node is None:
        return None
    first, second = node.operands
    return (second, first) if _is_row(first) else (first, second) if _is_row(second) else None


def _pays(product: Node, graph: Graph) -> bool:
    right = product.operands[1].type
    per_column = right.rank == 2 if product.op.name == "matmul" else not product.attrs["turned"]
    if not per_column or not right.dtype.is_floating:
        return False
    ones = dict.fromkeys(graph.symbols, 1)
    sizes = (*product.result.type.shape, *right.shape)
    if not all(dims.symbols(d) <= ones.keys() for d in sizes):
        return False
    *outer, columns = (dims.evaluate(d, ones) for d in product.result.type.shape)
    terms = dims.evaluate(right.size, ones) // max(columns, 1)
    return math.prod(outer) >= LEAST_ROWS * terms
