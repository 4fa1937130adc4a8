"""The walker that all passes use: maps old values to new ones, keeps names and locations.

    rewriter = Rewriter(graph)
    for node in graph.nodes:
        if node.op.name == "negative": rewriter.replace(node, lambda b, x: 0 - x)
        else: rewriter.keep(node)
    return rewriter.finish()

A value that a replacement computes anew takes the name (and the identity) of the value that it stands for, so
nodes that read it are kept as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from graphc.ir.builder import Builder, Expr
from graphc.ir.errors import ArgumentError
from graphc.ir.graph import Graph, Node, Update, Value
from graphc.ir.locations import Location

Replacement = Callable[..., Any]
"""Called with the builder, the node's new operands and its attributes; gives the new result or results, or
None.
"""


class Rewriter:
    """Makes a graph from another one, node by node."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = Builder(graph.name)
        self.builder.inputs = list(graph.inputs)
        self.builder.weights = list(graph.weights)
        self.builder.requirements = dict.fromkeys(graph.requirements)
        self.changed = False
        self.builder.reserve(value.name for value in graph.values())
        self._new: dict[Value, Value] = {}
        self._producers: dict[Value, Node] = {}
        self._known = 0

    # -- what is there already --------------------------------------------------------------------
    def value(self, old: Value) -> Value:
        """The new value that stands for an old one."""
        return self._new.get(old, old)

    def producer(self, new: Value) -> Node | None:
        """The node of the new graph that defines a value; None for parameters."""
        for node in self.builder.nodes[self._known :]:
            self._producers.update(dict.fromkeys(node.results, node))
        self._known = len(self.builder.nodes)
        return self._producers.get(new)

    # -- what is added ----------------------------------------------------------------------------
    def keep(self, node: Node, regions: tuple[Graph, ...] | None = None) -> Node:
        """Copy a node, with new operands and, if given, new regions."""
        new = self._new
        if regions and any(a is not b for a, b in zip(regions, node.regions)):
            node, self.changed = replace(node, regions=regions), True
        if not new.keys().isdisjoint(node.operands):
            node = replace(node, operands=tuple(new.get(v, v) for v in node.operands))
        self.builder.nodes.append(node)
        return node

    def drop(self, node: Node) -> None:
        """Leave a node out; nothing may read its results."""
        self.changed = True

    def stand_in(self, node: Node, values: Sequence[Value]) -> None:
        """Leave a node out; values that are there already take the place of its results."""
        self._new.update(zip(node.results, values, strict=True))
        self.changed = True

    def replace(self, node: Node, replacement: Replacement, location: Location | None = None) -> bool:
        """Put what `replacement` builds in the place of a node; False, and no change, if it gives None.

        New nodes get `location`, or the node's own.
        """
        start, requirements = len(self.builder.nodes), dict(self.builder.requirements)
        operands = [Expr(self.builder, self.value(v)) for v in node.operands]
        with self.builder.at(node.location if location is None else location):
            result = replacement(self.builder, *operands, **node.attrs)
        if result is None:
            del self.builder.nodes[start:]
            self.builder.requirements = requirements
            return False
        made = [self.builder.value(r) for r in (result if isinstance(result, (tuple, list)) else (result,))]
        self._check_types(node, made)
        self._take_over(node, made, start)
        self.changed = True
        return True

    def _check_types(self, node: Node, made: list[Value]) -> None:
        for old, new in zip(node.results, made, strict=True):
            if old.type.dtype != new.type.dtype or old.type.rank != new.type.rank:
                raise ArgumentError(f"{node!r}: {new!r} can't stand for {old!r}")

    def _take_over(self, node: Node, made: list[Value], start: int) -> None:
        """New values become the old ones, name and all; values that were there before stand in for them."""
        new_nodes = self.builder.nodes[start:]
        fresh = {r for n in new_nodes for r in n.results}
        renamed: dict[Value, Value] = {}
        for old, new in zip(node.results, made):
            if new in fresh and new not in renamed:
                renamed[new] = old
            else:
                self._new[old] = renamed.get(new, new)
        if renamed:
            self.builder.nodes[start:] = [_renamed(n, renamed) for n in new_nodes]

    def finish(self) -> Graph:
        """The new graph; the old object if nothing was changed."""
        if not self.changed:
            return self.graph
        graph = self.graph
        return Graph(
            graph.name,
            graph.inputs,
            graph.weights,
            tuple(self.builder.nodes),
            tuple(Update(u.target, self.value(u.new)) for u in graph.updates),
            tuple(self.value(v) for v in graph.outputs),
            tuple(self.builder.requirements),
        )


def _renamed(node: Node, names: dict[Value, Value]) -> Node:
    return replace(
        node,
        operands=tuple(names.get(v, v) for v in node.operands),
        results=tuple(names.get(v, v) for v in node.results),
    )


def in_regions(node: Node, function: Callable[[Graph], Graph]) -> tuple[Graph, ...]:
    """The node's regions after a pass over each."""
    return tuple([function(region) for region in node.regions]) if node.regions else ()
