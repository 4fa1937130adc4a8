"""How an element of a `windows` view is found: an index map, with a condition wherever a window may lie
outside.
"""

from __future__ import annotations

from graphc.codegen import index_maps
from graphc.codegen.index_maps import ZERO, Indices, combine, variable
from graphc.codegen.loops import Offset
from graphc.codegen.scalar import Scalar
from graphc.codegen.values import Guard, Values, rule
from graphc.ir import Node
from graphc.ir.dims import Dim, ceildiv, maximum
from graphc.ir.types import BOOL, I64


@rule("windows")
def _windows(v: Values, node: Node, indices: Indices, guard: Guard) -> Scalar:
    (x,) = node.operands
    attrs, rank = node.attrs, len(node.attrs["size"])
    source: list[Offset] = []
    inside: Guard = None
    fill = v.scalars.constant(attrs["value"], x.type.dtype)
    for axis in range(rank):
        at, tap = indices[1 + axis], indices[1 + rank + axis]
        place = combine([(at, attrs["strides"][axis]), (tap, attrs["dilation"][axis])], -attrs["low"][axis])
        place, exact = _unspread(v, place, attrs["low"][axis], attrs["spread"][axis])
        size = x.type.shape[1 + axis]
        if v.never_within(place, 0, size):
            return fill
        inside = v.both(v.both(inside, exact), v.within(place, 0, size))
        source.append(ZERO if size == 1 else place)
    first = ZERO if x.type.shape[0] == 1 else indices[0]
    element = v.at(x, (first, *source, indices[-1]), v.both(guard, inside))
    if inside is None:
        return element
    return v.scalars.primitive("select", x.type.dtype, inside, element, fill)


def _unspread(v: Values, place: Offset, low: Dim, spread: int) -> tuple[Offset, Guard]:
    """The place in a value whose elements lie `spread` apart, and the condition that there is one."""
    if spread == 1:
        return place, None
    # divisions are of numbers from 0 on
    shift = ceildiv(maximum(low, 0), spread)
    position = v.scalars.index(index_maps.combine([(place, 1)], shift * spread))
    divisor = v.scalars.constant(spread, I64)
    quotient = v.scalars.primitive("index_divide", I64, position, divisor)
    rest = v.scalars.primitive("index_remainder", I64, position, divisor)
    exact = v.scalars.primitive("equal", BOOL, rest, v.scalars.constant(0, I64))
    return combine([(variable(quotient.name), 1)], -shift), exact
