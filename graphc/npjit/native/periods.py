"""Where a graph repeats itself: stretches of nodes in which every node is like the one some places before.

Unrolled loops are such stretches. `stretches(graph)` finds them by the nodes' labels (op, types, attributes
but for positions and numbers, which may differ between iterations), the longest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.codegen.object_cache import canonical_text
from graphc.ir.graph import Graph, Node


@dataclass(frozen=True)
class Least:
    """What makes a loop worth it: iterations, nodes in all, and how many nodes less."""

    trips: int
    nodes: int
    saved: int


USUAL = Least(6, 40, 64)
EAGER = Least(3, 6, 4)
"""Where loops of other numbers of iterations are to share code."""
TIMES = 4
"""How often the rarest label of an iteration may stand in it."""
CANDIDATES = 60
"""How many distances are looked at."""


@dataclass(frozen=True)
class Stretch:
    """`trips` iterations of `period` nodes each, from node number `start` on."""

    start: int
    period: int
    trips: int

    @property
    def nodes(self) -> int:
        return self.period * self.trips

    @property
    def end(self) -> int:
        return self.start + self.nodes


def stretches(graph: Graph, least: Least = USUAL) -> Iterator[Stretch]:
    """Repeated stretches: those that save most and do not overlap, in the order of the graph, since a loop
    reads what an earlier one made; then the others.
    """
    labels = _numbered(graph)
    n = len(labels)
    found = []
    for period in _distances(labels, least.trips):
        equal = np.flatnonzero(np.diff(np.concatenate(([0], labels[:-period] == labels[period:], [0]))))
        for first, last in equal.reshape(-1, 2).tolist():
            stretch = Stretch(first, period, (last - first + period) // period)
            if stretch.trips >= least.trips and stretch.nodes >= least.nodes and stretch.nodes <= n:
                found.append(stretch)
    found.sort(key=lambda s: (s.period - s.nodes, s.period))
    apart: list[Stretch] = []
    for s in found:
        if all(s.end <= t.start or t.end <= s.start for t in apart):
            apart.append(s)
    yield from sorted(apart, key=lambda s: s.start)
    yield from (s for s in found if s not in apart)


def _distances(labels: np.ndarray, trips: int) -> list[int]:
    """Distances between nodes of one label, which may stand several times in an iteration; the commonest
    first.
    """
    order = np.argsort(labels, kind="stable")
    ordered, counts = labels[order], Counter[int]()
    for times in range(1, min(TIMES, len(labels) - 1) + 1):
        same = ordered[times:] == ordered[:-times]
        counts.update((order[times:] - order[:-times])[same].tolist())
    return [d for d, c in counts.most_common(CANDIDATES) if c >= trips - 1]


def _numbered(graph: Graph) -> np.ndarray:
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(label(n), len(numbers)) for n in graph.nodes], np.int64)


def label(node: Node) -> tuple[Any, ...]:
    """What iterations of one loop have in common at a place."""
    types = tuple((v.type.dtype.name, v.type.shape) for v in (*node.results, *node.operands))
    regions = tuple(canonical_text(r) for r in node.regions)
    return node.op.name, len(node.results), types, fixed_attrs(node), regions


def fixed_attrs(node: Node) -> tuple[Any, ...]:
    """The attributes that may not differ between iterations."""
    if node.op.name in ("slice", "update_slice"):
        return (node.attrs["step"],)
    if node.op.name == "constant" and not node.results[0].type.rank:
        return (node.attrs["dtype"].name,)
    return attrs_key(node)


def attrs_key(node: Node) -> tuple[Any, ...]:
    """All attributes, so that they can be compared."""
    return tuple((k, _hashable(v)) for k, v in node.attrs.items())


def _hashable(v: Any) -> Any:
    if isinstance(v, np.ndarray):
        return v.shape, str(v.dtype), v.tobytes()
    if isinstance(v, float):
        return "float", v.hex()  # NaN equals itself, and -0.0 is not 0.0
    return type(v).__name__, v
