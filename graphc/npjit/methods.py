"""The runtime's part for methods: of arrays, containers, and the user's objects."""

from __future__ import annotations

import functools
import random
import types
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.npjit.calls import RANDOM
from graphc.npjit.inputs import NUMBER
from graphc.npjit.lookup import in_class, is_array, method_fn, raw_method
from graphc.npjit.surface import Surface
from graphc.npjit.values import Num, Sym, settled


class Methods(Surface):
    def method(self, x: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
        t, rec = type(x), self.rec
        if rec is None:
            return getattr(settled(x), name)(
                *map(settled, args), **{k: settled(v) for k, v in kwargs.items()}
            )
        if is_array(x):
            x, t = rec.array(x, None), Sym
        if t is Sym:
            return self.array_method(x, name, args, kwargs)
        if t is types.ModuleType:
            return self.call(self.getattr(x, name), *args, **kwargs)
        if isinstance(x, RANDOM):
            return self.random(x, name, args, kwargs)
        if isinstance(x, random.Random):
            return self.python_random(x, name, args, kwargs)
        if t is Num:
            return self._number_method(x, name, args, kwargs)
        if t is str or t is bytes:
            return self.text_method(x, name, args, kwargs)
        if t is np.ufunc:
            return self.ufunc_method(x, name, args, kwargs)
        return self._object_method(x, t, name, args, kwargs)

    def _number_method(self, x: Num, name: str, args: Any, kwargs: Any) -> Any:
        """A method of a known number: where it gives a number, later calls compute it again."""
        if not kwargs and all(type(a) is Num or isinstance(a, (*NUMBER, np.dtype, type)) for a in args):
            made = getattr(x.value, name)(*[a.value if type(a) is Num else a for a in args])
            if isinstance(made, NUMBER):
                return self.scalar(method_fn(name), x, *args)
        return self.call(getattr(x.steer(), name), *args, **kwargs)

    def _object_method(self, x: Any, t: type, name: str, args: Any, kwargs: Any) -> Any:
        rec, d = self.rec, in_class(t, name)
        if isinstance(x, tuple) and name in ("_replace", "_asdict") and hasattr(t, "_fields"):
            return self.container_method(x, name, args, kwargs)
        if type(d) is types.FunctionType and name not in getattr(x, "__dict__", ()):
            self.guard_method(x, name, d)
            return self.call(d, x, *args, **kwargs)
        if getattr(d, "__graphc_fn__", None) is not None and name not in getattr(x, "__dict__", ()):
            if rec.var(x) is not None:
                rec.guard(f"type({rec.var(x)}).{name} is not {rec.const(d)}")
            return self.call(d, x, *args, **kwargs)
        containers = dict | list | tuple | set | frozenset | deque
        if isinstance(x, containers) and type(d) is types.MethodDescriptorType:
            return self.container_method(x, name, args, kwargs)
        found = self.getattr(x, name)
        if type(found) is types.BuiltinFunctionType and found.__self__ is x:
            return self.opaque(found, *args, **kwargs)
        return self.call(found, *args, **kwargs)

    def raw_method(self, x: Any, name: str, args: Any, kwargs: Any) -> Any:
        """A method of a built-in class, past what derived classes say: super().__setattr__(...)."""
        table: dict[str, Callable[..., Any]] = {
            "__setattr__": lambda k, v: self.store_attr(v, x, k),
            "__getattribute__": lambda k: self.rec.wrap(object.__getattribute__(x, k), None),
            "__setitem__": lambda k, v: self.store_item(v, x, self.steered(k)),
            "__init__": functools.partial(self._raw_init, x),
        }
        raw = table.get(name)
        if type(x) is Sym:
            return self.array_method(x, name, args, kwargs)
        if raw is not None and not isinstance(x, np.ndarray):
            return raw(*args, **kwargs)
        if isinstance(x, dict | list | tuple | set | frozenset | deque) and not name.startswith("__"):
            return self.container_method(x, name, args, kwargs)
        if isinstance(x, str | bytes):
            return self.text_method(x, name, args, kwargs)
        if isinstance(x, dict | list) and name == "__getitem__":
            return self.element(x, args[0])
        base = next((c for c in type(x).__mro__ if name in c.__dict__ and c.__module__ == "builtins"), object)
        return self.opaque(getattr(base, name), x, *args, **kwargs)

    def _raw_init(self, x: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(x, dict | list | set) and (args or kwargs):
            raw_method(x, "__init__")(*[self._own_list(a) for a in args], **kwargs)
        elif args or kwargs:
            self.opaque(super(type(x), x).__init__, *args, **kwargs)
