"""The table that native code works on: 8-byte slots with pointers and sizes, of one call at a time.

    inputs | outputs with dimensions | their sizes, as the entry checks them | weights | scalar outputs
    | arena | scratch | symbols | bytes of the final copies | bytes of the outputs | memory for outputs

Kernels get the address of the table as their buffers, and the address of its symbols as their sizes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from graphc.codegen.kernels.parts import Call
from graphc.codegen.signature import Sizes
from graphc.ir import dims
from graphc.ir.dims import Dim
from graphc.ir.graph import Graph
from graphc.ir.types import TensorType, dtype_of
from graphc.passes.plan import Plan


@dataclass(frozen=True)
class Layout:
    """Where everything is in the table of one compiled graph. `scratch`: bytes that the hungriest kernel
    wants.

    `drivers`: the library's functions that the code calls; `calls`: how it calls products. `passed`: how
    many of the last inputs are the weights, if these come with each call and are updated in place; else
    the frame has them.
    """

    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    symbols: tuple[str, ...]
    plan: Plan
    scratch: Dim
    drivers: tuple[str, ...]
    calls: tuple[Call, ...] = ()
    passed: int = 0

    # -- the first part, which the entry fills and checks ----------------------------------------------
    @cached_property
    def arrays(self) -> tuple[TensorType, ...]:
        """The types of the arrays that a call hands over: inputs, then outputs that have dimensions."""
        return (*self.inputs, *(t for t in self.outputs if t.rank))

    @cached_property
    def dims_at(self) -> int:
        """The place of the first size that the entry checks."""
        return len(self.arrays)

    @cached_property
    def _rest_at(self) -> int:
        return self.dims_at + sum(t.rank for t in self.arrays)

    # -- slots of memory --------------------------------------------------------------------------------
    @cached_property
    def places(self) -> tuple[int, ...]:
        """The place in the table of each slot of the plan; -1 for those that control ops move."""
        found, next_free = [], self._rest_at
        array_outputs = [i for i, t in enumerate(self.outputs) if t.rank]
        for slot in self.plan.slots:
            if slot.kind == "input":
                found.append(slot.index)
            elif slot.kind == "weight" and self.passed:
                found.append(len(self.inputs) - self.passed + slot.index)
            elif slot.kind == "output" and slot.index in array_outputs:
                found.append(len(self.inputs) + array_outputs.index(slot.index))
            elif slot.kind == "moved":
                found.append(-1)
            else:
                found.append(next_free)
                next_free += 1
        return tuple(found)

    @cached_property
    def scratch_at(self) -> int:
        """The place of the pointer to scratch memory."""
        return max((self._rest_at - 1, *self.places)) + 1

    @cached_property
    def symbols_at(self) -> int:
        """The place of the first symbol's value."""
        return self.scratch_at + 1

    @cached_property
    def copies_at(self) -> int:
        """The place of the number of bytes of the first final copy."""
        return self.symbols_at + len(self.symbols)

    @cached_property
    def output_bytes_at(self) -> int:
        """The place of the number of bytes of the first output that has dimensions."""
        return self.copies_at + len(self.plan.copies)

    @cached_property
    def spares_at(self) -> int:
        """The place of the address of the arrays in whose memory outputs may be made (see `frames`)."""
        return self.output_bytes_at + len(self.arrays) - len(self.inputs)

    @cached_property
    def slots(self) -> int:
        """The length of the table."""
        return self.spares_at + 1

    @cached_property
    def scalar_places(self) -> dict[int, int]:
        """The place of the pointer of each output without dimensions, by its number."""
        return {
            slot.index: place
            for slot, place in zip(self.plan.slots, self.places)
            if slot.kind == "output" and not self.outputs[slot.index].rank
        }

    @cached_property
    def slot_of(self) -> dict[str, int]:
        """The place of each value's pointer, by the value's name, and that of `scratch`."""
        return {name: self.places[i] for name, i in self.plan.places.items()} | {"scratch": self.scratch_at}

    # -- sizes ------------------------------------------------------------------------------------------
    def expected_dims(self, sizes: Sizes) -> list[int]:
        """The sizes of all arrays, one after the other."""
        return [dims.evaluate(d, sizes) for t in self.arrays for d in t.shape]

    def copy_bytes(self, sizes: Sizes) -> list[int]:
        """The number of bytes of each final copy."""
        return [dims.evaluate(self.plan.slots[c.source].size, sizes) for c in self.plan.copies]

    def output_bytes(self, sizes: Sizes) -> list[int]:
        """The number of bytes of each output that has dimensions."""
        arrays = self.arrays[len(self.inputs) :]
        return [dims.evaluate(t.size, sizes) * t.dtype.itemsize for t in arrays]

    # -- text -------------------------------------------------------------------------------------------
    def to_json(self) -> str:
        """What a warm start needs beside the object file."""
        return json.dumps(
            {
                "inputs": [_type_text(t) for t in self.inputs],
                "outputs": [_type_text(t) for t in self.outputs],
                "symbols": self.symbols,
                "scratch": str(self.scratch),
                "drivers": self.drivers,
                "calls": [[c.name, str(c.m), str(c.n), str(c.k), c.along] for c in self.calls],
                "passed": self.passed,
                "plan": self.plan.to_json(),
            }
        )

    @staticmethod
    def from_json(text: str) -> Layout:
        """The layout that `to_json` wrote."""
        data = json.loads(text)
        return Layout(
            tuple(_read_type(t) for t in data["inputs"]),
            tuple(_read_type(t) for t in data["outputs"]),
            tuple(data["symbols"]),
            Plan.from_json(data["plan"]),
            dims.parse(data["scratch"]),
            tuple(data["drivers"]),
            tuple(_read_call(*call) for call in data["calls"]),
            data["passed"],
        )


def layout_of(
    graph: Graph,
    plan: Plan,
    scratch: Sequence[Dim],
    drivers: Sequence[str],
    calls: Sequence[Call] = (),
    passed: bool = False,
) -> Layout:
    """The layout for a final graph whose kernels want these numbers of bytes of scratch memory, and call
    these functions of the library.
    """
    inputs, outputs = (tuple(v.type for v in values) for values in (graph.inputs, graph.outputs))
    weights = tuple(w.value.type for w in graph.weights) if passed else ()
    arrays, largest = (*inputs, *weights), dims.largest(scratch)
    return Layout(arrays, outputs, graph.symbols, plan, largest, tuple(drivers), tuple(calls), len(weights))


def _type_text(t: TensorType) -> list[str]:
    return [t.dtype.name, *map(str, t.shape)]


def _read_type(parts: list[str]) -> TensorType:
    return TensorType(dtype_of(parts[0]), tuple(dims.parse(d) for d in parts[1:]))


def _read_call(name: str, m: str, n: str, k: str, along: bool) -> Call:
    return Call(name, dims.parse(m), dims.parse(n), dims.parse(k), along)
