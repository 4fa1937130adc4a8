"""`jit`: a function with its recordings. See `Jit`."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

from graphc.codegen.stats import STATS
from graphc.npjit.current import LOCK, RECORDING
from graphc.npjit.emit import MISS, CannotError, Emitter
from graphc.npjit.lookup import CLASS_ATTRIBUTES
from graphc.npjit.recording import Recording
from graphc.npjit.rewrite import rewritten, why_not
from graphc.npjit.runtime import RUNTIME
from graphc.passes.log import log

MANY = 8
"""Fast functions of one call signature."""
NOT_TRACED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Jit:
    """A function whose calls are recorded once and then done by fast functions whose guards hold."""

    def __init__(self, fn: Callable[..., Any], options: dict[str, Any] | None = None) -> None:
        functools.update_wrapper(self, fn)
        self.__graphc_fn__ = self.fn = fn
        self.options = options or {}
        self.fast: dict[Any, list[Callable[..., Any]]] = {}
        self.notes: list[str] = []
        self.recordings = self.hits = 0
        self.last: Recording | None = None

    def __get__(self, obj: Any, cls: type | None = None) -> Any:
        return self if obj is None else types.MethodType(self, obj)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        key = (len(args), *kwargs)
        for fast in self.fast.get(key, ()):
            r = fast(args, kwargs)
            if r is not MISS:
                self.hits += 1
                return r
        if RECORDING.get() is not None:  # from Python code that is not rewritten, inside a recording
            return self.fn(*args, **kwargs)
        why = self.unwritten()
        if why:
            self.note(f"graph break: {self.__qualname__} runs as Python: {why}")
            return self.fn(*args, **kwargs)
        with LOCK:
            return self.record(key, args, kwargs)

    def unwritten(self) -> str:
        """Why the function is not rewritten; empty if it is."""
        fn = self.fn
        while isinstance(fn, types.MethodType | functools.partial):
            fn = fn.__func__ if isinstance(fn, types.MethodType) else fn.func
        if not isinstance(fn, types.FunctionType):
            return "it is not a Python function"
        if fn.__code__.co_flags & NOT_TRACED:
            return "it is a generator or asynchronous"
        return why_not(fn) if rewritten(fn) is None else ""

    def record(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the call, recording it; keep a fast function if it can be replayed."""
        rec = self.last = Recording()
        token = RECORDING.set(rec)
        self.recordings += 1
        CLASS_ATTRIBUTES.clear()
        try:
            try:
                positional = [rec.wrap(a, f"args[{i}]") for i, a in enumerate(args)]
                keywords = {k: rec.wrap(v, f"kw[{k!r}]") for k, v in kwargs.items()}
                result = RUNTIME.call(self.fn, *positional, **keywords)
                self.keep(key, rec, result)
                result = rec.publish(result)
            finally:
                try:
                    rec.flush()
                finally:
                    rec.clean()
            return result
        finally:
            RECORDING.reset(token)
            for b in rec.breaks:
                STATS.count("graph_breaks")
                self.note(str(b))

    def keep(self, key: Any, rec: Recording, result: Any) -> None:
        why = rec.leaks[:1]
        if not rec.breaks and not why and len(self.fast.get(key, ())) < MANY:
            try:
                self.fast.setdefault(key, []).insert(0, Emitter(rec).function(result))
            except CannotError as e:
                why = [str(e)]
        for w in why:
            self.note(f"recorded at each call: {w}")

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
            log("trace", f"{self.__qualname__}: {text}")

    def explain(self) -> str:
        """What happened to the calls so far: recordings, fast calls, graph breaks with line and remedy."""
        head = f"{self.__qualname__}: {self.recordings} recordings, {self.hits} fast calls"
        return "\n".join([head, *self.notes])


def jit(fn: Callable[..., Any] | None = None, **options: Any) -> Any:
    """A NumPy function, compiled at its calls."""
    return Jit(fn, options) if fn is not None else functools.partial(jit, **options)
