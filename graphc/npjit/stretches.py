"""A recording in stretches: what lies between two tests on data."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from graphc.npjit.log import Node, mutate, nodes_in


class Stretch(NamedTuple):
    """Nodes between two tests, those of them that somebody needs afterwards, and whether no test follows."""

    nodes: list[Node]
    wanted: list[Node]
    last: bool

    def changes(self, before: Node, after: Node) -> bool:
        """Whether all that makes one version of an input's memory of another is among the nodes."""
        own, node = set(self.nodes), after
        while node is not before:
            if node not in own or node.fn is not mutate:
                return False
            node = node.args[0]
        return True


def stretches(log: list[Node], tests: dict[Node, bool], wanted: list[Node]) -> list[Stretch]:
    """A log in parts, each up to a test."""
    ends = [i + 1 for i, n in enumerate(log) if n in tests]
    bounds = [0, *ends, *([len(log)] if len(log) not in ends else [])]
    needed, found = dict.fromkeys(wanted), []
    for begin, end in reversed(list(pairwise(bounds))):
        nodes = log[begin:end]
        found.append(Stretch(nodes, [n for n in nodes if n in needed or n in tests], end not in ends))
        needed.update((u, None) for n in nodes for u in nodes_in([n.args, n.kwargs or {}]))
    return found[::-1]
