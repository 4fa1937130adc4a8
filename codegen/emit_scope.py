"""The scalars and counts that instructions see, as LLVM values, for a turn of `lanes` neighbours of the lane
axis.

What does not depend on the lane stays a scalar and is computed once; what does is `unroll` vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from graphc.codegen.element import Element, splat
from graphc.codegen.emit_frame import Frame
from graphc.codegen.index_maps import row_major
from graphc.codegen.loops import Axis
from graphc.codegen.text import Function, Operand


@dataclass(frozen=True)
class Scalar:
    """A value of the nest in registers: one name for all lanes (`varying` is false), or one vector for each
    unrolled turn. `counts`: it is the count of the lane axis, which is cheaper made narrow than cut; `width`:
    the count divided by that number.
    """

    dtype: str
    parts: tuple[str, ...]
    varying: bool = False
    literal: float | int | bool | None = None
    counts: bool = False
    width: int = 0


@dataclass(frozen=True)
class Lanes:
    """Which turns of the lane axis are done at once: `unroll` vectors of `lanes`, from the count `start`;
    only where `masks` hold.

    One lane is scalar code: then nothing varies.
    """

    axis: str | None = None
    start: Operand = 0
    lanes: int = 1
    unroll: int = 1
    masks: tuple[str, ...] | None = None

    @property
    def scalar(self) -> bool:
        return self.lanes == 1


ALONE = Lanes()


@dataclass
class Scope:
    """`values` has the scalars that are known, `counts` the counts of loops (not of a vectorised lane)."""

    frame: Frame
    lanes: Lanes = ALONE
    values: dict[str, Scalar] = field(default_factory=dict)
    counts: dict[str, Operand] = field(default_factory=dict)
    tag: str = ""

    @property
    def f(self) -> Function:
        return self.frame.f

    def inside(self, lanes: Lanes | None = None, counts: Mapping[str, Operand] | None = None) -> Self:
        """The same scope further in: with more counts, or with other lanes."""
        found = self.lanes if lanes is None else lanes
        counts = dict(counts or {})
        if found.scalar and found.axis is not None:
            counts[found.axis] = found.start
        return replace(self, lanes=found, values=dict(self.values), counts=self.counts | counts)

    def element(self, dtype: str) -> Element:
        return Element(dtype, self.lanes.lanes)

    def vector(self, x: Scalar, turn: int = 0) -> str:
        """A value as a vector, whether it varies or not."""
        if x.varying:
            return x.parts[turn]
        t = self.element(x.dtype)
        return splat(t, x.literal) if x.literal is not None else self.f.broadcast(t, x.parts[0])

    def vectors(self, x: Scalar) -> list[str]:
        """A value as one vector for each unrolled turn."""
        if not x.varying:
            return [self.vector(x)] * self.lanes.unroll
        return list(x.parts)

    def mask(self, turn: int) -> str | None:
        return self.lanes.masks[turn] if self.lanes.masks is not None else None

    def lane_numbers(self, start: Operand | None = None, dtype: str = "i64") -> list[str]:
        """The counts of the lane axis, from `start` on (default: where the lanes are)."""
        lanes = self.lanes
        start = lanes.start if start is None else start
        t = self.element(dtype)
        if t.bits == 64:
            first = self.f.lane_numbers(t, start)
        else:
            narrow = self.f.broadcast(t, self.f(f"trunc i64 {start} to {t.name}"))
            numbers = ", ".join(f"{t.name} {lane}" for lane in range(t.lanes))
            first = self.f(f"add {t.vec} {narrow}, <{numbers}>")
        step = [splat(t, u * lanes.lanes) for u in range(lanes.unroll)]
        return [first if u == 0 else self.f(f"add {t.vec} {first}, {step[u]}") for u in range(lanes.unroll)]

    def positions(self, axes: Sequence[Axis]) -> list[str]:
        """The row-major position of this turn of the axes, for each unrolled turn."""
        strides = row_major(tuple(a.extent for a in axes))
        total: Operand = 0
        for axis, stride in zip(axes, strides):
            if axis.name in self.counts:
                total = self.f.add(total, self.f.mul(self.counts[axis.name], self.frame.size(stride)))
        if self.lanes.scalar:
            return [str(total)]
        t = self.element("i64")
        base = self.f.broadcast(t, str(total))
        if self.lanes.axis not in {a.name for a in axes}:
            return [base] * self.lanes.unroll
        return [self.f(f"add {t.vec} {base}, {n}") for n in self.lane_numbers()]
