"""Work on the elements of a reshaped product moves in front of the reshape, where it can be the product's
epilogue.

A convolution is a matrix product with a row per pixel, reshaped to images: bias, batch normalisation, relu, a
residual sum and the gradients of these then work on the rows of the matrix, and so do folds over all pixels.

    relu(reshape(a @ b) * scale + shift)    ->    reshape(relu(a @ b * scale + shift))
"""

from __future__ import annotations

from typing import Any

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Shape
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.manager import register
from graphc.passes.rewrite import Rewriter, in_regions
from graphc.passes.roles import COSTS, DEAR

MASKS = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_not"})
"""They are computed again by whoever reads them, so they move only along with a reader."""


@register("epilogues")
def epilogues(graph: Graph) -> Graph:
    """The graph with elementwise work and folds moved to the matrices that products give."""
    return _Mover(graph).run()


class _Mover:
    """The state: the matrix that each value is a reshape of, and which matrices come from products."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.rewriter = Rewriter(graph)
        self.products: set[Value] = set()
        self.matrix: dict[Value, Value] = {}

    def run(self) -> Graph:
        """Look at all nodes in order."""
        if all(n.op.name != "matmul" and not n.regions for n in self.graph.nodes):
            return self.graph
        for node in self.graph.nodes:
            moved = len(node.results) == 1 and not node.op.can_fail and self._move(node)
            if not moved:
                self._learn(self.rewriter.keep(node, in_regions(node, epilogues)))
        return self.rewriter.finish()

    def _learn(self, node: Node) -> None:
        """What a node that stays says about its result."""
        if node.op.name == "matmul" and node.result.type.rank == 2:
            self.products.add(node.result)
        elif node.op.name == "reshape":
            source = self.matrix.get(node.operands[0], node.operands[0])
            shape = node.result.type.shape
            if source in self.products and len(shape) > 2 and shape[-1] == source.type.shape[-1]:
                self.matrix[node.result] = source

    def _move(self, node: Node) -> bool:
        operands = [self.rewriter.value(v) for v in node.operands]
        shape = node.result.type.shape
        if node.op.kind is Kind.ELEMENTWISE and node.op.name not in MASKS:
            known = (self.matrix[v] for v in operands if v in self.matrix and v.type.shape == shape)
            matrix = next(known, None)
            return matrix is not None and len(shape) > 2 and self._elementwise(node, matrix.type.shape)
        if not operands or operands[0] not in self.matrix:
            return False
        matrix = self.matrix[operands[0]]
        if node.op.kind is Kind.REDUCTION:
            return node.attrs.get("axes") == tuple(range(operands[0].type.rank - 1)) and self._fold(node)
        if node.op.name == "reshape" and shape == matrix.type.shape:
            self.rewriter.stand_in(node, [matrix])
            return True
        return False

    def _elementwise(self, node: Node, shape: Shape) -> bool:
        found: dict[Value, Value] = {}

        def build(b: Builder, /, *operands: Expr, **attrs: Any) -> Expr | None:
            rows = [self._rows(b, x.value, shape, found) for x in operands]
            if any(r is None for r in rows):
                return None
            made = b.op(node.op.name, *(r for r in rows if r is not None), **attrs)
            found[node.result] = made.value
            return b.reshape(made, shape=node.result.type.shape)

        if not self.rewriter.replace(node, build):
            return False
        self.matrix.update(found)
        self.products.add(found[node.result])
        return True

    def _fold(self, node: Node) -> bool:
        def build(b: Builder, /, x: Expr, **attrs: Any) -> Expr:
            matrix = Expr(b, self.matrix[x.value])
            folded = b.op(node.op.name, matrix, **{**attrs, "axes": (0,), "keepdims": False})
            return b.reshape(folded, shape=node.result.type.shape)

        return self.rewriter.replace(node, build)

    def _rows(self, b: Builder, x: Value, shape: Shape, found: dict[Value, Value]) -> Expr | None:
        """A value of the images' shape as a matrix of this shape, or one per channel as a row; None if it
        had to be stored for that alone.
        """
        known = self.matrix.get(x, found.get(x))
        if known is not None and known.type.shape == shape:
            return Expr(b, known)
        own = x.type.shape
        if len(own) < 2:
            return Expr(b, x)
        if all(d == 1 for d in own[:-1]):
            node = self.rewriter.producer(x)
            is_row = (
                node is not None and node.op.name == "reshape" and node.operands[0].type.shape == own[-1:]
            )
            return Expr(b, node.operands[0]) if node is not None and is_row else b.reshape(x, shape=own[-1:])
        if own[-1] != shape[-1] or x.type.size != shape[0] * shape[1]:
            return None
        return self._whole(b, x, shape, found)

    def _whole(self, b: Builder, x: Value, shape: Shape, found: dict[Value, Value]) -> Expr | None:
        node = self.rewriter.producer(x)
        if node is None:
            return b.reshape(x, shape=shape)
        if node.op.name == "broadcast":
            return self._rows(b, node.operands[0], shape, found)
        if not self._is_stored(node):
            return None
        alone = len(self.graph.users.get(x, ())) == 1
        is_elementwise = node.op.kind is Kind.ELEMENTWISE and not node.op.can_fail
        if is_elementwise and (alone or COSTS.get(node.op.name, DEAR) == 1):
            rows = [self._rows(b, v, shape, found) for v in node.operands]
            if all(r is not None for r in rows):
                made = b.op(node.op.name, *(r for r in rows if r is not None), **node.attrs)
                if made.shape == shape:
                    found[x] = made.value
                return made
        return None if is_elementwise and (alone or node.op.name in MASKS) else b.reshape(x, shape=shape)

    def _is_stored(self, node: Node) -> bool:
        """Whether a node's result is no mere view, which loops read without storing it."""
        while node.op.name == "reshape":
            below = self.rewriter.producer(node.operands[0])
            if below is None:
                return True
            node = below
        return node.op.kind not in (Kind.VIEW, Kind.CREATION)
