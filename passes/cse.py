"""Common subexpressions: nodes of one op with the same operands, attributes and regions become the first of
them.

Random ops carry the number of their call as an attribute, so two dropouts stay two. Folds that differ in
`keepdims` only are one fold and a reshape.
"""

from __future__ import annotations

from collections.abc import Hashable

from graphc.ir.graph import Graph, Node, Value
from graphc.ir.literals import literal_text
from graphc.passes.manager import register
from graphc.passes.rewrite import Replacement, Rewriter, in_regions

COMMUTE_EXACTLY = frozenset({"add", "multiply", "equal", "not_equal"}) | {
    f"{family}_{word}" for family in ("logical", "bitwise") for word in ("and", "or", "xor")
}
"""Ops whose operands may be exchanged without a change of any bit: not `maximum`, which may see 0.0 and
-0.0.
"""


@register("cse")
def cse(graph: Graph) -> Graph:
    """The graph without repeated nodes, in it and within each of its regions."""
    rewriter = Rewriter(graph)
    first: dict[Hashable, Node] = {}
    for node in graph.nodes:
        regions = in_regions(node, cse)
        key = _key(rewriter, node, regions)
        if key not in first:
            first[key] = rewriter.keep(node, regions)
        elif first[key].attrs.get("keepdims") == node.attrs.get("keepdims"):
            rewriter.stand_in(node, first[key].results)
        else:
            rewriter.replace(node, _reshaped(first[key], node))
    return rewriter.finish()


def _reshaped(first: Node, node: Node) -> Replacement:
    """The same fold with other axes of size 1."""
    return lambda b, /, *operands, **attrs: b.reshape(first.result, shape=node.result.type.shape)


def _key(rewriter: Rewriter, node: Node, regions: tuple[Graph, ...]) -> Hashable:
    operands: tuple[Value, ...] = tuple(rewriter.value(v) for v in node.operands)
    if node.op.name in COMMUTE_EXACTLY:
        operands = tuple(sorted(operands, key=id))
    attrs = tuple((name, literal_text(value)) for name, value in node.attrs.items() if name != "keepdims")
    return node.op.name, operands, attrs, regions
