"""The runtime's part for `match`: what patterns ask of a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphc.npjit.builtin_calls import is_instance, type_of
from graphc.npjit.surface import Surface
from graphc.npjit.values import Num, Sym

NO_SEQUENCES = (str, bytes, bytearray)
WHOLE = (bool, bytearray, bytes, dict, float, frozenset, int, list, set, str, tuple)
"""Classes whose pattern with one place is about the value itself."""


class Matching(Surface):
    def is_singleton(self, x: Any, value: Any) -> bool:
        """Whether x is None, True or False."""
        if type(x) in (Sym, Num) and isinstance(value, bool) and issubclass(type_of(self, x), bool):
            return self.truth(x) is value
        return x is value

    def is_sequence(self, x: Any, fixed: int, more: bool) -> bool:
        """Whether x is a sequence of so many elements, or more; arrays are none."""
        if type(x) in (Sym, Num) or isinstance(x, NO_SEQUENCES) or not isinstance(x, Sequence):
            return False
        length: int = self.steered(self.length(x))
        return length >= fixed if more else length == fixed

    def between(self, x: Any, first: int, after: int) -> list[Any]:
        """The elements that a starred name takes, as a list."""
        return list(self.iter(x))[first : self.steered(self.length(x)) - after]

    def has_keys(self, x: Any, *keys: Any) -> bool:
        return isinstance(x, Mapping) and all(self.contains(x, k) for k in keys)

    def without(self, x: Any, *keys: Any) -> dict[Any, Any]:
        """The items that a pattern has not named."""
        return {k: self.getitem(x, k) for k in self.iter(x) if k not in keys}

    def parts(self, x: Any, cls: Any, places: int, *names: str) -> tuple[Any, ...] | None:
        """The values that a pattern of a class looks at; None if x is no instance, or lacks one."""
        if not is_instance(self, x, cls):
            return None
        if places == 1 and cls in WHOLE:
            own = getattr(cls, "__match_args__", None)
            first: tuple[Any, ...] = (x,) if own is None else ()
        else:
            first = ()
        named = getattr(cls, "__match_args__", ())
        if len(first) < places and len(named) < places:
            plural = "s" * (len(named) != 1)
            raise TypeError(
                f"{cls.__name__}() accepts {len(named)} positional sub-pattern{plural} ({places} given)"
            )
        wanted = [*(named[:places] if not first else ()), *names]
        if not all(self.call(hasattr, x, n) for n in wanted):
            return None
        return (*first, *[self.getattr(x, n) for n in wanted])
