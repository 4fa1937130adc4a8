"""A recording without a break as one flat Python function: guards, operations, write-back, effects, result.

The function returns MISS where a guard fails or an operation raises; then nothing has been changed, and the
call is recorded again, where an exception is exact.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.npjit.effects import LINES, NAMED, Effect
from graphc.npjit.log import Node, Place, Step, follow, mutate, pick
from graphc.npjit.lookup import store_raw
from graphc.npjit.recording import Recording
from graphc.npjit.values import Num, Storage, Sym

MISS = object()
LITERALS = (bool, int, float, complex, str, bytes, range, type(...), type(None), type(NotImplemented))
MISSES = "(AttributeError, KeyError, IndexError, TypeError, ValueError, ArithmeticError)"


class CannotError(Exception):
    """This recording can't be replayed; the text says why."""


class Emitter:
    """Writes the function of one recording."""

    def __init__(self, rec: Recording) -> None:
        self.rec = rec
        self.lines: list[str] = []
        self.made: dict[int, str] = {}

    # ---- operations

    def expr(self, a: Any) -> str:
        """An argument of an operation."""
        t = type(a)
        if t is Node:
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

    def node(self, i: int, n: Node) -> None:
        """The line of one operation."""
        n.var = f"r{i}"
        if n.fn is follow:
            self.lines.append(f"{n.var} = {self.chain(self.expr(n.args[0]), n.args[1])}")
        elif n.fn is mutate:
            base, chain, fn, args, kwargs = n.args
            self.lines.append(f"{n.var} = {self.expr(base)}.copy(order='K')")
            self.lines.append(self.apply(fn, args, kwargs, self.chain(n.var, chain)))
        elif n.fn is pick:
            self.lines.append(f"{n.var} = {self.expr(n.args[0])}[{n.args[1]}]")
        else:
            self.lines.append(f"{n.var} = {self.apply(n.fn, n.args, n.kwargs)}")

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
        return self.chain(storage.var or self.expr(storage.node), x.chain)

    def _anew(self, x: Any) -> str:
        """A mutable object that was made in the call."""
        t, rec = type(x), self.rec
        var = self.made[id(x)] = rec.new("f")
        if t is list:
            self.lines.append(f"{var} = []")
            self.lines += [f"{var}.append({self.template(v)})" for v in x]
        elif t in (dict, collections.OrderedDict):
            self.lines.append(f"{var} = {rec.const(t)}()")
            for k, v in x.items():
                self.lines.append(f"{var}[{self.template(k)}] = {self.template(v)}")
        elif t is set:
            self.lines.append(f"{var} = {{*{self.template(tuple(x))}}}")
        elif self._is_plain_object(x):
            self.lines.append(f"{var} = object.__new__({rec.const(t)})")
            self.lines += [f"{var}.__dict__[{k!r}] = {self.template(v)}" for k, v in vars(x).items()]
        else:
            raise CannotError(f"a {t.__name__} is made in the call")
        return var

    def _is_plain_object(self, x: Any) -> bool:
        t = type(x)
        plain = type(t) is type and t.__module__ != "builtins" and t.__new__ is object.__new__
        slots = any("__slots__" in c.__dict__ for c in t.__mro__)
        foreign = isinstance(x, np.ndarray | types.FunctionType | types.MethodType)
        return plain and not slots and not foreign and isinstance(getattr(x, "__dict__", None), dict)

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

    # ---- the function

    def storages(self) -> list[Storage]:
        return list({id(s.storage): s.storage for _, s in self.rec.arrays if s.storage is not None}.values())

    def distinct(self) -> list[str]:
        """What was written must not be reachable under another name of this call."""
        rec, lines, storages = self.rec, [], self.storages()
        if any(s.members > 1 for s in storages):
            raise CannotError("overlapping arrays")
        written = [s for s in storages if s.mutated]
        if written and len(rec.arrays) > 1:
            owners = [_owner(v) for v, s in rec.arrays if s.storage is not None and s.storage.var == v]
            lines.append(f"if len({{id(None), {', '.join(owners)}}}) != {len(storages) + 1}: return MISS")
        lines += [f"if not {s.var}.flags.writeable: return MISS" for s in written]
        boxes = [
            k.var
            for k in rec.objects.values()
            if k.var and k.var[0] == "o" and not isinstance(k.value, types.MethodType)
        ]
        if rec.effects and len(boxes) > 1:
            lines.append(f"if len({{{', '.join(f'id({v})' for v in boxes)}}}) != {len(boxes)}: return MISS")
        return lines

    def function(self, result: Any) -> Callable[..., Any]:
        """The fast function: (args, kwargs) -> result or MISS."""
        rec = self.rec
        for i, n in enumerate(rec.log):
            self.node(i, n)
        graph, self.lines = self.lines, []
        back = [f"copyto({s.var}, {self.expr(s.node)})" for s in self.storages() if s.mutated]
        statements: list[str] = []
        for e in rec.effects:
            text = self.effect(e)
            statements += [*self.lines, text]
            self.lines = []
        returned = self.template(result)
        body = ["try:", *_indented(rec.pre + self.distinct()), f"except {MISSES}: return MISS"]
        body += self.guarded(graph)
        body += [*back, *statements, *self.lines, f"return {returned}"]
        return self.compiled(body)

    def guarded(self, graph: list[str]) -> list[str]:
        """The operations; where one raises, random streams go back to where they were."""
        sources = sorted(
            {self.expr(n.args[0]) for n in self.rec.log if n.impure and type(n.args[0]) is Num}
            | {self.expr(n.args[3][1]) for n in self.rec.log if n.impure and n.fn is mutate}
        )
        saves = [f"state{i} = random_state({s})" for i, s in enumerate(sources)]
        restores = [f"    restore({s}, state{i})" for i, s in enumerate(sources)]
        return [*saves, "try:", *_indented(graph), "except Exception:", *restores, "    return MISS"]

    def compiled(self, body: list[str]) -> Callable[..., Any]:
        text = "def fast(args, kw):\n    " + "\n    ".join(body) + "\n"
        scope: dict[str, Any] = {
            **self.rec.consts,
            "MISS": MISS,
            "ndarray": np.ndarray,
            "copyto": np.copyto,
            "random_state": random_state,
            "restore": restore,
            "set_raw": object.__setattr__,
            "store_raw": store_raw,
        }
        exec(compile(text, "<graphc fast path>", "exec"), scope)
        scope["fast"].text = text
        return scope["fast"]


def _owner(v: str) -> str:
    """The identity of the memory of an array; that of None where it is not NumPy's own."""
    return f"id({v} if {v}.base is None else {v}.base if type({v}.base) is ndarray else None)"


def _indented(lines: list[str]) -> list[str]:
    return ["    " + x for x in lines or ["pass"]]


def random_state(source: Any) -> Any:
    """The state of a RandomState or Generator."""
    if isinstance(source, np.random.Generator):
        return source.bit_generator.state
    return source.get_state(legacy=False)


def restore(source: Any, state: Any) -> None:
    """Put a RandomState or Generator back to a state."""
    if isinstance(source, np.random.Generator):
        source.bit_generator.state = state
    else:
        source.set_state(state)
