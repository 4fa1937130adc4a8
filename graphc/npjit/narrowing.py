"""Stores through one moving window: the window is the input, and not the array that it looks at.

A log that changes an input makes a new version of all of it. Where everything the log does with an input is
done with one and the same part of it (`buffer[k:k + b] = v`, `losses[t] = loss`), the part takes the input's
place, and the rest of the array is never touched.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from graphc.npjit.infer import meta_of
from graphc.npjit.log import Chain, Node, Place, evaluate, follow, mutate, nodes_in, replaced
from graphc.npjit.values import Num, Storage


class Part(NamedTuple):
    """A leaf in the place of an input, and the index by which it is taken from it."""

    leaf: Node
    key: tuple[Any, ...]


class Narrowed:
    """A log in which parts take the place of inputs; its nodes stand where those of the old log stood."""

    def __init__(self, log: list[Node], storages: Sequence[Storage], shadows: Mapping[Node, Any]) -> None:
        self.log, self.parts = log, dict[int, Part]()
        places = {n: i for i, n in enumerate(log)}
        for storage in storages:
            if storage.members == 1 and storage.var and storage.real is not None and storage.node in places:
                self._narrow(storage.real, self.log[places[storage.node]], id(storage), shadows)
        self.moved = {old: new for old, new in zip(log, self.log) if new is not old}

    def _narrow(self, real: np.ndarray, last: Node, name: int, shadows: Mapping[Node, Any]) -> None:
        versions, own = [last], set(self.log)
        while versions[-1] in own:
            versions.append(versions[-1].args[0])
        leaf = versions[-1]
        index = _common_index(self.log, set(versions))
        if index is None or shadows.get(leaf) is not None:
            return
        part = Node(None, meta=meta_of(real[evaluate(index)]))
        self.parts[name] = Part(part, index)
        table: dict[Node, Node] = {leaf: part}
        self.log = [_moved(n, table, set(versions), part) for n in self.log]


def _moved(node: Node, table: dict[Node, Node], versions: set[Node], part: Node) -> Node:
    """The node with the part in the place of the array; itself where nothing changes."""
    if not any(n in table for n in nodes_in([node.args, node.kwargs or {}])):
        return node
    args, meta = node.args, node.meta
    use = _use(node, versions)
    if use is not None:
        base, _, rest = use
        args, meta = [base, *rest], part.meta if node.fn is mutate else node.meta
    new = Node(
        node.fn,
        [replaced(a, table) for a in args],
        replaced(node.kwargs, table),
        meta,
        node.impure,
        node.line,
    )
    new.quiet = node.quiet
    table[node] = new
    return new


def _common_index(log: Sequence[Node], versions: set[Node]) -> tuple[Any, ...] | None:
    """The index of the part which is all that the log uses of the versions of an array, if it moves."""
    found: tuple[Any, ...] | None = None
    for node in log:
        if not any(n in versions for n in nodes_in([node.args, node.kwargs or {}])):
            continue
        use = _use(node, versions)
        if use is None or any(n in versions for n in nodes_in([use[2], node.kwargs or {}])):
            return None
        if found is not None and text_of(found) != text_of(use[1]):
            return None
        found = use[1]
    return found if found is not None and any(type(x) is Num for x in _numbers(found)) else None


def _use(node: Node, versions: set[Node]) -> tuple[Node, tuple[Any, ...], list[Any]] | None:
    """What a node does with a version of an array: the version, the index of the part that it uses, and its
    other arguments for that part; None if it uses it in another way.
    """
    if not node.args or type(node.args[0]) is not Node or node.args[0] not in versions:
        return None
    base, *rest = node.args
    if node.fn is operator.getitem and not node.kwargs:
        index = _basic(rest[0])
        return None if index is None else (base, index, [()])
    if node.fn not in (follow, mutate):
        return None
    chain, *more = rest
    if chain:
        fn, args, kwargs = chain[0]
        index = _basic(args[1]) if fn is operator.getitem and type(args[0]) is Place and not kwargs else None
        return None if index is None else (base, index, [Chain(chain[1:]), *more])
    if node.fn is mutate and more[0] is operator.setitem:
        _, (place, key, value), keywords = more
        index = _basic(key)
        return (
            None
            if index is None
            else (base, index, [Chain(), operator.setitem, [place, ..., value], keywords])
        )
    return None


def _basic(key: Any) -> tuple[Any, ...] | None:
    """An index of numbers and slices that gives an array, also where it is one element; None for others."""
    entries = list(key) if type(key) is tuple else [key]
    if not all(_is_number(e) or (type(e) is slice and all(map(_is_bound, _bounds(e)))) for e in entries):
        return None
    return (*entries, ...)


def _is_number(e: Any) -> bool:
    value = e.value if type(e) is Num else e
    return isinstance(value, int | np.integer) and type(value) is not bool


def _is_bound(e: Any) -> bool:
    return e is None or _is_number(e)


def _bounds(k: slice) -> tuple[Any, Any, Any]:
    return k.start, k.stop, k.step


def _numbers(index: Sequence[Any]) -> Iterator[Any]:
    for e in index:
        yield from _bounds(e) if type(e) is slice else (e,)


def text_of(a: Any) -> Any:
    """An index such that it can be compared."""
    if type(a) is Num:
        return Num, a.expr
    if type(a) is slice:
        return slice, *map(text_of, _bounds(a))
    return tuple(map(text_of, a)) if type(a) is tuple else (type(a), a)
