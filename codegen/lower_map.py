"""Outputs of one shape without a reduction: one turn of the loops per element.

Where rows are put together of pieces (a concatenation, pads that are added), each range of columns has loops
of its own, which need no conditions. Where values are interleaved along another axis, one turn of the loops
computes all of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from itertools import accumulate, pairwise

from graphc.codegen.boxes import Box, boxes
from graphc.codegen.crossings import TURNS, crossed, turns_of
from graphc.codegen.index_maps import ZERO, Indices, combine
from graphc.codegen.loops import Nest, Stage, Store
from graphc.codegen.scalar import BODY, OUTER
from graphc.codegen.values import Values
from graphc.ir import Node, Value
from graphc.ir.dims import Dim, Shape
from graphc.passes.roles import is_interleaving

Outputs = list[tuple[str, Value]]


LEAST_COLUMNS, MOST_RANGES = 8, 16
"""Ranges of fewer columns, or more ranges, are not worth loops of their own."""


def lower_map(values: Values, outputs: Outputs, shape: Shape, nodes: Iterable[Node] = ()) -> list[Nest]:
    """Nests over all axes of `shape`, whose lane is the last one; `nodes` are those that they compute."""
    nodes = tuple(nodes)
    places = _interleaved(shape, nodes)
    columns = _ranges(shape, nodes)
    whole: Box = tuple((0, d) for d in shape)
    # at which counts conditions change is known once the values are computed
    nest, names = _nest(values, outputs, shape, whole, places)
    cuts = {axis: values.cuts.get(name, set()) for axis, name in names.items()}
    found = boxes(shape, cuts, columns, nest) if shape else [whole]
    axis = crossed(nest, names) if len(places) == 1 else None
    if found == [whole] and axis is None:
        return [nest]
    if axis == len(shape) - 2 and shape[-1] in range(2, TURNS):  # that axis is a better lane
        places, axis = [{len(shape) - 1: column} for column in range(shape[-1])], None
    nests = []
    for box in found:
        for part, turns in turns_of(box, axis):
            values.start()
            here = places if turns == 1 else [{axis or 0: turn} for turn in range(turns)]
            nests.append(_nest(values, outputs, shape, part, here, turns)[0])
    return nests


def _interleaved(shape: Shape, nodes: Iterable[Node]) -> list[dict[int, int]]:
    """The places along the axes that interleave values: one turn of the loops computes all of them."""
    axes = {
        n.attrs["axis"]: len(n.operands)
        for n in nodes
        if is_interleaving(n) and n.result.type.rank == len(shape)
    }
    counts = {axis: count for axis, count in axes.items() if shape[axis] == count}
    places = itertools.product(*map(range, counts.values()))
    return (
        [dict(zip(counts, place)) for place in places] if math.prod(counts.values()) <= MOST_RANGES else [{}]
    )


def _ranges(shape: Shape, nodes: Iterable[Node]) -> list[tuple[Dim, Dim]]:
    """The ranges of columns within which no piece begins or ends."""
    whole: list[tuple[Dim, Dim]] = [(0, shape[-1] if shape else 1)]
    columns = whole[0][1]
    if not isinstance(columns, int):
        return whole
    cuts = {0, columns}
    for node in nodes:
        if node.op.name in ("pad", "concatenate") and node.result.type.shape[-1:] == shape[-1:]:
            cuts |= _cuts(node, columns)
    ranges = list(pairwise(sorted(c for c in cuts if 0 <= c <= columns)))
    fine = len(ranges) <= MOST_RANGES and all(b - a >= LEAST_COLUMNS for a, b in ranges)
    return [*ranges] if fine and ranges else whole


def _cuts(node: Node, columns: int) -> set[int]:
    """Where the pieces of a node's rows begin and end, as far as that is known."""
    ends: tuple[Dim, ...] = ()
    if node.op.name == "pad":
        ends = (node.attrs["low"][-1], columns - node.attrs["high"][-1])
    elif node.attrs["axis"] == node.result.type.rank - 1:
        ends = tuple(accumulate(v.type.shape[-1] for v in node.operands))
    return {end for end in ends if isinstance(end, int)}


def _nest(
    values: Values,
    outputs: Outputs,
    shape: Shape,
    box: Box,
    places: list[dict[int, int]],
    turns: int = 1,
) -> tuple[Nest, dict[int, str]]:
    """The nest of a box, each turn of which computes all `places` of the axes without a loop, or the next
    `turns` of their one axis; and the names of its axes.
    """
    fixed = places[0] if turns == 1 else {}
    rank = len([d for axis, (_, d) in enumerate(box) if d != 1 and axis not in fixed])
    seen = 0
    indices = []
    for axis, (first, d) in enumerate(box):
        if axis in fixed:
            indices.append(ZERO)
            continue
        each = turns if axis in places[0] else 1
        seen += d != 1
        inner = d != 1 and seen == rank and rank > 1
        index = values.axis(f"i{axis}", d // each, BODY if inner else OUTER)
        indices.append(combine([(index, each)], first))
    named = {axis: i.terms[0][0] for axis, i in enumerate(indices) if i.terms}
    names = [*named.values()]
    depth = BODY if len(names) > 1 else OUTER
    for place in places:
        here = tuple(combine([(i, 1)], place[axis]) if axis in place else i for axis, i in enumerate(indices))
        _store(values, outputs, shape, here, depth)
    axes = [values.loop(n) for n in names]
    start, outer, body = values.scalars.code
    lane = names[-1] if names else None
    if len(names) <= 1:
        return Nest(tuple(axes), (Stage((), tuple(outer)),), lane, start=tuple(start)), named
    stages = [Stage((), tuple(outer))] if outer else []
    stages.append(Stage((axes[-1],), tuple(body)))
    return Nest(tuple(axes[:-1]), tuple(stages), lane, start=tuple(start)), named


def _store(values: Values, outputs: Outputs, shape: Shape, indices: Indices, depth: int) -> None:
    """Compute one element of each output."""
    for buffer, value in outputs:
        element = values.at(value, indices)
        offset = values.place(buffer, indices, shape)
        values.scalars.code[depth].append(Store(buffer, offset, element.name))
