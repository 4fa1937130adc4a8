"""The runtime's part for calls: Python functions are rewritten and entered, built-ins have a table, NumPy's
functions are recorded, anything else is a break."""

from __future__ import annotations

import contextlib
import enum
import functools
import math
import random
import types
import weakref
from collections import Counter, deque
from time import perf_counter_ns
from typing import Any

import numpy as np

from graphc.npjit.builtin_calls import HANDLERS, NATIVE, NO_LISTS
from graphc.npjit.cached import CachedFunction
from graphc.npjit.current import LOCK, RECORDING
from graphc.npjit.foreign import Foreign
from graphc.npjit.inputs import NUMBER
from graphc.npjit.library_calls import GETTERS
from graphc.npjit.lookup import in_class
from graphc.npjit.publish import Publisher
from graphc.npjit.records import made_by_dataclass
from graphc.npjit.rewrite import rewritten, why_not
from graphc.npjit.surface import Surface
from graphc.npjit.values import Num, Sym, settled

METHODS_ELSEWHERE = (dict, list, tuple, set, frozenset, str, bytes, np.ndarray, np.ufunc, deque)
"""Built-in classes whose bound methods are handled as calls of methods."""
RANDOM = (np.random.RandomState, np.random.Generator)


def _is_number(a: Any) -> bool:
    """Whether a is a number, known or deferred."""
    if type(a) is Sym:
        return a.meta.kind in ("python", "scalar")
    return type(a) is Num or isinstance(a, int | float)


class Calls(Surface):
    def call(self, f: Any, /, *args: Any, **kwargs: Any) -> Any:
        rec = self.rec
        if rec is None:
            return settled(f)(*map(settled, args), **{k: settled(v) for k, v in kwargs.items()})
        try:
            handler = HANDLERS.get(f)
        except TypeError:
            handler = None
        if handler is not None:
            return handler(self, *args, **kwargs)
        t = type(f)
        if t is Sym:
            return self.opaque(rec.force(f, "call of data"), *args, **kwargs)
        if t is types.FunctionType and f.__module__ is not None and f.__module__.split(".")[0] != "numpy":
            return self.python(f, args, kwargs)
        if isinstance(getattr(f, "__self__", None), random.Random):
            return self.python_random(f.__self__, f.__name__, args, kwargs)
        if isinstance(getattr(f, "__self__", None), RANDOM):
            return self.random(f.__self__, f.__name__, args, kwargs)
        if t is types.MethodType and f.__self__ is self:  # x.sum, kept and called later
            return f(*args, **kwargs)
        if t is types.MethodType:
            return self.call(f.__func__, f.__self__, *args, **kwargs)
        if self._is_numpy(f, t):
            if rec.var(f) is not None:
                rec.guard(f"{rec.var(f)} is not {rec.const(f)}")  # np.vectorize(...) and its like
            return self.numpy(f, args, kwargs)
        if t is types.FunctionType:
            return self.python(f, args, kwargs)
        if t is types.BuiltinFunctionType:
            return self.builtin(f, args, kwargs)
        if t is types.MethodWrapperType and isinstance(f.__self__, NUMBER):
            return self.opaque(f, *args, **kwargs)
        if t is types.MethodWrapperType:
            return self.raw_method(f.__self__, f.__name__, args, kwargs)
        if t in (types.WrapperDescriptorType, types.MethodDescriptorType) and args:
            return self.raw_method(args[0], f.__name__, args[1:], kwargs)
        if t is functools.partial:
            return self.partial(f, args, kwargs)
        if isinstance(f, type):
            return self.construct(f, args, kwargs)
        return self._object(f, args, kwargs)

    def _is_numpy(self, f: Any, t: type) -> bool:
        if t is np.ufunc:
            return True
        if hasattr(f, "__graphc_fn__"):  # it has the function's own module
            return False
        if (getattr(f, "__module__", None) or "").split(".")[0] != "numpy":
            return False
        if isinstance(f, type) and issubclass(f, RANDOM):
            return False
        method = t is types.BuiltinFunctionType and not isinstance(f.__self__, types.ModuleType)
        return not method or f.__self__ is None

    def python(self, f: types.FunctionType, args: Any, kwargs: Any) -> Any:
        """Enter a Python function, rewritten."""
        rec, g = self.rec, rewritten(f)
        if g is None:
            return self.opaque(f, *args, **kwargs)
        if g is f:  # made by rewritten code: its cells and defaults are ours
            return g(*args, **kwargs)
        if rec.is_hopeless:
            return self.opaque(f, *args, **kwargs)
        name = rec.var(f) or rec.const(f)
        for cell in f.__closure__ or () if name in rec.consts else ():
            rec.cell(cell, rec.const(cell))
        rec.guard(f"{name}.__code__ is not {rec.const(f.__code__)}")  # reloading replaces it
        if f.__defaults__:
            path = f"{name}.__defaults__"
            g.__defaults__ = tuple([rec.wrap(d, f"{path}[{i}]") for i, d in enumerate(f.__defaults__)])
        if f.__kwdefaults__:
            path = f"{name}.__kwdefaults__"
            g.__kwdefaults__ = {k: rec.wrap(d, f"{path}[{k!r}]") for k, d in f.__kwdefaults__.items()}
        return g(*args, **kwargs)

    def partial(self, f: functools.partial[Any], args: Any, kwargs: Any) -> Any:
        """A later call may bring another partial of the same function."""
        var = self.rec.var(f)
        if var is None:
            return self.call(f.func, *f.args, *args, **{**f.keywords, **kwargs})
        func = self.rec.wrap(f.func, f"{var}.func")
        self.rec.guard(f"len({var}.args) != {len(f.args)} or list({var}.keywords) != {list(f.keywords)!r}")
        first = [self.rec.wrap(a, f"{var}.args[{i}]") for i, a in enumerate(f.args)]
        bound = {k: self.rec.wrap(v, f"{var}.keywords[{k!r}]") for k, v in f.keywords.items()}
        return self.call(func, *first, *args, **{**bound, **kwargs})

    def builtin(self, f: Any, args: Any, kwargs: Any) -> Any:
        s = f.__self__
        if type(in_class(type(s), f.__name__)) is types.FunctionType:  # super().append
            if any(type(in_class(type(s), n)) is types.FunctionType for n in ("__len__", "__iter__")):
                return self.opaque(f, *args, **kwargs)
            return self.raw_method(s, f.__name__, args, kwargs)
        if isinstance(s, METHODS_ELSEWHERE):
            return self.method(s, f.__name__, *args, **kwargs)
        if s is not None and not isinstance(s, types.ModuleType):
            return self.opaque(f, *args, **kwargs)
        if s is math and all(type(a) is Num or isinstance(a, int | float) for a in args):
            return self.scalar(f, *args)
        if s is math and not kwargs and all(_is_number(a) for a in args):
            with contextlib.suppress(ValueError, ArithmeticError):  # of the stand-ins
                return self.rec.record(f, args)
        if f not in NATIVE:
            return self.opaque(f, *args, **kwargs)
        listed = f not in NO_LISTS
        args = [list(self.iter(a)) if listed and isinstance(a, list | tuple | dict) else a for a in args]
        return f(*args, **kwargs)

    def _object(self, f: Any, args: Any, kwargs: Any) -> Any:
        """A callable object: a jitted function, or one whose class has `__call__`."""
        inside = getattr(f, "__graphc_record__", None)
        inner = getattr(f, "__graphc_fn__", None)
        if (inside is not None or inner is not None) and self.rec.var(f) is not None:
            self.rec.guard(
                f"{self.rec.var(f)} is not {self.rec.const(f)}"
            )  # a later call may bring another one
        if inside is not None:
            return inside(self, args, kwargs)
        if inner is not None:
            return self.call(inner, *args, **kwargs)
        if type(f) is weakref.ref and not args and not kwargs:
            return self.rec.wrap(f(), f"{self.rec.var(f)}()" if self.rec.var(f) is not None else None)
        if type(f) is CachedFunction:
            return self.cached(f, args, kwargs)
        getter = GETTERS.get(type(f))
        if getter is not None:
            return getter(self, f, *args)
        c = in_class(type(f), "__call__")
        if type(c) is types.FunctionType:
            return self.call(c, f, *args, **kwargs)
        if type(getattr(c, "__graphc_fn__", None)) is types.FunctionType:
            return self.call(c.__graphc_fn__, f, *args, **kwargs)
        return self.opaque(f, *args, **kwargs)

    def opaque(self, f: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Nothing is known about f: finish what is pending, give it real values, and go on."""
        rec, name = self.rec, getattr(f, "__qualname__", None) or repr(f)
        reason = f" ({self._not_recorded(f)})" if type(f) is types.FunctionType else ""
        rec.stop(f"call of {name}{reason}", "call it outside, or write it with NumPy functions")
        foreign = Foreign(rec, f, args, kwargs) if rec.differentiating else None
        rec.flush()
        rec.clean()
        rec.last(*args, *kwargs.values())
        publisher = Publisher(rec)
        args, kwargs = tuple([publisher(a) for a in args]), {k: publisher(v) for k, v in kwargs.items()}
        if foreign is not None:
            return foreign.call(self, args, kwargs)
        r = self.outside(f, args, kwargs)
        rec.forget()
        if isinstance(r, (*NUMBER, str, bytes, type(None))):
            return r
        # What foreign code gives may be an outside object: stores into it must be tracked. The call is not
        # replayed, so any path will do.
        return rec.wrap(r, f"given_{len(rec.breaks)}_{rec.new('g')}")

    def _not_recorded(self, f: Any) -> str:
        return why_not(f) if rewritten(f) is None else "recording it takes longer than it is worth"

    def outside(self, f: Any, args: Any, kwargs: Any) -> Any:
        """Call f as if there were no recording; other threads may record meanwhile."""
        rec, begin = self.rec, perf_counter_ns()
        token = RECORDING.set(None)
        LOCK.release()
        try:
            return f(*args, **kwargs)
        finally:
            LOCK.acquire()
            RECORDING.reset(token)
            rec.work += perf_counter_ns() - begin

    def construct(self, cls: Any, args: Any, kwargs: Any) -> Any:
        """A new object of a class."""
        if issubclass(cls, np.generic | np.ndarray):
            return self.numpy(cls, args, kwargs)
        if issubclass(cls, BaseException):
            return cls(*map(self.rec.publish, self.known_values(args)), **self.known_values(kwargs))
        if cls is Counter and not args and not kwargs:
            return cls()
        if cls is weakref.ref and len(args) == 1 and type(args[0]) not in (Sym, Num):
            return cls(*args)
        record = issubclass(cls, tuple) and hasattr(cls, "_fields")
        init = in_class(cls, "__init__")
        builtin_init = type(init) is not types.FunctionType
        if issubclass(cls, enum.Enum):
            return cls(*[self.steered(a) for a in args], **kwargs)
        if record or (issubclass(cls, dict | list | deque) and builtin_init):
            return cls(*[self._own_list(a) for a in args], **kwargs)
        if type(cls) is type and made_by_dataclass(init):
            return self.dataclass(cls, args, kwargs)
        plain = type(cls) is type and cls.__new__ is object.__new__
        if plain and type(init) in (types.FunctionType, types.WrapperDescriptorType):
            x = cls.__new__(cls)
            if type(init) is types.FunctionType:
                self.call(init, x, *args, **kwargs)
            elif args or kwargs:
                raise TypeError(f"{cls.__name__}() takes no arguments")
            return x
        return self.opaque(cls, *args, **kwargs)

    def _own_list(self, a: Any) -> Any:
        if type(a) in (list, dict) and self.rec.var(a) is not None:
            return list(self.iter(a)) if type(a) is list else {k: self.getitem(a, k) for k in self.iter(a)}
        return a
