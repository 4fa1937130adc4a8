"""Values of a recording as Python expressions: the arguments of operations, what a later call returns, and
what it does to the caller's objects.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.npjit.effects import LINES, NAMED, Effect
from graphc.npjit.log import Node, Place, Step, follow, mutate, pick
from graphc.npjit.lookup import slots_of
from graphc.npjit.narrowing import Narrowed
from graphc.npjit.recording import Recording
from graphc.npjit.values import Num, Sym

LITERALS = (bool, int, float, complex, str, bytes, range, type(...), type(None), type(NotImplemented))


class CannotError(Exception):
    """This recording can't be replayed; the text says why."""


class Expressions:
    """Expressions in the variables of the function that is being made of a recording. `lines` make the
    objects that they name, `wanted` are the operations whose results they use.
    """

    def __init__(self, rec: Recording, narrowed: Narrowed) -> None:
        self.rec = rec
        self.log, self.moved = narrowed.log, narrowed.moved
        self.lines: list[str] = []
        self.made: dict[int, str] = {}
        self.wanted: dict[Node, None] = {}
        self.positions = {n: i for i, n in enumerate(self.log)}

    # ---- operations

    def expr(self, a: Any) -> str:
        """An argument of an operation."""
        t = type(a)
        if t is Node:
            a = self.moved.get(a, a)
            if a in self.positions:
                self.wanted[a] = None
                return f"r{self.positions[a]}"
            if a.var is None:
                raise CannotError("a value without a path")
            return a.var
        if t is Num:
            return a.expr
        if t is list:
            return f"[{', '.join(map(self.expr, a))}]"
        if t is tuple:
            return "(" + "".join(self.expr(x) + ", " for x in a) + ")"
        if t is slice:
            return f"slice({self.expr(a.start)}, {self.expr(a.stop)}, {self.expr(a.step)})"
        if t is dict:
            return "{" + ", ".join(f"{k!r}: {self.expr(v)}" for k, v in a.items()) + "}"
        return self.rec.const(a)

    def apply(self, fn: Any, args: Sequence[Any], kwargs: dict[str, Any] | None, place: str = "") -> str:
        parts = [place if type(a) is Place else self.expr(a) for a in args]
        parts += [f"{k}={self.expr(v)}" for k, v in (kwargs or {}).items()]
        return f"{self.rec.const(fn)}({', '.join(parts)})"

    def chain(self, base: str, chain: Sequence[Step]) -> str:
        for fn, args, kwargs in chain:
            base = self.apply(fn, args, kwargs, base)
        return base

    def node(self, n: Node) -> list[str]:
        """The lines of one operation, by NumPy."""
        var = f"r{self.positions[n]}"
        if n.fn is follow:
            return [f"{var} = {self.chain(self.expr(n.args[0]), n.args[1])}"]
        if n.fn is mutate:
            base, chain, fn, args, kwargs = n.args
            copied = f"{var} = {self.expr(base)}.copy(order='K')"
            return [copied, self.apply(fn, args, kwargs, self.chain(var, chain))]
        if n.fn is pick:
            return [f"{var} = {self.expr(n.args[0])}[{n.args[1]}]"]
        return [f"{var} = {self.apply(n.fn, n.args, n.kwargs)}"]

    # ---- results

    def template(self, x: Any) -> str:
        """An expression for x as a later call builds it: outside objects by path, what was made made anew."""
        t, rec = type(x), self.rec
        if t is Sym:
            return self._sym(x)
        if t is Num:
            return x.expr
        if (isinstance(x, LITERALS) and t in LITERALS) or isinstance(x, np.generic | np.dtype | type):
            return rec.const(x)
        if t is np.ndarray and id(x) in rec.syms:
            return self._sym(rec.syms[id(x)])
        known = rec.objects.get(id(x))
        if known is not None and known.var is not None:
            return known.var
        if id(x) in self.made:
            return self.made[id(x)]
        if t is tuple:
            return "(" + "".join(self.template(v) + ", " for v in x) + ")"
        if isinstance(x, tuple) and hasattr(x, "_fields"):
            return f"{rec.const(t)}({', '.join(map(self.template, x))})"
        if t is slice:
            return self.expr(x)
        return self._anew(x)

    def _sym(self, x: Sym) -> str:
        storage = x.storage
        if storage is None:
            return self.expr(x.node)
        base = storage.var or self.expr(storage.node)
        if not x.chain:
            return base
        if id(x) not in self.made:  # one view, wherever it is found
            var = self.made[id(x)] = self.rec.new("f")
            self.lines.append(f"{var} = {self.chain(base, x.chain)}")
        return self.made[id(x)]

    def _anew(self, x: Any) -> str:
        """A mutable object that was made in the call."""
        t: Any = type(x)
        rec = self.rec
        var = self.made[id(x)] = rec.new("f")
        if t is list:
            self.lines.append(f"{var} = []")
            self.lines += [f"{var}.append({self.template(v)})" for v in x]
        elif t is collections.deque:
            self.lines.append(f"{var} = {rec.const(t)}((), {rec.const(x.maxlen)})")
            self.lines += [f"{var}.append({self.template(v)})" for v in x]
        elif t in (dict, collections.OrderedDict, collections.defaultdict):
            factory = self.template(x.default_factory) if t is collections.defaultdict else ""
            self.lines.append(f"{var} = {rec.const(t)}({factory})")
            for k, v in x.items():
                self.lines.append(f"{var}[{self.template(k)}] = {self.template(v)}")
        elif t is set:
            self.lines.append(f"{var} = {{*{self.template(tuple(x))}}}")
        elif self._is_plain_object(x):
            self.lines.append(f"{var} = object.__new__({rec.const(t)})")
            slots = [n for n in slots_of(t) if hasattr(x, n)]
            self.lines += [f"object.__setattr__({var}, {n!r}, {self.template(getattr(x, n))})" for n in slots]
            inside = getattr(x, "__dict__", {})
            self.lines += [f"{var}.__dict__[{k!r}] = {self.template(v)}" for k, v in inside.items()]
        else:
            raise CannotError(f"a {t.__name__} is made in the call")
        return var

    def _is_plain_object(self, x: Any) -> bool:
        t: Any = type(x)
        plain = type(t) is type and t.__module__ != "builtins" and t.__new__ is object.__new__
        foreign = isinstance(x, np.ndarray | types.FunctionType | types.MethodType)
        kept = isinstance(getattr(x, "__dict__", None), dict) or slots_of(t)
        return bool(plain and not foreign and kept)

    def effect(self, e: Effect) -> str:
        """The statement that does an effect again."""
        if e.kind == "call":
            keywords = "{" + ", ".join(f"{k!r}: {self.template(v)}" for k, v in e.key.items()) + "}"
            return LINES["call"].format(var=e.var, value=self.template(tuple(e.value)), key=keywords)
        key = e.key if e.kind in NAMED else self._constant(e.key)
        return LINES[e.kind].format(var=e.var, key=key, value=self.template(e.value))

    def _constant(self, k: Any) -> str:
        return (
            self.template(k) if type(k) is tuple else self.expr(k) if type(k) is slice else self.rec.const(k)
        )
