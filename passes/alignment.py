"""Where the axes of a value lie in the iteration of a loop nest.

An alignment has, for each axis of a value, the axis of the nest that it follows, or `FREE` where the value
has size 1 or does not change. A value that a nest has computed can be used in the same turn of the nest's
loops only if it is read at that turn's own position, which is what a proper alignment says. `MISALIGNED`
values would be needed from another turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.ir.dims import Shape
from graphc.ir.graph import Node
from graphc.ir.opdef import Kind

FREE = -1
Axes = tuple[int, ...]


class Misaligned:
    """The type of `MISALIGNED`."""

    def __repr__(self) -> str:
        return "MISALIGNED"


MISALIGNED = Misaligned()
Alignment = Axes | Misaligned | None
"""None: the value comes from memory, so it may be read anywhere."""


def through(node: Node, operands: Sequence[Alignment]) -> Alignment:
    """The alignment of a node's first result, from that of its operands.

    None if no operand belongs to the nest; MISALIGNED if the node reads an operand at another position.
    """
    if all(a is None for a in operands):
        return None
    if any(isinstance(a, Misaligned) for a in operands):
        return MISALIGNED
    if node.op.kind is Kind.ELEMENTWISE:
        return _elementwise(node, operands)
    view = _VIEWS.get(node.op.name)
    return view(node, operands) if view is not None else MISALIGNED


def _elementwise(node: Node, operands: Sequence[Alignment]) -> Alignment:
    shape = node.results[0].type.shape
    result = [FREE] * len(shape)
    for value, axes in zip(node.operands, operands):
        if not isinstance(axes, tuple):
            continue
        start = len(shape) - len(axes)
        for i, axis in enumerate(axes):
            if axis == FREE or value.type.shape[i] == 1:
                continue
            if result[start + i] not in (FREE, axis):
                return MISALIGNED
            result[start + i] = axis
    return tuple(result)


def _broadcast(node: Node, operands: Sequence[Alignment]) -> Alignment:
    return _elementwise(node, operands)


def _reshape(node: Node, operands: Sequence[Alignment]) -> Alignment:
    """Unit axes come and go; the others stay in order."""
    (axes,) = operands
    assert isinstance(axes, tuple)
    kept = iter([a for a, d in zip(axes, node.operands[0].type.shape) if d != 1])
    return tuple(next(kept) if d != 1 else FREE for d in node.results[0].type.shape)


def _transpose(node: Node, operands: Sequence[Alignment]) -> Alignment:
    (axes,) = operands
    assert isinstance(axes, tuple)
    return tuple(axes[i] for i in node.attrs["axes"])


_VIEWS: dict[str, Callable[[Node, Sequence[Alignment]], Alignment]] = {
    "broadcast": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
}


def fits_full(axes: Axes, shape: Shape, nest: Shape) -> bool:
    """Whether a value is an array over all axes of the nest, each at its own place."""
    return shape == nest and all(a in (FREE, i) or nest[i] == 1 for i, a in enumerate(axes))


def reduced_axes(nest: Shape, reduced: frozenset[int], keepdims: bool) -> Axes:
    """The alignment of a fold's result."""
    if keepdims:
        return tuple(FREE if i in reduced else i for i in range(len(nest)))
    return tuple(i for i in range(len(nest)) if i not in reduced)


def fits_reduced(axes: Axes, shape: Shape, nest: Shape, reduced: frozenset[int]) -> Axes | None:
    """The alignment that a value has if it is an array over the axes that are not reduced; else None."""
    for keepdims in (False, True):
        expected = reduced_axes(nest, reduced, keepdims)
        if len(shape) != len(expected):
            continue
        sizes = tuple(1 if e == FREE else nest[e] for e in expected)
        if shape == sizes and all(a in (FREE, e) or d == 1 for a, e, d in zip(axes, expected, sizes)):
            return expected
    return None
