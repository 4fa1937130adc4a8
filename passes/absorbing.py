"""Which maps are computed inside the one nest that reads them."""

from __future__ import annotations

from graphc.ir.dims import product
from graphc.ir.graph import Graph, Node
from graphc.passes.drafts import MOST_NODES, Draft
from graphc.passes.roles import Role, Roles, is_interleaving


class Absorbing:
    """Follows a map's values to where they are read."""

    def __init__(self, graph: Graph, roles: Roles) -> None:
        self.graph, self.roles = graph, roles

    def fits(self, other: Draft, node: Node, draft: Draft) -> bool:
        """Whether a map is needed only by a node, which begins a nest, by one way, and no element of it more
        than once.
        """
        if other.role is not Role.POINTWISE or any(n.op.can_fail for n in other.nodes):
            return False
        large = len(other.nodes) + len(draft.nodes) > MOST_NODES
        way = [] if large else self._only_way(other, node)
        return bool(way) and (
            _at_most(product(draft.shape), product(other.shape)) or self._interleaves(other, way)
        )

    def _interleaves(self, other: Draft, way: list[Node]) -> bool:
        """Whether a map's values are only put beside others on their way to the last node, whose loops then
        have code for each place. Loops that a fold could join have the same code for all places.
        """
        if not is_interleaving(way[-1]):
            return False
        sizes = [product(s) for s in (other.shape, *(n.results[0].type.shape for n in way))]
        grows = [n for n, a, b in zip(way, sizes, sizes[1:]) if not _at_most(b, a)]
        return all(map(is_interleaving, grows)) and self._only_stored(way[-1])

    def _only_stored(self, node: Node) -> bool:
        """Whether nothing but aliases, and what interleaves more, reads a node."""
        users = self.graph.users[node.results[0]]
        return all(
            self.roles.role[u] is Role.OUTSIDE or (is_interleaving(u) and self._only_stored(u)) for u in users
        )

    def _only_way(self, other: Draft, node: Node) -> list[Node]:
        """The nodes by which a map leads to a node, which is the last; none if it leads elsewhere, too."""
        inside = set(other.nodes)
        leaving = [
            (v, u)
            for n in other.nodes
            for v in n.results
            for u in self.graph.users[v]
            if not self._returns(u, inside)
        ]
        if len(leaving) != 1 or any(v in self.roles.stored for n in other.nodes for v in n.results):
            return []
        value, user = leaving[0]
        way = [user]
        while user is not node:
            users = self.graph.users[user.results[0]]
            if (
                self.roles.role[user] is not Role.VIRTUAL
                or user.operands.count(value) != 1
                or len(users) != 1
            ):
                return []
            value, user = user.results[0], users[0]
            way.append(user)
        return way if node.operands.count(value) == 1 else []

    def _returns(self, user: Node, inside: set[Node]) -> bool:
        """Whether a node is one of `inside`, or virtual and read by one of them only."""
        while user not in inside and self.roles.role[user] is Role.VIRTUAL:
            users = self.graph.users[user.results[0]]
            if len(users) != 1:
                return False
            (user,) = users
        return user in inside


def _at_most(a: object, b: object) -> bool:
    return a == b or (isinstance(a, int) and isinstance(b, int) and a <= b)
