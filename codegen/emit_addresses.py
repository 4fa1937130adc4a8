"""Where instructions read and write, as LLVM text: pointers that are computed once, and how the lanes lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from graphc.codegen.emit_scope import Lanes, Scope
from graphc.codegen.loops import Instruction, Load, Offset, Store
from graphc.codegen.text import Operand
from graphc.ir.dims import Dim


@dataclass(frozen=True)
class Base:
    """A pointer that is computed already, and what is to be added; `relative`: the lanes' start is in the
    pointer.
    """

    pointer: str
    offset: Offset
    relative: bool


@dataclass
class Addresses(Scope):
    """A scope that knows pointers of the accesses in it."""

    bases: dict[tuple[str, Offset], Base] = field(default_factory=dict)

    def inside(self, lanes: Lanes | None = None, counts: Mapping[str, Operand] | None = None) -> Self:
        inner = super().inside(lanes, counts)
        same = inner.lanes is self.lanes
        inner.bases = {k: b for k, b in self.bases.items() if same or not b.relative}
        return inner

    def uniform(self, offset: Offset) -> tuple[Operand, list[tuple[str, Operand]]]:
        """The part of an offset that all lanes share, and the (variable, stride) that differ."""
        total: Operand = self.frame.size(offset.constant)
        varying: list[tuple[str, Operand]] = []
        for name, stride in offset.terms:
            step = self.frame.size(stride)
            if name in self.counts:
                total = self.f.add(total, self.f.mul(self.counts[name], step))
            elif name in self.values and not self.values[name].varying:
                total = self.f.add(total, self.f.mul(self.values[name].parts[0], step))
            else:
                varying.append((name, step))
        return total, varying

    def place(self, offset: Offset) -> Operand:
        """The index of the one element that all lanes mean."""
        return self.uniform(offset)[0]

    def prepare(self, code: Iterable[Instruction]) -> None:
        """Compute what is known already of the addresses in a loop that follows.

        The pointers are opaque to LLVM's strength reduction, which would spend its time on sums of counts.
        Those that are a number of elements apart share one register.
        """
        near: dict[tuple[str, tuple[tuple[str, Dim], ...]], tuple[str, int]] = {}
        for i in code:
            if isinstance(i, (Load, Store)) and (i.buffer, i.offset) not in self.bases:
                known = [t for t in i.offset.terms if self._is_known(t[0])]
                rest = tuple(t for t in i.offset.terms if not self._is_known(t[0]))
                relative = not self.lanes.scalar and any(name == self.lanes.axis for name, _ in rest)
                if not rest or not (known or relative or i.offset.constant != 0):
                    continue
                if isinstance(i.offset.constant, int) and (i.buffer, i.offset.terms) in near:
                    first, constant = near[i.buffer, i.offset.terms]
                    pointer = self._beside(i.buffer, first, i.offset.constant - constant)
                else:
                    place = self.place(Offset(tuple(known), i.offset.constant))
                    if relative:
                        step = self.frame.size(i.offset.stride(str(self.lanes.axis)))
                        place = self.f.add(place, self.f.mul(self.lanes.start, step))
                    pointer = self._beside(i.buffer, self.frame.pointer(i.buffer), place)
                    pointer = self.f(f"freeze ptr {pointer}")
                    if isinstance(i.offset.constant, int):
                        near[i.buffer, i.offset.terms] = pointer, i.offset.constant
                self.bases[i.buffer, i.offset] = Base(pointer, Offset(rest), relative)

    def _beside(self, buffer: str, pointer: str, place: Operand) -> str:
        """The address so many elements on, which need not be in the buffer where nobody reads it."""
        if place == 0:
            return pointer
        return self.f(f"getelementptr {self.frame.stored(buffer)}, ptr {pointer}, i64 {place}")

    def _is_known(self, name: str) -> bool:
        return name in self.counts or (name in self.values and not self.values[name].varying)

    def base(self, buffer: str, offset: Offset) -> Base:
        """The pointer from which an access counts, and its offset from there."""
        found = self.bases.get((buffer, offset))
        return found or Base(self.frame.pointer(buffer), offset, False)

    def places(self, base: Base) -> tuple[str, list[Operand]]:
        """How the lanes lie: "one" element for all, "row" of neighbours or "any"; and the index of each turn
        (i64 vectors for any).
        """
        index, varying = self.uniform(base.offset)
        lanes = self.lanes
        first: Operand = 0 if base.relative else lanes.start
        if not varying:
            return "one", [index]
        if len(varying) == 1 and varying[0] == (lanes.axis, 1):
            start = self.f.add(index, first)
            return "row", [self.f.add(start, u * lanes.lanes) for u in range(lanes.unroll)]
        t = self.element("i64")
        result = [self.f.broadcast(t, str(index)) for _ in range(lanes.unroll)]
        for name, step in varying:
            numbers = self.lane_numbers(first) if name == lanes.axis else self.vectors(self.values[name])
            scale = self.f.broadcast(t, str(step)) if step != 1 else None
            for u, number in enumerate(numbers):
                term = self.f(f"mul {t.vec} {number}, {scale}") if scale else number
                result[u] = self.f(f"add {t.vec} {result[u]}, {term}")
        return "any", list(result)
