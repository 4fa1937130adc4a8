"""Maps that cross memory: neighbours in the lane lie far apart in what they read, as in a transposition.

Some turns of the axis along which that memory runs are computed together, so that each line of memory is used
whole before it is gone from the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphc.codegen.boxes import Box
from graphc.codegen.loops import Load, Nest
from graphc.ir.dims import Dim

TURNS, LEAST_APART, MOST_TOGETHER = 8, 16, 16
"""Turns that are computed together, how far apart lanes read then, and the most instructions of one turn."""


def crossed(nest: Nest, names: Mapping[int, str]) -> int | None:
    """The axis, if any, along which the loads whose lanes lie far apart go through memory."""
    code = [i for stage in nest.stages for i in stage.body]
    lane = nest.lane or ""
    far = [i for i in code if isinstance(i, Load) and _is_far(i.offset.stride(lane))]
    if not far or len(code) > MOST_TOGETHER or len(names) < 2:
        return None
    outer = [axis for axis, name in names.items() if name != lane]
    return next((a for a in outer if all(i.offset.stride(names[a]) == 1 for i in far)), None)


def _is_far(stride: Dim) -> bool:
    return not isinstance(stride, int) or stride >= LEAST_APART


def turns_of(box: Box, axis: int | None) -> Iterator[tuple[Box, int]]:
    """What of a box goes `TURNS` turns of an axis at a time, and the rest."""
    start, count = box[axis] if axis is not None else (0, 0)
    if axis is None or not isinstance(count, int) or count < TURNS:
        yield box, 1
        return
    rest = count % TURNS
    yield (*box[:axis], (start, count - rest), *box[axis + 1 :]), TURNS
    if rest:
        yield (*box[:axis], (start + (count - rest), rest), *box[axis + 1 :]), 1
