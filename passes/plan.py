"""What a memory plan says, as plain data that goes to and from JSON.

A plan holds for every size: sizes in bytes are `Dim`s, and `layout` places the arena's buffers for given
ones.
"""

from __future__ import annotations

import json
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphc.ir import dims
from graphc.ir.dims import Dim

ALIGNMENT = 64


@dataclass(frozen=True)
class Slot:
    """A buffer. `kind`: input, weight, output (then `index` says which) or arena (then it counts).

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
class Copy:
    """After the last step, and in order: the bytes of one slot go to another."""

    source: int
    target: int


@dataclass(frozen=True)
class Layout:
    """Where the arena's slots begin, in bytes (-1 for other slots), and how long the arena is."""

    arena_bytes: int
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """Where every value lives. Steps are the graph's nodes in order.

    `places`: the slot of every value by name; an alias has that of its source. `scratch`: for each step, the
    slots of values that one part of a kernel hands to another and that do not leave the kernel, by their
    names in the region.
    """

    steps: int
    slots: tuple[Slot, ...]
    places: Mapping[str, int]
    scratch: tuple[Mapping[str, int], ...]
    copies: tuple[Copy, ...]

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
        return Plan(data["steps"], slots, data["places"], tuple(data["scratch"]), copies)


def _first_gap(alive: list[tuple[int, int, int]], length: int) -> int:
    offset = 0
    for start, end, _ in alive:
        if offset + length <= start:
            break
        offset = max(offset, end)
    return offset
