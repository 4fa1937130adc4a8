"""Where the boxes of a directed graph go: in rows, each above those that it points to, with few crossings.

The steps are those of Sugiyama, Tagawa and Toda (1981): rows by longest path, an order in each row by
barycentres, and columns in which chains are straight. An arrow over several rows passes a point in each.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

Point = tuple[float, float]

GAP, ROW_GAP = 24.0, 34.0
"""The space between the boxes of a row, and between rows."""
ORDER_SWEEPS, COLUMN_SWEEPS = 12, 40


@dataclass(frozen=True)
class Layout:
    """The centre of each box, the points of each arrow from bottom to top side, and the whole's size."""

    centres: tuple[Point, ...]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float


@dataclass
class _Rows:
    """The boxes, and a thin point for each row that an arrow passes, as nodes with their neighbours."""

    sizes: list[Point]
    row: list[int]
    above: list[list[int]]
    below: list[list[int]]
    chains: list[list[int]]
    boxes: int

    def weight(self, a: int, b: int) -> float:
        """How much an arrow's piece wants to be straight: long arrows most (Gansner et al., 1993)."""
        return (1.0, 2.0, 8.0)[(a >= self.boxes) + (b >= self.boxes)]


def arrange(sizes: Sequence[Point], edges: Sequence[tuple[int, int]]) -> Layout:
    """Places for boxes of these widths and heights, and for arrows (from, to) that make no cycle.

    >>> arrange([(40, 20), (40, 20)], [(0, 1)]).centres
    ((20.0, 10.0), (20.0, 64.0))
    """
    rows = _with_points(sizes, edges, _levels(len(sizes), edges))
    order = _ordered(rows)
    x = _columns(rows, order)
    y, height = _heights(rows, order)
    ends = [x[i] + rows.sizes[i][0] / 2 for i in range(len(x))]
    starts = [x[i] - rows.sizes[i][0] / 2 for i in range(len(x))]
    left = min(starts, default=0.0)
    centres = tuple((x[i] - left, y[i]) for i in range(len(sizes)))
    tallest = [max((rows.sizes[i][1] for i in row), default=0.0) / 2 for row in order]
    routes = []
    for chain in rows.chains:
        a, b = chain[0], chain[-1]
        points = [(x[a] - left, y[a] + rows.sizes[a][1] / 2)]
        for i in chain:
            # Also beside a taller box of its own row an arrow is straight, so as not to run behind that.
            reach = tallest[rows.row[i]]
            points += [(x[i] - left, y[i] - reach)] * (i != a) + [(x[i] - left, y[i] + reach)] * (i != b)
        points.append((x[b] - left, y[b] - rows.sizes[b][1] / 2))
        routes.append(tuple(p for p, q in pairwise([*points, (-1.0, -1.0)]) if p != q))
    return Layout(centres, tuple(routes), max(ends, default=0.0) - left, height)


def _levels(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The row of each box: one below the lowest that points to it; those without are just above the first
    that they point to.
    """
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        above[b].append(a)
        below[a].append(b)
    missing = [len(found) for found in above]
    ready = [i for i in range(count) if not missing[i]]
    level = [0] * count
    for i in ready:
        for j in below[i]:
            level[j] = max(level[j], level[i] + 1)
            missing[j] -= 1
            if not missing[j]:
                ready.append(j)
    return [
        min(level[j] for j in below[i]) - 1 if below[i] and not above[i] else level[i] for i in range(count)
    ]


def _with_points(sizes: Sequence[Point], edges: Sequence[tuple[int, int]], level: list[int]) -> _Rows:
    heights: dict[int, float] = {}
    for (_, h), r in zip(sizes, level):
        heights[r] = max(heights.get(r, 0.0), h)
    rows = _Rows(list(sizes), list(level), [], [], [], len(sizes))
    for a, b in edges:
        chain = [a]
        for r in range(level[a] + 1, level[b]):
            chain.append(len(rows.sizes))
            rows.sizes.append((2.0, heights.get(r, 0.0)))
            rows.row.append(r)
        rows.chains.append([*chain, b])
    rows.above = [[] for _ in rows.sizes]
    rows.below = [[] for _ in rows.sizes]
    for chain in rows.chains:
        for a, b in pairwise(chain):
            rows.below[a].append(b)
            rows.above[b].append(a)
    return rows


def _ordered(rows: _Rows) -> list[list[int]]:
    """An order in each row with few crossings: by the mean place of neighbours, row by row, down and up."""
    order: list[list[int]] = [[] for _ in range(max(rows.row, default=-1) + 1)]
    for i in _walked(rows):
        order[rows.row[i]].append(i)
    best, fewest = [list(r) for r in order], _crossings(rows, order)
    for sweep in range(ORDER_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        near = rows.above if down else rows.below
        for r in order if down else reversed(order):
            place = {i: k for row in order for k, i in enumerate(row)}
            mean = {i: sum(place[j] for j in near[i]) / len(near[i]) if near[i] else place[i] for i in r}
            r.sort(key=mean.__getitem__)
        found = _crossings(rows, order)
        if found < fewest:
            best, fewest = [list(r) for r in order], found
    return best


def _walked(rows: _Rows) -> Iterable[int]:
    """Nodes in the order of a walk downwards, so that what belongs together begins side by side."""
    seen: set[int] = set()
    stack = [i for i in reversed(range(len(rows.sizes))) if not rows.above[i]]
    while stack:
        i = stack.pop()
        if i not in seen:
            seen.add(i)
            yield i
            stack.extend(reversed(rows.below[i]))


def _crossings(rows: _Rows, order: list[list[int]]) -> int:
    total = 0
    for upper, lower in pairwise(order):
        place = {i: k for k, i in enumerate(lower)}
        ends: list[int] = []
        for i in upper:
            targets = sorted(place[j] for j in rows.below[i])
            total += sum(len(ends) - bisect_left(ends, t + 1) for t in targets)
            for t in targets:
                insort(ends, t)
    return total


@dataclass
class _Columns:
    """Chains of nodes that stay in one column, as blocks: which block a node is in, the neighbours of each
    block with the strength of their pull, and how far it must be from those at its left and right.
    """

    block: list[int]
    pulls: dict[int, list[tuple[int, float]]]
    left: dict[int, dict[int, float]]
    right: dict[int, dict[int, float]]


def _columns(rows: _Rows, order: list[list[int]]) -> list[float]:
    """The x of each node: chains straight, near what they are joined to, in the given order, and apart."""
    columns = _blocks(rows, order)
    line = _sorted(columns)
    x = dict.fromkeys(line, 0.0)
    for b in line:
        x[b] = max((x[a] + d for a, d in columns.left[b].items()), default=0.0)
    far = dict.fromkeys(line, max(x.values(), default=0.0))
    for b in reversed(line):
        far[b] = min((far[c] - d for c, d in columns.right[b].items()), default=far[b])
    # Both fill the constraints, so their mean does; it is in the middle of the room that each block has.
    x = {b: (x[b] + far[b]) / 2 for b in line}
    for sweep in range(COLUMN_SWEEPS):
        for b in line if sweep % 2 else reversed(line):
            pulls = columns.pulls[b]
            if pulls:
                wanted = sum(w * x[other] for other, w in pulls) / sum(w for _, w in pulls)
                least = max((x[a] + d for a, d in columns.left[b].items()), default=-inf)
                most = min((x[c] - d for c, d in columns.right[b].items()), default=inf)
                x[b] = min(max(wanted, least), most)
    return [x[b] for b in columns.block]


def _blocks(rows: _Rows, order: list[list[int]]) -> _Columns:
    block = list(range(len(rows.sizes)))
    for upper, lower in pairwise(order):
        place, last = {j: k for k, j in enumerate(lower)}, -1
        for i in upper:
            j = rows.below[i][0] if len(rows.below[i]) == 1 else None
            # Blocks that cross could not both be straight.
            if j is not None and len(rows.above[j]) == 1 and place[j] > last:
                block[j], last = block[i], place[j]
    names = set(block)
    found = _Columns(block, {b: [] for b in names}, {b: {} for b in names}, {b: {} for b in names})
    for i, below in enumerate(rows.below):
        for j in below:
            if block[i] != block[j]:
                found.pulls[block[i]].append((block[j], rows.weight(i, j)))
                found.pulls[block[j]].append((block[i], rows.weight(i, j)))
    for row in order:
        for i, j in pairwise(row):
            a, b = block[i], block[j]
            least = (rows.sizes[i][0] + rows.sizes[j][0]) / 2 + GAP
            found.right[a][b] = found.left[b][a] = max(least, found.left[b].get(a, 0.0))
    return found


def _sorted(columns: _Columns) -> list[int]:
    """The blocks from left to right."""
    missing = {b: len(left) for b, left in columns.left.items()}
    ready = [b for b, count in missing.items() if not count]
    for b in ready:
        for c in columns.right[b]:
            missing[c] -= 1
            if not missing[c]:
                ready.append(c)
    return ready


def _heights(rows: _Rows, order: list[list[int]]) -> tuple[list[float], float]:
    y, top = [0.0] * len(rows.sizes), 0.0
    for row in order:
        height = max((rows.sizes[i][1] for i in row), default=0.0)
        for i in row:
            y[i] = top + height / 2
        top += height + ROW_GAP
    return y, max(top - ROW_GAP, 0.0)
