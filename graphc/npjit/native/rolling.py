"""Unrolled loops as `scan`s: `roll(graph)` gives a graph of the same meaning.

Of each operand in an iteration it is seen over all iterations where it comes from: made in the same
iteration, in one before (then it is carried), the same for all, or another value from outside for each (then
these are stacked, and scanned). What iterations read of arrays at their own places (`x[t]`) and numbers that
differ are of the last kind. Stretches in which something fits none of these stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from graphc.ir.graph import Graph, Node, Value
from graphc.npjit.native.operands import size_of
from graphc.npjit.native.periods import EAGER, USUAL, Least, Stretch, attrs_key, stretches
from graphc.npjit.native.placed import Placed, placed_sums
from graphc.npjit.native.symbols import typical
from graphc.passes.dce import dce

LAGS = 3
"""How many iterations back a value may come from."""
STACKED = 4096
"""Values that lie apart are stacked up to this number of elements."""
CHOICES = 4
"""How many loops are tried, one after the other, where graphs are rolled up eagerly."""
TRIED = 40
"""How many stretches of a graph are looked at."""
PEELED = 3
"""How many iterations at the start and the end may be unlike the others."""


class Unlike(Exception):
    """Iterations that are no loop; the number of the iteration where it shows."""

    def __init__(self, trip: int) -> None:
        super().__init__(trip)
        self.trip = trip


@dataclass(frozen=True)
class Same:
    """The same outside value in all iterations."""

    value: Value


@dataclass(frozen=True)
class Local:
    """Made at a place in the same iteration: (node, number of the result)."""

    place: tuple[int, int]


@dataclass(frozen=True)
class Carried:
    """Made `len(first)` iterations before; `first` are the outside values of the first iterations."""

    place: tuple[int, int]
    first: tuple[Value, ...]


@dataclass(frozen=True)
class Scanned:
    """Another outside value in each iteration."""

    values: tuple[Value, ...]


Origin = Same | Local | Carried | Scanned


@dataclass
class Loop:
    """A stretch whose iterations fit: the origin of each operand of each node, and the nodes that are done
    before the loop, for all iterations. `placed`: sums over windows, which are done behind
    it, and where what they add comes from.
    """

    stretch: Stretch
    origins: list[list[Origin]] = field(default_factory=list)
    lifted: set[int] = field(default_factory=set)
    placed: list[tuple[Placed, Origin]] = field(default_factory=list)


def roll(graph: Graph, least: Least = USUAL) -> Graph:
    """The graph with its repeated stretches as scans."""
    from graphc.npjit.native.scans import rolled

    while True:
        # gathering what differs may take as many nodes as a loop saves
        tried = islice(_loops(graph, least), CHOICES if least is EAGER else 1)
        found = (dce(rolled(graph, loop, partial(roll, least=least))) for loop in tried)
        shorter = next((g for g in found if len(g.nodes) < len(graph.nodes)), None)
        if shorter is None:
            return graph
        graph = shorter


def _loops(graph: Graph, least: Least) -> Iterator[Loop]:
    for stretch in islice(stretches(graph, least), TRIED):
        loop = _fitted(graph, stretch, least)
        if loop is not None:
            yield loop


def _fitted(graph: Graph, stretch: Stretch, least: Least) -> Loop | None:
    """The loop of a stretch, without first or last iterations that do not fit."""
    for _ in range(2 * PEELED):
        if stretch.trips < least.trips:
            return None
        try:
            return Analysis(graph, stretch).loop(least)
        except Unlike as e:
            if e.trip < PEELED:
                more = (e.trip or 1) * stretch.period
                stretch = replace(stretch, start=stretch.start + more, trips=stretch.trips - (e.trip or 1))
            elif stretch.trips - e.trip <= PEELED:
                stretch = replace(stretch, trips=e.trip)
            else:
                return None
    return None


class Analysis:
    """Where the operands of a stretch come from."""

    def __init__(self, graph: Graph, stretch: Stretch) -> None:
        self.stretch = stretch
        count = stretch.nodes
        self.nodes = graph.nodes[stretch.start : stretch.start + count]
        self.places = {v: (i, r) for i, n in enumerate(self.nodes) for r, v in enumerate(n.results)}
        self.graph, self.lifted, self.behind = graph, set[int](), set[int]()
        self.producers = graph.producers

    def loop(self, least: Least = USUAL) -> Loop:
        """The loop.

        Raises
        ------
        Unlike
            It is none.
        """
        different = [k for k in range(self.stretch.period) if len(set(map(attrs_key, self.column(k)))) > 1]
        sums = placed_sums(self.graph, self.nodes, self.stretch)
        self.behind = {k for s in sums for k in s.places}
        self.lifted = set(different) - self.behind  # if they can be: this is looked at below
        origins = [
            [self.origin(values) for values in self.operands(self.column(k))] if k not in self.behind else []
            for k in range(self.stretch.period)
        ]
        lifted = (isinstance(o, Same | Scanned) for k in self.lifted for o in origins[k])
        scanned = (o.values for os in origins for o in os if isinstance(o, Scanned))
        kept = self.stretch.period - len(different)
        if kept * self.stretch.trips < least.saved or not all(lifted) or not all(map(self.stacks, scanned)):
            raise Unlike(self.stretch.trips // 2)
        added = [self.origin(tuple([n.operands[s.added] for n in self.column(s.adds)])) for s in sums]
        return Loop(self.stretch, origins, self.lifted, list(zip(sums, added, strict=True)))

    def column(self, k: int) -> Sequence[Node]:
        """The k-th nodes of all iterations."""
        return self.nodes[k :: self.stretch.period]

    def operands(self, column: Sequence[Node]) -> Sequence[tuple[Value, ...]]:
        """The values of each operand over the iterations."""
        return list(zip(*(n.operands for n in column), strict=True))

    def stacks(self, values: tuple[Value, ...]) -> bool:
        """Whether values lie in one array, or are few numbers: copies would cost more than a loop saves."""
        makers = [self.producers.get(v) for v in values]
        if all(n is not None and n.op.name == "slice" for n in makers):
            return len({n.operands[0] for n in makers if n is not None}) == 1
        return typical(size_of(values[0].type.shape)) * len(values) <= STACKED

    def outside(self, value: Value) -> bool:
        """Whether a value is there before the loop."""
        place = self.places.get(value)
        return place is None or place[0] % self.stretch.period in self.lifted

    def origin(self, values: tuple[Value, ...]) -> Origin:
        """Where one operand comes from."""
        inside = [j for j, v in enumerate(values) if not self.outside(v)]
        if not inside:
            return Same(values[0]) if len(set(values)) == 1 else Scanned(values)
        period, trips = self.stretch.period, self.stretch.trips
        node, result = self.places[values[inside[-1]]]
        lag = inside[-1] - node // period
        if not 0 <= lag <= LAGS or inside[-1] != trips - 1:
            raise Unlike(inside[-1] + 1 if inside[-1] != trips - 1 else trips // 2)
        place = node % period
        for j in range(trips - 1, lag - 1, -1):
            if self.places.get(values[j]) != ((j - lag) * period + place, result):
                raise Unlike(j)
        if any(not self.outside(v) for v in values[:lag]):
            raise Unlike(0)
        return Local((place, result)) if not lag else Carried((place, result), values[:lag])
