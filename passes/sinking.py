"""Values that are cheaper to compute again than to store and read.

A part that has computed u may store u and also u * c for another part. It is less work to store u only, and
to multiply where it is read: cheap arithmetic costs less than a trip to memory. The same holds for (x - mean)
* scale, which needs x, that is in memory anyway, and two numbers per row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.roles import COSTS, DEAR, VIRTUAL_LIMIT, Role, Roles, extent

MOST_SOURCES = 2
"""A value that is computed again may read so many arrays of its own size."""


@dataclass(frozen=True)
class _Recipe:
    """How a value comes from stored ones: instructions per element, the values read, the nodes computed."""

    cost: int
    base: frozenset[Value]
    nodes: frozenset[Node] = frozenset()


def cheaper_again(
    graph: Graph, roles: Roles, parts: Iterable[tuple[Iterable[Node], Iterable[Value]]]
) -> tuple[set[Node], set[Value]]:
    """The nodes to compute again in every part that reads them, and the values to store for that.

    `parts` has the nodes (in order, virtual ones included) and the outputs of each.
    """
    nodes: set[Node] = set()
    stored: set[Value] = set()
    for members, outputs in parts:
        if all(v in roles.stored for v in outputs):
            continue
        found = _Sinker(graph, roles, list(members), set(outputs))
        nodes |= found.nodes
        stored |= found.stored
    return nodes, stored


class _Sinker:
    """The search in one part."""

    def __init__(self, graph: Graph, roles: Roles, members: list[Node], outputs: set[Value]) -> None:
        self.graph, self.roles, self.outputs = graph, roles, outputs
        self.inside = {r for n in members for r in n.results}
        self.recipes: dict[Value, _Recipe] = {}
        self.nodes: set[Node] = set()
        self.stored: set[Value] = set()
        waiting: dict[Value, list[Node]] = {}
        for node in members:
            recipe = self._recipe(node)
            if recipe is None:
                continue
            self.recipes[node.results[0]] = recipe
            if node.results[0] in outputs and node.results[0] not in roles.stored and not self._repeats(node):
                missing = [v for v in recipe.base if self._is_missing(v, node.results[0])]
                if not missing:
                    self._sink(node)
                elif len(missing) == 1:
                    waiting.setdefault(missing[0], []).append(node)
        for made in waiting.values():
            if len(made) > 1:  # one array is stored instead of several
                for node in made:
                    self._sink(node)

    def _repeats(self, node: Node) -> bool:
        """Whether loops over larger arrays read an array: they would compute its elements many times."""
        (result,) = node.results
        readers = [r for n in self.graph.users[result] for r in n.results]
        return extent(result) > 0 and any(extent(r) > extent(result) for r in readers)

    def _is_missing(self, v: Value, result: Value) -> bool:
        """Whether storing v for the sake of `result` would cost as much as storing `result`."""
        return v in self.inside and v not in self.outputs and extent(v) >= extent(result)

    def _sink(self, node: Node) -> None:
        recipe = self.recipes[node.results[0]]
        self.nodes |= recipe.nodes
        self.stored |= recipe.base & self.inside

    def _recipe(self, node: Node) -> _Recipe | None:
        """How to compute a node's result from values that are not cheap; None if that is not cheap itself."""
        virtual = self.roles.role[node] is Role.VIRTUAL
        if node.op.can_fail or not (virtual or node.op.kind is Kind.ELEMENTWISE):
            return None
        cost = COSTS.get(node.op.name, DEAR) if node.op.kind is Kind.ELEMENTWISE else 1
        known = [self._known(v) for v in dict.fromkeys(node.operands)]
        cost += sum(k.cost for k in known)
        base = frozenset[Value]().union(*(k.base for k in known))
        nodes = frozenset([] if virtual else [node]).union(*(k.nodes for k in known))
        full = sum(extent(v) >= extent(node.results[0]) for v in base)
        cheap = virtual or (cost <= VIRTUAL_LIMIT and full <= MOST_SOURCES)
        return _Recipe(cost, base, nodes) if cheap else None

    def _known(self, v: Value) -> _Recipe:
        recipe = self.recipes.get(v)
        node = self.graph.producers.get(v)
        if recipe is None or node is None:
            return _Recipe(0, frozenset([v]))
        taken = node in self.nodes or self.roles.role[node] is Role.VIRTUAL
        return recipe if taken or v not in self.outputs else _Recipe(0, frozenset([v]))


def with_sunk(roles: Roles, nodes: set[Node], stored: set[Value]) -> Roles:
    """Roles in which some more nodes are virtual."""
    role: Mapping[Node, Role] = {n: Role.VIRTUAL if n in nodes else r for n, r in roles.role.items()}
    return Roles(role, roles.stored | stored)
