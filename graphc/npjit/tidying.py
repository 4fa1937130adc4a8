"""The log behind a gradient, as it is to be run: without what nobody reads and without the marks of
leaves."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from graphc.npjit.leaves import ATOMS
from graphc.npjit.log import Node, operands, replaced
from graphc.npjit.lookup import attributes
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
    elif isinstance(x, (tuple, list, deque)):
        for item in x:
            nodes_of(item, found)
    elif isinstance(x, dict):
        nodes_of(list(x.values()), found)
    elif not isinstance(x, ATOMS):
        nodes_of([getattr(x, k) for k in attributes(x)], found)


def prune(rec: Recording, start: int, results: Any) -> None:
    """Drop the nodes from position `start` on that the results do not need; rules make some in vain."""
    if rec.done > start:
        return
    needed: set[Node] = set(rec.tests)
    nodes_of(results, needed)
    for node in reversed(rec.log[start:]):
        if node in needed or node.impure:
            needed.add(node)
            needed.update(operands([node.args, node.kwargs or {}]))
    keep(rec, lambda i, node: i < start or node in needed)


def keep(rec: Recording, wanted: Callable[[int, Node], bool]) -> None:
    """Drop nodes from the log; what counts positions in it is told."""
    places, log = [0], []
    for i, node in enumerate(rec.log):
        if wanted(i, node):
            log.append(node)
        places.append(len(log))
    rec.log[:] = log
    rec.done = places[rec.done]
    rec.states[:] = [(places[i], state) for i, state in rec.states]
    rec.effects[:] = [e._replace(position=places[e.position]) for e in rec.effects]
    for marks in rec.marks:
        marks[:] = [places[i] for i in marks]
    for storage in rec.dirty:
        storage.history[:] = [(places[i], node) for i, node in storage.history]


def without_leaves(rec: Recording, start: int, leaves: Any) -> None:
    """Leaves are what they stand for, once no walk needs to tell them apart."""
    stands_for: dict[Node, Any] = {}
    for n in rec.log[start:]:
        if n.fn is leaf:  # of a leaf, where gradients are nested
            stands_for[n] = replaced(n.args[0], stands_for)
    keep(rec, lambda i, node: node not in stands_for)
    for node in rec.log[start:]:
        node.args = replaced(list(node.args), stands_for)
        node.kwargs = replaced(node.kwargs, stands_for)
    for found in leaves:
        storage = found.inner.storage
        if storage is not None and storage.node is found.node:
            storage.node = found.inner.node = found.inner.at = replaced(found.node, stands_for)


@contextlib.contextmanager
def unheard(rec: Recording) -> Iterator[None]:
    """What is recorded inside sets no warnings off: infinite derivatives that a choice leaves out are
    not the user's."""
    outer, state = rec.quiet, np.geterr()
    if not rec.states:
        rec.states.append((0, {**state}))
    rec.quiet = True
    rec.states.append((len(rec.log), dict.fromkeys(state, "ignore")))
    try:
        yield
    finally:
        rec.quiet = outer
        rec.states.append((len(rec.log), {**state}))
