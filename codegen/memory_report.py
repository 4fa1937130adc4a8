"""The memory of one call: weights, arena, outputs, and the lifetime of each buffer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphc.codegen.layout import Layout
from graphc.codegen.report import table
from graphc.codegen.signature import Sizes
from graphc.ir import dims


@dataclass(frozen=True)
class BufferUse:
    """A buffer: the values that live in it, its bytes, its offset in the arena, the kernels between which it
    lives.
    """

    kind: str
    values: tuple[str, ...]
    bytes: int
    offset: int | None
    first: str
    last: str


@dataclass(frozen=True)
class MemoryReport:
    """Bytes of one call with certain sizes. `arena` is what each frame allocates, scratch memory of kernels
    included.

    `peak` is weights, arena and outputs together; inputs are the caller's.
    """

    sizes: Sizes
    weights: int
    outputs: int
    arena: int
    scratch: int
    buffers: tuple[BufferUse, ...]

    @property
    def peak(self) -> int:
        """The bytes that are there at the same time."""
        return self.weights + self.arena + self.outputs

    def __str__(self) -> str:
        given = ", ".join(f"{name} = {n}" for name, n in self.sizes.items())
        totals = [
            ("weights", self.weights),
            ("outputs", self.outputs),
            ("arena", self.arena),
            ("  of it scratch", self.scratch),
            ("peak", self.peak),
        ]
        head = table(
            [f"for {given}" if given else "memory", "bytes"], [(n, f"{b:,}") for n, b in totals], "lr"
        )
        rows = [
            (
                b.kind,
                ", ".join(b.values),
                f"{b.bytes:,}",
                "" if b.offset is None else f"{b.offset:,}",
                b.first,
                b.last,
            )
            for b in self.buffers
        ]
        return f"{head}\n\n{table(['buffer', 'values', 'bytes', 'offset', 'from', 'to'], rows, 'llrr')}"

    __repr__ = __str__


def memory_report(names: Mapping[int, str], layout: Layout, sizes: Sizes) -> MemoryReport:
    """The memory of a call with these sizes; `names` says what runs at each step of the plan."""
    arena = layout.plan.layout(sizes)
    scratch = dims.evaluate(layout.scratch, sizes)
    buffers = [
        BufferUse(
            slot.kind,
            slot.values,
            dims.evaluate(slot.size, sizes),
            offset if slot.kind == "arena" else None,
            names.get(slot.first, "start" if slot.first < 0 else "end"),
            names.get(slot.last, "unused" if slot.last < 0 else "end"),
        )
        for slot, offset in zip(layout.plan.slots, arena.offsets)
        if slot.kind != "moved" and (slot.values or slot.kind != "arena")
    ]
    total = {kind: sum(b.bytes for b in buffers if b.kind == kind) for kind in ("weight", "output")}
    return MemoryReport(
        dict(sizes), total["weight"], total["output"], arena.arena_bytes + scratch, scratch, tuple(buffers)
    )
