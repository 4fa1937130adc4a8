"""What two logs must have in common to share a program: functions, constants, types, and who uses whom.

`Structure.of` walks a log once. Leaves (inputs and run-time numbers) are numbered in the order of their first
use, nodes by their position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.npjit.log import Node, Valued
from graphc.npjit.native.symbols import Symbols

Leaf = Any
"""A Node without function, or a Num."""


@dataclass(frozen=True)
class Structure:
    """`key` is equal for logs that one program serves; `kept` are the objects whose identities are in it."""

    key: tuple[Any, ...]
    leaves: tuple[Leaf, ...]
    kept: tuple[Any, ...]

    @staticmethod
    def of(
        nodes: Sequence[Node],
        wanted: Sequence[Node],
        written: dict[Node, Node],
        symbols: Symbols | None = None,
    ) -> Structure:
        """The structure of a log."""
        walk = _Walk({n: i for i, n in enumerate(nodes)}, symbols)
        lines = tuple(walk.line(n) for n in nodes)
        results = tuple(walk.of(n) for n in wanted)
        stores = tuple((walk.of(k), walk.of(v)) for k, v in written.items())
        if symbols is not None:
            for node in symbols.carriers.values():
                walk.of(node)
        names = tuple(symbols.other.items()) if symbols is not None else ()
        return Structure((lines, results, stores, names), tuple(walk.leaves), tuple(walk.kept))


class _Walk:
    def __init__(self, places: dict[Node, int], symbols: Symbols | None) -> None:
        self.places, self.symbols = places, symbols
        self.leaves: list[Leaf] = []
        self.kept: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def line(self, n: Node) -> tuple[Any, ...]:
        self.kept.append(n.fn)
        kwargs = self.of(n.kwargs) if n.kwargs else None
        return (id(n.fn), tuple([self.of(a) for a in n.args]), kwargs, self.meta(n), n.impure)

    def meta(self, node: Node) -> Any:
        """The meta, and that for other sizes."""
        return node.meta if self.symbols is None else (node.meta, self.symbols.shadows.get(node))

    def of(self, a: Any) -> Any:
        """An argument as something that can be compared and hashed."""
        t = type(a)
        if t is Node:
            place = self.places.get(a)
            return ("node", place) if place is not None else ("leaf", self._leaf(a, a, self.meta(a)))
        if isinstance(a, Valued):
            value = a.value
            kind: Any = value.dtype if isinstance(value, np.generic) else type(value)
            if self.symbols is not None and a.other is not None:  # type: ignore[attr-defined]
                kind = kind, value, a.other, a.expr  # type: ignore[attr-defined]
            return "number", self._leaf(a.expr, a, kind), kind  # type: ignore[attr-defined]
        if isinstance(a, (tuple, list)):
            return (t, *[self.of(x) for x in a])
        if t is slice:
            return (slice, self.of(a.start), self.of(a.stop), self.of(a.step))
        if t is dict:
            return (dict, *[(k, self.of(v)) for k, v in a.items()])
        if t is float:
            return float, a.hex()
        if t in (int, bool, str, bytes, complex, type(None)):
            return t, a
        self.kept.append(a)
        return t, id(a) if not isinstance(a, (np.generic, np.dtype, range)) else (str(a), repr(a))

    def _leaf(self, key: Any, leaf: Leaf, meta: Any) -> tuple[int, Any]:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.leaves)
            self.leaves.append(leaf)
        return number, meta


def operands(a: Any) -> Iterator[Any]:
    """The nodes and run-time numbers in an argument."""
    if type(a) is Node or isinstance(a, Valued):
        yield a
    elif isinstance(a, (tuple, list)):
        for x in a:
            yield from operands(x)
    elif type(a) is slice:
        yield from operands((a.start, a.stop, a.step))
    elif type(a) is dict:
        yield from operands(tuple(a.values()))


def uses(node: Node) -> Iterator[Node]:
    """The nodes whose values a node needs."""
    for leaf in operands((node.args, node.kwargs)):
        if type(leaf) is Node:
            yield leaf
