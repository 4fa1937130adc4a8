"""When a kernel may write a result over one of its operands.

A turn of a loop stores each result as soon as it has loaded what that needs. So a result may lie where an
operand lies if every turn reads of the operand only the element that it writes, and loads it before, and no
later turn, stage or part reads the operand again. A scatter that changes an array in its own place copies
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir.dims import Dim, Shape
from graphc.ir.graph import Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.alignment import (
    FREE,
    Alignment,
    Misaligned,
    fits_full,
    fits_reduced,
    reduced_axes,
    through,
)
from graphc.passes.clusters import Part


def may_overwrite(parts: Sequence[Part], operand: Value, result: Value) -> bool:
    """Whether `result` may be written where `operand` lies; both are values of the kernel's region."""
    a, b = operand.type, result.type
    if _wide(a.shape) != _wide(b.shape) or a.dtype.itemsize != b.dtype.itemsize:
        return False
    writer = next(i for i, p in enumerate(parts) if result in p.outputs)
    if any(operand in p.inputs for p in parts[writer + 1 :]):
        return False
    part = parts[writer]
    return operand not in part.inputs or _reads_its_own_element(part, operand, result)


def _wide(shape: Shape) -> list[Dim]:
    """A shape without its axes of one element, which have no part in where elements lie."""
    return [d for d in shape if d != 1]


def _reads_its_own_element(part: Part, operand: Value, result: Value) -> bool:
    if part.kind == "scan":
        return False
    if part.kind == "scatter":
        return _only_updates(part, operand)
    if part.kind == "contract" and operand in part.anchor.operands:
        return False
    start = _start(part, operand)
    if start is None or not _is_last_stage(part, result) or not _is_loaded_before(part, operand, result):
        return False
    places: dict[Value, Alignment] = {operand: start}
    for node in part.nodes:
        if not _follow(part, node, places):
            return False
    return places[result] is not None and all(_is_own(part, v, places[v]) for v in part.outputs)


def _only_updates(part: Part, operand: Value) -> bool:
    """Whether a scatter reads an operand only as the array that it changes."""
    readers = [n for n in part.nodes if operand in n.operands]
    first, *others = part.anchor.operands
    return readers == [part.anchor] and first is operand and operand not in others


def _follow(part: Part, node: Node, places: dict[Value, Alignment]) -> bool:
    """Enter where a node's results lie if they need the operand; False if they need it elsewhere."""
    operands = [places.get(v) for v in node.operands]
    place: Alignment = None
    if node.op.kind is Kind.REDUCTION:
        if not _is_own(part, node.operands[0], operands[0]):
            return False
        if operands[0] is not None:
            place = reduced_axes(part.shape, frozenset(part.reduced), bool(node.attrs.get("keepdims")))
    else:
        place = through(node, operands)
    places.update(dict.fromkeys(node.results, place))
    return not isinstance(place, Misaligned) and (
        not node.op.can_fail or _is_own(part, node.results[0], place)
    )


def _is_own(part: Part, value: Value, place: Alignment) -> bool:
    """Whether a value of one turn of the loops needs no element of the operand but the turn's own."""
    if not isinstance(place, tuple):
        return place is None
    shape = value.type.shape
    return fits_full(place, shape, part.shape) or (
        fits_reduced(place, shape, part.shape, frozenset(part.reduced)) is not None
    )


def _start(part: Part, operand: Value) -> tuple[int, ...] | None:
    """Where the operand's elements lie in the loops if it is read at their own position."""
    shape = operand.type.shape
    free = (-1,) * len(shape)
    if fits_full(free, shape, part.shape):
        return tuple(range(len(shape)))
    reduced = fits_reduced(free, shape, part.shape, frozenset(part.reduced)) if part.reduced else None
    if reduced is not None or _wide(shape) != _wide(part.shape):
        return reduced
    axes = iter([i for i, d in enumerate(part.shape) if d != 1])
    return tuple(next(axes) if d != 1 else FREE for d in shape)


def _is_loaded_before(part: Part, operand: Value, result: Value) -> bool:
    """Whether the stage that stores the result has loaded the operand by then, if another result of the stage
    needs it: a turn stores each result as soon as it is there.
    """
    loaded: dict[Value, bool] = {operand: True}
    for node in part.nodes:
        found = node.op.kind is not Kind.REDUCTION and any(loaded.get(v, False) for v in node.operands)
        loaded.update(dict.fromkeys(node.results, found))
    return loaded[result] or not any(loaded.get(v, False) for v in part.outputs)


def _is_last_stage(part: Part, result: Value) -> bool:
    """Whether no fold that the result does not wait for leads to a stage after the one that stores it."""
    level: dict[Value, int] = {}
    for node in part.nodes:
        before = max((level.get(v, 0) for v in node.operands), default=0)
        level.update((r, before + (node.op.kind is Kind.REDUCTION)) for r in node.results)
    return level[result] == max(level[v] for v in part.outputs)
