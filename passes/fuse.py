"""Fusion: every node that a loop nest can compute goes into a `kernel` node; what stays outside is reshapes
(aliases) and control ops.

`clusters` divides the graph into loop nests, `kernel_groups` says which of them share a kernel, and here the
kernels are made.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from graphc.ir import get_op
from graphc.ir.graph import Graph, Node, Value
from graphc.passes.acyclic import Groups
from graphc.passes.clusters import Part, Partition, Refusal, divide, only_checks, with_virtual
from graphc.passes.dce import dce
from graphc.passes.inline import map_regions
from graphc.passes.kernel_groups import LOOPS, Kernels
from graphc.passes.manager import register
from graphc.passes.roles import is_single


@dataclass(frozen=True)
class KernelRecord:
    """What a kernel is made of: the nests, and all nodes that it computes."""

    node: Node
    parts: tuple[Part, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Fusion:
    """The fused graph and how it came about. The nodes in the records are those of the graph before."""

    graph: Graph
    kernels: tuple[KernelRecord, ...]
    refusals: tuple[Refusal, ...]


@register("fuse")
def fuse(graph: Graph) -> Graph:
    """The graph with kernels; the same object if there is nothing to put into one."""
    return fusion(graph).graph


def fusion(graph: Graph) -> Fusion:
    """Fuse, and tell how. Nodes that nothing needs are dropped; regions of control ops are fused, too."""
    graph = map_regions(dce(graph), fuse)
    division = divide(graph)
    if all(part.kind == "outside" for part in division.parts):
        return Fusion(graph, (), division.refusals)
    kernels = Kernels(graph, division)
    kernels.merge()
    return _Rebuilder(graph, division, kernels).build()


@dataclass
class _Group:
    """One kernel to be, or one node outside: its parts in order, and the nodes to compute."""

    parts: list[int] = field(default_factory=list)
    nodes: tuple[Node, ...] = ()
    exports: set[Value] = field(default_factory=set)


class _Rebuilder:
    """Makes the fused graph."""

    def __init__(self, graph: Graph, division: Partition, kernels: Kernels) -> None:
        self.graph = graph
        self.division = division
        self.kernels = kernels
        self.parts = division.parts
        self.index = {node: i for i, node in enumerate(graph.nodes)}
        repeated = (self.parts[i] for i in kernels.repeated)
        self.again = division.virtual | {r: n for p in repeated for n in p.nodes for r in n.results}

    def build(self) -> Fusion:
        """The fused graph with its records."""
        groups = self._groups()
        self._give_away_repeated(groups)
        self._export(groups)
        nodes: list[Node] = []
        records = []
        for group in groups:
            if self.parts[group.parts[0]].kind == "outside":
                nodes.append(self.parts[group.parts[0]].anchor)
            else:
                nodes.append(self._kernel(group))
                records.append(
                    KernelRecord(nodes[-1], tuple(self.parts[i] for i in group.parts), group.nodes)
                )
        fused = replace(self.graph, nodes=tuple(nodes))
        return Fusion(fused, tuple(records), tuple(self.kernels.refusals))

    def _groups(self) -> list[_Group]:
        """The groups in an order that runs: that of their first parts wherever possible."""
        members: dict[int, _Group] = {}
        for i in range(len(self.parts)):
            if i not in self.kernels.repeated:
                members.setdefault(self.kernels.groups.find(i), _Group()).parts.append(i)
        ordered = [members[g] for g in _ordered(members, self.kernels.groups)]
        for group in ordered:
            self._close(group, [n for i in group.parts for n in self.parts[i].nodes])
        return ordered

    def _close(self, group: _Group, nodes: list[Node]) -> None:
        group.nodes = with_virtual(nodes, self.again, self.index)

    def _give_away_repeated(self, groups: list[_Group]) -> None:
        """Numbers that leave the graph get one kernel that stores them: the last that has them anyway."""
        results = self.graph.results
        orphans = [v for i in sorted(self.kernels.repeated) for v in self.parts[i].outputs if v in results]
        hosts = [g for g in groups if self.parts[g.parts[0]].kind in (*LOOPS, "contract")]
        holders = {v: g for g in hosts for n in g.nodes for v in n.results}
        for v in orphans:
            if not hosts:
                hosts.append(_Group([self.kernels.home[v]]))
                groups.append(hosts[0])
            group = holders.get(v, hosts[-1])
            self._close(group, [*group.nodes, self.graph.producers[v]])
            group.exports.add(v)

    def _export(self, groups: list[_Group]) -> None:
        """What other groups read, or leaves the graph, is a result of the group that owns it."""
        owner = {v: g for g in groups for i in g.parts for n in self.parts[i].nodes for v in n.results}
        owner = {v: g for v, g in owner.items() if v not in self.again}
        for group in groups:
            inside = {r for n in group.nodes for r in n.results}
            for v in _read(group.nodes):
                if v in owner and v not in inside:
                    owner[v].exports.add(v)
            leaving = inside & self.graph.results
            leaving.update(r for n in group.nodes if only_checks(self.graph, n) for r in n.results)
            group.exports.update(v for v in leaving if owner.get(v) is group)

    def _kernel(self, group: _Group) -> Node:
        inside = {r: None for n in group.nodes for r in n.results}
        operands = tuple(v for v in _read(group.nodes) if v not in inside)
        results = tuple(v for v in inside if v in group.exports)
        main = self._main(group)
        region = _region(operands, group.nodes, results)
        attrs = {"strategy": main.kind}
        return Node(get_op("kernel"), operands, attrs, results, (region,), main.anchor.location)

    def _main(self, group: _Group) -> Part:
        order = ("contract", "scatter", "scan", "join", "rows", "reduce", "map")
        return min(
            (self.parts[i] for i in group.parts), key=lambda p: (order.index(p.kind), is_single(p.shape))
        )


def _ordered(members: dict[int, _Group], groups: Groups) -> list[int]:
    """Kahn's algorithm, the earliest group first."""
    waiting = {g: len(groups.sources(g)) for g in members}
    readers: dict[int, list[int]] = {g: [] for g in members}
    for g in members:
        for s in groups.sources(g):
            readers[s].append(g)
    ready = [(members[g].parts[0], g) for g, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        _, g = heapq.heappop(ready)
        order.append(g)
        for r in readers[g]:
            waiting[r] -= 1
            if waiting[r] == 0:
                heapq.heappush(ready, (members[r].parts[0], r))
    return order


def _read(nodes: Iterable[Node]) -> dict[Value, None]:
    return {v: None for n in nodes for v in n.operands}


def _region(operands: tuple[Value, ...], nodes: tuple[Node, ...], results: tuple[Value, ...]) -> Graph:
    """The nodes as a graph of their own, in which values keep their names."""
    new = {v: Value(v.name, v.declared) for v in operands}
    new |= {r: Value(r.name, r.declared) for n in nodes for r in n.results}
    copies = tuple(
        replace(n, operands=tuple(new[v] for v in n.operands), results=tuple(new[r] for r in n.results))
        for n in nodes
    )
    return Graph("", tuple(new[v] for v in operands), (), copies, (), tuple(new[v] for v in results))
