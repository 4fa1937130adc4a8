"""Which sizes are equal, given the requirements of a graph.

>>> from graphc.ir.dims import symbol
>>> from graphc.ir.graph import Requirement
>>> B, C = symbol("B"), symbol("C")
>>> Equalities([Requirement(B, C)]).holds(B * 2, C + B)
True
"""

from __future__ import annotations

from collections.abc import Iterable

from graphc.ir.dims import Dim, Size, substitute, symbol, symbols
from graphc.ir.graph import Requirement
from graphc.ir.types import TensorType


class Equalities:
    """The congruence that a list of requirements spans: symbols are replaced by what they must equal."""

    def __init__(self, requirements: Iterable[Requirement] = ()) -> None:
        self._replaced: dict[str, Dim] = {}
        self._pairs: set[tuple[Dim, Dim]] = set()
        self.given = tuple(requirements)
        for r in self.given:
            self._learn(r.left, r.right)
        for r in self.given:
            left, right = self.canonical(r.left), self.canonical(r.right)
            self._pairs |= {(left, right), (right, left)}

    def _learn(self, left: Dim, right: Dim) -> None:
        left, right = self.canonical(left), self.canonical(right)
        for one, other in ((left, right), (right, left)):
            name = _plain(one)
            if name is not None and name not in symbols(other):
                self._replaced = {k: substitute(v, {name: other}) for k, v in self._replaced.items()}
                self._replaced[name] = other
                return

    def canonical(self, size: Dim) -> Dim:
        """The size with every symbol replaced by what it must equal."""
        return substitute(size, self._replaced) if self._replaced else size

    def holds(self, left: Dim, right: Dim) -> bool:
        """Whether the requirements say that two sizes are equal."""
        left, right = self.canonical(left), self.canonical(right)
        return left == right or (left, right) in self._pairs

    def same_type(self, left: TensorType, right: TensorType) -> bool:
        """Whether two types are equal, given the requirements."""
        return left == right or (
            left.dtype == right.dtype
            and left.rank == right.rank
            and all(self.holds(a, b) for a, b in zip(left.shape, right.shape))
        )


def _plain(size: Dim) -> str | None:
    """The name of a size that is a single symbol."""
    names = symbols(size)
    name = next(iter(names)) if isinstance(size, Size) and len(names) == 1 else None
    return name if name is not None and size == symbol(name) else None
