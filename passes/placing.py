"""Slots for the values of one graph or of one region: what `memory` and `region_memory` share.

A result of a kernel takes over the buffer of an operand that nobody else needs where `in_place` says that
this is safe, the result of a loop that of the value with which it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.ir.dims import Dim
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.clusters import Part, partition
from graphc.passes.in_place import may_overwrite
from graphc.passes.plan import ControlPlan, Slot
from graphc.passes.schedule import is_alias, roots_of
from graphc.passes.times import Times, times_of


class Draft:
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


class Slots:
    """All slots of a plan, what kernels want for themselves at each step, and the control ops so far."""

    def __init__(self, steps: int) -> None:
        self.drafts: list[Draft] = []
        self.arena = 0
        self.scratch: list[dict[str, int]] = [{} for _ in range(steps)]
        self.controls: dict[int, ControlPlan] = {}

    def __getitem__(self, slot: int) -> Draft:
        return self.drafts[slot]

    def new(self, kind: str, index: int, value: Value, first: int, last: int) -> int:
        """A slot with this value in it."""
        self.drafts.append(Draft(kind, index, value, first, last))
        return len(self.drafts) - 1

    def new_arena(self, value: Value, first: int, last: int) -> int:
        """A slot in the arena."""
        self.arena += 1
        return self.new("arena", self.arena - 1, value, first, last)

    def new_moved(self, value: Value, first: int, last: int) -> int:
        """A slot that a loop moves over memory of other slots."""
        return self.new("moved", -1, value, first, last)


class Placing:
    """Slots so far, and when each value is made and last read."""

    def __init__(self, graph: Graph, times: Times, slots: Slots) -> None:
        self.graph, self.times, self.slots = graph, times, slots
        self.root = roots_of(graph)
        self.first = {v: times.nodes[n][0] for v, n in graph.producers.items()}
        self.last = self._last_reads()
        self.place: dict[Value, int] = {}  # of roots
        self.shared: set[int] = set()  # slots in which several values lie side by side
        self._parts: dict[Node, list[Part]] = {}

    def _last_reads(self) -> dict[Value, int]:
        last = dict.fromkeys(self.graph.parameters, -1)
        for node in self.graph.nodes:
            end = self.times.nodes[node][1]
            last.update(dict.fromkeys(node.results, end))
            if not is_alias(node):
                last.update((self.root[v], end) for v in node.operands)
        last.update((self.root[v], self.times.end) for v in self.graph.results)
        return last

    def parts(self, node: Node) -> list[Part]:
        """The parts of a kernel."""
        if node not in self._parts:
            self._parts[node] = partition(node.regions[0])
        return self._parts[node]

    def overwrites(self, node: Node, old: Value, new: Value) -> bool:
        """Whether a node may write a result over all of its operands that lie in one buffer."""
        if new not in node.results:
            return False
        at = [i for i, v in enumerate(node.operands) if self.root[v] is old]
        if node.op.name == "cond":
            return len(at) == 1 and all(
                self._leaves(g, at[0] - 1, node.results.index(new)) for g in node.regions
            )
        if node.op.kind is Kind.CONTROL:
            # a loop has done with the first value of a carry when it writes the result of that carry
            return at == [node.results.index(new)] and at[0] < node.attrs.get("carries", 0)
        if node.op.kind is not Kind.KERNEL:
            return False
        region = node.regions[0]
        inner = region.outputs[node.results.index(new)]
        return all(may_overwrite(self.parts(node), region.inputs[i], inner) for i in at)

    def _leaves(self, region: Graph, operand: int, result: int) -> bool:
        """Whether a branch may write a result over an operand, or gives the operand itself."""
        if operand < 0:
            return False
        inner = Placing(region, times_of(region), self.slots)
        before, after = region.inputs[operand], inner.root[region.outputs[result]]
        return before is after or inner.may_follow(before, after)

    def may_follow(self, before: Value, after: Value) -> bool:
        """Whether the node that computes a value may write it over a parameter, which is no result."""
        if before in {self.root[v] for v in self.graph.outputs} or after not in self.graph.producers:
            return False
        maker = self.graph.producers[after]
        begin = self.times.nodes[maker][0]
        users = self.graph.users
        readers = {n for v in self.graph.values() if self.root[v] is before for n in users[v]}
        others = [self.times.nodes[n][1] for n in readers if n is not maker and not is_alias(n)]
        if any(end > begin for end in others):
            return False
        return maker not in readers or self.overwrites(maker, before, after)

    def place_temporaries(self, control: Callable[[Placing, Node], None], kept: Sequence[Value] = ()) -> None:
        """The rest lives in the arena, where it can in the place of what is needed no more; `kept` may not be
        overwritten. `control` places what is in the regions of a control op.
        """
        for node in self.graph.nodes:
            if is_alias(node):
                continue
            step = self.times.nodes[node][1]
            free = [v for v in self._dying(node, step) if v not in kept]
            for r in node.results:
                if r not in self.place:
                    self._place_temporary(node, r, step, free)
            if node.op.kind is Kind.KERNEL:
                self._place_scratch(node, step)
            elif node.op.kind is Kind.CONTROL:
                control(self, node)

    def _dying(self, node: Node, step: int) -> list[Value]:
        roots = dict.fromkeys(self.root[v] for v in node.operands)
        whole = (v for v in roots if self.place[v] not in self.shared)
        return [v for v in whole if self.last[v] == step and self.slots[self.place[v]].kind == "arena"]

    def _place_temporary(self, node: Node, value: Value, step: int, free: list[Value]) -> None:
        for old in free:
            slot = self.slots[self.place[old]]
            if slot.last == step and self.overwrites(node, old, value):
                free.remove(old)
                self.place[value] = self.place[old]
                slot.values.append(value.name)
                slot.last = self.last[value]
                return
        self.place[value] = self.slots.new_arena(value, self.first[value], self.last[value])

    def _place_scratch(self, node: Node, step: int) -> None:
        leaving = set(node.regions[0].outputs)
        for part in self.parts(node):
            for v in part.outputs:
                if v not in leaving:
                    self.slots.scratch[step][v.name] = self.slots.new_arena(v, step, step)
