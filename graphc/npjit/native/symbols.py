"""Sizes that are symbols: what native code calls them, and what it relies on.

A log with symbolic sizes (see `graphc.npjit.sizes`) knows every size twice: for the recorded call, and for
other values of the symbols. `Symbols` says such pairs, and numbers computed from sizes, as sizes of the IR.
Where a rule must choose by a size (does a slice end inside the array?) it chooses for the recorded call, and
the choice becomes a bound: a size that is 0 or more, which is looked at when a call brings new sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphc.ir import dims
from graphc.ir.builder import Builder
from graphc.ir.dims import Call, Dim, Size
from graphc.ir.graph import Graph
from graphc.npjit.log import Meta, Node

LEAST = 2
"""Symbols are at least this: 0 and 1 have recordings of their own."""
TYPICAL = 64
"""The value of a symbol where only an estimate is wanted."""


@dataclass
class Symbols:
    """The symbols of one log.

    `now`, `other`: the value of each symbol in the recorded call, and another one. `shadows`: node -> its
    meta for the other values, where that differs. `expression`: the text of a size, given both its values.
    `carriers`: symbol -> the input and axis that bring it. `bounds`: sizes that must not be negative.
    """

    now: Mapping[str, int]
    other: Mapping[str, int]
    shadows: Mapping[Node, Any]
    expression: Callable[[int, int], str | None]
    carriers: Mapping[str, Node]
    bounds: dict[Dim, None] = field(default_factory=dict)

    def parsed(self, text: str) -> Dim | None:
        """The size that an expression of Python computes; None if that is none of these symbols."""
        try:
            size = dims.parse(text)
        except ValueError:
            return None
        return size if dims.symbols(size) <= self.now.keys() else None

    def of_number(self, value: Any, other: Any, text: str) -> Dim | None:
        """The size that a number of the log is."""
        if type(value) is not int or type(other) is not int:
            return None
        size = self.parsed(text)
        return size if size is not None and self.is_pair(size, value, other) else None

    def is_pair(self, size: Dim, value: int, other: int) -> bool:
        """Whether a size has these two values."""
        return dims.evaluate(size, self.now) == value and dims.evaluate(size, self.other) == other

    def shape_of(self, node: Node, meta: Meta) -> tuple[Dim, ...] | None:
        """The shape of a value that comes in; None if it has a size without an expression."""
        shadow = self.shadows.get(node) or meta
        found: list[Dim] = []
        for n, m in zip(meta.shape, shadow.shape, strict=True):
            size: Dim | None = n
            if n != m:
                text = self.expression(n, m)
                size = self.of_number(n, m, text) if text is not None else None
            if size is None:
                return None
            found.append(size)
        return tuple(found)

    def fits(self, node: Node, meta: Meta, shape: tuple[Dim, ...]) -> bool:
        """Whether a shape is that of a node, for both values of the symbols."""
        shadow = self.shadows.get(node) or meta
        sizes = zip(shape, meta.shape, shadow.shape, strict=False)
        return len(shape) == len(meta.shape) and all(self.is_pair(d, n, m) for d, n, m in sizes)

    def is_positive(self, size: Size) -> bool:
        """Whether a size is 0 or more in the recorded call; all others that run natively are like it."""
        below = lowest(size)
        if below is not None and below >= 0:
            return True
        holds = dims.evaluate(size, self.now) >= 0
        self.bounds[size if holds else -1 - size] = None
        return holds


def reaches(b: Builder, left: Dim, right: Dim) -> bool:
    """Whether left >= right, now and in all calls that run natively."""
    apart = left - right
    if isinstance(apart, int):
        return apart >= 0
    symbols: Symbols | None = getattr(b, "symbols", None)
    if symbols is None:
        raise TypeError(f"nothing is known of {apart}")
    return symbols.is_positive(apart)


def surely_reaches(left: Dim, right: Dim) -> bool:
    """Whether left >= right whatever the symbols are."""
    below = lowest(left - right)
    return below is not None and below >= 0


def lowest(size: Dim) -> int | None:
    """A number that a size is never below; None where that is not plain.

    >>> lowest(dims.symbol("s") * 3 - 1)
    5
    """
    if isinstance(size, int):
        return size
    total = 0
    for monomial, factor in size.terms:
        parts = [_lowest_atom(a) for a in monomial]
        if factor < 0 and monomial:
            return None
        if any(p is None or p < 0 for p in parts):
            return None
        total += factor * math.prod(p for p in parts if p is not None)
    return total


def _lowest_atom(atom: str | Call) -> int | None:
    if isinstance(atom, str):
        return LEAST
    left, right = lowest(atom.left), lowest(atom.right)
    if atom.function == "%":
        return 0 if right is not None and right > 0 else None
    if atom.function == "//":
        return left // atom.right if left is not None and isinstance(atom.right, int) else None
    known = [x for x in (left, right) if x is not None]
    if atom.function == "max":
        return max(known, default=None)
    return min(known) if len(known) == 2 else None


def typical(size: Dim) -> int:
    """About how large a size is.

    >>> typical(dims.symbol("s") * 2)
    128
    """
    return dims.evaluate(size, dict.fromkeys(dims.symbols(size), TYPICAL))


def symbolic_sizes(graph: Graph) -> Iterator[Size]:
    """The sizes with symbols in the shapes of a graph."""
    for v in (*graph.parameters, *(r for n in graph.nodes for r in n.results)):
        yield from (d for d in v.type.shape if isinstance(d, Size))
