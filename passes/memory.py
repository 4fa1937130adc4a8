"""Where every value lives while a graph of kernels runs.

What leaves the graph is never in the arena. A weight's new value is written over the old one if nothing reads
the old one any more and nothing can fail any more; else it is copied there after the last step. A result of a
kernel takes over the buffer of an operand that nobody else needs where `in_place` says that this is safe.
"""

from __future__ import annotations

from graphc.ir.dims import Dim
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.clusters import Part, partition
from graphc.passes.in_place import may_overwrite
from graphc.passes.plan import Copy, Plan, Slot
from graphc.passes.schedule import is_alias, may_raise, roots_of


def plan(graph: Graph, transactional: bool = True, nan_checks: bool = False) -> Plan:
    """The memory plan of a scheduled graph.

    `transactional`: a call that fails changes no weight. `nan_checks`: every step may fail (check="nan"), so
    that no weight is written before the end. ArgumentError if a kernel's region can't be divided into parts.
    """
    planner = _Planner(graph, transactional, nan_checks)
    planner.place_parameters()
    planner.place_results()
    planner.place_temporaries()
    return planner.finish()


class _Draft:
    """A slot while values are put into it."""

    def __init__(self, kind: str, index: int, value: Value, first: int, last: int) -> None:
        self.kind, self.index = kind, index
        self.dtype = value.type.dtype
        self.size: Dim = value.type.size * self.dtype.itemsize
        self.values = [value.name]
        self.first, self.last = first, last

    def freeze(self) -> Slot:
        """The slot as it is now."""
        return Slot(
            self.kind, self.index, self.dtype.name, self.size, tuple(self.values), self.first, self.last
        )


class _Planner:
    """Slots so far, and when each value is made and last read."""

    def __init__(self, graph: Graph, transactional: bool, nan_checks: bool) -> None:
        self.graph = graph
        self.end = len(graph.nodes)
        self.root = roots_of(graph)
        self.step = {node: i for i, node in enumerate(graph.nodes)}
        self.first = {v: self.step[n] for v, n in graph.producers.items()}
        self.last = self._last_reads()
        self.slots: list[_Draft] = []
        self.place: dict[Value, int] = {}  # of roots
        self.before: list[Copy] = []
        self.copies: list[Copy] = []
        self.arena = 0
        self.scratch: list[dict[str, int]] = [{} for _ in graph.nodes]
        failing = [i for i, n in enumerate(graph.nodes) if nan_checks or may_raise(n)]
        self.last_failure = max(failing, default=-1) if transactional else -1
        self._parts: dict[Node, list[Part]] = {}

    def _last_reads(self) -> dict[Value, int]:
        last = dict.fromkeys(self.graph.parameters, -1) | dict(self.first)
        for node in self.graph.nodes:
            if not is_alias(node):
                for v in node.operands:
                    last[self.root[v]] = self.step[node]
        last.update((self.root[v], self.end) for v in self.graph.results)
        return last

    def parts(self, node: Node) -> list[Part]:
        """The parts of a kernel."""
        if node not in self._parts:
            self._parts[node] = partition(node.regions[0])
        return self._parts[node]

    # -- slots ------------------------------------------------------------------------------------
    def _new(self, kind: str, index: int, value: Value, first: int, last: int) -> int:
        self.slots.append(_Draft(kind, index, value, first, last))
        return len(self.slots) - 1

    def _new_arena(self, value: Value, first: int, last: int) -> int:
        self.arena += 1
        return self._new("arena", self.arena - 1, value, first, last)

    def place_parameters(self) -> None:
        """Inputs and weights are where the caller has them."""
        for i, v in enumerate(self.graph.inputs):
            self.place[v] = self._new("input", i, v, -1, self.last[v])
        for i, w in enumerate(self.graph.weights):
            self.place[w.value] = self._new("weight", i, w.value, -1, self.end)

    def place_results(self) -> None:
        """Outputs get fresh buffers, new values of weights the weights' own if possible."""
        for i, v in enumerate(self.graph.outputs):
            root = self.root[v]
            slot = self._new("output", i, v, self.first.get(root, self.end), self.end)
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
            self.place[new] = self._new_arena(new, self.first[new], self.end)
        source = self.place[new]
        if self.slots[source].kind == "weight":  # it may be overwritten before its turn: save it first
            saved = self._new_arena(new, self.end, self.end)
            self.before.append(Copy(source, saved))
            source = saved
        self.copies.append(Copy(source, home))

    def _may_replace(self, target: Value, new: Value) -> bool:
        """Whether a weight may be overwritten by the step that makes its new value."""
        step = self.first[new]
        if step <= self.last_failure or self.last[target] > step:
            return False
        return self.last[target] < step or self._overwrites(self.graph.nodes[step], target, new)

    def _overwrites(self, node: Node, old: Value, new: Value) -> bool:
        """Whether a kernel may write a result over all of its operands that lie in one buffer."""
        if node.op.kind is not Kind.KERNEL or new not in node.results:
            return False
        region, parts = node.regions[0], self.parts(node)
        inner = region.outputs[node.results.index(new)]
        same = [v for v, o in zip(region.inputs, node.operands) if self.root[o] is old]
        return all(may_overwrite(parts, v, inner) for v in same)

    def place_temporaries(self) -> None:
        """The rest lives in the arena, where it can in the place of what is needed no more."""
        for step, node in enumerate(self.graph.nodes):
            if is_alias(node):
                continue
            free = self._dying(node, step)
            for r in node.results:
                if r not in self.place:
                    self._place_temporary(node, r, step, free)
            if node.op.kind is Kind.KERNEL:
                self._place_scratch(node, step)

    def _dying(self, node: Node, step: int) -> list[Value]:
        roots = dict.fromkeys(self.root[v] for v in node.operands)
        return [v for v in roots if self.last[v] == step and self.slots[self.place[v]].kind == "arena"]

    def _place_temporary(self, node: Node, value: Value, step: int, free: list[Value]) -> None:
        for old in free:
            slot = self.slots[self.place[old]]
            if slot.last == step and self._overwrites(node, old, value):
                free.remove(old)
                self.place[value] = self.place[old]
                slot.values.append(value.name)
                slot.last = self.last[value]
                return
        self.place[value] = self._new_arena(value, step, self.last[value])

    def _place_scratch(self, node: Node, step: int) -> None:
        leaving = set(node.regions[0].outputs)
        for part in self.parts(node):
            for v in part.outputs:
                if v not in leaving:
                    self.scratch[step][v.name] = self._new_arena(v, step, step)

    def finish(self) -> Plan:
        """The plan as data."""
        places = {v.name: self.place[self.root[v]] for v in self.graph.values()}
        slots = tuple(s.freeze() for s in self.slots)
        return Plan(self.end, slots, places, tuple(self.scratch), (*self.before, *self.copies))
