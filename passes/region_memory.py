"""Where the values of control ops' regions live: while a loop runs, no memory is taken, and as little as
possible copied.

What a region computes for itself lies in the arena of the whole call, in the same place in every turn.
Scanned arrays and pieces are not copied: pointers move over them. `plan.Carry` has the ways in which a carry
gets from one turn to the next; a value that several results want is computed into the place of one and
copied to the others.
"""

from __future__ import annotations

from graphc.ir.graph import Node, Value
from graphc.passes.placing import Placing
from graphc.passes.plan import Carry, ControlPlan, Copy, RegionPlan, Slice
from graphc.passes.times import Times, region_times


def place_regions(outer: Placing, node: Node) -> None:
    """Plan the regions of a control op whose operands and results have their slots."""
    begin = outer.times.nodes[node][0]
    regions = [_Region(outer, node, i, times) for i, times in enumerate(region_times(node, begin))]
    if node.op.name == "cond":
        control = _branches(regions)
    else:
        loop = _Loop(regions[-1])
        loop.place()
        for condition in regions[:-1]:
            condition.place_like(regions[-1])
        control = loop.plan([r.finish() for r in regions])
    outer.slots.controls[begin] = control


class _Region(Placing):
    """The slots of one region."""

    def __init__(self, outer: Placing, node: Node, number: int, times: Times) -> None:
        super().__init__(node.regions[number], times, outer.slots)
        self.node = node
        self.span = outer.times.nodes[node]
        self.operands = [outer.place[outer.root[v]] for v in node.operands]
        self.homes = [outer.place[r] for r in node.results]
        self.copies: list[tuple[Value, int]] = []

    def is_new(self, value: Value) -> bool:
        """Whether a node of the region computes the value, and it has no place yet."""
        return value in self.graph.producers and value not in self.place

    def give(self, value: Value, slot: int) -> None:
        """Let the region's nodes compute a value there, or copy it when it has another place."""
        if self.is_new(value):
            self.place[value] = slot
        else:
            self.copies.append((value, slot))

    def place_like(self, body: _Region) -> None:
        """The parameters are where those of the other region are."""
        for mine, other in zip(self.graph.inputs, body.graph.inputs, strict=True):
            self.place[mine] = body.place[other]

    def finish(self) -> RegionPlan:
        """Place the rest; the plan as data."""
        self.place_temporaries(place_regions, self.graph.inputs)
        places = {v.name: self.place[self.root[v]] for v in self.graph.values()}
        copies = (Copy(self.place[v], slot) for v, slot in self.copies if self.place[v] != slot)
        return RegionPlan(places, tuple(copies))


def _branches(regions: list[_Region]) -> ControlPlan:
    """Both regions read the operands, and write the results, where they are."""
    for region in regions:
        region.place.update(zip(region.graph.inputs, region.operands[1:], strict=True))
        for value, home in zip(region.graph.outputs, region.homes, strict=True):
            region.give(region.root[value], home)
    return ControlPlan(tuple(r.finish() for r in regions))


class _Loop:
    """The carries and slices of a loop, whose turns run `body`."""

    def __init__(self, body: _Region) -> None:
        self.body = body
        attrs, inputs = body.node.attrs, body.graph.inputs
        self.count: int = attrs["carries"]
        self.end = self.count + attrs.get("scanned", 0)
        self.results = [body.root[v] for v in body.graph.outputs]
        self.scanned = [
            Slice(array, self._moved(v))
            for array, v in zip(body.operands[self.count : self.end], inputs[self.count : self.end])
        ]
        self.pieces = [
            Slice(array, self._moved(v))
            for array, v in zip(body.homes[self.count :], body.graph.outputs[self.count :])
        ]
        self.taken: set[int] = set()
        self.carries: list[Carry] = []

    def _moved(self, value: Value) -> int:
        return self.body.slots.new_moved(value, *self.body.span)

    def place(self) -> None:
        """Give parameters and results their places."""
        body, inputs = self.body, self.body.graph.inputs
        body.place.update(zip(inputs[self.count : self.end], (s.moved for s in self.scanned)))
        body.place.update(zip(inputs[self.end :], body.operands[self.end :]))
        for k in range(self.count):
            carry = self._carry(k)
            self.carries.append(carry)
            body.place[inputs[k]] = carry.now
            if carry.way != "stays":
                body.give(self.results[k], carry.then)
        for i, (piece, value) in enumerate(zip(self.pieces, self.results[self.count :])):
            if i not in self.taken:
                body.give(value, piece.moved)

    def _carry(self, k: int) -> Carry:
        before, after = self.body.graph.inputs[k], self.results[k]
        first, home = self.body.operands[k], self.body.homes[k]
        if before is after:
            return Carry("stays", first, home, first, first)
        new = self.body.is_new(after)
        if new and (i := self._piece(before)) is not None:
            return Carry("history", first, home, self.pieces[i].moved, self._moved(after), piece=i)
        if new and (i := self._piece(after)) is not None:
            return Carry("follows", first, home, self._moved(before), self.pieces[i].moved, piece=i)
        if new and self.body.may_follow(before, after):
            return Carry("over", first, home, home, home)
        spare = self.body.slots.new_arena(after, *self.body.span)
        return Carry("swap", first, home, self._moved(before), self._moved(after), spare)

    def _piece(self, value: Value) -> int | None:
        """A piece that is this value, for no other carry to take."""
        for i, piece in enumerate(self.results[self.count :]):
            if piece is value and i not in self.taken:
                self.taken.add(i)
                return i
        return None

    def plan(self, regions: list[RegionPlan]) -> ControlPlan:
        """The plan as data."""
        return ControlPlan(tuple(regions), tuple(self.carries), tuple(self.scanned), tuple(self.pieces))
