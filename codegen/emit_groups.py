"""Loads of neighbours in another order: one load and a shuffle, instead of an element at a time.

Lanes may share elements: lane c reads number c // width of a row of elements that lie `step` apart, as
channels of a group are read for each of its results. Or they read backwards.
"""

from __future__ import annotations

from graphc.codegen.element import Element
from graphc.codegen.emit_scope import Scalar, Scope
from graphc.codegen.loops import Load
from graphc.codegen.text import Operand


def is_shared(scope: Scope, i: Load, step: Operand, shared: Scalar | None) -> bool:
    """Whether a load at `step` times a quotient of the lane's count can be a load of whole groups: full
    vectors whose lanes begin with a group, of a buffer that is made of rows of `step` elements.
    """
    lanes, width = scope.lanes, shared.width if shared is not None else 0
    if not width or lanes.scalar or lanes.masks is not None or not i.dtype.is_floating:
        return False
    if lanes.lanes % width and width % lanes.lanes:
        return False
    if not isinstance(step, int) or step < 1 or not isinstance(i.offset.constant, int):
        return False
    others = [stride for name, stride in i.offset.terms if name in scope.counts or not _varies(scope, name)]
    return all(d % step == 0 for d in (*others, scope.frame.extent(i.buffer)))


def _varies(scope: Scope, name: str) -> bool:
    return name not in scope.values or scope.values[name].varying


def load_shared(
    scope: Scope,
    i: Load,
    pointer: str,
    index: Operand,
    step: int,
    width: int,
    guard: tuple[str, float] | None,
) -> list[str]:
    """A vector for each unrolled turn. `pointer` and `index` are where lane 0 of the axis reads; `guard` is
    one condition for all lanes, and what they have where it is false.
    """
    f, lanes = scope.f, scope.lanes
    count = max(1, lanes.lanes // width)
    wide, result = Element(i.dtype.name, count * step), Element(i.dtype.name, lanes.lanes)
    first = int(i.offset.constant) % step
    vectors = []
    for turn in range(lanes.unroll):
        group = f(f"udiv i64 {f.add(lanes.start, turn * lanes.lanes)}, {width}")
        place = f.add(f.add(index, f.mul(group, step)), -first)
        source = f(f"getelementptr {wide.stored}, ptr {pointer}, i64 {place}")
        if guard is not None:
            source = f.select("ptr", guard[0], source, scope.frame.vector_of(wide, guard[1]))
        if width >= lanes.lanes:
            one = f.vload(Element(i.dtype.name, 1), f.at(wide.stored, source, first), None, scope.tag)
            vectors.append(f.broadcast(result, one))
            continue
        x = f.vload(wide, source, None, scope.tag)
        places = ", ".join(f"i32 {lane // width * step + first}" for lane in range(lanes.lanes))
        kind = f"{wide.vec} {x}, {wide.vec} poison, <{lanes.lanes} x i32> <{places}>"
        vectors.append(f(f"shufflevector {kind}"))
    return vectors


def load_backwards(scope: Scope, i: Load, pointer: str, index: Operand, first: Operand) -> list[str]:
    """A vector for each unrolled turn, whose lanes read `index` less their counts, from `first` on."""
    f, lanes = scope.f, scope.lanes
    t = Element(i.dtype.name, lanes.lanes)
    places = ", ".join(f"i32 {lane}" for lane in reversed(range(t.lanes)))
    vectors = []
    for turn in range(lanes.unroll):
        last = f.add(first, (turn + 1) * t.lanes - 1)
        x = f.vload(t, f.at(t.stored, pointer, f.sub(index, last)), None, scope.tag)
        vectors.append(f(f"shufflevector {t.vec} {x}, {t.vec} poison, <{t.lanes} x i32> <{places}>"))
    return vectors
