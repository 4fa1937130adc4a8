"""What a memory plan says, as plain data that goes to and from JSON.

A plan holds for every size: sizes in bytes are `Dim`s, and `layout` places the arena's buffers for given
ones.
"""

from __future__ import annotations

import json
from bisect import insort
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

from graphc.ir import dims
from graphc.ir.dims import Dim

ALIGNMENT = 64


@dataclass(frozen=True)
class Slot:
    """A buffer. `kind`: input, weight, output (then `index` says which) or arena (then it counts); or moved:
    memory that lies in another slot, and elsewhere in each turn of a loop.

    The values of that name live in it one after the other, from step `first` to step `last`, both included;
    parameters are there before step 0, and what leaves the graph until the step after the last.
    """

    kind: str
    index: int
    dtype: str
    size: Dim
    values: tuple[str, ...]
    first: int
    last: int


@dataclass(frozen=True)
class Strip:
    """Where the rows of a value lie in its slot: columns from `column` on of rows of `width` elements."""

    width: int
    column: int


@dataclass(frozen=True)
class Copy:
    """After the last step (of a graph, or of a region), and in order: the bytes of one slot go to another."""

    source: int
    target: int


@dataclass(frozen=True)
class Carry:
    """How a value gets from one turn of a loop to the next. All but `way` and `piece` are slots.

    `first` has the value at the beginning and `home` takes the one at the end; the region reads it from `now`
    and writes the next one to `then`. `way` is
    - stays: no turn changes it: `now` is `first`;
    - over: `now` and `then` are `home`, into which `first` is copied where it does not lie there already;
    - swap: `then` is `home` and `spare` in turns, `now` what `then` was before;
    - follows: `then` is the turn's slice of result `piece`, `now` what `then` was before;
    - history: `now` is the turn's slice of result `piece`, `then` the next turn's, in the last turn `home`.
    """

    way: str
    first: int
    home: int
    now: int
    then: int
    spare: int = -1
    piece: int = -1


@dataclass(frozen=True)
class Slice:
    """A slot that is moved over the array in another one, by a slice each turn."""

    array: int
    moved: int


@dataclass(frozen=True)
class RegionPlan:
    """Where the values of a region live, by their names in it, and what is copied when its nodes have run."""

    places: Mapping[str, int]
    copies: tuple[Copy, ...]


@dataclass(frozen=True)
class ControlPlan:
    """The memory of a control op: its regions, and for loops the carries, what is scanned, and the pieces
    that are stacked.
    """

    regions: tuple[RegionPlan, ...]
    carries: tuple[Carry, ...] = ()
    scanned: tuple[Slice, ...] = ()
    pieces: tuple[Slice, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Where the arena's slots begin, in bytes (-1 for other slots), and how long the arena is."""

    arena_bytes: int
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """Where every value lives. Steps are the graph's nodes in order, those of regions included (see `times`).

    `places`: the slot of every value by name; an alias has that of its source. `scratch`: for each step, the
    slots of values that one part of a kernel hands to another and that do not leave the kernel, by their
    names in the region. `controls`: the memory of each control op by the step with which it begins.
    `strips`: values that share their slot with others, side by side; `joined`: results that lie there, whole,
    when their operands do, and so need no code.
    """

    steps: int
    slots: tuple[Slot, ...]
    places: Mapping[str, int]
    scratch: tuple[Mapping[str, int], ...]
    copies: tuple[Copy, ...]
    controls: Mapping[int, ControlPlan] = field(default_factory=dict)
    strips: Mapping[str, Strip] = field(default_factory=dict)
    joined: frozenset[str] = frozenset()

    def layout(self, sizes: Mapping[str, int]) -> Layout:
        """First fit by lifetime: each slot at the lowest offset that is free while it lives.

        >>> slots = [Slot("arena", i, "f32", dims.symbol("B") * 4, (), first, last)
        ...          for i, (first, last) in enumerate([(0, 1), (1, 2), (2, 3)])]
        >>> Plan(4, tuple(slots), {}, ({},) * 4, ()).layout({"B": 20})
        Layout(arena_bytes=256, offsets=(0, 128, 0))
        """
        offsets = [-1] * len(self.slots)
        alive: list[tuple[int, int, int]] = []  # (offset, end, last step), by offset
        total = 0
        arena = [i for i, s in enumerate(self.slots) if s.kind == "arena"]
        for i in sorted(arena, key=lambda i: self.slots[i].first):
            slot = self.slots[i]
            alive = [a for a in alive if a[2] >= slot.first]
            length = -(-dims.evaluate(slot.size, sizes) // ALIGNMENT) * ALIGNMENT
            offsets[i] = _first_gap(alive, length)
            if length:
                insort(alive, (offsets[i], offsets[i] + length, slot.last))
            total = max(total, offsets[i] + length)
        return Layout(total, tuple(offsets))

    def to_json(self) -> str:
        """The plan as a JSON text."""
        slots = [[s.kind, s.index, s.dtype, str(s.size), list(s.values), s.first, s.last] for s in self.slots]
        copies = [[c.source, c.target] for c in self.copies]
        scratch = [dict(s) for s in self.scratch]
        return json.dumps(
            {"steps": self.steps, "slots": slots, "places": dict(self.places)}
            | {"scratch": scratch, "copies": copies}
            | {"controls": {step: astuple(control) for step, control in self.controls.items()}}
            | {"strips": {name: astuple(s) for name, s in self.strips.items()}}
            | {"joined": sorted(self.joined)}
        )

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan that `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        slots = tuple(
            Slot(kind, index, dtype, dims.parse(size), tuple(values), first, last)
            for kind, index, dtype, size, values, first, last in data["slots"]
        )
        copies = tuple(Copy(*c) for c in data["copies"])
        controls = {int(step): _read_control(*parts) for step, parts in data["controls"].items()}
        strips = {name: Strip(*s) for name, s in data["strips"].items()}
        scratch, joined = tuple(data["scratch"]), frozenset(data["joined"])
        return Plan(data["steps"], slots, data["places"], scratch, copies, controls, strips, joined)


def _read_control(
    regions: list[Any], carries: list[Any], scanned: list[Any], pieces: list[Any]
) -> ControlPlan:
    return ControlPlan(
        tuple(RegionPlan(places, tuple(Copy(*c) for c in copies)) for places, copies in regions),
        tuple(Carry(*c) for c in carries),
        tuple(Slice(*s) for s in scanned),
        tuple(Slice(*s) for s in pieces),
    )


def _first_gap(alive: list[tuple[int, int, int]], length: int) -> int:
    offset = 0
    for start, end, _ in alive:
        if offset + length <= start:
            break
        offset = max(offset, end)
    return offset
