"""Calls of unknown functions while a gradient is recorded: what goes in and what comes out stay connected.

The call is a node that has been run already. The walk back finds it where a gradient would have to pass
through it: rules of known functions (math.exp) hold there too, and the others' absence is an error that
names the call.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from graphc.npjit.infer import meta_of
from graphc.npjit.inputs import NUMBER, where
from graphc.npjit.log import Node, operands
from graphc.npjit.recording import Recording
from graphc.npjit.running import preserve
from graphc.npjit.values import Num, Sym

DEPTH = 6
"""How deep objects are looked into."""
EMPTY = types.CellType()


class Foreign:
    """One call: `args` and `kwargs` with nodes in the place of deferred values."""

    def __init__(self, rec: Recording, f: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.rec, self.f, self.line = rec, f, where()
        self.args = [rec.lower(a) for a in args]
        self.kwargs = {k: rec.lower(v) for k, v in kwargs.items()}
        self.kept: list[Any] = []
        known = set(self.nodes)
        hidden = self.hidden([getattr(f, "__self__", None), f, args, kwargs])
        self.args.extend(n for n in dict.fromkeys(hidden) if n not in known)

    @classmethod
    def of(cls, rec: Recording, node: Node) -> Foreign:
        """For an object that a node made."""
        made = cls(rec, node.fn or type, (), {})
        made.args.append(node)
        return made

    def hidden(self, x: Any) -> list[Node]:
        """The nodes of deferred values inside of objects and generators, and behind known objects."""
        found: list[Node] = []
        seen: set[int] = set()
        todo = [(x, 0)]
        while todo:
            a, depth = todo.pop()
            if id(a) in seen or depth > DEPTH:
                continue
            seen.add(id(a))
            if id(a) in self.rec.tainted:
                found.extend(self.rec.tainted[id(a)].nodes)
            elif type(a) is Sym or (type(a) is np.ndarray and id(a) in self.rec.syms):
                found.extend(operands(self.rec.lower(a)))
            else:
                todo.extend((part, depth + 1) for part in parts(a))
        return found

    @property
    def nodes(self) -> list[Node]:
        """What the result may depend on."""
        return list(operands([self.args, self.kwargs]))

    def call(self, rt: Any, args: Any, kwargs: Any) -> Any:
        """The result for real arguments."""
        before = [(a, a.copy()) for a in arrays([args, kwargs]) if a.dtype.kind == "f"]
        for a, _ in before:
            preserve(self.rec.log, a, ())
        result = rt.outside(self.f, args, kwargs)
        self.rec.forget()
        self.rec.take_back()
        for a, old in before:
            known = self.rec.syms.get(id(a))
            if (
                known is not None
                and known.storage is not None
                and not np.array_equal(a.ravel(), old.ravel(), True)
            ):
                known.storage.node = self.node(known.storage.real)
        return self.tracked(result)

    def node(self, value: Any) -> Node:
        """A node of the log with this value."""
        made = Node(self.f, self.args, self.kwargs, meta_of(value), line=self.line)
        made.value = value
        self.rec.log.append(made)
        self.rec.done = len(self.rec.log)
        return made

    def tracked(self, result: Any) -> Any:
        """The result, or a part of it, as recorded code may hold it."""
        if isinstance(result, (Sym, Num)):
            return result
        if isinstance(result, (float, complex, np.inexact)):
            return Sym(meta_of(result), self.node(result))
        if isinstance(result, str | bytes) and len(result) > 1 and self.nodes:
            self.rec.tainted[id(result)] = self
            self.kept.append(result)
        if isinstance(result, (*NUMBER, str, bytes, type(None))):
            return result
        if type(result) is tuple:
            return tuple([self.tracked(x) for x in result])
        for a in arrays(result):
            if a.dtype.kind == "f" and id(a) not in self.rec.syms:
                storage = self.rec.array(a, None).storage
                if storage is not None and storage.node.fn is None and storage.real is a:
                    storage.node = self.node(a)
                    self.rec.syms[id(a)].node = self.rec.syms[id(a)].at = storage.node
        if type(result) is not np.ndarray and self.nodes:
            self.rec.tainted[id(result)] = self
            self.kept.append(result)
        return self.rec.wrap(result, f"given_{len(self.rec.breaks)}_{self.rec.new('g')}")


def parts(x: Any) -> list[Any]:
    """What a container, generator, iterator, function or object of the user's holds."""
    if isinstance(x, dict):
        return list(x.values())
    if isinstance(x, (list, tuple)):
        return list(x)
    if isinstance(x, types.GeneratorType):
        return list(x.gi_frame.f_locals.values()) if x.gi_frame is not None else []
    if isinstance(x, (type(iter([])), type(iter(())))):
        return list(x.__reduce__()[1])
    if isinstance(x, types.FunctionType):
        cells = [c.cell_contents for c in x.__closure__ or () if c != EMPTY]
        return [*cells, *(x.__defaults__ or ())]
    if isinstance(x, types.MethodType):
        return [x.__self__, x.__func__]
    if isinstance(x, functools.partial):
        return [x.func, x.args, x.keywords]
    if isinstance(x, (type, types.ModuleType)) or type(x).__module__ in ("builtins", "numpy"):
        return []
    own = getattr(x, "__dict__", None)
    return list(own.values()) if isinstance(own, dict) else []


def arrays(x: Any) -> Iterator[np.ndarray]:
    """The arrays in nested lists, tuples and dicts."""
    if type(x) is np.ndarray:
        yield x
    elif isinstance(x, (list, tuple)):
        for item in x:
            yield from arrays(item)
    elif isinstance(x, dict):
        yield from arrays(list(x.values()))
