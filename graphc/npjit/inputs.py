"""What comes into a recording: paths, guards, and Nums and Syms for outside values.

A path is the expression by which a later call finds a value again (`args[0].params['W1']`). Guards are
lines of the fast function: what the recording relied on.
"""

from __future__ import annotations

import enum
import functools
import io
import numbers
import operator
import os
import sys
import types
import weakref
from typing import Any, NamedTuple

import numpy as np

from graphc.npjit.array_guard import Geometry, geometry_of
from graphc.npjit.infer import meta_of
from graphc.npjit.log import Node, foreign
from graphc.npjit.overlaps import arrived
from graphc.npjit.values import Num, Storage, Sym

CONSTANT = (str, bytes, bool, type(None), type(Ellipsis), np.dtype)
IDENTITY = (
    *(types.FunctionType, types.BuiltinFunctionType, type, types.ModuleType, np.ufunc, type(np.sum)),
    *(types.MethodDescriptorType, types.WrapperDescriptorType, types.MethodWrapperType),
    *(operator.itemgetter, operator.attrgetter, enum.Enum),
)
VALUE = (slice, range, numbers.Number)
"""Types whose instances never change: a later call must bring an equal one."""
BOUND = (types.BuiltinFunctionType, types.MethodWrapperType)
NUMBER = (int, float, complex, np.generic)
HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Known(NamedTuple):
    """An outside object and the variable of the generated code that holds it (None: there is no path)."""

    value: Any
    var: str | None


class Inputs:
    """The inputs and guards of one recording."""

    def __init__(self) -> None:
        self.pre: list[str] = []
        self.lines: set[str] = set()
        self.memo: dict[str, Any] = {}
        self.consts: dict[str, Any] = {}
        self.const_names: dict[int, str] = {}
        self.objects: dict[int, Known] = {}
        self.syms: dict[int, Sym] = {}
        self.incoming: list[Storage] = []
        self.made: list[weakref.ref[Sym]] = []
        self.arrays: list[tuple[str, Sym]] = []
        self.geometry: dict[str, Geometry] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.names: dict[int, str] = {}
        self.kept: list[Any] = []
        self.leaks: list[str] = []
        self.steered: list[str] = []
        self.numbered = 0
        self.pathless = False  # what a path led to may have changed
        self.begun: dict[str, str] = {}  # variable -> what is made at the start of a call, behind the guards

    # ---- names in generated code

    def new(self, prefix: str) -> str:
        self.numbered += 1
        return f"{prefix}{self.numbered}"

    def const(self, x: Any) -> str:
        """The name or literal of a constant."""
        if x is None or type(x) in (int, bool, str):
            return repr(x)
        name = self.const_names.get(id(x))
        if name is None:
            name = self.const_names[id(x)] = self.new("k")
            self.consts[name] = x
        return name

    def guard(self, line: str) -> None:
        """A later call may use the recording only where the condition `line` is false."""
        if line not in self.lines:
            self.lines.add(line)
            self.pre.append(f"if {line}: return MISS")

    def guard_value(self, num: Num) -> None:
        v = num.value
        self.steered.append(f"{where()}: {num.expr} is {v!r}")
        if v != v:
            self.guard(f"{num.expr} == {num.expr}")
        else:
            self.guard(f"{num.expr} != {v!r}" if type(v) in (int, bool) else f"{num.expr} != {self.const(v)}")

    def guard_truth(self, num: Num) -> bool:
        if type(num.value) is bool:
            self.guard(f"({num.expr}) is not {num.value}")
        else:
            self.guard(f"{'not ' if num.value else ''}({num.expr})")
        return bool(num.value)

    # ---- values that come in

    def wrap(self, v: Any, path: str | None) -> Any:
        """v as recorded code may hold it; without a path no later call can be replayed if v is an array."""
        t = type(v)
        if t is Sym or t is Num:
            return v
        if path is not None and path in self.memo and not self.pathless:
            return self.memo[path]
        w: Any
        if t is np.ndarray and not foreign(v.dtype):
            w = self.array(v, path)
        elif isinstance(v, CONSTANT):
            w = v
            if path is not None:
                same = f"{path} != {v!r}" if isinstance(v, str | bytes) else f"{path} is not {self.const(v)}"
                self.guard(same)
        elif isinstance(v, NUMBER) and t.__module__ in ("builtins", "numpy"):
            if path is None:
                return v
            w = self.number(v, path)
        else:
            if path is not None:
                self.object(v, path)
            w = v
        if path is not None:
            self.memo[path] = w
        return w

    def number(self, v: Any, path: str) -> Num:
        name = self.new("n")
        self.pre.append(f"{name} = {path}")
        self.guard(f"type({name}) is not {self.const(type(v))}")
        return Num(v, name)

    def object(self, v: Any, path: str) -> None:
        known = self.objects.get(id(v))
        if known is not None:
            if known.var is not None and path != known.var:
                self.guard(f"{path} is not {known.var}")
            return
        if type(v) is types.FunctionType and self.is_renewed(v, path):
            self.closure(v, path)
            return
        if isinstance(v, IDENTITY):
            self.guard(f"{path} is not {self.const(v)}")
            self.objects[id(v)] = Known(v, self.const(v))
            if isinstance(v, BOUND) and not isinstance(v.__self__, types.ModuleType | type | None):
                self.wrap(v.__self__, f"{self.const(v)}.__self__")
            return
        var = self.new("o")
        self.pre.append(f"{var} = {path}")
        if isinstance(v, types.MethodType):
            self.guard(
                f"type({var}) is not {self.const(type(v))} or {var}.__func__ is not {self.const(v.__func__)}"
            )
        self.guard(f"type({var}) is not {self.const(type(v))}")
        self.objects[id(v)] = Known(v, var)
        if isinstance(v, types.MethodType):
            self.wrap(v.__self__, f"{var}.__self__")
        if isinstance(v, VALUE):
            self.guard(f"{var} != {self.const(v)}")
        elif isinstance(v, io.IOBase):
            return
        elif hasattr(type(v), "__next__") and not isinstance(type(v).__next__, types.FunctionType):
            self.leak("an iterator, whose next elements are known only by taking them")

    def is_renewed(self, f: types.FunctionType, path: str) -> bool:
        """Whether other functions of the same code have come in by the path: one is made for each call."""
        return False

    def closure(self, f: types.FunctionType, path: str) -> None:
        """A function that may be another one in each call, of the same code: what it closes over is read from
        the one that comes.
        """
        var = self.new("o")
        self.pre.append(f"{var} = {path}")
        self.guard(
            f"type({var}) is not {self.const(type(f))} or {var}.__code__ is not {self.const(f.__code__)}"
        )
        self.guard(f"{var}.__globals__ is not {self.const(f.__globals__)}")
        self.guard(f"len({var}.__defaults__ or ()) != {len(f.__defaults__ or ())}")
        self.guard(f"list({var}.__kwdefaults__ or ()) != {list(f.__kwdefaults__ or ())!r}")
        self.objects[id(f)] = Known(f, var)
        for i, cell in enumerate(f.__closure__ or ()):
            self.cell(cell, f"{var}.__closure__[{i}]")

    def cell(self, cell: types.CellType, path: str) -> None:
        """A variable of a function that comes in: others that share it must do so in later calls."""
        known = self.objects.setdefault(id(cell), Known(cell, path))
        if known.var != path:
            self.guard(f"{path} is not {known.var}")

    def var(self, obj: Any) -> str | None:
        """The generated variable of an outside object; None: unknown, or made in this call."""
        known = self.objects.get(id(obj))
        return known.var if known is not None else None

    def array(self, v: np.ndarray, path: str | None) -> Sym:
        """The Sym of a real array."""
        s = self.syms.get(id(v))
        if s is not None:
            var = self.names.get(id(v))
            if path is not None and var is None:
                self.leak("a path to an array that was made in the call")
            elif path is not None:  # a second path to one array, also when it was written in between
                self.guard(f"{path} is not {var}")
            return s
        if path is None:
            self.leak("an array without a path")
        s = self._placed(v)
        if path is not None:
            self._guarded(v, s, path)
        self.syms[id(v)] = s
        self.kept.append(v)
        return s

    def _placed(self, v: np.ndarray) -> Sym:
        """The Sym of an array that comes in: memory of its own, until what it shares is written."""
        meta = meta_of(v)
        node = Node(None, meta=meta)
        node.value = v
        s = Sym(meta, node, Storage(node, v))
        s.real, s.at = v, node
        s.readonly = not v.flags.writeable
        arrived(self, s)
        return s

    def flush(self) -> None:
        raise AssertionError("a recording runs its log")

    def sized(self, v: np.ndarray, s: Sym, path: str, var: str) -> None:
        """Take the sizes of an array that comes in as symbols, where they are to be."""

    def _guarded(self, v: np.ndarray, s: Sym, path: str) -> None:
        var = self.new("a")
        self.pre.append(f"{var} = {path}")
        self.geometry[var] = geometry_of(v)
        self.shapes[path] = v.shape
        self.sized(v, s, path, var)
        self.arrays.append((var, s))
        self.names[id(v)] = var
        if not s.chain and s.storage is not None:
            s.storage.node.var = s.storage.var = var

    def leak(self, why: str) -> None:
        """Something that no later call could find again: the call is recorded each time."""
        self.leaks.append(f"{why} ({where()})")


_basename = functools.cache(os.path.basename)


def where() -> str:
    """The user's file and line that is being run."""
    f: types.FrameType | None = sys._getframe(1)
    while f is not None and f.f_code.co_filename.startswith(HERE):
        f = f.f_back
    return f"{_basename(f.f_code.co_filename)}:{f.f_lineno}" if f is not None else "?"
