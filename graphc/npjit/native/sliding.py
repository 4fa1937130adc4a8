"""Windows that slide over an array, one in each iteration of a loop: one view of them all.

`x[t:t + w]` for t = 0, 1, 2, ... are boxes of one array at places that make a line, or over two loops a grid.
They overlap, so no part of the array has them one after the other: the op `windows` does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Size
from graphc.ir.graph import Node

MISSING = 3
"""Places of a grid that may be missing at its beginning, and at its end."""


@dataclass(frozen=True)
class Line:
    """The places that a box takes along one axis: the first, how many, and from one to the next."""

    axis: int
    first: int
    count: int
    step: int

    @property
    def lowest(self) -> int:
        return min(self.first, self.first + (self.count - 1) * self.step)


def overlapping(b: Builder, nodes: Sequence[Node], starts: np.ndarray, moving: Sequence[int]) -> Expr | None:
    """Boxes of equal sizes cut out of one array, one after the other along a new first axis; None if their
    places are no grid. `starts`: where each begins; `moving`: the axes in which they differ.
    """
    shape = nodes[0].results[0].type.shape
    sizes = [*shape, *starts[0], *starts[:, moving].flat]
    found = None if any(isinstance(d, Size) for d in sizes) else grid(starts, moving)
    if not found:
        return None
    lines, missing = found
    made = _windows(b, Expr(b, nodes[0].operands[0]), [int(d) for d in shape], starts[0], lines)
    if not any(missing):
        return made
    begin = (missing[0], *[0] * len(shape))
    end = (missing[0] + len(nodes), *made.shape[1:])
    return b.slice(made, start=begin, stop=end, step=(1,) * made.rank)


def grid(starts: np.ndarray, axes: Sequence[int]) -> tuple[list[Line], tuple[int, int]] | None:
    """The lines along the axes, of the outermost loop first, whose product are the places, and how many
    places are missing at the beginning and at the end, where iterations were unlike the others.

    >>> grid(np.array([[0, 4], [0, 6], [1, 4], [1, 6]], object), [0, 1])
    ([Line(axis=0, first=0, count=2, step=1), Line(axis=1, first=4, count=2, step=2)], (0, 0))
    """
    for head, tail in itertools.product(range(MISSING + 1), repeat=2):
        lines = [_line(axis, _places(starts[:, axis].tolist(), head)) for axis in axes]
        for order in itertools.permutations([line for line in lines if line is not None]):
            if len(order) < len(axes) or math.prod(a.count for a in order) != head + len(starts) + tail:
                continue
            ranges = [range(a.first, a.first + a.count * a.step, a.step) for a in order]
            found = list(zip(*(starts[:, a.axis].tolist() for a in order), strict=True))
            if list(itertools.product(*ranges))[head : head + len(found)] == found:
                return list(order), (head, tail)
    return None


def _places(found: list[int], head: int) -> list[int]:
    """The places along an axis in the order of the loop; those that are missing at first come later on."""
    places = list(dict.fromkeys(found))
    if head and len(found) > len(places):
        step = max(set(np.diff(places).tolist()), key=np.diff(places).tolist().count)
        return sorted(places, reverse=step < 0)
    return places


def _line(axis: int, places: list[int]) -> Line | None:
    if len(places) < 2:
        return None
    step = places[1] - places[0]
    if places != list(range(places[0], places[0] + step * len(places), step)):
        return None
    return Line(axis, places[0], len(places), step)


def _windows(b: Builder, x: Expr, shape: list[int], start: Sequence[int], lines: list[Line]) -> Expr:
    by_axis = {line.axis: line for line in lines}
    begin = [by_axis[i].lowest if i in by_axis else int(start[i]) for i in range(x.rank)]
    spans = [abs(by_axis[i].step) * (by_axis[i].count - 1) if i in by_axis else 0 for i in range(x.rank)]
    end = [a + s + n for a, s, n in zip(begin, spans, shape, strict=True)]
    block = b.slice(x, start=tuple(begin), stop=tuple(end), step=(1,) * x.rank)
    low, high = min(by_axis), max(by_axis) + 1
    spatial = [by_axis.get(i, Line(i, 0, 1, 1)) for i in range(low, high)]
    rank = len(spatial)
    before, after = shape[:low], shape[high:]
    middle = tuple(n + s for n, s in zip(shape[low:high], spans[low:high], strict=True))
    block = b.reshape(block, shape=(math.prod(before), *middle, math.prod(after)))
    counts = [line.count for line in spatial]
    taken = b.windows(
        block,
        size=tuple(shape[low:high]),
        out=tuple(counts),
        strides=tuple(abs(line.step) for line in spatial),
        low=(0,) * rank,
        dilation=(1,) * rank,
        spread=(1,) * rank,
    )
    apart = b.reshape(taken, shape=(*before, *counts, *shape[low:high], *after))
    down = tuple(low + i for i, line in enumerate(spatial) if line.step < 0)
    apart = b.reverse(apart, axes=down) if down else apart
    loops = [line.axis for line in lines]
    order = (*loops, *(i for i in range(apart.rank) if i not in loops))
    apart = apart if order == tuple(range(apart.rank)) else b.transpose(apart, axes=order)
    return b.reshape(apart, shape=(math.prod(line.count for line in lines), *shape))
