"""Arrays that are written piece by piece: what was just stored is read back without going through memory.

A loop that fills `h[t]` and reads `h[t - 1]` needs the buffer as a whole at its end only, where the pieces
are joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.types import DType
from graphc.npjit.native.symbols import surely_reaches

Box = tuple[tuple[Dim, Dim], ...]
"""First position and end along each axis."""


@dataclass
class Pieces:
    """`base` with boxes of it replaced, in order."""

    b: Builder
    base: Expr
    writes: tuple[tuple[Box, Expr], ...]
    joined: Expr | None = field(default=None)

    @property
    def dtype(self) -> DType:
        return self.base.dtype

    @property
    def shape(self) -> Shape:
        return self.base.shape

    def whole(self) -> Expr:
        """The array: the pieces joined where they are rows of one axis, else written one after the other."""
        if self.joined is None:
            self.joined = _joined(self.b, self.base, self.writes)
        return self.joined

    def read(self, box: Box) -> Expr | None:
        """The elements of a box, if one write, or the base alone, has them all."""
        if self.joined is not None:
            return None
        for there, value in reversed(self.writes):
            if _covers(there, box):
                return sliced(
                    self.b,
                    value,
                    tuple((lo - a, hi - a) for (lo, hi), (a, _) in zip(box, there, strict=True)),
                )
            if _meet(box, there):
                return None
        return sliced(self.b, self.base, box)

    def write(self, box: Box, value: Expr) -> Pieces:
        """The buffer after a store; earlier stores that it covers are forgotten."""
        kept = tuple(w for w in self.writes if not _covers(box, w[0]))
        return Pieces(self.b, self.base, (*kept, (box, value)))


def sliced(b: Builder, x: Expr, box: Box) -> Expr:
    """A box of an array."""
    if all(lo == 0 and hi == d for (lo, hi), d in zip(box, x.shape, strict=True)):
        return x
    start, stop = tuple(lo for lo, _ in box), tuple(hi for _, hi in box)
    return b.slice(x, start=start, stop=stop, step=(1,) * x.rank)


def _covers(outer: Box, inner: Box) -> bool:
    return all(
        surely_reaches(lo, a) and surely_reaches(z, hi) for (a, z), (lo, hi) in zip(outer, inner, strict=True)
    )


def _meet(x: Box, y: Box) -> bool:
    """Whether boxes may have common elements."""
    return not any(surely_reaches(a, d) or surely_reaches(c, z) for (a, z), (c, d) in zip(x, y, strict=True))


def _joined(b: Builder, base: Expr, writes: Sequence[tuple[Box, Expr]]) -> Expr:
    axis = _axis_of_rows(base, writes)
    if axis is None:
        whole = base
        for box, value in writes:
            whole = b.update_slice(whole, value, start=tuple(lo for lo, _ in box), step=(1,) * base.rank)
        return whole
    parts: list[Expr] = []
    at: Dim = 0
    size = base.shape[axis]
    for box, value in sorted(writes, key=lambda w: w[0][axis]):
        lo, hi = box[axis]
        if at != lo:
            parts.append(_rows(b, base, axis, at, lo))
        parts.append(value)
        at = hi
    if at != size:
        parts.append(_rows(b, base, axis, at, size))
    return parts[0] if len(parts) == 1 else b.concatenate(*parts, axis=axis)


def _rows(b: Builder, base: Expr, axis: int, lo: Dim, hi: Dim) -> Expr:
    return sliced(b, base, tuple((lo, hi) if i == axis else (0, d) for i, d in enumerate(base.shape)))


def _axis_of_rows(base: Expr, writes: Sequence[tuple[Box, Expr]]) -> int | None:
    """The one axis in which the boxes lie beside each other, if they fill all others."""
    partial = {
        i
        for box, _ in writes
        for i, ((lo, hi), d) in enumerate(zip(box, base.shape, strict=True))
        if (lo, hi) != (0, d)
    }
    if len(partial) > 1:
        return None
    axis = partial.pop() if partial else 0
    spans = [box[axis] for box, _ in writes]
    if len(spans) == 1:
        return axis
    if any(isinstance(d, Size) for span in spans for d in span):
        return None
    apart = all(surely_reaches(after[0], before[1]) for before, after in pairwise(sorted(spans)))
    return axis if apart else None
