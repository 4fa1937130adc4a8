"""Constants: a node whose operands are all constants becomes one, where that does not cost memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir import dims
from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Size
from graphc.ir.errors import GraphcError
from graphc.ir.graph import Graph, Node
from graphc.ir.opdef import Kind
from graphc.passes.manager import register
from graphc.passes.rewrite import Rewriter, in_regions

MAX_BYTES = 1 << 20
"""The largest constant that folding makes."""

SMALL_BYTES = 256
"""Up to here a constant may be larger than those that it is made from."""

_FOLDED = frozenset(
    [Kind.ELEMENTWISE, Kind.VIEW, Kind.REDUCTION, Kind.GATHER, Kind.SCATTER, Kind.CUMULATIVE, Kind.COARSE]
)


@register("fold")
def fold(graph: Graph) -> Graph:
    """The graph with constants for all that depends on nothing else."""
    rewriter = Rewriter(graph)
    for node in graph.nodes:
        values = _folded(rewriter, node)
        if values is None or not rewriter.replace(node, _constants(node, values)):
            rewriter.keep(node, in_regions(node, fold))
    return rewriter.finish()


def _constants(node: Node, values: list[np.ndarray]) -> Any:
    def build(b: Builder, /, *operands: Expr, **attrs: Any) -> list[Expr]:
        return [b.constant(v, r.type.dtype) for v, r in zip(values, node.results)]

    return build


def _folded(rewriter: Rewriter, node: Node) -> list[np.ndarray] | None:
    """The node's values, or None if they are not known, too large, or an error for the user to see at run
    time.
    """
    if node.op.kind not in _FOLDED or not node.operands or node.regions:
        return None
    if node.op.name == "broadcast" or any(isinstance(d, Size) for r in node.results for d in r.type.shape):
        return None  # a broadcast constant is read from memory, a scalar is not
    operands = [_constant(rewriter, node, i) for i in range(len(node.operands))]
    if any(x is None for x in operands):
        return None
    arrays = [x for x in operands if x is not None]
    sizes = sum(dims.evaluate(r.type.size, {}) * r.type.dtype.itemsize for r in node.results)
    if sizes > min(MAX_BYTES, max(SMALL_BYTES, sum(x.nbytes for x in arrays))):
        return None
    try:
        with np.errstate(all="ignore"):
            result = node.op.evaluate(*arrays, **node.attrs)
    except (GraphcError, ArithmeticError, ValueError, IndexError):
        return None
    made = result if isinstance(result, tuple) else (result,)
    return [np.asarray(v, r.type.dtype.numpy) for v, r in zip(made, node.results)]


def _constant(rewriter: Rewriter, node: Node, index: int) -> np.ndarray | None:
    value = rewriter.value(node.operands[index])
    producer = rewriter.producer(value)
    if producer is None or producer.op.name != "constant" or isinstance(producer.attrs["value"], Size):
        return None
    return np.asarray(producer.attrs["value"], value.type.dtype.numpy)
