"""Functions with `functools.lru_cache`: a result that is in the cache is found there by later calls too."""

from __future__ import annotations

import enum
import functools
import types
import weakref
from typing import Any

from graphc.npjit.surface import Surface
from graphc.npjit.values import Num

CachedFunction = type(functools.lru_cache(lambda: None))
KEYS = (int, float, complex, str, bytes, bool, type(None), enum.Enum, type, types.FunctionType)
"""Classes of arguments that a later call brings again, as constants of a recording."""

_hits: weakref.WeakKeyDictionary[Any, tuple[int, set[Any]]] = weakref.WeakKeyDictionary()
"""For each cached function: its misses so far, and calls of which it has the results still."""


class CachedCalls(Surface):
    def cached(self, f: Any, args: Any, kwargs: Any) -> Any:
        """A call of a cached function: where it runs is a break, where its result is found is none."""
        again = self.call_text(f, args, kwargs, self._argument)
        if again is None:
            return self.opaque(f, *args, **kwargs)
        args, kwargs = self.steered(args), {k: self.steered(v) for k, v in kwargs.items()}
        call = tuple([(type(a), a) for a in args]), tuple([(k, type(v), v) for k, v in kwargs.items()])
        misses, seen = _hits.get(f, (-1, set()))
        if misses != f.cache_info().misses or call not in seen:
            result = self.opaque(f, *args, **kwargs)
            self._note(f, call)
            return result
        return self.rec.wrap(f(*args, **kwargs), again)

    def _argument(self, a: Any) -> str | None:
        """An argument in the text of a later call; None if it may be another object with another meaning."""
        value = a.value if type(a) is Num else a
        if isinstance(value, KEYS):
            return self.rec.const(value)
        if type(value) is tuple:
            parts = [self._argument(x) for x in a]
            return None if None in parts else self.rec.const(self.steered(a))
        by_identity = type(value).__hash__ is object.__hash__ and type(value).__eq__ is object.__eq__
        return self.rec.var(value) if by_identity else None

    def _note(self, f: Any, call: Any) -> None:
        """The call is in the cache now, and what was there is still, unless it is full."""
        info = f.cache_info()
        misses, seen = _hits.get(f, (-1, set()))
        kept = info.maxsize is None or info.currsize < info.maxsize
        still = misses == info.misses or (misses == info.misses - 1 and kept)
        _hits[f] = info.misses, {*seen, call} if still else {call}
