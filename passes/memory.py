"""Where every value lives while a graph of kernels runs.

What leaves the graph is never in the arena. A weight's new value is written over the old one if nothing reads
the old one any more and nothing can fail any more; else it is copied there after the last step. Everything
else is placed by `placing`, and in the regions of control ops by `region_memory`.
"""

from __future__ import annotations

from graphc.ir.graph import Graph, Value
from graphc.passes.joins import joins_of
from graphc.passes.placing import Placing, Slots
from graphc.passes.plan import Copy, Plan
from graphc.passes.region_memory import place_regions
from graphc.passes.schedule import may_raise
from graphc.passes.times import times_of


def plan(graph: Graph, transactional: bool = True, nan_checks: bool = False) -> Plan:
    """The memory plan of a scheduled graph.

    `transactional`: a call that fails changes no weight. `nan_checks`: every step may fail (check="nan"), so
    that no weight is written before the end. ArgumentError if a kernel's region can't be divided into parts.
    """
    planner = _Planner(graph, transactional, nan_checks)
    planner.place_parameters()
    planner.place_results()
    planner.place_strips()
    planner.place_temporaries(place_regions)
    return planner.finish()


class _Planner(Placing):
    """The slots of a whole graph."""

    def __init__(self, graph: Graph, transactional: bool, nan_checks: bool) -> None:
        times = times_of(graph)
        super().__init__(graph, times, Slots(times.end))
        self.end = times.end
        self.before: list[Copy] = []
        self.copies: list[Copy] = []
        self.joins = joins_of(graph, self.root)
        failing = [end for n, (_, end) in times.nodes.items() if nan_checks or may_raise(n)]
        self.last_failure = max(failing, default=-1) if transactional else -1

    def place_parameters(self) -> None:
        """Inputs and weights are where the caller has them."""
        for i, v in enumerate(self.graph.inputs):
            self.place[v] = self.slots.new("input", i, v, -1, self.last[v])
        for i, w in enumerate(self.graph.weights):
            self.place[w.value] = self.slots.new("weight", i, w.value, -1, self.end)

    def place_results(self) -> None:
        """Outputs get fresh buffers, new values of weights the weights' own if possible."""
        for i, v in enumerate(self.graph.outputs):
            root = self.root[v]
            slot = self.slots.new("output", i, v, self.first.get(root, self.end), self.end)
            if root in self.place:
                self.before.append(Copy(self.place[root], slot))
                self.slots[slot].first = self.end
            else:
                self.place[root] = slot
                self.slots[slot].values = [root.name]
        for u in self.graph.updates:
            self._place_update(u.target, self.root[u.new])

    def _place_update(self, target: Value, new: Value) -> None:
        home = self.place[target]
        if new is target:
            return
        if new not in self.place:
            if self._may_replace(target, new):
                self.place[new] = home
                self.slots[home].values.append(new.name)
                return
            self.place[new] = self.slots.new_arena(new, self.first[new], self.end)
        source = self.place[new]
        if self.slots[source].kind == "weight":  # it may be overwritten before its turn: save it first
            saved = self.slots.new_arena(new, self.end, self.end)
            self.before.append(Copy(source, saved))
            source = saved
        self.copies.append(Copy(source, home))

    def _may_replace(self, target: Value, new: Value) -> bool:
        """Whether a weight may be overwritten by the node that makes its new value."""
        node = self.graph.producers[new]
        begin, end = self.times.nodes[node]
        if begin <= self.last_failure or self.last[target] > end:
            return False
        return self.last[target] < begin or self.overwrites(node, target, new)

    def place_strips(self) -> None:
        """What is concatenated in place shares the slot of the result."""
        for value, (base, _) in self.joins.strips.items():
            if base not in self.place:
                self.place[base] = self.slots.new_arena(base, self.first[base], self.last[base])
                self.shared.add(self.place[base])
            slot = self.slots[self.place[base]]
            slot.values.append(value.name)
            slot.first, slot.last = min(slot.first, self.first[value]), max(slot.last, self.last[value])
            self.place[value] = self.place[base]

    def finish(self) -> Plan:
        """The plan as data."""
        places = {v.name: self.place[self.root[v]] for v in self.graph.values()}
        slots = tuple(s.freeze() for s in self.slots.drafts)
        copies = (*self.before, *self.copies)
        scratch, strips = tuple(self.slots.scratch), self.joins.strips
        named = {v.name: strips[self.root[v]][1] for v in self.graph.values() if self.root[v] in strips}
        joined = frozenset(v.name for v in self.joins.joined)
        return Plan(self.end, slots, places, scratch, copies, self.slots.controls, named, joined)
