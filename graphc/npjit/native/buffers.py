"""Arrays that are written piece by piece: what was just stored is read back without going through memory.

A loop that fills `h[t]` and reads `h[t - 1]` needs the buffer as a whole at its end only, where the pieces
are joined.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.types import DType
from graphc.npjit.native.sliding import grid
from graphc.npjit.native.symbols import surely_reaches

Span = tuple[Dim, Dim]
"""First position and end along an axis."""
Box = tuple[Span, ...]
Write = tuple[Box, Expr]


@dataclass
class Pieces:
    """`base` with boxes of it replaced, in order."""

    b: Builder
    base: Expr
    writes: tuple[Write, ...]
    joined: Expr | None = field(default=None)
    marks: np.ndarray | None = field(default=None)  # the boxes, where their positions are numbers
    is_whole: bool = False  # the base was put together from pieces: more of them are written into it

    @property
    def dtype(self) -> DType:
        return self.base.dtype

    @property
    def shape(self) -> Shape:
        return self.base.shape

    def whole(self) -> Expr:
        """The array: the pieces joined where they are rows of one axis, else written one after the other."""
        if self.joined is None:
            joined = _written if self.is_whole else _joined
            self.joined = joined(self.b, self.base, self.writes)
        return self.joined

    def read(self, box: Box) -> Expr | None:
        """The elements of a box, if one write, or the base alone, has them all."""
        if self.joined is not None:
            return None
        found = self._last(box)
        if found is None:
            return sliced(self.b, self.base, box)
        there, value = found
        if not _covers(there, box):
            return None
        return sliced(
            self.b, value, tuple((lo - a, hi - a) for (lo, hi), (a, _) in zip(box, there, strict=True))
        )

    def _last(self, box: Box) -> Write | None:
        """The last write that may have elements of a box."""
        mark = _mark(box)
        if mark is None or self.marks is None:
            return next((w for w in reversed(self.writes) if _covers(w[0], box) or _meet(box, w[0])), None)
        low, high = self.marks[:, 0], self.marks[:, 1]
        around = ((low <= mark[0]) & (high >= mark[1])).all(1)
        (found,) = (around | ((low < mark[1]) & (high > mark[0])).all(1)).nonzero()
        return self.writes[found[-1]] if len(found) else None

    def write(self, box: Box, value: Expr) -> Pieces:
        """The buffer after a store; earlier stores that it covers are forgotten."""
        if self.joined is not None and (self.is_whole or len(self.writes) > 1):  # go on from all of it
            made = Pieces(self.b, self.joined, ((box, value),), is_whole=True)
            made.whole()  # in its place in the loop
            return made
        mark, marks, writes = _mark(box), self.marks, self.writes
        if mark is None or (marks is None and writes):
            kept = tuple(w for w in writes if not _covers(box, w[0]))
            return replace(self, writes=(*kept, (box, value)), joined=None, marks=None)
        if marks is not None:  # there are thousands of them where a long loop fills an array
            open_ = ~((marks[:, 0] >= mark[0]) & (marks[:, 1] <= mark[1])).all(1)
            writes = writes if open_.all() else tuple(itertools.compress(writes, open_))
            marks = np.concatenate([marks[open_], mark[None]])
        marks = mark[None] if marks is None else marks
        return replace(self, writes=(*writes, (box, value)), joined=None, marks=marks)


def _mark(box: Box) -> np.ndarray | None:
    """A box as an array: its first positions, and its ends; None where these are no numbers."""
    if any(isinstance(d, Size) for span in box for d in span):
        return None
    return np.array(box, np.int64).reshape(len(box), 2).T


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


def _joined(b: Builder, base: Expr, writes: Sequence[Write]) -> Expr:
    axis = _axis_of_rows(base, writes)
    if axis is not None:
        return _beside(b, base, axis, [(box[axis], value) for box, value in writes])
    block = _block(b, writes)
    if block is not None:
        return _joined(b, base, [block])
    return _written(b, base, writes)


def _written(b: Builder, base: Expr, writes: Sequence[Write]) -> Expr:
    """The pieces written one after the other."""
    whole = base
    for box, value in writes:
        whole = b.update_slice(whole, value, start=tuple(lo for lo, _ in box), step=(1,) * base.rank)
    return whole


def _block(b: Builder, writes: Sequence[Write]) -> Write | None:
    """Boxes that fill a larger one as tiles do, in the order of nested loops: that box, and all in one."""
    marks = [_mark(box) for box, _ in writes]
    if len(writes) < 2 or any(m is None for m in marks):
        return None
    starts, ends = np.stack(marks).swapaxes(0, 1)  # type: ignore[arg-type]
    shape = (ends - starts)[0].tolist()
    moving = np.flatnonzero((starts != starts[0]).any(0)).tolist()
    found = grid(starts, moving) if ((ends - starts) == shape).all() else None
    lines, missing = found or ([], (0, 0))
    if not lines or any(missing) or any(abs(line.step) != shape[line.axis] for line in lines):
        return None
    values = [b.reshape(value, shape=(1, *shape)) for _, value in writes]
    tiles = b.reshape(b.concatenate(*values, axis=0), shape=(*(line.count for line in lines), *shape))
    down = tuple(i for i, line in enumerate(lines) if line.step < 0)
    tiles = b.reverse(tiles, axes=down) if down else tiles
    places = {line.axis: i for i, line in enumerate(lines)}
    order = [i for axis in range(len(shape)) for i in (places.get(axis), len(lines) + axis) if i is not None]
    turned = b.transpose(tiles, axes=tuple(order))
    low, high = starts.min(0).tolist(), ends.max(0).tolist()
    sizes = tuple(hi - lo for lo, hi in zip(low, high, strict=True))
    return tuple(zip(low, high, strict=True)), b.reshape(turned, shape=sizes)


def _beside(b: Builder, base: Expr, axis: int, rows: Sequence[tuple[Span, Expr]]) -> Expr:
    """The array with parts of it replaced that lie beside each other along an axis."""
    parts: list[Expr] = []
    at: Dim = 0
    size = base.shape[axis]
    for (lo, hi), value in sorted(rows, key=lambda r: r[0]):
        if at != lo:
            parts.append(_rows(b, base, axis, at, lo))
        parts.append(value)
        at = hi
    if at != size:
        parts.append(_rows(b, base, axis, at, size))
    return parts[0] if len(parts) == 1 else b.concatenate(*parts, axis=axis)


def _rows(b: Builder, base: Expr, axis: int, lo: Dim, hi: Dim) -> Expr:
    return sliced(b, base, tuple((lo, hi) if i == axis else (0, d) for i, d in enumerate(base.shape)))


def _axis_of_rows(base: Expr, writes: Sequence[Write]) -> int | None:
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
    return axis if _are_apart(spans) else None


def _are_apart(spans: Sequence[Span]) -> bool:
    if any(isinstance(d, Size) for span in spans for d in span):
        return False
    return all(surely_reaches(after[0], before[1]) for before, after in pairwise(sorted(spans)))
