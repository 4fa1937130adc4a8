"""The table that native code works on: 8-byte slots with pointers and sizes, of one call at a time.

    inputs | outputs with dimensions | their sizes, as the entry checks them | weights | scalar outputs | arena
    | scratch | symbols | bytes of the final copies

Kernels get the address of the table as their buffers, and the address of its symbols as their sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from graphc.codegen.signature import Sizes
from graphc.codegen.storage import Slot, Storage
from graphc.ir import dims
from graphc.ir.dims import Dim
from graphc.ir.graph import Graph, Value
from graphc.ir.types import TensorType

ALIGNMENT = 64


@dataclass(frozen=True)
class Layout:
    """Where everything is in the table of one compiled graph."""

    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    symbols: tuple[str, ...]
    storage: Storage
    scratch: Dim

    # -- the first part, which the entry fills and checks ----------------------------------------------
    @cached_property
    def arrays(self) -> tuple[TensorType, ...]:
        """The types of the arrays that a call hands over: inputs, then outputs that have dimensions."""
        return (*self.inputs, *(t for t in self.outputs if t.rank))

    @cached_property
    def dims_at(self) -> int:
        """The slot of the first size that the entry checks."""
        return len(self.arrays)

    @cached_property
    def _rest_at(self) -> int:
        return self.dims_at + sum(t.rank for t in self.arrays)

    # -- slots of memory --------------------------------------------------------------------------------
    @cached_property
    def places(self) -> tuple[int, ...]:
        """The place in the table of each slot of the storage."""
        found, next_free = [], self._rest_at
        array_outputs = [i for i, t in enumerate(self.outputs) if t.rank]
        for slot in self.storage.slots:
            if slot.kind == "input":
                found.append(slot.number)
            elif slot.kind == "output" and slot.number in array_outputs:
                found.append(len(self.inputs) + array_outputs.index(slot.number))
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
    def slots(self) -> int:
        """The length of the table."""
        return self.copies_at + len(self.storage.copies)

    @cached_property
    def slot_of(self) -> dict[str, int]:
        """The place of each value's pointer, by the value's name, and that of `scratch`."""
        return {name: self.places[i] for name, i in self.storage.slot_of.items()} | {
            "scratch": self.scratch_at
        }

    # -- sizes ------------------------------------------------------------------------------------------
    def expected_dims(self, sizes: Sizes) -> list[int]:
        """The sizes of all arrays, one after the other."""
        return [dims.evaluate(d, sizes) for t in self.arrays for d in t.shape]

    def bytes_of(self, slot: Slot, sizes: Sizes) -> int:
        """The memory of a slot."""
        return dims.evaluate(slot.size, sizes) * slot.dtype.itemsize

    def copy_bytes(self, sizes: Sizes) -> list[int]:
        """The number of bytes of each final copy."""
        return [self.bytes_of(self.storage.slots[source], sizes) for source, _ in self.storage.copies]


def layout_of(graph: Graph, storage: Storage, scratch: Sequence[Dim]) -> Layout:
    """The layout for a final graph whose kernels want these numbers of bytes of scratch memory."""
    most: Dim = 0
    for wanted in scratch:
        most = dims.maximum(most, wanted)
    return Layout(_types(graph.inputs), _types(graph.outputs), graph.symbols, storage, most)


def _types(values: Sequence[Value]) -> tuple[TensorType, ...]:
    return tuple(v.type for v in values)
