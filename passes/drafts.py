"""One loop nest while it is being put together: what it computes, over which axes, and which nodes it can
still take.

The rules of legality for every strategy are here, as functions that give the reason against, or "" if there
is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.ir.dims import Shape
from graphc.ir.graph import Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.alignment import (
    MISALIGNED,
    Alignment,
    Misaligned,
    fits_full,
    fits_reduced,
    reduced_axes,
    through,
)
from graphc.passes.roles import Role

OWN_POSITION = "reads it at other positions than those at which it is computed"
OTHER_SHAPE = "has another shape than the loops"
OTHER_FOLD = "folds other axes"
MOST_NODES = 200
MOST_FOLDS = 14
MANY_FOLDS = f"the loops hold more than {MOST_FOLDS} folds then, and no more fit in registers"
UNFAILING = "may fail, and a product is told nothing by those who see its tiles"
FULL = f"the loops compute {MOST_NODES} values already, and code for many more compiles slowly"
ALONE = {
    Role.OUTSIDE: "is not computed by a kernel",
    Role.SCATTER: "a scatter is complete only after its last element",
    Role.JOIN: "the parts of a concatenation are written where they belong",
    Role.SCAN: "a running fold has a loop of its own",
    Role.CONTRACTION: "a product's result is folded by another loop",
}


@dataclass
class Draft:
    """A loop nest over `shape` that folds the axes `reduced`; `places` has the alignment of every value that
    it computes.
    """

    role: Role
    shape: Shape
    reduced: frozenset[int]
    anchor: Node
    nodes: list[Node] = field(default_factory=list)
    places: dict[Value, Alignment] = field(default_factory=dict)
    _fit: tuple[Node | None, Alignment] = (
        None,
        None,
    )  # the last answer: it is asked for again when a node joins

    def place(self, value: Value, virtual: Mapping[Value, Node]) -> Alignment:
        """Where a value lies in this nest, looking through virtual nodes; None for values from memory."""
        return self._place(value, virtual, {})

    def _place(self, value: Value, virtual: Mapping[Value, Node], found: dict[Value, Alignment]) -> Alignment:
        if value in self.places:
            return self.places[value]
        if value not in found and value in virtual:
            node = virtual[value]
            found[value] = through(node, [self._place(v, virtual, found) for v in node.operands])
        return found.get(value)

    def against_pointwise(self, node: Node, virtual: Mapping[Value, Node]) -> str:
        """Why a node that works element by element can't be computed in this nest."""
        if self.role in ALONE and self.role is not Role.CONTRACTION:
            return ALONE[self.role]
        if len(self.nodes) >= MOST_NODES:
            return FULL
        if self.role is Role.CONTRACTION and node.op.can_fail:
            return UNFAILING
        return "" if self._pointwise_place(node, virtual) is not MISALIGNED else self._why(node, virtual)

    def _why(self, node: Node, virtual: Mapping[Value, Node]) -> str:
        places = [self.place(v, virtual) for v in node.operands]
        return OWN_POSITION if isinstance(through(node, places), Misaligned) else OTHER_SHAPE

    def _pointwise_place(self, node: Node, virtual: Mapping[Value, Node]) -> Alignment:
        """Where the node's result would lie; MISALIGNED if it can't be in these loops."""
        if self._fit[0] is not node:
            self._fit = (node, self._find_place(node, virtual))
        return self._fit[1]

    def _find_place(self, node: Node, virtual: Mapping[Value, Node]) -> Alignment:
        axes = through(node, [self.place(v, virtual) for v in node.operands])
        shape = node.results[0].type.shape
        if isinstance(axes, Misaligned):
            return MISALIGNED
        if axes is None:
            axes = (-1,) * len(shape)
        if fits_full(axes, shape, self.shape):
            return tuple(range(len(shape)))
        place = fits_reduced(axes, shape, self.shape, self.reduced) if self.role is Role.REDUCTION else None
        return MISALIGNED if place is None else place

    def add_pointwise(self, node: Node, virtual: Mapping[Value, Node]) -> None:
        """Take a node that `against_pointwise` has nothing against."""
        place = self._pointwise_place(node, virtual)
        self.nodes.append(node)
        self.places.update((r, place) for r in node.results)

    def against_reduction(self, node: Node, axes: tuple[int, ...], virtual: Mapping[Value, Node]) -> str:
        """Why a fold over these axes of its operand can't be a stage of this nest."""
        if self.role in ALONE:
            return ALONE[self.role]
        if len(self.nodes) >= MOST_NODES:
            return FULL
        value = node.operands[0]
        place = self.place(value, virtual)
        if isinstance(place, Misaligned):
            return OWN_POSITION
        if place is None or not fits_full(place, value.type.shape, self.shape):
            return OTHER_SHAPE
        return "" if self.role is Role.POINTWISE or self.reduced == frozenset(axes) else OTHER_FOLD

    def add_reduction(self, node: Node, axes: tuple[int, ...]) -> None:
        """Take a fold that `against_reduction` has nothing against."""
        if self.role is Role.POINTWISE:
            self.role, self.reduced, self.anchor = Role.REDUCTION, frozenset(axes), node
        self.nodes.append(node)
        place = reduced_axes(self.shape, self.reduced, bool(node.attrs.get("keepdims")))
        self.places.update((r, place) for r in node.results)

    def against_merge(self, other: Draft) -> str:
        """Why another nest, of which nothing here depends and that depends on nothing here, can't share the
        loops.
        """
        if len(self.nodes) + len(other.nodes) > MOST_NODES:
            return FULL
        for draft in (self, other):
            if draft.role in ALONE and draft.role is not Role.CONTRACTION:
                return ALONE[draft.role]
        if self.shape != other.shape:
            return OTHER_SHAPE
        roles = {self.role, other.role}
        if roles == {Role.CONTRACTION}:
            return "each product has loops of its own"
        if roles == {Role.CONTRACTION, Role.REDUCTION}:
            return ALONE[Role.CONTRACTION]
        if Role.CONTRACTION in roles and any(n.op.can_fail for n in (*self.nodes, *other.nodes)):
            return UNFAILING
        if self.role is other.role is Role.REDUCTION and self.folds + other.folds > MOST_FOLDS:
            return MANY_FOLDS
        same = self.role is not other.role or self.reduced == other.reduced
        return "" if same else OTHER_FOLD

    @property
    def folds(self) -> int:
        """How many folds the loops hold."""
        return sum(node.op.kind is Kind.REDUCTION for node in self.nodes)

    def take(self, other: Draft) -> None:
        """Share the loops with a nest that `against_merge` has nothing against."""
        if self.role is Role.POINTWISE and other.role is not Role.POINTWISE:
            self.role, self.reduced, self.anchor = other.role, other.reduced, other.anchor
        self.nodes += other.nodes
        self.places.update(other.places)

    def absorb(self, other: Draft) -> None:
        """Compute a map's values where this nest reads them, instead of storing them first."""
        self.nodes += other.nodes
        self.places.update(dict.fromkeys(other.places, MISALIGNED))
