"""Real values in the place of Syms and Nums, in place inside the containers that were made in the call."""

from __future__ import annotations

import collections
import contextlib
import functools
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.npjit.lookup import raw_method
from graphc.npjit.rewrite import OURS
from graphc.npjit.values import Num, Sym

if TYPE_CHECKING:
    from graphc.npjit.outside import Outside

LEAVES = (int, float, complex, bool, str, bytes, type(None), np.ndarray, types.ModuleType, type)


class Publisher:
    """Calling it publishes a value; `seen` keeps what is shared shared."""

    def __init__(self, rec: Outside) -> None:
        self.rec = rec
        self.seen: dict[int, Any] = {}
        self.kept: list[Any] = []

    def __call__(self, x: Any) -> Any:
        t = type(x)
        if t is Sym:
            return self.rec.real(x)
        if t is Num:
            return x.value
        if t in LEAVES:
            return x
        if id(x) in self.seen:
            return self.seen[id(x)]
        if t is types.FunctionType:
            return self._function(x)
        if id(x) in self.rec.objects or isinstance(x, type | np.generic | np.ndarray):
            return x
        self.seen[id(x)] = x
        self.kept.append(x)
        if isinstance(x, dict):
            self._dict(x)
        elif isinstance(x, list):
            self._list(x)
        elif isinstance(x, tuple):
            return self._tuple(x)
        elif t is types.MethodType:
            self(x.__self__)
        elif t is functools.partial:
            return self._partial(x)
        elif t is collections.deque:
            self._list(x)
        else:
            self._attributes(x)
        return x

    def _put(self, get: Callable[[], Any], put: Callable[[Any], Any], deferred: Any, real: Any) -> None:
        """The real value in its place; a gradient wants the deferred one back afterwards."""
        put(real)
        if self.rec.differentiating:
            self.rec.lent.append((get, put, deferred, real))

    def _attributes(self, x: Any) -> None:
        if isinstance(getattr(x, "__dict__", None), dict):
            self._dict(vars(x))
        for cls in type(x).__mro__:
            names = cls.__dict__.get("__slots__", ())
            for name in (names,) if isinstance(names, str) else names:
                v = getattr(x, name, None)
                n = self(v)
                if n is not v:
                    self._put(functools.partial(getattr, x, name), functools.partial(setattr, x, name), v, n)

    def _partial(self, x: Any) -> Any:
        args, keywords = self(x.args), dict(x.keywords)
        self._dict(keywords)
        made = self.seen[id(x)] = functools.partial(x.func, *args, **keywords)
        return made

    def _function(self, f: types.FunctionType) -> Any:
        self.seen[id(f)] = f
        if f.__code__ in OURS:
            for cell in f.__closure__ or ():
                with contextlib.suppress(ValueError):  # an empty cell
                    v = cell.cell_contents
                    n = self(v)
                    if n is not v:
                        get = functools.partial(getattr, cell, "cell_contents")
                        self._put(get, functools.partial(setattr, cell, "cell_contents"), v, n)
            f.__defaults__ = self(f.__defaults__)
            f.__kwdefaults__ = self(f.__kwdefaults__)
        return f

    def _dict(self, x: dict[Any, Any]) -> None:
        for k, v in list(dict.items(x)):
            n = self(v)
            if n is not v:
                self._put(functools.partial(dict.get, x, k), functools.partial(dict.__setitem__, x, k), v, n)

    def _list(self, x: Any) -> None:
        for i, v in enumerate(raw_method(x, "__iter__")()):
            n = self(v)
            if n is not v:
                put = functools.partial(raw_method(x, "__setitem__"), i)
                self._put(functools.partial(item, x, i), put, v, n)

    def _tuple(self, x: Any) -> Any:
        parts = [self(v) for v in x]
        if any(a is not b for a, b in zip(parts, x)):
            made = type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
            self.seen[id(x)] = made
            return made
        return x


def item(x: Any, i: int) -> Any:
    """Element i of a list that may have become shorter."""
    return raw_method(x, "__getitem__")(i) if i < raw_method(x, "__len__")() else None
