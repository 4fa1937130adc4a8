"""The order of nodes: values die early, weights are read before they are overwritten, and what can fail comes
first.

A weight's new value can be written in place only if no later node reads the weight and none can fail. So
nodes that make new values of weights wait, where the graph lets them, for the weight's other readers and for
all nodes that can fail. What makes the next value of a loop's carry waits for the carry's other readers.
Among the nodes that may run, the one that adds least to the memory in use is next, then the earliest.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from graphc.ir import dims
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.dce import can_fail
from graphc.passes.manager import register

NOMINAL = 64
"""The value of every symbol where sizes in bytes are compared."""


@register("schedule")
def schedule(graph: Graph) -> Graph:
    """The graph, and regions of control ops, with nodes in the order to run; the same object if they are."""
    return _scheduled(graph, {u.target: u.new for u in graph.updates})


def _scheduled(graph: Graph, replaced: Mapping[Value, Value]) -> Graph:
    """A graph or region in order; `replaced` has values that may be overwritten by others."""
    nodes = tuple(map(_with_scheduled_regions, graph.nodes))
    if any(a is not b for a, b in zip(nodes, graph.nodes)):
        graph = replace(graph, nodes=nodes)
    ordered = _Scheduler(graph, replaced).run()
    return graph if ordered == graph.nodes else replace(graph, nodes=ordered)


def _with_scheduled_regions(node: Node) -> Node:
    if node.op.kind is not Kind.CONTROL:
        return node
    carries = node.attrs.get("carries", 0)
    regions = [
        _scheduled(r, dict(zip(r.inputs[:carries], r.outputs)) if r is node.regions[-1] else {})
        for r in node.regions
    ]
    same = all(a is b for a, b in zip(regions, node.regions))
    return node if same else replace(node, regions=tuple(regions))


def may_raise(node: Node) -> bool:
    """Whether a node can end a call: it checks something, or it runs code that is not ours (a coarse op)."""
    return can_fail(node) or node.op.kind is Kind.COARSE


def is_alias(node: Node) -> bool:
    """Whether a node only gives another shape to memory that is there."""
    return node.op.name == "reshape"


def roots_of(graph: Graph) -> dict[Value, Value]:
    """For every value the one whose memory it is: itself, but for reshapes outside of kernels."""
    root = {v: v for v in graph.parameters}
    for node in graph.nodes:
        for r in node.results:
            root[r] = root[node.operands[0]] if is_alias(node) else r
    return root


class _Scheduler:
    """Lists of nodes that may run (`ready`) and of those that had better wait (`held`)."""

    def __init__(self, graph: Graph, replaced: Mapping[Value, Value]) -> None:
        self.graph, self.replaced = graph, replaced
        self.root = roots_of(graph)
        self.index = {node: i for i, node in enumerate(graph.nodes)}
        self.bytes = self._sizes(dict.fromkeys(graph.symbols, NOMINAL))
        self.reads = {n: tuple(dict.fromkeys(self.root[v] for v in n.operands)) for n in graph.nodes}
        self.left = Counter(v for n in graph.nodes for v in self.reads[n])
        self.left.update(self.root[v] for v in graph.results)
        self.last: dict[Value, set[Node]] = {}
        for n in graph.nodes:
            for v in self.reads[n]:
                self.last.setdefault(v, set()).add(n)
        self.waits = {n: sum(v in graph.producers for v in set(n.operands)) for n in graph.nodes}
        # what fails in a region ends the call before any weight is written
        self.failing = {n for n in graph.nodes if may_raise(n)} if graph.updates else set()
        self.updaters: dict[Value, Node] = {}
        self.holds = self._holds()
        self.ready: list[tuple[int, int]] = []
        self.held: list[int] = []
        self.done: set[int] = set()

    def _sizes(self, sizes: Mapping[str, int]) -> dict[Value, int]:
        found = {}
        for v in self.graph.values():
            own = v in self.graph.producers and self.root[v] is v
            known = own and all(dims.symbols(d) <= sizes.keys() for d in v.type.shape)
            found[v] = dims.evaluate(v.type.size, sizes) * v.type.dtype.itemsize if known else 0
        return found

    def _holds(self) -> dict[Node, set[Node]]:
        """For every node that makes a weight's or a carry's new value, the other readers of the old one."""
        found: dict[Node, set[Node]] = {}
        for target, new in self.replaced.items():
            node = self.graph.producers.get(self.root[new])
            if node is not None:
                self.updaters[target] = node
                readers = self.last.get(target, set())
                found.setdefault(node, set()).update(n for n in readers if n is not node and not is_alias(n))
        return found

    def run(self) -> tuple[Node, ...]:
        """All nodes in order."""
        for node in self.graph.nodes:
            if self.waits[node] == 0:
                self._offer(node)
        order: list[Node] = []
        while len(order) < len(self.graph.nodes):
            node = self._next()
            order.append(node)
            self._finish(node)
        return tuple(order)

    def _next(self) -> Node:
        while self.ready:
            delta, i = heapq.heappop(self.ready)
            node = self.graph.nodes[i]
            if i not in self.done and delta == self._delta(node):
                return node
        while True:
            i = heapq.heappop(self.held)
            if i not in self.done:
                return self.graph.nodes[i]

    def _is_held(self, node: Node) -> bool:
        if node not in self.holds:
            return False
        others = len(self.failing) - (node in self.failing)
        return others > 0 or bool(self.holds[node])

    def _offer(self, node: Node) -> None:
        i = self.index[node]
        if self._is_held(node):
            heapq.heappush(self.held, i)
        else:
            heapq.heappush(self.ready, (self._delta(node), i))

    def _delta(self, node: Node) -> int:
        """By how much the memory in use grows when a node runs."""
        made = sum(self.bytes[r] for r in node.results)
        return made - sum(self.bytes[v] for v in self.reads[node] if self.left[v] == 1)

    def _finish(self, node: Node) -> None:
        self.done.add(self.index[node])
        again: dict[Node, None] = {}
        for r in node.results:
            for user in self.graph.users[r]:
                self.waits[user] -= 1
                if self.waits[user] == 0:
                    again[user] = None
        for v in self.reads[node]:
            self.left[v] -= 1
            self.last[v].discard(node)
            if self.left[v] == 1:
                again.update(dict.fromkeys(self.last[v]))
        again.update(dict.fromkeys(self._released(node)))
        for other in again:
            if self.waits[other] == 0 and self.index[other] not in self.done:
                self._offer(other)

    def _released(self, node: Node) -> list[Node]:
        """The nodes that wait for this one only because it reads their weight or can fail."""
        found = []
        for v in self.reads[node]:
            if v in self.updaters:
                self.holds[self.updaters[v]].discard(node)
                found.append(self.updaters[v])
        if node in self.failing:
            self.failing.remove(node)
            if len(self.failing) <= 1:
                found += self.holds
        return found
