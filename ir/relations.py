"""Relations between sizes: broadcasting, and equalities that are checked at entry if they can't be proved.

0 and 1 are never assumed of a symbol: a literal 1 broadcasts, a symbol does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from graphc.ir.dims import Dim, Shape
from graphc.ir.errors import DTypeError, ShapeError
from graphc.ir.types import TensorType

Collector = Callable[[Dim, Dim, str], None]
_collector: ContextVar[Collector | None] = ContextVar("collector", default=None)


@contextmanager
def collect_requirements(collector: Collector) -> Iterator[None]:
    """Relations that can't be proved inside are given to `collector(left, right, reason)`."""
    token = _collector.set(collector)
    try:
        yield
    finally:
        _collector.reset(token)


def same(left: Dim, right: Dim, reason: str) -> Dim:
    """The one size that `left` and `right` must both be; a known number wins over a symbol.

    ShapeError if both are numbers and differ, or if nobody collects what can't be proved.
    """
    if left == right:
        return left
    collector = _collector.get()
    if (isinstance(left, int) and isinstance(right, int)) or collector is None:
        raise ShapeError(f"{reason}: {left} is not {right}")
    collector(left, right, reason)
    return right if isinstance(right, int) else left


def broadcast_shapes(*shapes: Shape, reason: str = "broadcasting") -> Shape:
    """The common shape of operands by NumPy's rule; ShapeError names all shapes."""
    rank = max((len(s) for s in shapes), default=0)
    result: list[Dim] = []
    for axis in range(-rank, 0):
        sizes = [s[axis] for s in shapes if len(s) >= -axis]
        known: Dim = 1
        for d in sizes:
            if d == 1:
                continue
            if known == 1:
                known = d
                continue
            try:
                known = same(known, d, reason)
            except ShapeError:
                text = " and ".join(f"({', '.join(map(str, s))})" for s in shapes)
                raise ShapeError(f"{reason}: the shapes {text} can't be broadcast together") from None
        result.append(known)
    return tuple(result)


def broadcast_types(*types: TensorType, op: str = "elementwise") -> TensorType:
    """The type of an elementwise result: equal element types, broadcast shapes."""
    if len({t.dtype for t in types}) != 1:
        listed = " and ".join(str(t) for t in types)
        raise DTypeError(f"{op} needs equal element types, got {listed}; add a cast")
    return types[0].with_shape(broadcast_shapes(*(t.shape for t in types), reason=op))


def normalize_axis(axis: int, rank: int, what: str = "axis") -> int:
    """A non-negative axis; ShapeError if it is out of range."""
    if not -rank <= axis < rank:
        raise ShapeError(f"{what} {axis} is out of range for a value with {rank} dimensions")
    return axis % rank
