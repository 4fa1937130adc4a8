"""Sums over windows that slide: `y[t:t + w] += v` in each iteration of a loop, as one sum behind it.

Each element of y gets the values of the iterations whose windows cover it, in their order. Seen from the
element that is one value for each place in a window: the values of all iterations, laid out as far apart as
the windows are, moved by that place. Added in the order of the iterations they give the same bits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node, Value
from graphc.npjit.native.periods import Stretch
from graphc.npjit.native.sliding import Line, grid

MOST = 32
"""Places in a window, up to which a sum has a term for each."""


@dataclass(frozen=True)
class Placed:
    """A sum: its nodes by their places in an iteration, and where the windows lie.

    `adds` gives `window + v` or `window - v`, v being the operand `added`; `stores` puts it back. `first`:
    the array before the loop; `box`: the sizes of a window, `start`: where that of the first iteration
    begins.
    """

    places: tuple[int, ...]
    adds: int
    added: int
    stores: int
    first: Value
    box: tuple[int, ...]
    start: tuple[int, ...]
    lines: tuple[Line, ...]
    missing: tuple[int, int]
    negative: bool


def placed_sums(graph: Graph, nodes: Sequence[Node], stretch: Stretch) -> list[Placed]:
    """The sums over windows in the iterations of a stretch."""
    return list(_found(graph, nodes, stretch))


def _found(graph: Graph, nodes: Sequence[Node], stretch: Stretch) -> Iterator[Placed]:
    for k in range(stretch.period):
        if nodes[k].op.name == "update_slice":
            made = _placed(graph, nodes, stretch, k)
            if made is not None:
                yield made


def _placed(graph: Graph, nodes: Sequence[Node], stretch: Stretch, k: int) -> Placed | None:
    """The sum that the k-th node of each iteration stores."""
    period, stores = stretch.period, nodes[k :: stretch.period]
    chains = [_chain(graph, node) for node in stores]
    first = chains[0]
    if first is None or any(c is None for c in chains):
        return None
    places = {n: i for i, n in enumerate(nodes)}
    at = [
        tuple(places.get(n, -1) - j * period for n in c.nodes) for j, c in enumerate(chains) if c is not None
    ]
    if (
        len(set(at)) != 1
        or not all(0 <= i < period for i in at[0])
        or len({c.added for c in chains if c}) != 1
    ):
        return None
    if any(after.operands[0] is not before.results[0] for before, after in itertools.pairwise(stores)):
        return None
    if any(len(graph.users[s.results[0]]) != 2 or s.results[0] in graph.results for s in stores[:-1]):
        return None
    starts = np.array([s.attrs["start"] for s in stores], object)
    box = stores[0].operands[1].type.shape
    if any(isinstance(d, Size) for d in (*starts.flat, *box)):
        return None
    moving = np.flatnonzero((starts != starts[0]).any(0)).tolist()
    lines, missing = (grid(starts, moving) if moving else None) or ([], (0, 0))
    if not lines or math.prod(int(box[line.axis]) for line in lines) > MOST:
        return None
    return Placed(
        at[0],
        places[first.adds],
        first.added,
        k,
        stores[0].operands[0],
        tuple(int(d) for d in box),
        tuple(starts[0].tolist()),
        tuple(lines),
        missing,
        first.adds.op.name == "subtract",
    )


@dataclass(frozen=True)
class _Chain:
    """The nodes from a window that is read to the store of it."""

    nodes: tuple[Node, ...]
    adds: Node
    added: int


def _chain(graph: Graph, store: Node) -> _Chain | None:
    """What leads from a window of an array to the same window of its next version."""
    base, value = store.operands[:2]
    if base.type.dtype.kind not in "fiu" or any(s != 1 for s in store.attrs["step"]):
        return None
    back = _alone(graph, value)
    turned = back is not None and back.op.name == "reshape"
    adds = _alone(graph, back.operands[0]) if back is not None and turned else back
    if back is None or adds is None or adds.op.name not in ("add", "subtract"):
        return None
    for i in (0, 1) if adds.op.name == "add" else (0,):
        read = _alone(graph, adds.operands[i])
        there = read
        if there is not None and there.op.name == "reshape":
            there = _alone(graph, there.operands[0])
        if read is None or there is None or there.op.name != "slice" or there.operands[0] is not base:
            continue
        window = tuple(there.attrs["start"]) == tuple(store.attrs["start"])
        same = window and there.results[0].type == value.type and all(s == 1 for s in there.attrs["step"])
        if same and adds.operands[1 - i].type == adds.results[0].type == adds.operands[i].type:
            return _Chain(tuple(dict.fromkeys((there, read, adds, back, store))), adds, 1 - i)
    return None


def _alone(graph: Graph, value: Value) -> Node | None:
    """The node that makes a value which only one other reads."""
    node = graph.producers.get(value)
    return node if node is not None and len(graph.users[value]) == 1 and value not in graph.results else None


def summed(b: Builder, first: Expr, values: Expr, p: Placed) -> Expr:
    """The array behind the loop; `values`: what the iterations add, along a first axis."""
    by_axis = {line.axis: line for line in p.lines}
    low = [by_axis[i].lowest if i in by_axis else p.start[i] for i in range(first.rank)]
    counts = [by_axis[i].count if i in by_axis else 1 for i in range(first.rank)]
    steps = [abs(by_axis[i].step) if i in by_axis else 1 for i in range(first.rank)]
    span = [(c - 1) * s + w for c, s, w in zip(counts, steps, p.box, strict=True)]
    high = [a + n for a, n in zip(low, span, strict=True)]
    total = b.slice(first, start=tuple(low), stop=tuple(high), step=(1,) * first.rank)
    laid = _laid_out(b, values, p, counts)
    for taps in itertools.product(*map(_in_order, p.lines, (p.box[line.axis] for line in p.lines))):
        place = dict(zip((line.axis for line in p.lines), taps, strict=True))
        part = _moved(b, laid, p, place, counts, steps, span)
        total = b.subtract(total, part) if p.negative else total + part
    return b.update_slice(first, total, start=tuple(low), step=(1,) * first.rank)


def _in_order(line: Line, size: int) -> range:
    """The places in a window in the order in which the iterations come to an element."""
    return range(size - 1, -1, -1) if line.step > 0 else range(size)


def _laid_out(b: Builder, values: Expr, p: Placed, counts: Sequence[int]) -> Expr:
    """The values with two axes for each of the array: the windows, in the order of their places, and what is
    in each.
    """
    rank, loops = len(p.box), len(p.lines)
    if any(p.missing):
        none = b.constant(nothing(values, p), values.dtype)
        head, tail = [b.broadcast(none, shape=(n, *values.shape[1:])) for n in p.missing]
        values = b.concatenate(
            *([head] if p.missing[0] else []), values, *([tail] if p.missing[1] else []), axis=0
        )
    x = b.reshape(values, shape=(*(line.count for line in p.lines), *p.box))
    down = tuple(i for i, line in enumerate(p.lines) if line.step < 0)
    x = b.reverse(x, axes=down) if down else x
    places = {line.axis: i for i, line in enumerate(p.lines)}
    order = [i for a in range(rank) for i in (places.get(a), loops + a) if i is not None]
    x = b.transpose(x, axes=tuple(order)) if order != sorted(order) else x
    return b.reshape(x, shape=tuple(n for pair in zip(counts, p.box, strict=True) for n in pair))


def _moved(
    b: Builder,
    laid: Expr,
    p: Placed,
    place: dict[int, int],
    counts: Sequence[int],
    steps: Sequence[int],
    span: Sequence[int],
) -> Expr:
    """What the windows have at one place in them, where it lies in the array; 0 elsewhere."""
    rank = len(p.box)
    bounds = [(0, counts[a]) if not i else _taken(a, place, p.box) for a in range(rank) for i in (0, 1)]
    part = b.slice(
        laid,
        start=tuple(lo for lo, _ in bounds),
        stop=tuple(hi for _, hi in bounds),
        step=(1,) * laid.rank,
    )
    sizes = [counts[a] if a in place else p.box[a] for a in range(rank)]
    begin, end = min(place), max(place) + 1
    before, after = math.prod(sizes[:begin]), math.prod(sizes[end:])
    moved = b.windows(
        b.reshape(part, shape=(before, *sizes[begin:end], after)),
        size=(1,) * (end - begin),
        out=tuple(span[begin:end]),
        strides=(1,) * (end - begin),
        low=tuple(place.get(a, 0) for a in range(begin, end)),
        dilation=(1,) * (end - begin),
        spread=tuple(steps[begin:end]),
        value=nothing(part, p),
    )
    return b.reshape(moved, shape=tuple(span))


def nothing(x: Expr, p: Placed) -> float | int:
    """What changes no number that it is added to, or taken from."""
    return (0.0 if p.negative else -0.0) if x.dtype.kind == "f" else 0


def _taken(axis: int, place: dict[int, int], box: Sequence[int]) -> tuple[int, int]:
    return (place[axis], place[axis] + 1) if axis in place else (0, box[axis])
