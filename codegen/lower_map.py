"""Outputs of one shape without a reduction: one turn of the loops per element."""

from __future__ import annotations

from graphc.codegen.loops import Nest, Stage, Store
from graphc.codegen.scalar import BODY, OUTER
from graphc.codegen.values import Values
from graphc.ir import Value
from graphc.ir.dims import Shape

Outputs = list[tuple[str, Value]]


def lower_map(values: Values, outputs: Outputs, shape: Shape) -> Nest:
    """A nest over all axes of `shape`; its lane is the last one."""
    rank = len([d for d in shape if d != 1])
    seen = 0
    indices = []
    for axis, d in enumerate(shape):
        seen += d != 1
        inner = d != 1 and seen == rank and rank > 1
        indices.append(values.axis(f"i{axis}", d, BODY if inner else OUTER))
    names = [i.terms[0][0] for i in indices if i.terms]
    depth = BODY if len(names) > 1 else OUTER
    for buffer, value in outputs:
        element = values.at(value, tuple(indices))
        offset = values.place(buffer, tuple(indices), shape)
        values.scalars.code[depth].append(Store(buffer, offset, element.name))
    axes = [values.loop(n) for n in names]
    start, outer, body = values.scalars.code
    lane = names[-1] if names else None
    if len(names) <= 1:
        return Nest(tuple(axes), (Stage((), tuple(outer)),), lane, start=tuple(start))
    stages = [Stage((), tuple(outer))] if outer else []
    stages.append(Stage((axes[-1],), tuple(body)))
    return Nest(tuple(axes[:-1]), tuple(stages), lane, start=tuple(start))
