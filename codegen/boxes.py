"""The boxes of a map: ranges of its axes inside of which no condition on their counts changes.

Inside of an image, no tap of a window needs to be asked whether it lies there; at the border, taps that do
not are left out. So the loops over a map whose values have such conditions (windows with padding, pads,
concatenations) are written once for each box.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from graphc.codegen.loops import Nest
from graphc.ir.dims import Dim, Shape

Box = tuple[tuple[Dim, Dim], ...]
"""The first count and the number of counts, for each axis."""

MOST_BOXES, MOST_CODE = 16, 1600
"""More boxes, or more instructions in all of them, would be too much code."""
LEAST_ELEMENTS, SOME = 4096, 16
"""Maps of fewer elements are not worth it, where an unknown size counts as some."""


def boxes(
    shape: Shape, cuts: Mapping[int, set[int]], columns: Sequence[tuple[Dim, Dim]], nest: Nest
) -> list[Box]:
    """The boxes of a map of that shape.

    `cuts` has for some axes the counts at which a condition changes, `columns` the ranges (start, stop) of
    the last axis; `nest` is the code without boxes.
    """
    rank = len(shape)
    ranges = [_ranges(shape[axis], cuts.get(axis, set())) for axis in range(rank - 1)]
    code = sum(len(s.body) + len(s.finish) for s in nest.stages)
    known = math.prod(d if isinstance(d, int) else SOME for d in shape)
    most = min(MOST_BOXES, MOST_CODE // max(1, code)) if known >= LEAST_ELEMENTS else 1
    for axis in range(rank - 1):
        if math.prod(map(len, ranges)) * len(columns) > most:
            ranges = [_inside(found) for found in ranges]
        if math.prod(map(len, ranges)) * len(columns) > most:
            ranges[axis] = [(0, shape[axis])]
    last = [(start, stop - start) for start, stop in columns]
    return list(itertools.product(*ranges, last))


def _ranges(extent: Dim, cuts: set[int]) -> list[tuple[Dim, Dim]]:
    if not isinstance(extent, int):
        return [(0, extent)]
    places = sorted({0, extent} | {c for c in cuts if 0 < c < extent})
    return [(a, b - a) for a, b in itertools.pairwise(places)] or [(0, extent)]


def _inside(ranges: list[tuple[Dim, Dim]]) -> list[tuple[Dim, Dim]]:
    """The longest range, and what is before and behind it."""
    if len(ranges) <= 3:
        return ranges
    sizes = [(start, count) for start, count in ranges if isinstance(start, int) and isinstance(count, int)]
    start, count = max(sizes, key=lambda r: r[1])
    end = sum(sizes[-1])
    parts = [(0, start), (start, count), (start + count, end - start - count)]
    return [(a, n) for a, n in parts if n]
