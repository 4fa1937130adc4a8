"""The arguments that are differentiated: containers with leaves in the place of their floating values.

The differentiated function gets copies of the containers, whose floating arrays and numbers are leaves of
the recording, so that a gradient is that of this argument alone, also where the same array is reached in
another way. What the function does to its arguments is done to the originals afterwards.
"""

from __future__ import annotations

import copy
import types
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from graphc.ir.errors import DTypeError, GradientError
from graphc.npjit.derivable import floating
from graphc.npjit.infer import meta_of
from graphc.npjit.log import Meta, Node, operands, source
from graphc.npjit.lookup import attributes, is_array
from graphc.npjit.recording import Recording
from graphc.npjit.reverse import Walk, leaf
from graphc.npjit.values import Num, Sym

ATOMS = (
    *(str, bytes, int, bool, type(None), type(Ellipsis), np.dtype, type, types.ModuleType),
    *(types.FunctionType, types.MethodType, types.BuiltinFunctionType, np.ufunc, np.random.Generator),
    *(np.random.RandomState, range),
)
MISSING = object()


class Leaf(NamedTuple):
    """A differentiated value: the node of its entry, what the function gets, and what the caller gave."""

    node: Node
    inner: Any
    outer: Any


class Branch(NamedTuple):
    """A container: how its gradient is made, the caller's own, the function's copy, and the parts by key."""

    kind: str
    outer: Any
    inner: Any
    parts: dict[Any, Any]


class Leaves:
    """The differentiated arguments of one call."""

    def __init__(self, rt: Any, rec: Recording) -> None:
        self.rt, self.rec, self.start = rt, rec, len(rec.log)
        self.entry: dict[Node, Node | None] = {}
        self.nodes: list[Node] = []
        self.found: dict[int, Leaf] = {}
        self.branches: list[Branch] = []
        self.within: dict[int, Any] = {}
        self.given: set[int] = set()

    # ---- entering

    def enter(self, x: Any) -> Any:
        """A Leaf, a Branch, or the value itself where it has no gradient."""
        t = type(x)
        if is_array(x):
            x, t = self.rec.array(x, None), Sym
        if t is Sym:
            return self.value(x, x.meta)
        if t is Num or isinstance(x, (float, complex, np.generic)):
            return self.value(x, meta_of(x.value if t is Num else x))
        if isinstance(x, np.ndarray):
            raise DTypeError(
                f"graphc cannot differentiate with respect to a {t.__name__} of {x.dtype} elements.\n"
                "  fix     convert it: np.asarray(x, dtype=float)."
            )
        if isinstance(x, ATOMS) or id(x) in self.within:
            return x
        return self.branch(x)

    def value(self, x: Any, meta: Meta) -> Any:
        kind = meta.dtype.kind if isinstance(meta.dtype, np.dtype) else "c" if meta.dtype is complex else ""
        if kind == "c":
            raise DTypeError(
                f"graphc differentiates with respect to real values, but got {meta.dtype}.\n"
                "  fix     pass the real and the imaginary part as two arrays."
            )
        if not floating(meta):
            return x
        node = self.rec.add(Node(leaf, (self.rec.lower(x),), meta=meta))
        inner = self.rec.result(node, meta, x.shadow if type(x) is Sym else None)
        if type(x) is Sym:
            inner.readonly = x.readonly
        self.nodes.append(node)
        self.entry[node] = x.storage.node if type(x) is Sym and x.storage is not None else None
        found = self.found[id(inner)] = Leaf(node, inner, x)
        return found

    def branch(self, x: Any) -> Any:
        """A container with its parts entered; other objects are returned as they are."""
        rt = self.rt
        if isinstance(x, dict):
            kind, items = "dict", [(k, rt.getitem(x, k)) for k in rt.iter(x)]
        elif isinstance(x, (list, tuple, deque)):
            kind = "tuple" if isinstance(x, tuple) else "list"
            kind = "record" if hasattr(x, "_fields") else kind
            items = list(enumerate(rt.iter(x)))
        elif attributes(x):
            kind = "object"
            self.guard_names(x)
            items = [(k, rt.getattr(x, k)) for k in attributes(x)]
        else:
            return x
        self.within[id(x)] = x
        parts = {k: self.enter(v) for k, v in items}
        del self.within[id(x)]
        if kind == "object" and not hasattr(x, "__dict__") and not any(map(is_entered, parts.values())):
            return x  # a number, path or date of a class in Python
        found = Branch(kind, x, self.rebuilt(kind, x, parts), parts)
        self.branches.append(found)
        return found

    def guard_names(self, x: Any) -> None:
        """Another attribute is another structure."""
        var = self.rec.var(x)
        if var is not None and hasattr(x, "__dict__"):
            self.rec.guard(f"tuple(vars({var})) != {self.rec.const(tuple(vars(x)))}")

    def rebuilt(self, kind: str, x: Any, parts: dict[Any, Any]) -> Any:
        """The function's own copy of a container."""
        values = {k: inner_of(p) for k, p in parts.items()}
        if kind == "dict":
            made = {} if type(x) is dict else copy.copy(x)
            dict.clear(made)
            for k, v in values.items():
                dict.__setitem__(made, k, v)
            return made
        if kind == "object":
            return made_like(x, values)
        return assembled(kind, x, values)

    # ---- leaving

    def write_back(self) -> None:
        """Do to the caller's own arrays and containers what the function did to its copies."""
        self.check_names()
        for found in self.found.values():
            storage = found.inner.storage if type(found.inner) is Sym else None
            if storage is not None and storage.mutated:
                self.rt.setitem(found.inner, found.outer, Ellipsis)
        for branch in self.branches:
            if branch.kind == "dict":
                self.write_dict(branch)
            elif branch.kind == "list":
                self.write_list(branch)
            elif branch.kind == "object":
                self.write_object(branch)

    def check_names(self) -> None:
        """What is changed in place must have one name only, since a leaf stands apart from its array."""
        own = {found.node.args[0] for found in self.found.values() if type(found.node.args[0]) is Node}
        others: set[Node] = set()
        for node in self.rec.log[self.start :]:
            if node.fn is not leaf and node not in own:
                others.update(operands([node.args, node.kwargs or {}]))
        outer = [f.outer.storage for f in self.found.values() if type(f.outer) is Sym and f.outer.storage]
        for found in self.found.values():
            storage = found.outer.storage if type(found.outer) is Sym else None
            inner = found.inner.storage if type(found.inner) is Sym else None
            if storage is None or inner is None:
                continue
            twice = sum(_overlap(s.real, storage.real) for s in outer) > 1
            twice = twice or any(_overlap(n.value, storage.real) for n in others if n.fn is None)
            twice = twice or source(found.node.args[0]) in others
            if (inner.mutated and twice) or storage.node is not self.entry[found.node]:
                raise GradientError(
                    "a differentiated array is changed in place and is reached under another name too.\n"
                    "  fix     pass a copy of it."
                )

    def write_dict(self, branch: Branch) -> None:
        for k in [k for k in branch.parts if k not in branch.inner]:
            self.rt.delitem(branch.outer, k)
        for k, v in branch.inner.items():
            if k not in branch.parts or v is not inner_of(branch.parts[k]):
                self.rt.setitem(self.outer_of(v), branch.outer, k)

    def write_list(self, branch: Branch) -> None:
        before = [inner_of(p) for p in branch.parts.values()]
        if len(before) == len(branch.inner) and all(a is b for a, b in zip(before, branch.inner)):
            return
        if isinstance(branch.outer, deque):
            self.rt.method(branch.outer, "clear")
            self.rt.method(branch.outer, "extend", [self.outer_of(v) for v in branch.inner])
            return
        if len(branch.inner) < len(before):
            self.rt.setitem([self.outer_of(v) for v in branch.inner], branch.outer, slice(None))
            return
        for i, v in enumerate(branch.inner):
            if i >= len(before):
                self.rt.method(branch.outer, "append", self.outer_of(v))
            elif v is not before[i]:
                self.rt.setitem(self.outer_of(v), branch.outer, i)

    def write_object(self, branch: Branch) -> None:
        now = {k: getattr(branch.inner, k) for k in attributes(branch.inner)}
        for k in [k for k in branch.parts if k not in now]:
            self.rt.delattr(branch.outer, k)
        for k, v in list(now.items()):
            if k not in branch.parts or v is not inner_of(branch.parts[k]):
                self.rt.setattr(self.outer_of(v), branch.outer, k)

    def outer_of(self, v: Any) -> Any:
        """The caller's own object for one of the function's copies, also inside new containers."""
        if id(v) in self.found:
            return self.found[id(v)].outer
        for branch in self.branches:
            if v is branch.inner:
                return branch.outer
        t = type(v)
        if t is list or t is tuple:
            return t(self.outer_of(x) for x in v)
        if t is dict:
            return {k: self.outer_of(x) for k, x in v.items()}
        return v

    # ---- gradients

    def gradient(self, part: Any, walk: Walk) -> Any:
        """The gradient of an entered argument, in its structure; None for what has none."""
        if isinstance(part, Leaf):
            return self.finished(walk.of(part.node), part, walk)
        if not isinstance(part, Branch):
            return None
        values = {k: self.gradient(p, walk) for k, p in part.parts.items()}
        if part.kind == "dict":
            made = {} if type(part.outer) is dict else copy.copy(part.outer)
            dict.clear(made)
            for k, v in values.items():
                dict.__setitem__(made, k, v)
            return made
        if part.kind == "object":
            return made_like(part.outer, values)
        return assembled(part.kind, part.outer, values)

    def finished(self, ct: Any, part: Leaf, walk: Walk) -> Any:
        """The cotangent as the caller's own: of the leaf's kind, and in memory that nobody else has."""
        meta, rt = part.node.meta, self.rt
        assert isinstance(meta, Meta)
        if meta.kind == "python":
            return 0.0 if ct is None else rt.call(float, ct)
        if meta.kind == "scalar":
            if ct is None:
                return meta.dtype.type(0)
            return rt.getitem(ct, ()) if type(ct) is Sym and ct.meta.kind == "array" else ct
        if ct is None:
            return rt.call(np.zeros_like, part.inner)
        fresh = type(ct) is Sym and ct.storage is not None and not ct.chain and not ct.readonly
        if fresh and None not in ct.meta.shape:
            node = ct.storage.node
            if node.fn is not None and node not in walk.forward and id(ct.storage) not in self.given:
                self.given.add(id(ct.storage))
                return ct
        return rt.call(np.array, ct)


def _overlap(a: Any, b: Any) -> bool:
    return type(a) is np.ndarray and type(b) is np.ndarray and np.may_share_memory(a, b)


def inner_of(part: Any) -> Any:
    """What the function gets for an entered part."""
    return part.inner if isinstance(part, (Leaf, Branch)) else part


def is_entered(part: Any) -> bool:
    """Whether a part has a leaf in it."""
    return isinstance(part, (Leaf, Branch))


def made_like(x: Any, values: dict[str, Any]) -> Any:
    """An object of the class of x with these attributes."""
    made = object.__new__(type(x))
    for k, v in values.items():
        object.__setattr__(made, k, v)
    return made


def assembled(kind: str, x: Any, values: dict[Any, Any]) -> Any:
    """A list, tuple or named tuple like x."""
    if kind == "record":
        return type(x)(*values.values())
    if kind == "tuple":
        return tuple(values.values()) if type(x) is tuple else type(x)(values.values())
    if isinstance(x, deque):
        return deque(values.values(), x.maxlen)
    return list(values.values()) if type(x) is list else type(x)(values.values())
