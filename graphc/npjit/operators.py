"""The runtime's part for operators and truth."""

from __future__ import annotations

import enum
import operator
import types
from collections import OrderedDict, deque
from typing import Any

from graphc.npjit.attributes import PLAIN
from graphc.npjit.deciding import is_whole
from graphc.npjit.inputs import NUMBER
from graphc.npjit.lookup import dunder, in_class, is_array
from graphc.npjit.records import made_by_dataclass
from graphc.npjit.surface import Surface
from graphc.npjit.texts import is_text, percent
from graphc.npjit.values import COMPARISONS, IN_PLACE, OPERATORS, SIGNS, UNARY, Num, Sym, settled

SEQUENCES = (list, tuple, str, bytes)
TOTAL = frozenset(OPERATORS[n] for n in ("add", "sub", "mul", *COMPARISONS)) | frozenset(UNARY.values())
"""Operators that fail for no numbers; what may fail is computed in front of everything that has an effect."""
LONG = 100
"""Characters of an expression: longer ones get a name."""


class Operators(Surface):
    def op(self, name: str, a: Any, b: Any) -> Any:
        ta, tb, rec = type(a), type(b), self.rec
        if rec is None or (ta in PLAIN and tb in PLAIN):
            return OPERATORS[name](settled(a), settled(b))
        if name in ("mod", "add") and (ta is str or tb is str or is_text(a)):
            made = self._text_op(name, a, b)
            if made is not NotImplemented:
                return made
        if name == "mul" and ((ta in SEQUENCES and is_whole(b)) or (tb in SEQUENCES and is_whole(a))):
            times, sequence = (b, a) if tb is Sym else (a, b)
            return self.op(name, sequence, operator.index(self.steered(times)))
        if ta is Sym or tb is Sym or is_array(a) or is_array(b):
            return self.array_op(name, a, b)
        if ta is Num or tb is Num:
            x, y = a.value if ta is Num else a, b.value if tb is Num else b
            if isinstance(x, NUMBER) and isinstance(y, NUMBER):
                expr = f"({self.expr(a)} {SIGNS[name]} {self.expr(b)})"
                return self.combined(OPERATORS[name], self.held(OPERATORS[name], a, b), expr, a, b)
        equality = name in ("eq", "ne") and type(dunder(ta, "eq")) is not types.FunctionType
        if equality and ta is tb and isinstance(a, tuple) and len(a) == len(b):
            pairs = zip(self.iter(a), self.iter(b))
            same = all(p is q or self.truth(self.op("eq", p, q)) for p, q in pairs)
            return same if name == "eq" else not same
        if ta in (list, tuple) and name in ("add", "mul"):
            a = ta(self.iter(a))
            return a + tb(self.iter(b)) if tb in (list, tuple) else OPERATORS[name](a, self.steered(b))
        if ta in (int, Num) and tb in (list, tuple) and name == "mul":
            return self.steered(a) * tb(self.iter(b))
        return self._object_op(name, a, b)

    def _object_op(self, name: str, a: Any, b: Any) -> Any:
        if isinstance(a, enum.Enum) and isinstance(b, enum.Enum):
            return OPERATORS[name](a, b)
        method = "__eq__" if name == "ne" else f"__{name}__"
        if type(a) is type(b) and made_by_dataclass(in_class(type(a), method)):
            return self.op(name, *[self.compared_fields(x) for x in (a, b)])
        for f, x, y in ((dunder(type(a), name), a, b), (dunder(type(b), "r" + name.strip("_")), b, a)):
            if type(f) is types.FunctionType:
                r = self.call(f, x, y)
                if r is not NotImplemented:
                    return r
        a, b = self.steered(a), self.steered(b)
        for x in (a, b):
            if isinstance(x, set | frozenset):
                self.guard_structure(x)
        if isinstance(a, list | tuple | dict | deque) and isinstance(b, list | tuple | dict | deque):
            a, b = [self.listed_in_full(x, name in COMPARISONS) for x in (a, b)]
        return OPERATORS[name](a, b)

    def listed_in_full(self, x: Any, deep: bool) -> Any:
        """A container whose elements come in by their paths; `deep`: those of containers in it too."""
        if isinstance(x, dict):
            found = {k: self.getitem(x, k) for k in self.iter(x)}
            if deep:
                found = {k: self.listed_in_full(v, True) for k, v in found.items()}
            return found if type(x) is not OrderedDict else OrderedDict(found)
        for cls in (tuple, list, deque):
            if isinstance(x, cls):
                return cls([self.listed_in_full(v, True) if deep else v for v in self.iter(x)])
        return x

    def _text_op(self, name: str, a: Any, b: Any) -> Any:
        """A text with values put in, or two texts that follow each other."""
        if name == "mod" and type(a) is str:
            return self.shown(percent, a, b)
        if name == "add" and all(type(x) is str or is_text(x) for x in (a, b)):
            return self.shown(operator.add, a, b)
        return NotImplemented

    def array_op(self, name: str, a: Any, b: Any) -> Any:
        for x, y in ((a, b), (b, a)):
            f = dunder(type(y), ("" if y is a else "r") + name.strip("_"))
            if type(f) is types.FunctionType:
                return self.call(f, y, x)
        a, b = (
            self.rec.force(x, "operator on a Python object made from data")
            if type(x) is Sym and x.meta.kind == "object"
            else self.absorb(x)
            for x in (a, b)
        )
        if a is None or b is None or type(a) is str or type(b) is str:
            return OPERATORS[name](self.real(a), self.real(b))
        return self.rec.record(OPERATORS[name], (a, b))

    def real(self, x: Any) -> Any:
        """The value of x, needed now."""
        if type(x) is Sym:
            return self.rec.force(x, "its value is needed")
        return x.steer() if type(x) is Num else x

    def expr(self, x: Any) -> str:
        """The text of a scalar in generated code."""
        if type(x) is Num:
            return x.expr
        return repr(x) if type(x) is int and x >= 0 else self.rec.const(x)

    def scalar(self, fn: Any, *args: Any) -> Any:
        """fn of known scalars: known, and recomputed by later calls."""
        r = self.held(fn, *args)
        if not isinstance(r, NUMBER):
            self.rec.hold(args)
            return r
        return self.combined(fn, r, f"{self.rec.const(fn)}({', '.join(map(self.expr, args))})", *args)

    def held(self, fn: Any, *args: Any) -> Any:
        """The value for known numbers; where there is none, the numbers steer the program."""
        try:
            return fn(*[a.value if type(a) is Num else a for a in args])
        except Exception:
            self.rec.hold(args)
            raise

    def combined(self, fn: Any, value: Any, expr: str, *args: Any) -> Num:
        """A number computed from others; what depends on symbolic sizes is computed for other sizes too."""
        if (
            len(expr) > LONG or fn not in TOTAL
        ):  # a rate that decays a thousand times is a thousand short lines
            name = self.rec.new("n")
            self.rec.pre.append(f"{name} = {expr}")
            expr = name
        if not any(type(a) is Num and a.other is not None for a in args):
            return Num(value, expr)
        others = [a if type(a) is not Num else a.value if a.other is None else a.other for a in args]
        try:
            return self.rec.computed(value, expr, fn(*others))
        except ArithmeticError:
            self.rec.settle_sizes()
            return Num(value, expr)

    def uop(self, name: str, a: Any) -> Any:
        if self.rec is None:
            return UNARY[name](settled(a))
        if type(a) is Sym and a.meta.kind == "object":
            a = self.rec.force(a, "operator on a Python object made from data")
        if type(a) is Sym or is_array(a):
            return self.rec.record(UNARY[name], (a,))
        if type(a) is Num:
            return self.scalar(UNARY[name], a)
        f = in_class(type(a), f"__{name}__")
        return self.call(f, a) if type(f) is types.FunctionType else UNARY[name](a)

    def iop(self, name: str, a: Any, b: Any) -> Any:
        """The object that `a op= b` leaves in a's place."""
        rec = self.rec
        if rec is None:
            return IN_PLACE[name](settled(a), settled(b))
        if is_array(a):
            a = rec.array(a, None)
        if type(a) is Sym and a.meta.kind == "array":
            rec.change(a, IN_PLACE[name], (a, self.absorb(b)))
            return a
        if type(a) is list and name == "add":
            self.method(a, "extend", b)
            return a
        if type(a) is dict and name == "or_" and isinstance(b, dict):
            self.method(a, "update", b)
            return a
        f = dunder(type(a), "i" + name)
        if type(f) is types.FunctionType:
            r = self.call(f, a, b)
            if r is not NotImplemented:
                return r
        if hasattr(type(a), f"__i{name.strip('_')}__") and type(a) not in (Num, Sym):
            return self.opaque(IN_PLACE[name], a, b) if rec.var(a) else IN_PLACE[name](a, self.steered(b))
        return self.op(name, a, b)

    def same(self, a: Any, b: Any) -> bool:
        """Whether a is b: later calls must find it so too."""
        if type(a) is Num or type(b) is Num:
            numbers = all(type(x) is Num or isinstance(x, NUMBER) for x in (a, b))
            return numbers and self.steered(a) is self.steered(b)
        if self.rec is not None and a is not None and b is not None:
            names = [self._identity(x) for x in (a, b)]
            if None not in names and names[0] != names[1]:
                self.rec.guard(f"({names[0]} is {names[1]}) is not {a is b}")
        return a is b

    def _identity(self, x: Any) -> str | None:
        """The path of an outside object or array."""
        if type(x) is Sym:
            return self.rec.names.get(id(x.real)) if x.real is not None else None
        return None if type(x) is Num else self.rec.var(x)

    def truth(self, x: Any) -> bool:
        if type(x) is bool:
            return x
        rec = self.rec
        if type(x) is Sym or type(x) is Num:
            return bool(x)
        if rec is not None and isinstance(x, dict | list | set) and rec.var(x):
            self.guard_structure(x)
        f = in_class(type(x), "__bool__") or in_class(type(x), "__len__")
        return self.truth(self.call(f, x)) if type(f) is types.FunctionType else bool(x)
