"""The runtime's part for iteration, unpacking, lengths and context managers."""

from __future__ import annotations

import contextlib
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphc.npjit.current import recording, runtime
from graphc.npjit.lookup import in_class, is_array
from graphc.npjit.rewrite import rewritten
from graphc.npjit.surface import Surface
from graphc.npjit.values import Num, Sym, settled

LONG = 200
"""Elements of an outside list that goes into an operation: more are not worth a path each."""


HARMLESS = (contextlib.suppress, contextlib.nullcontext)
"""Context managers that do nothing which a later call would have to do again."""


class Manager:
    """A context manager; its Python methods are rewritten; any other starts with nothing pending."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager

    def run(self, name: str, *args: Any) -> Any:
        f = in_class(type(self.manager), name)
        if type(f) is types.FunctionType and recording() is not None and rewritten(f) is not None:
            return runtime().call(f, self.manager, *args)
        rec = recording()
        if rec is not None:
            if isinstance(self.manager, (np.errstate, *HARMLESS)):
                rec.run_pending()
            else:
                rec.flush()
                rec.clean()
            if isinstance(self.manager, np.errstate) and not rec.states:
                rec.states.append((0, {**np.geterr()}))
        result = getattr(self.manager, name)(*args)
        if rec is not None:
            rec.take_back()
            if isinstance(self.manager, np.errstate):
                rec.states.append((len(rec.log), {**np.geterr()}))
            elif not isinstance(self.manager, HARMLESS):
                rec.leak(f"a context manager of class {type(self.manager).__name__}")
        return result

    def __enter__(self) -> Any:
        found = self.run("__enter__")
        if not isinstance(self.manager, np.errstate):
            runtime().attempt()
        return found

    def __exit__(self, *args: Any) -> Any:
        if not isinstance(self.manager, np.errstate):
            runtime().attempted()
        return self.run("__exit__", *args)


class Iteration(Surface):
    def iter(self, x: Any, depth: Any = None) -> Iterator[Any]:
        """The elements of x; `depth` says how they are unpacked (see syntax.depth)."""
        it = self.items_of(x)
        return it if depth is None else (self.unpack(v, depth) for v in it)

    def delegated(self, x: Any) -> Any:
        """What `yield from` goes through: a generator of the call itself, which values are sent to, or the
        elements of anything else.
        """
        if self.rec is None:
            return settled(x)
        return x if isinstance(x, types.GeneratorType) and self.rec.var(x) is None else self.iter(x)

    def loop(self, x: Any, depth: Any = None) -> Iterator[Any]:
        """`iter` of a `for` statement: marks the log at each iteration."""
        rec = self.rec
        if rec is None:
            yield from self.iter(x, depth)
            return
        marks: list[int] = []
        rec.marks.append(marks)
        it = iter(self.iter(x, depth))
        while True:
            marks.append(len(rec.log))  # before the element is made: rows of an array are nodes too
            try:
                v = next(it)
            except StopIteration:
                return
            yield v

    def items_of(self, x: Any) -> Iterator[Any]:
        t, rec = type(x), self.rec
        if rec is None:
            return iter(settled(x))
        if is_array(x):
            x, t = rec.array(x, None), Sym
        if t is Sym:
            if x.meta.kind == "object":
                return map(self.given, rec.force(x, "iteration over data"))
            if x.meta.kind == "array" and not x.meta.shape:
                raise TypeError("iteration over a 0-d array")
            n = int(self.length(x))
            return (self.getitem(x, i) for i in range(n))
        if t is Num:
            return iter(x.steer())
        f = in_class(t, "__iter__")
        if type(f) is types.FunctionType:
            it = self.call(f, x)
            if it is not x:
                return self.items_of(it)
        g = in_class(t, "__next__")
        if type(g) is types.FunctionType:
            return self._pulled(g, x)
        if f is None and type(in_class(t, "__getitem__")) is types.FunctionType:
            return self._sequence(x)
        if isinstance(x, list | tuple | deque):
            self.guard_structure(x)
            return self._queued(x) if isinstance(x, deque) else self._listed(x)
        if rec.var(x) is not None:
            if isinstance(x, dict | set | frozenset):
                self.guard_structure(x)
            elif t not in (range, str, bytes):
                return self._foreign(x)
        return iter(x)

    def _foreign(self, x: Any) -> Iterator[Any]:
        """An outside iterator: what it gives can't be given again."""
        self.rec.leak("iteration over an outside iterator")
        it = self.opaque(iter, x)
        while True:
            try:
                v = self.opaque(next, it)
            except StopIteration:
                return
            yield v

    def _sequence(self, x: Any) -> Iterator[Any]:
        i = 0
        while True:
            try:
                v = self.getitem(x, i)
            except IndexError:
                return
            yield v
            i += 1

    def _queued(self, x: Any) -> Iterator[Any]:
        """The elements of a deque, which refuses to be changed meanwhile."""
        for i, _ in enumerate(x):
            yield self.element(x, i)

    def _listed(self, x: Any) -> Iterator[Any]:
        i = 0
        while i < len(x):
            yield self.element(x, i)
            i += 1

    def _pulled(self, g: Any, x: Any) -> Iterator[Any]:
        while True:
            try:
                v = self.call(g, x)
            except StopIteration:
                return
            yield v

    def unpack(self, v: Any, depth: Any) -> Any:
        if self.rec is None:
            return settled(v)
        if not isinstance(v, list | tuple | Sym | np.ndarray) and type(v) in (
            str,
            int,
            float,
            type(None),
            Num,
        ):
            return v.steer() if type(v) is Num else v
        parts = list(self.items_of(v))
        if depth is True or len(parts) != len(depth):
            return parts
        return [self.unpack(p, d) if d else p for p, d in zip(parts, depth)]

    def length(self, x: Any) -> Any:
        rec = self.rec
        if rec is None:
            return len(settled(x))
        if is_array(x):
            x = rec.array(x, None)
        if type(x) is Sym:
            return self._sym_length(x)
        if type(x) is Num:
            return len(x.steer())
        f = in_class(type(x), "__len__")
        if type(f) is types.FunctionType:
            return self.call(f, x)
        var = rec.var(x)
        if var is None:
            return len(x)
        if not isinstance(x, list | dict):
            self.guard_structure(x) if isinstance(x, tuple | set | frozenset | deque) else rec.guard(
                f"len({var}) != {len(x)}"
            )
            return len(x)
        change = rec.changes.get(id(x))
        before = len(x) if change is None else change.length
        path = f"len({var})"
        if path not in rec.memo:  # bound before any effect
            rec.memo[path] = rec.number(before, path)
        known = rec.memo[path]
        return known if len(x) == before else Num(len(x), f"({known.expr} + {len(x) - before})")

    def _sym_length(self, x: Sym) -> Any:
        if x.meta.kind == "object":
            return len(self.rec.force(x, "length of a Python object made from data"))
        if x.meta.kind == "array":
            shape = self.sym_attr(x, "shape")
            if not shape:
                raise TypeError("len() of unsized object")
            return shape[0]
        name = x.meta.dtype.__name__ if x.meta.kind == "python" else f"numpy.{x.meta.dtype.type.__name__}"
        raise TypeError(f"object of type '{name}' has no len()")

    def mapping(self, x: Any) -> Any:
        """What stands behind ** in a call or a dict."""
        return self.snapshot(x) if self.rec is not None and isinstance(x, dict) else settled(x)

    def absorb(self, x: Any) -> Any:
        """Outside lists that go into an operation: every element comes in by its own path."""
        t = type(x)
        if t is list or t is tuple:
            outside = self.rec.var(x) is not None
            if outside and len(x) > LONG:
                self.rec.leak("a long outside list")
                return t(x)
            return t([self.absorb(v) for v in (self.items_of(x) if outside else x)])
        if t is Sym and x.meta.kind == "object":
            return self.rec.force(x, "a Python object made from data")
        if t is Num and type(x.value) is str:
            return x.steer()
        if t is slice:
            bounds = (x.start, x.stop, x.step)  # from data they would decide sizes
            return slice(*[self.steered(v) if type(v) is Sym else self.absorb(v) for v in bounds])
        return x

    def manager(self, manager: Any) -> Any:
        return Manager(manager) if self.rec is not None else manager

    def boundary(self) -> None:
        if self.rec is not None:
            self.rec.boundary()

    def attempt(self) -> None:
        """A `try` or `with` begins: what was recorded before must not fail in it."""
        if self.rec is not None:
            self.rec.run_pending()
            self.rec.trying += 1

    def attempted(self) -> None:
        """It ends."""
        if self.rec is not None:
            self.rec.trying -= 1
