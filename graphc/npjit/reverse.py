"""The reverse walk: cotangents of a recorded result, carried back over the log to the leaves.

The walk visits the nodes from the last to the first. A node's cotangent is complete when it is reached; the
rules of `vjps` give those of its operands, and are themselves recorded: a gradient is log like any other,
and can be differentiated again. Nodes from before a break keep their values, so the walk goes on across
breaks.

Stores are new versions of memory (`mutate`): the cotangent of the version before is that after it, with
what was overwritten taken out. Reads of views add into the cotangent of the memory they look at.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from graphc.npjit.current import recording, runtime
from graphc.npjit.derivable import carries, floating, is_complex, missing
from graphc.npjit.log import Meta, Node, Parts, Place, follow, mutate, operands, pick, source
from graphc.npjit.recording import Recording
from graphc.npjit.shadows import part as part_of
from graphc.npjit.values import Storage, Sym
from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.find import NOTHING, find
from graphc.npjit.vjps.indexing import repeats
from graphc.npjit.vjps.mutation import change_of
from graphc.npjit.vjps.table import pull


def leaf(x: Any) -> Any:
    """What is differentiated, apart from all else that is the same array."""
    return x[...] if type(x) is numpy.ndarray else x


class Cotangent:
    """`owned`: nobody else holds the array, it may be added to in place. `masked`: see `Rules`."""

    __slots__ = ("masked", "owned", "value")

    def __init__(self, value: Any, owned: bool = False, masked: bool = False) -> None:
        self.value, self.owned, self.masked = value, owned, masked


class Walk:
    """One walk from results to leaves, over the nodes from position `start` of the log on."""

    def __init__(self, rec: Recording, start: int, leaves: Sequence[Node]) -> None:
        self.rec, self.leaves = rec, frozenset(leaves)
        self.nodes = rec.log[start:]
        self.forward = frozenset(self.nodes)
        self.active: set[Node] = set(leaves)
        self.parts: dict[Node, dict[int, Node]] = {}
        self.cts: dict[Node, Cotangent] = {}
        self.several: dict[Node, dict[int, Cotangent]] = {}
        self.values: dict[Node, Sym] = {}
        for node in self.nodes:
            if node.fn is pick:
                self.parts.setdefault(node.args[0], {})[node.args[1]] = node
            if carries(node.meta) and any(n in self.active for n in operands([node.args, node.kwargs or {}])):
                self.active.add(node)

    def seed(self, result: Any, ct: Any) -> None:
        """Begin with the cotangent of a result."""
        if type(result) is Sym:
            self.add(self.rec.read(result), ct)

    def run(self) -> None:
        """Carry everything back to the leaves."""
        outer = self.rec.line
        for node in reversed(self.nodes):
            self.rec.line = node.line  # what is recorded for a node belongs to its line
            if node in self.several:
                self.through(node, self.several.pop(node))
            elif node in self.cts and node not in self.leaves:
                self.step(node, self.cts.pop(node))
        self.rec.line = outer

    def of(self, node: Node) -> Any:
        """The cotangent of a leaf; None where nothing depends on it."""
        found = self.cts.get(node)
        return None if found is None else found.value

    # ---- sums of cotangents

    def add(self, node: Node, ct: Any, masked: bool = False, owned: bool = False) -> None:
        """One more contribution to a node's cotangent."""
        node = source(node)
        if ct is None or node not in self.active or not floating(node.meta):
            return
        old = self.cts.get(node)
        if old is None:
            self.cts[node] = Cotangent(ct, owned, masked)
        elif old.owned:
            old.value = runtime().iop("add", old.value, ct)
            old.masked = old.masked or masked
        else:
            total = np.add(old.value, ct)
            self.cts[node] = Cotangent(total, _is_array(total), old.masked or masked)

    def buffer(self, node: Node) -> Any:
        """The cotangent of a node as an array that can be written."""
        node = source(node)
        old = self.cts.get(node)
        if old is None:
            self.cts[node] = old = Cotangent(np.zeros_like(self.value(node)), True, True)
        elif not old.owned:
            old.value, old.owned = np.copy(old.value), True
        return old.value

    # ---- values

    def value(self, node: Node) -> Any:
        """A recorded value as rules get it; it does not change with later versions of its memory."""
        node = source(node)
        found = self.values.get(node)
        if found is None:
            meta = node.meta
            if isinstance(meta, Parts):
                return [self.part(node, i) for i in range(len(meta.parts))]
            found = Sym(meta, node, Storage(node) if meta.kind == "array" else None)
            found.shadow = self.rec.shadows.get(node)
            self.values[node] = found
        return found

    def part(self, node: Node, i: int) -> Any:
        """One of several results of a node."""
        known = self.parts.get(node, {}).get(i)
        if known is None:
            assert isinstance(node.meta, Parts)
            known = self.rec.add(Node(pick, (node, i), meta=node.meta.parts[i]))
            self.parts.setdefault(node, {})[i] = known
            self.rec.shadows[known] = part_of(self.rec.shadows.get(node), i)
        return self.value(known)

    def lifted(self, a: Any, place: Any = None) -> Any:
        """An argument of a node with values in the place of nodes."""
        t = type(a)
        if t is Node:
            return self.value(a)
        if t is Place:
            return place
        if t is tuple or t is list:
            return t([self.lifted(x, place) for x in a])
        if t is slice:
            return slice(self.lifted(a.start), self.lifted(a.stop), self.lifted(a.step))
        if t is dict:
            return {k: self.lifted(v, place) for k, v in a.items()}
        return a

    def needed(self, a: Any) -> bool:
        """Whether a lifted argument depends on a leaf."""
        if type(a) is Sym:
            return a.node in self.active
        return isinstance(a, (tuple, list)) and any(map(self.needed, a))

    def spread(self, given: Any, a: Any, masked: bool) -> None:
        """Cotangents of a lifted argument to its nodes."""
        if given is None:
            return
        if type(a) is Sym and a.node is not None:
            self.add(a.node, given, masked)
        elif isinstance(a, (tuple, list)):
            for g, x in zip(given, a):
                self.spread(g, x, masked)

    # ---- steps

    def step(self, node: Node, ct: Cotangent) -> None:
        """Carry a node's cotangent to its operands."""
        if node.fn is leaf:
            self.add(node.args[0], ct.value, ct.masked, ct.owned)
        elif node.fn is pick:
            base = source(node.args[0])
            self.several.setdefault(base, {})[node.args[1]] = ct
        elif node.fn is follow:
            self.viewed(node, ct)
        elif node.fn is mutate:
            self.changed(node, ct)
        elif node.fn is operator.getitem:
            self.gathered(node.args[0], self.lifted(node.args[1]), ct.value)
        else:
            self.applied(node, ct.value, self.value(node), ct.masked)

    def through(self, node: Node, cts: dict[int, Cotangent]) -> None:
        """Several results at once."""
        assert isinstance(node.meta, Parts)
        given = [cts[i].value if i in cts else None for i in range(len(node.meta.parts))]
        self.applied(node, given, self.value(node), any(c.masked for c in cts.values()))

    def applied(self, node: Node, ct: Any, out: Any, masked: bool) -> None:
        """The rules of an operation."""
        assert node.fn is not None
        args, kwargs = [self.lifted(a) for a in node.args], self.lifted(node.kwargs or {})
        found = find(node.fn, args, kwargs)
        if found is None or any(map(self.needed, found.kwargs.values())):
            raise missing(node.fn, node.line, "a keyword argument of {}" if found is not None else "{}")
        if found.rules is NOTHING:
            return
        wanted = [self.needed(a) for a in found.args]
        if any(w and is_complex(a) for w, a in zip(wanted, found.args)):
            raise missing(node.fn, node.line, "{} of complex numbers")
        try:
            given = pull(found.rules, ct, out, found.args, found.kwargs, wanted, masked)
        except LookupError as e:
            raise missing(node.fn, node.line) from e
        below = found.rules.masks or "where" in (node.kwargs or {}) or (found.rules.keeps and masked)
        for g, a in zip(given, found.args):
            self.spread(g, a, below)

    def gathered(self, base: Any, key: Any, ct: Any) -> None:
        """`base[key]`: the cotangent is added where it was read."""
        if type(base) is not Node or source(base) not in self.active:
            return
        if not floating(source(base).meta):
            raise missing(operator.getitem, source(base).line, "{} of complex numbers")
        g = self.buffer(base)
        if repeats(key):
            np.add.at(g, key, ct)
            return
        part = g[key]
        if type(part) is Sym and part.storage is g.storage:
            runtime().iop("add", part, ct)
        else:
            g[key] = part + ct

    def viewed(self, node: Node, ct: Cotangent) -> None:
        """A view: back through the steps that lead to it."""
        base, chain = node.args
        if source(base) not in self.active:
            return
        steps = self.steps(self.value(base), chain)
        value, masked = ct.value, ct.masked
        for i in range(len(chain) - 1, -1, -1):
            fn, args, kwargs = chain[i]
            if i == 0 and fn is operator.getitem:
                self.gathered(base, self.lifted(args[1]), value)
                return
            value, chosen = self.stepped(node, fn, args, kwargs, steps[i], steps[i + 1], value)
            masked = masked or chosen
        self.add(base, value, masked)

    def steps(self, base: Any, chain: Any) -> list[Any]:
        """The values along a chain: the base, what each step gives."""
        found = [base]
        for fn, args, kwargs in chain:
            place = found[-1]
            if fn is pick:
                found.append(place[args[1]])
                continue
            lifted = [self.lifted(a, place) for a in args]
            found.append(
                self.rec.record(fn, lifted, self.lifted(kwargs or {}), getitem=fn is operator.getitem)
            )
        return found

    def stepped(
        self, node: Node, fn: Any, args: Any, kwargs: Any, before: Any, after: Any, ct: Any
    ) -> tuple[Any, bool]:
        """The cotangent in front of one step of a chain, and whether the step chooses among elements."""
        if fn is pick:
            return [ct if j == args[1] else None for j in range(len(before))], False
        found = find(fn, [self.lifted(a, before) for a in args], self.lifted(kwargs or {}))
        if is_complex(before):
            raise missing(fn, node.line, "{} of complex numbers")
        if found is None or found.rules is NOTHING:
            raise missing(fn, node.line)
        wanted = [a is before for a in found.args]
        try:
            given = pull(found.rules, ct, after, found.args, found.kwargs, wanted)
        except LookupError as e:
            raise missing(fn, node.line) from e
        return given[wanted.index(True)], found.rules.masks

    def changed(self, node: Node, ct: Cotangent) -> None:
        """A new version of memory: what was overwritten loses its cotangent to what was written."""
        base, chain, fn, args, kwargs = node.args
        rule = change_of(fn)
        if rule is None:
            raise missing(fn, node.line)
        whole = ct.value if ct.owned else np.copy(ct.value)
        before = self.steps(self.value(base), chain)[-1]
        after = self.steps(self.value(node), chain)[-1]
        laid = self.same_layout(whole, node) if chain else whole
        part = self.steps(laid, chain)[-1] if chain else whole
        if chain and (type(part) is not Sym or part.storage is not laid.storage):
            raise missing(fn, node.line)
        own = np.copy(part) if chain else whole
        rest = [self.lifted(a, before) for a in list(args)[1:]]
        try:
            kept, given = rule(own, before, after, rest, self.lifted(kwargs or {}))
        except LookupError as e:
            raise missing(fn, node.line) from e
        for g, a, lowered in zip(given, rest, list(args)[1:]):
            if type(lowered) is Place:
                kept = g if kept is None else kept if g is None else np.add(kept, g)
            else:
                self.spread(g, a, True)
        if not chain:
            self.add(base, kept, True, kept is whole)
            return
        part[...] = 0 if kept is None else kept
        self.add(base, self.root(part), True, True)

    def same_layout(self, ct: Any, node: Node) -> Any:
        """The cotangent in an array laid out as the memory is, so that the same steps give views of it."""
        meta = node.meta
        assert isinstance(meta, Meta)
        shadow = self.rec.shadows.get(node) or meta
        if type(ct) is Sym and not ct.chain:
            other = ct.shadow or ct.meta
            if (ct.meta.strides, other.strides) == (meta.strides, shadow.strides):
                return ct
        laid = np.empty_like(self.value(node))
        laid[...] = ct
        return laid

    def root(self, view: Sym) -> Sym:
        """The whole array that a view looks into."""
        storage = view.storage
        assert storage is not None
        assert isinstance(storage.node.meta, Meta)
        whole = Sym(storage.node.meta, storage.node, storage)
        whole.shadow = self.rec.shadows.get(storage.node)
        return whole


def _is_array(x: Any) -> bool:
    return type(x) is Sym and x.meta.kind == "array"


def pull_through(
    program: Callable[..., Any], ct: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Any, ...]:
    """Cotangents of the arguments of a program: it is recorded here, and walked back over."""
    rec = recording()
    if rec is None:
        from graphc.npjit.gradient import vjp

        found = vjp(program)(*args, ct, **kwargs)
        return tuple(found) if isinstance(found, (tuple, list)) else (found,)
    start, marked = len(rec.log), []

    def mark(a: Any) -> Any:
        if isinstance(a, (tuple, list)):
            return type(a)(mark(x) for x in a)
        if type(a) is Sym and floating(a.meta):
            node = rec.add(Node(leaf, (rec.lower(a),), meta=a.meta))
            marked.append(node)
            return rec.result(node, a.meta, a.shadow)
        return a

    inner = [mark(a) for a in args]
    out = program(*inner, **kwargs)
    pairs = list(zip(out, ct)) if isinstance(out, (tuple, list)) else [(out, ct)]
    results = [(rec.read(o), c) for o, c in pairs if c is not None and type(o) is Sym]
    walk = Walk(rec, start, marked)
    for node, c in results:
        walk.add(node, c)
    walk.run()

    def collect(a: Any) -> Any:
        if isinstance(a, (tuple, list)):
            return [collect(x) for x in a]
        if type(a) is not Sym:
            return None
        node = a.node if a.storage is None else a.storage.node
        return walk.of(node) if node in walk.leaves else None

    return tuple(collect(a) for a in inner)
