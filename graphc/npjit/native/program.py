"""One Python function of a segment's steps: native calls and NumPy calls, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.npjit.log import Node, Place, Valued, follow, mutate, pick
from graphc.npjit.native.call import NativeCall, Retry
from graphc.npjit.native.packs import pack


class Writer:
    """Lines of a function, and the objects that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.objects: dict[str, Any] = {
            "Retry": Retry,
            "pack": pack,
            "asarray": np.asarray,
            "copyto": np.copyto,
            "rows": np.ascontiguousarray,
        }
        self.names: dict[Any, str] = {}
        self._known: dict[int, str] = {}

    def name(self, x: Any) -> str:
        """The name of an object of the function's namespace."""
        if x is None or type(x) in (int, bool, str):
            return repr(x)
        found = self._known.get(id(x))
        if found is None:
            found = self._known[id(x)] = f"k{len(self._known)}"
            self.objects[found] = x
        return found

    def leaf(self, a: Any) -> str:
        """The variable of a node or of a run-time number."""
        return self.names[a if type(a) is Node else a.expr]

    def text(self, a: Any) -> str:
        """An argument as an expression."""
        t = type(a)
        if t is Node or isinstance(a, Valued):
            return self.leaf(a)
        if t is tuple:
            return "(" + "".join(f"{self.text(x)}, " for x in a) + ")"
        if t is list:
            return "[" + ", ".join(map(self.text, a)) + "]"
        if t is slice:
            return f"slice({self.text(a.start)}, {self.text(a.stop)}, {self.text(a.step)})"
        if t is dict:
            return "{" + ", ".join(f"{k!r}: {self.text(v)}" for k, v in a.items()) + "}"
        return self.name(a)

    def applied(self, fn: Any, args: Sequence[Any], kwargs: Any, place: str) -> str:
        """A call as an expression; `place` is what PLACE stands for."""
        parts = [place if type(a) is Place else self.text(a) for a in args]
        parts += [f"{k}={self.text(v)}" for k, v in (kwargs or {}).items()]
        return f"{self.name(fn)}({', '.join(parts)})"

    def chained(self, base: str, chain: Any) -> str:
        """The view that a chain leads to, as an expression."""
        for fn, args, kwargs in chain:
            base = self.applied(fn, args, kwargs, base)
        return base

    def numpy_call(self, node: Node, variable: str) -> None:
        """The lines of one node by NumPy."""
        if node.fn is follow:
            self.lines.append(f"{variable} = {self.chained(self.text(node.args[0]), node.args[1])}")
        elif node.fn is mutate:
            base, chain, fn, args, kwargs = node.args
            self.lines.append(f"{variable} = {self.text(base)}.copy(order='K')")
            self.lines.append(self.applied(fn, args, kwargs, self.chained(variable, chain)))
        elif node.fn is pick:
            self.lines.append(f"{variable} = {self.text(node.args[0])}[{node.args[1]}]")
        else:
            self.lines.append(f"{variable} = {self.applied(node.fn, node.args, node.kwargs, '')}")

    def source(self, name: str, parameters: Sequence[str]) -> str:
        """The text of the function of all lines."""
        return "\n    ".join([f"def {name}({', '.join(parameters)}):", *self.lines]) + "\n"

    def function(self, name: str, parameters: Sequence[str]) -> Callable[..., tuple[Any, ...]]:
        """The function of all lines."""
        self.objects["SOURCE"] = self.source(name, parameters)
        return made(self.objects["SOURCE"], name, self.objects)

    def later(self, name: str, parameters: Sequence[str]) -> Callable[..., tuple[Any, ...]]:
        """The same, made at its first call; it keeps no node of the log, which has the values of one call."""
        source, objects = self.source(name, parameters), self.objects

        def call(*values: Any) -> tuple[Any, ...]:
            found = objects.get(name)
            return (found if found is not None else made(source, name, objects))(*values)

        return call


def made(source: str, name: str, objects: dict[str, Any]) -> Callable[..., tuple[Any, ...]]:
    """The function of a text, in a namespace."""
    exec(compile(source, f"<graphc {name}>", "exec"), objects)
    function: Callable[..., tuple[Any, ...]] = objects[name]
    return function


@dataclass(frozen=True)
class Line:
    """What became of one step: a native call with a number of operations, or a NumPy call and the reason."""

    native: bool
    what: str
    line: str
    reason: str = ""


@dataclass(frozen=True)
class Program:
    """Call it with the values of `leaves` (arrays, NumPy scalars, Python numbers): gives those of the wanted
    nodes.

    `in_place`: the positions of leaves whose memory has been written when a call returns; the wanted new
    versions of these are the arrays themselves. A call that raises has changed nothing. Raises what NumPy
    raises, or `Retry` if the segment draws random numbers: then restore their state, and ask NumPy.
    """

    run: Callable[..., tuple[Any, ...]]
    leaves: tuple[Any, ...]
    in_place: frozenset[int] = frozenset()
    calls: tuple[NativeCall, ...] = ()
    explanation: tuple[Line, ...] = field(default=())
    source: str = ""

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        return self.run(*values)

    def explain(self) -> tuple[Line, ...]:
        """Step by step: native, or NumPy's and why."""
        return self.explanation
