"""Frames: what one native call works on. A pool of them for each tuple of sizes, so that threads do not meet.

A frame owns a table (see `layout`), an arena, scratch memory and the scalar outputs. Making one takes some
microseconds and happens at the first call with new sizes; nothing is compiled for them.

It also remembers the memory of its last large outputs. Where the caller has dropped these, the next call
writes there: fresh memory costs more to get from the system, page by page, than many kernels take to fill it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.codegen.buffers import aligned_empty
from graphc.codegen.layout import Layout
from graphc.codegen.program import Arrays
from graphc.codegen.signature import Sizes
from graphc.ir import dims
from graphc.passes.plan import Layout as Arena

SPARES = 2
"""How many of its last memories an output remembers: the caller of a loop may hold one result while it asks
for the next.
"""


class Frame:
    """Memory for one call at a time. `spares` are arrays of bytes, or None, `SPARES` for each output."""

    __slots__ = ("memory", "scalars", "spares", "table")

    def __init__(self, layout: Layout, sizes: Sizes, weights: Arrays, arena: Arena) -> None:
        scratch = dims.evaluate(layout.scratch, sizes)
        self.memory = aligned_empty((arena.arena_bytes + scratch,), np.uint8)
        self.table = np.zeros(layout.slots, np.int64)
        base = self.memory.ctypes.data
        self.scalars = tuple(aligned_empty((), t.dtype.numpy) for t in layout.outputs if not t.rank)
        scalar_of = dict(zip((i for i, t in enumerate(layout.outputs) if not t.rank), self.scalars))
        at = layout.dims_at
        expected = layout.expected_dims(sizes)
        self.table[at : at + len(expected)] = expected
        for place, slot, offset in zip(layout.places, layout.plan.slots, arena.offsets):
            if slot.kind == "arena":
                self.table[place] = base + offset
            elif slot.kind == "weight" and not layout.passed:
                self.table[place] = weights[slot.index].ctypes.data
            elif slot.kind == "output" and slot.index in scalar_of:
                self.table[place] = scalar_of[slot.index].ctypes.data
        self.table[layout.scratch_at] = base + arena.arena_bytes
        self.table[layout.symbols_at : layout.copies_at] = [sizes[s] for s in layout.symbols]
        self.table[layout.copies_at : layout.spares_at] = [
            *layout.copy_bytes(sizes),
            *layout.output_bytes(sizes),
        ]
        self.spares = np.full(SPARES * max(1, layout.spares_at - layout.output_bytes_at), None, object)
        self.table[layout.spares_at] = self.spares.ctypes.data


class Pool:
    """Frames for one tuple of sizes and one set of weights."""

    def __init__(self, layout: Layout, sizes: Sizes, weights: Arrays) -> None:
        self.layout, self.sizes, self.weights = layout, sizes, weights
        self.arena = layout.plan.layout(sizes)
        self.shapes = [
            (tuple(dims.evaluate(d, sizes) for d in t.shape), t.dtype.numpy) for t in layout.outputs if t.rank
        ]
        self.free: list[Frame] = []

    def take(self) -> Frame:
        """A frame that nobody uses; give it back by appending it to `free`."""
        try:
            return self.free.pop()
        except IndexError:
            return Frame(self.layout, self.sizes, self.weights, self.arena)

    def arranged(self, arrays: list[Any], scalars: list[Any]) -> tuple[Any, ...]:
        """Arrays and scalars in the order of the outputs."""
        if not scalars:
            return tuple(arrays)
        parts = (iter(scalars), iter(arrays))
        return tuple(next(parts[t.rank > 0]) for t in self.layout.outputs)

    def outputs(self) -> list[np.ndarray]:
        """Fresh arrays for the outputs with dimensions."""
        return [aligned_empty(shape, dtype) for shape, dtype in self.shapes]
