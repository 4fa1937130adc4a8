"""The runtime's part for `copy.deepcopy`: arrays, containers and plain objects, whose values are deferred."""

from __future__ import annotations

import collections
import copy
import types
from typing import Any

import numpy as np

from graphc.npjit.lookup import in_class, is_array
from graphc.npjit.surface import Surface
from graphc.npjit.values import Num, Sym

SAME = (
    *(int, float, complex, bool, str, bytes, type(None), type(Ellipsis), np.dtype, range, type, np.ufunc),
    *(types.FunctionType, types.BuiltinFunctionType),
)
"""Types whose instances are their own copies."""
OWN = (
    *("__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getattr__"),
    *("__slots__", "__getattribute__", "__setattr__"),
)
"""What in a class makes its copies its own affair."""


class Copies(Surface):
    def deep_copy(self, x: Any, *memo: Any) -> Any:
        """copy.deepcopy(x)."""
        if memo or not copyable(x, set()):
            return self.opaque(copy.deepcopy, x, *memo)
        return self._copied(x, {})

    def _copied(self, x: Any, made: dict[int, Any]) -> Any:
        """The copy; what is shared stays shared."""
        t = type(x)
        if t is Num or isinstance(x, (*SAME, np.generic)):
            return x
        if id(x) not in made:
            made[id(x)] = x if t is Sym and x.meta.kind != "array" else self._anew(x, made)
        return made[id(x)]

    def _anew(self, x: Any, made: dict[int, Any]) -> Any:
        t = type(x)
        if t is Sym or is_array(x):
            return self.method(x, "copy", "K")
        if t is tuple or hasattr(t, "_fields"):
            parts = [self._copied(v, made) for v in self.iter(x)]
            return t(*parts) if hasattr(t, "_fields") else tuple(parts)
        if t is list:
            found: Any = []
            made[id(x)] = found
            found.extend(self._copied(v, made) for v in self.iter(x))
        elif isinstance(x, dict):
            found = t(x.default_factory) if isinstance(x, collections.defaultdict) else t()
            made[id(x)] = found
            for k in self.iter(x):
                found[k] = self._copied(self.getitem(x, k), made)
        else:
            found = made[id(x)] = object.__new__(t)
            self._guard_names(x)
            for k in list(vars(x)):
                vars(found)[k] = self._copied(self.getattr(x, k), made)
        return found

    def _guard_names(self, x: Any) -> None:
        """Another attribute is another copy."""
        var, rec = self.rec.var(x), self.rec
        if var is None:
            return
        if any(i == id(x) and name not in vars(x) for i, name in rec.written):
            rec.leak("a copy of an object that has lost an attribute in the call")
        before = [k for k in vars(x) if (id(x), k) not in rec.added]
        rec.guard(f"list(vars({var})) != {rec.const(before)}")


def copyable(x: Any, seen: set[int]) -> bool:
    """Whether a copy is made of copies of its parts."""
    t = type(x)
    if t is Num or isinstance(x, (*SAME, np.generic)) or is_array(x) or id(x) in seen:
        return True
    if t is Sym:
        return x.meta.kind != "object"
    seen.add(id(x))
    if t in (list, tuple) or (isinstance(x, tuple) and hasattr(t, "_fields") and t.__bases__ == (tuple,)):
        return all(copyable(v, seen) for v in x)
    if t in (dict, collections.OrderedDict, collections.defaultdict):
        return all(isinstance(k, SAME) for k in x) and all(copyable(v, seen) for v in x.values())
    plain = type(t) is type and t.__module__ != "builtins" and isinstance(getattr(x, "__dict__", None), dict)
    if not plain or t.__new__ is not object.__new__ or any(_has_own(t, name) for name in OWN):
        return False
    return not any(isinstance(in_class(t, k), property) for k in vars(x)) and all(
        copyable(v, seen) for v in vars(x).values()
    )


def _has_own(t: type, name: str) -> bool:
    return any(name in c.__dict__ for c in t.__mro__ if c is not object)
