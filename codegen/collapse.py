"""Neighbouring loops that walk memory like one loop become one loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from graphc.codegen.loops import (
    Axis,
    Fold,
    Index,
    Instruction,
    Load,
    Nest,
    Offset,
    Part,
    Product,
    Running,
    Store,
)


def collapse(part: Part) -> Part:
    """Merge loops (outer, inner) of a nest wherever every offset moves for one turn of the outer loop as for
    all turns of the inner one, and no instruction looks at their counts.
    """
    if isinstance(part, Product):
        return part
    nest = part
    merged = True
    while merged:
        merged = False
        for left, right in _neighbours(nest):
            if _alike(nest, left, right):
                nest, merged = _merge(nest, left, right), True
                break
    return nest


def _neighbours(nest: Nest) -> Iterator[tuple[Axis, Axis]]:
    yield from pairwise(nest.outer)
    for axes in {stage.axes for stage in nest.stages}:
        yield from pairwise(axes)
    if len(nest.stages) == 1 and len(nest.stages[0].axes) == 1 and nest.outer:
        (stage,) = nest.stages
        if not any(isinstance(i, (Fold, Running)) for i in stage.body):
            yield nest.outer[-1], stage.axes[0]


def _instructions(nest: Nest) -> Iterator[Instruction]:
    yield from nest.start
    for stage in nest.stages:
        yield from stage.body
        yield from stage.finish


def _alike(nest: Nest, left: Axis, right: Axis) -> bool:
    for i in _instructions(nest):
        if isinstance(i, Running) or (isinstance(i, Index) and i.axis in (left.name, right.name)):
            return False
        if isinstance(i, (Load, Store)) and (
            i.offset.stride(left.name) != i.offset.stride(right.name) * right.extent
        ):
            return False
    return True


def _merge(nest: Nest, left: Axis, right: Axis) -> Nest:
    axis = Axis(right.name, left.extent * right.extent)

    def axes(old: tuple[Axis, ...]) -> tuple[Axis, ...]:
        return tuple(axis if a == right else a for a in old if a != left)

    outer = nest.outer
    if left in outer and right not in outer:
        stages = tuple(replace(s, axes=()) for s in nest.stages)
        outer = (*outer[:-1], axis)
    else:
        stages = tuple(replace(s, axes=axes(s.axes)) for s in nest.stages)
        outer = axes(outer)
    stages = tuple(
        replace(s, body=_without(s.body, left.name), finish=_without(s.finish, left.name)) for s in stages
    )
    return replace(nest, outer=outer, stages=stages, start=_without(nest.start, left.name))


def _without(code: tuple[Instruction, ...], axis: str) -> tuple[Instruction, ...]:
    return tuple(
        replace(i, offset=Offset(tuple(t for t in i.offset.terms if t[0] != axis), i.offset.constant))
        if isinstance(i, (Load, Store))
        else i
        for i in code
    )
