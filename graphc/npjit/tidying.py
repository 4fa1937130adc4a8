"""The log behind a gradient, as it is to be run: without what nobody reads and without the marks of
leaves."""

from __future__ import annotations

from typing import Any

from graphc.npjit.log import Chain, Node, operands
from graphc.npjit.recording import Recording
from graphc.npjit.reverse import leaf
from graphc.npjit.values import Sym


def nodes_of(x: Any, found: set[Node]) -> None:
    """The nodes of the deferred values in a result."""
    if type(x) is Sym:
        node = x.node if x.storage is None else x.storage.node
        if node is not None:
            found.add(node)
        for _, args, kwargs in x.chain:
            found.update(operands([args, kwargs or {}]))
    elif isinstance(x, (tuple, list)):
        for item in x:
            nodes_of(item, found)
    elif isinstance(x, dict):
        nodes_of(list(x.values()), found)
    elif isinstance(getattr(x, "__dict__", None), dict):
        nodes_of(vars(x), found)


def prune(rec: Recording, start: int, results: Any) -> None:
    """Drop the nodes from position `start` on that the results do not need; rules make some in vain."""
    if rec.done > start:
        return
    needed: set[Node] = set()
    nodes_of(results, needed)
    kept = []
    for node in reversed(rec.log[start:]):
        if node in needed or node.impure:
            needed.update(operands([node.args, node.kwargs or {}]))
            kept.append(node)
    rec.log[start:] = reversed(kept)


def without_leaves(rec: Recording, start: int, leaves: Any) -> None:
    """Leaves are what they stand for, once no walk needs to tell them apart."""
    if rec.done > start:
        return
    stands_for = {n: n.args[0] for n in rec.log[start:] if n.fn is leaf}

    def plain(a: Any) -> Any:
        t = type(a)
        if t is Node:
            while type(a) is Node and a in stands_for:
                a = stands_for[a]
            return a
        if t is tuple or t is list or t is Chain:
            return t([plain(x) for x in a])
        if t is slice:
            return slice(plain(a.start), plain(a.stop), plain(a.step))
        if t is dict:
            return {k: plain(v) for k, v in a.items()}
        return a

    rec.log[start:] = [n for n in rec.log[start:] if n not in stands_for]
    for node in rec.log[start:]:
        node.args = plain(list(node.args))
        node.kwargs = plain(node.kwargs)
    for found in leaves:
        storage = found.inner.storage
        if storage is not None and storage.node is found.node:
            storage.node = found.inner.node = found.inner.at = plain(found.node)
