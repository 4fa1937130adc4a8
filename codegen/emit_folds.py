"""Folds as LLVM text: accumulators carried by loops, one for each lane, folded across lanes at the end in a
fixed order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from graphc.codegen import primitives
from graphc.codegen.element import Element, splat
from graphc.codegen.loops import Fold, Running
from graphc.codegen.text import Function

LAST = (1 << 63) - 1
"""The position that argmax and argmin carry while nothing was found."""


@dataclass(frozen=True)
class Folder:
    """One fold with `lanes` lanes: what it carries, how a value goes in, how two accumulators become one.

    `source` is the element type of the folded value. argmax and argmin carry a value and its position.
    """

    kind: str
    source: str
    lanes: int
    shown: bool = False

    @staticmethod
    def of(fold: Fold | Running, source: str, lanes: int) -> Folder:
        """The folder of an instruction; `shown` says that what is carried is seen on the way."""
        return Folder(fold.kind, source, lanes, isinstance(fold, Running))

    @property
    def positional(self) -> bool:
        return self.kind in ("argmax", "argmin")

    @property
    def blocked(self) -> bool:
        """Whether partial results of blocks are worth combining: sums of floats, for their rounding
        errors.
        """
        return self.kind == "sum" and self.source[0] == "f" and not self.shown

    @property
    def types(self) -> list[Element]:
        """The element types of what is carried."""
        found = [Element(self.source, self.lanes)]
        return [*found, Element("i64", self.lanes)] if self.positional else found

    def neutral(self) -> list[str]:
        """What is carried before the first value."""
        t = self.types[0]
        first = splat(t, _NEUTRAL[self.kind](t))
        return [first, splat(self.types[1], LAST)] if self.positional else [first]

    def into(self, f: Function, carried: Sequence[str], value: str, position: str | None) -> list[str]:
        """What is carried after one more value."""
        return self.merge(f, carried, [value] if position is None else [value, position], later=True)

    def merge(self, f: Function, a: Sequence[str], b: Sequence[str], later: bool = False) -> list[str]:
        """Two accumulators as one; `later` says that b's positions come after all of a's."""
        t = self.types[0]
        if self.kind in _PLAIN:
            return [primitives.emit(f, _PLAIN[self.kind], t, [a[0], b[0]])]
        better = "greater" if self.kind in ("max", "argmax") else "less"
        if t.kind != "f" and not self.positional:
            return [primitives.emit(f, {"greater": "maximum", "less": "minimum"}[better], t, [a[0], b[0]])]
        takes = primitives.emit(f, better, t, [b[0], a[0]])
        if not self.positional:
            nan = f(f"fcmp uno {t.vec} {b[0]}, {b[0]}")
            return [primitives.select(f, t, f(f"or {t.mask} {takes}, {nan}"), b[0], a[0])]
        takes = self._takes(f, t, a, b, takes, later)
        p = self.types[1]
        return [primitives.select(f, t, takes, b[0], a[0]), primitives.select(f, p, takes, b[1], a[1])]

    def _takes(
        self, f: Function, t: Element, a: Sequence[str], b: Sequence[str], takes: str, later: bool
    ) -> str:
        """Whether b wins: it is better, or the first NaN, or as good and earlier."""
        mask = t.mask
        if t.kind == "f":
            nan_a, nan_b = (f(f"fcmp uno {t.vec} {x}, {x}") for x in (a[0], b[0]))
            fine = f(f"fcmp ord {t.vec} {a[0]}, {a[0]}")
            takes = f(f"or {mask} {takes}, {f(f'and {mask} {nan_b}, {fine}')}")
        if later:
            return takes
        same = primitives.emit(f, "equal", t, [a[0], b[0]])
        if t.kind == "f":
            same = f(f"or {mask} {same}, {f(f'and {mask} {nan_a}, {nan_b}')}")
        earlier = primitives.emit(f, "less", self.types[1], [b[1], a[1]])
        return f(f"or {mask} {takes}, {f(f'and {mask} {same}, {earlier}')}")

    def across(self, f: Function, carried: Sequence[str]) -> list[str]:
        """The accumulators of all lanes as one: halves are merged until one lane is left."""
        lanes, found = self.lanes, list(carried)
        while lanes > 1:
            half = Folder(self.kind, self.source, lanes // 2)
            low, high = list(range(lanes // 2)), list(range(lanes // 2, lanes))
            types = [t.with_lanes(lanes) for t in self.types]
            a, b = ([_pick(f, t, x, picks) for t, x in zip(types, found)] for picks in (low, high))
            found, lanes = half.merge(f, a, b), lanes // 2
        return found

    def result(self, f: Function, carried: Sequence[str]) -> str:
        """The fold's value: of an accumulator, the position for argmax and argmin (0 if nothing was better
        than nothing).
        """
        if not self.positional:
            return carried[0]
        p = self.types[1]
        none = f(f"icmp eq {p.vec} {carried[1]}, {splat(p, LAST)}")
        return primitives.select(f, p, none, splat(p, 0), carried[1])


def _pick(f: Function, t: Element, x: str, picks: list[int]) -> str:
    if len(picks) == 1:
        return f(f"extractelement {t.vec} {x}, i64 {picks[0]}")
    return f.shuffle(t, x, "poison", picks)


def _lowest(t: Element) -> float | int:
    return -math.inf if t.kind == "f" else 0 if t.kind in "ub" else -(1 << (t.bits - 1))


def _highest(t: Element) -> float | int:
    return math.inf if t.kind == "f" else 1 if t.kind == "b" else (1 << (t.bits - (t.kind == "i"))) - 1


_NEUTRAL = {
    "sum": lambda t: 0,
    "prod": lambda t: 1,
    "any": lambda t: False,
    "all": lambda t: True,
    "max": _lowest,
    "argmax": _lowest,
    "min": _highest,
    "argmin": _highest,
}
_PLAIN = {"sum": "add", "prod": "multiply", "any": "bitwise_or", "all": "bitwise_and"}
