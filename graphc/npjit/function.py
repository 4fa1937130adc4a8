"""`jit`: a NumPy function with its recordings."""

from __future__ import annotations

import copy
import functools
import inspect
import os
import re
import sys
import types
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from graphc.codegen.options import check_names, resolve
from graphc.codegen.stats import STATS
from graphc.ir.errors import ArgumentError
from graphc.npjit.breaks import TooLong
from graphc.npjit.choice import Choice
from graphc.npjit.current import LOCK, RECORDING
from graphc.npjit.emit import MISS, Emitter, Fast
from graphc.npjit.expressions import CannotError
from graphc.npjit.known_sizes import Known
from graphc.npjit.lookup import CLASS_ATTRIBUTES, in_class
from graphc.npjit.pieces import Pieces
from graphc.npjit.recording import Recording
from graphc.npjit.rehearsal import NeedsValues, Rehearsal
from graphc.npjit.rewrite import rewritten, why_not
from graphc.npjit.runtime import RUNTIME
from graphc.npjit.settled import Aside
from graphc.npjit.ways import Ways

if TYPE_CHECKING:
    from graphc.codegen.profile import Profile

HOT = 50
"""Calls with the same sizes after which these get a recording of their own."""
PATIENT = 8
"""Calls of a function that can't be recorded after which they go straight to Python."""
NOT_TRACED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Jit(Ways):
    """A function whose calls are recorded once and then done by fast functions whose guards hold.

    Works for functions, methods (as a decorator in the class), bound methods and callable objects.
    """

    def __init__(self, fn: Callable[..., Any], options: dict[str, Any] | None = None) -> None:
        super().__init__()
        functools.update_wrapper(self, fn, updated=())
        self.__graphc_fn__ = self.fn = fn
        self.options = options or {}
        self.name = getattr(fn, "__qualname__", None) or type(fn).__qualname__
        self.sizes: dict[Any, int] = {}
        self.promoted: set[Any] = set()
        self.pieces = Pieces(self.options)
        self.recordings = self.untraceable = 0
        self.last: Recording | None = None
        self._why: tuple[str | None, str] | None = None

    def __get__(self, obj: Any, cls: type | None = None) -> Any:
        return self if obj is None else types.MethodType(self, obj)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        key = (len(args), *kwargs) if kwargs else (len(args),)
        ways = self.fast.get(key)
        if ways:
            r = ways[0](args, kwargs)
            if r is MISS and len(ways) > 1:
                r = self.by_others(key, ways[1:], args, kwargs)
            if r is not MISS:
                self._hits += 1
                return r
        return self.slow(key, args, kwargs)

    def slow(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that no fast function is for."""
        if RECORDING.get() is not None:  # from Python code that is not rewritten, inside a recording
            return self.fn(*args, **kwargs)
        why = self.untraced()
        if why:
            return self._untraceable(why, args, kwargs)
        known = self.known.get(key)
        if known is not None and self.plain() is not None:
            if known.waits(args):
                return self.fn(*args, **kwargs)
            if known.is_in_vain(args, self.hits):
                return self.give_up(key, "no recording is for a later call", args, kwargs, [])
        aside = self.aside.get(key)
        plain = self.plain() if aside is not None and aside.tries_plain else None
        if aside is None or plain is None:
            with LOCK:
                return self.record(key, args, kwargs)
        try:
            return aside.call(plain, args, kwargs)
        finally:
            if aside.won:
                self.step_aside(key, aside, plain)

    def _untraceable(self, why: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.note(f"graph break: it runs as Python: {why}")
        self.untraceable += 1
        if self.untraceable == PATIENT and not self.fast:
            self.leave_to_python()
        return self.fn(*args, **kwargs)

    @functools.cached_property
    def graph_name(self) -> str:
        """What graphs made of the function are called."""
        return re.sub(r"\W", "", self.name.rpartition(".")[2]) or "function"

    def untraced(self) -> str:
        """Why calls are not recorded; empty if they are."""
        setting = os.environ.get("GRAPHC_BACKEND")
        if self._why is None or self._why[0] != setting:
            self._why = setting, self._untraced()
        return self._why[1]

    def _untraced(self) -> str:
        fn = self.fn
        while isinstance(fn, types.MethodType | functools.partial):
            fn = fn.__func__ if isinstance(fn, types.MethodType) else fn.func
        if not isinstance(fn, types.FunctionType):
            fn = in_class(type(fn), "__call__")
        if not isinstance(fn, types.FunctionType):
            return "it is not a Python function"
        if fn.__code__.co_flags & NOT_TRACED:
            return "it is a generator or asynchronous"
        if rewritten(fn) is None:
            return why_not(fn)
        chosen = resolve(**self.options)
        is_plain = chosen.backend == "reference" and chosen.check is None
        return "the backend is reference" if is_plain else ""

    def plain(self) -> Callable[..., Any] | None:
        """The function as Python runs it; None if that can't be done, or checks nothing."""
        return self.fn if self.pieces.check is None else None

    # ---- recording

    def record(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the call, recording it; keep a fast function if it can be done again."""
        rec = self.last = Recording(self._known(key), self.pieces, key not in self.unbranched)
        rec.name, rec.can_give_up = self.graph_name, self.plain() is not None
        token, begin = RECORDING.set(rec), perf_counter_ns()
        self.recordings += 1
        CLASS_ATTRIBUTES.clear()
        try:
            return self._recorded(key, rec, args, kwargs, begin)
        except (Exception, TooLong) as error:
            self.aside.setdefault(key, Aside()).add(perf_counter_ns() - begin, rec.work)
            if not rec.rolled_back:
                raise
            failed: Exception | TooLong = error
        finally:
            RECORDING.reset(token)
            for b in rec.breaks:
                STATS.count("graph_breaks")
                self.note(str(b))
        if isinstance(failed, TooLong):
            why = f"recording it takes too long ({failed}); write the loop with arrays"
            return self.give_up(key, why, args, kwargs, self.fast.get(key, []))
        return self._as_python(failed, args, kwargs)

    def _recorded(
        self, key: Any, rec: Recording, args: tuple[Any, ...], kwargs: dict[str, Any], begin: int
    ) -> Any:
        """The result of a call that is being recorded, with its effects done."""
        try:
            positional = [rec.wrap(a, f"args[{i}]") for i, a in enumerate(args)]
            keywords = {k: rec.wrap(v, f"kw[{k!r}]") for k, v in kwargs.items()}
            result = RUNTIME.call(self._target(rec), *positional, **keywords)
        except BaseException as e:
            if not (isinstance(e, Exception | TooLong) and rec.roll_back()):
                rec.finish()
            raise
        fast = self._emitted(key, rec, result) if self.pieces.check is None else None
        try:
            result = rec.publish(result)
        finally:
            rec.finish()
        if fast is None:
            aside = self.aside.setdefault(key, Aside())
            aside.add(perf_counter_ns() - begin, rec.work)
            aside.failing = False
        else:
            self.aside.pop(key, None)
            known = self.known.setdefault(key, Known())
            known.add(rec)
            if rec.settled_by:
                self.note(rec.settled_by)
            choice = Choice(fast, self.plain(), functools.partial(self.settle, key), known.is_sure)
            self.add(key, choice, bool(rec.tests))
        return result

    def _known(self, key: Any) -> Known:
        """What earlier recordings tell of sizes; nothing if frequent sizes call for this one."""
        if key in self.promoted:
            self.promoted.discard(key)
            return Known()
        return self.known.get(key) or Known()

    def _is_hot(self, key: Any, sizes: tuple[int, ...]) -> bool:
        """Whether these sizes have become frequent just now: they get a recording, and code, of their own."""
        count = self.sizes[key, sizes] = self.sizes.get((key, sizes), 0) + 1
        if count != HOT or len(self.fast.get(key, ())) >= self.known[key].many:
            return False
        self.promoted.add(key)
        return True

    def _target(self, rec: Recording) -> Any:
        """The function; the object that it is bound to is an input as any other."""
        fn: Any = self.fn
        if isinstance(fn, types.MethodType):
            rec.wrap(fn.__self__, rec.const(fn.__self__))
        elif isinstance(fn, functools.partial):
            path = rec.const(fn)
            args = [rec.wrap(a, f"{path}.args[{i}]") for i, a in enumerate(fn.args)]
            keywords = {k: rec.wrap(v, f"{path}.keywords[{k!r}]") for k, v in fn.keywords.items()}
            return functools.partial(fn.func, *args, **keywords)
        elif not isinstance(fn, types.FunctionType):
            rec.wrap(fn, rec.const(fn))
        return fn

    def _as_python(self, failed: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that failed before it changed anything, as it stands: it fails by itself, as a rule."""
        result = self.fn(*args, **kwargs)
        self.note(f"graph break: it can't be recorded and runs as Python ({type(failed).__name__}: {failed})")
        return result

    def _emitted(self, key: Any, rec: Recording, result: Any) -> Fast | None:
        """The fast ways of a recording that can be done again."""
        if rec.breaks:
            return None
        if rec.leaks:
            self.note(f"recorded at each call: {rec.leaks[0]}")
            return None
        most = (self.known.get(key) or Known()).many
        if len(self.fast.get(key, ())) >= most:
            values = f", the last for {rec.steered[0]}" if rec.steered else ""
            self.note(f"recorded at each call: there are {most} fast functions already{values}")
            return None
        try:
            return Emitter(rec, self.options, functools.partial(self._is_hot, key)).fast(result)
        except (CannotError, SyntaxError, RecursionError, MemoryError) as e:
            self.note(f"recorded at each call: {e}")
            return None

    def prepare(self, arguments: Sequence[Any], known: Known) -> bool:
        """Compile ahead of the first call for arguments like these, whose values do not count; False where
        that can't be done. `known` has other sizes for those that are to be symbols.
        """
        key, fast = (len(arguments),), None
        self.known[key] = known
        rec = Rehearsal(known, self.pieces)
        rec.name = self.graph_name
        with LOCK:
            token = RECORDING.set(rec)
            CLASS_ATTRIBUTES.clear()
            try:
                given = [rec.wrap(a, f"args[{i}]") for i, a in enumerate(arguments)]
                fast = self._emitted(key, rec, RUNTIME.call(self._target(rec), *given))
            except (Exception, NeedsValues):  # the first call tells what is the matter
                del self.known[key]
            finally:
                rec.take_back_effects()
                RECORDING.reset(token)
        native = fast.native() if fast is not None else None
        if native is not None:
            known.add(rec)
            self.fast[key] = [native]
        return native is not None

    # ---- reports and copies

    def explain(self) -> str:
        """What happened to the calls so far: recordings, fast calls, graph breaks with line and remedy."""
        return "\n".join([f"{self.name}: {self.recordings} recordings, {self.hits} fast calls", *self.notes])

    def profile(self, *args: Any, rounds: int | None = None, **kwargs: Any) -> Profile:
        """The time of each kernel in the native runs of a call with these arguments; see
        `graphc.codegen.Compiled.profile`. The function is called with copies of them.

        Raises
        ------
        StateError
            Nothing of the function runs natively for such arguments.
        """
        from graphc.npjit.profiling import profile

        return profile(self, args, kwargs, rounds)

    def __repr__(self) -> str:
        return f"<graphc.jit of {self.name}>"

    def __reduce__(self) -> Any:
        found: Any = sys.modules.get(getattr(self.fn, "__module__", ""))
        for part in self.name.split("."):
            found = getattr(found, part, None)
        return self.name if found is self else (Jit, (self.fn, self.options))

    def __copy__(self) -> Jit:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Jit:
        if isinstance(self.fn, types.MethodType):
            return Jit(
                types.MethodType(self.fn.__func__, copy.deepcopy(self.fn.__self__, memo)), self.options
            )
        return self


def jit(fn: Callable[..., Any] | None = None, **options: Any) -> Any:
    """A NumPy function, compiled: the same values, effects and exceptions, faster.

    Use it as a decorator of functions and methods, or on a bound method. Arrays that are reached through
    arguments, attributes, dicts, closures and globals are read anew at each call. What can't be compiled runs
    as Python: `fn.explain()` names each such graph break, its line and a remedy, as does `GRAPHC_LOG=trace`.

    Parameters
    ----------
    fn
        A Python function, method, or callable object written with `import numpy as np`.
    options
        Those of `graphc.compile`: backend, check, threads, passes, cache, fast_math, tune.

    Raises
    ------
    ArgumentError
        An option that there is not, or something that can't be called.

    >>> import graphc
    >>> import numpy as np
    >>> @graphc.jit
    ... def step(w, g, lr):
    ...     w -= lr * g
    ...     return w.sum()
    >>> w = np.ones(3)
    >>> step(w, np.ones(3), 0.5)
    np.float64(1.5)
    >>> w
    array([0.5, 0.5, 0.5])
    """
    if options:
        check_names(options)
    if fn is not None and not callable(fn):
        raise ArgumentError(f"jit takes a function, a method or a callable object, not {fn!r}")
    return Jit(fn, options) if fn is not None else functools.partial(jit, **options)
