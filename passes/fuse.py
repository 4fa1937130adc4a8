"""Fusion: every node that a loop nest can compute goes into a `kernel` node; what stays outside is reshapes
(aliases) and control ops.

`clusters` divides the graph into loop nests; here nests become kernels. Nests share a kernel when one reads
what the other computes or both read the same array, and together they have at most one product. The rules
(`_Kernels.against`) give their reason whenever they say no, and `passes/explain.py` prints those.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

from graphc.ir import get_op
from graphc.ir.graph import Graph, Node, Value
from graphc.passes.acyclic import Groups
from graphc.passes.clusters import (
    CYCLE,
    PRODUCT_OPERAND,
    Part,
    Partition,
    Refusal,
    divide,
    only_checks,
    outside_reason,
    with_virtual,
)
from graphc.passes.dce import dce
from graphc.passes.inline import map_regions
from graphc.passes.manager import register
from graphc.passes.roles import is_single

NARROW = 64
"""Rows of a product up to this width stay in cache until the next loops fold them."""
LOOPS = ("map", "reduce", "rows")
PRODUCTS = "each product has a kernel of its own"
STORED_WHOLE = "the product's result is wider than a tile, so other loops read it from memory"
OTHER_LOOPS = "the two go over arrays of different shapes"
ONE_LOOP = "scatters and running folds have kernels of their own"


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
    kernels = _Kernels(graph, division)
    kernels.merge()
    return _Rebuilder(graph, division, kernels).build()


class _Kernels:
    """Which parts share a kernel: groups over parts, merged by rules."""

    def __init__(self, graph: Graph, division: Partition) -> None:
        self.graph = graph
        self.parts = division.parts
        self.home = {v: i for i, p in enumerate(self.parts) for v in p.outputs}
        self.repeated = _repeated(graph, self.parts, self.home)
        self.readers: dict[Value, list[int]] = {}
        self.groups = Groups()
        self.refusals = list(division.refusals)
        self.product: dict[int, bool] = {}
        for i, part in enumerate(self.parts):
            sources = [] if i in self.repeated else [s for s, _ in self.sources(i)]
            self.groups.add(sources)
            self.product[i] = part.kind == "contract"
            for v in part.inputs:
                self.readers.setdefault(v, []).append(i)

    def sources(self, i: int) -> list[tuple[int, Value]]:
        """The parts that compute what part i reads, the latest first, each with the value."""
        found = {self.home[v]: v for v in self.parts[i].inputs if v in self.home}
        return sorted(((s, v) for s, v in found.items() if s not in self.repeated), key=lambda x: -x[0])

    def merge(self) -> None:
        """Apply the rules in the order of their worth."""
        self._operand_folds()
        for narrow in (True, False):
            for q in range(len(self.parts)):
                for p, v in [] if q in self.repeated else self.sources(q):
                    if self._is_narrow(p, q) or not narrow:
                        self._try(p, q, v)
        self._same_array()

    def against(self, p: int, q: int, v: Value) -> str:
        """Why part q, which reads v from part p, does not share its kernel; "" if it may."""
        first, second = self.parts[p], self.parts[q]
        kinds = {first.kind, second.kind}
        if "outside" in kinds:
            return outside_reason((second if second.kind == "outside" else first).anchor)
        if kinds & {"scatter", "scan"}:
            return ONE_LOOP
        if second.kind == "contract" and v in second.anchor.operands:
            return PRODUCT_OPERAND
        if _smaller(first, second) or _smaller(second, first) or self._is_narrow(p, q):
            return ""
        if "contract" in kinds:
            return PRODUCTS if len(kinds) == 1 else STORED_WHOLE
        return "" if first.shape == second.shape else OTHER_LOOPS

    def _is_narrow(self, p: int, q: int) -> bool:
        """Whether q folds the rows of a product p that fit a tile."""
        first, second = self.parts[p], self.parts[q]
        last = first.shape[-1] if first.shape else 1
        narrow = first.kind == "contract" and isinstance(last, int) and last <= NARROW
        return narrow and second.kind in LOOPS and second.shape == first.shape

    def _try(self, p: int, q: int, v: Value) -> None:
        a, b = self.groups.find(p), self.groups.find(q)
        if a == b:
            return
        reason = self.against(p, q, v)
        if not reason and self.product[a] and self.product[b]:
            reason = PRODUCTS
        if not reason and not self.groups.mergeable(a, b):
            reason = CYCLE
        if reason:
            self.refusals.append(Refusal(v, self.parts[q].anchor, reason))
        else:
            self._merge(a, b)

    def _merge(self, a: int, b: int) -> None:
        self.product[self.groups.merge(a, b)] = self.product[a] or self.product[b]

    def _operand_folds(self) -> None:
        """A fold of a product's operand over the axis that the product sums too (a bias gradient) joins the
        product.
        """
        for c, part in enumerate(self.parts):
            if part.kind != "contract":
                continue
            for v, axis in _summed_axes(part.anchor):
                for q in self.readers.get(v, ()):
                    fold = self.parts[q]
                    fits = fold.kind == "reduce" and fold.shape == v.type.shape and fold.reduced == (axis,)
                    free = not self.product[self.groups.find(q)] and q not in self.repeated
                    if fits and free and self.groups.mergeable(c, q):
                        self._merge(self.groups.find(c), self.groups.find(q))

    def _same_array(self) -> None:
        """Loops over one array that nothing else connects share a kernel."""
        for v, readers in self.readers.items():
            loops = [q for q in readers if self._goes_over(q, v)]
            for p, q in pairwise(loops):
                a, b = self.groups.find(p), self.groups.find(q)
                if a != b and not (self.product[a] or self.product[b]) and self.groups.mergeable(a, b):
                    self._merge(a, b)

    def _goes_over(self, q: int, v: Value) -> bool:
        part = self.parts[q]
        same = part.shape == v.type.shape and not is_single(part.shape)
        return part.kind in LOOPS and same and q not in self.repeated


def _repeated(graph: Graph, parts: tuple[Part, ...], home: dict[Value, int]) -> set[int]:
    """Parts that compute one number from parameters: every kernel that needs it computes it for itself."""
    found: set[int] = set()
    needed = {
        v for p in parts if p.kind in ("outside", "contract", "scatter", "scan") for v in p.anchor.operands
    }
    for i, part in enumerate(parts):
        given = all(v not in graph.producers or home.get(v) in found for v in part.inputs)
        plain = part.kind == "map" and is_single(part.shape) and not any(n.op.can_fail for n in part.nodes)
        if given and plain and not needed.intersection(part.outputs):
            found.add(i)
    return found


def _smaller(a: Part, b: Part) -> bool:
    """Whether a loops over one element, or over some of the axes that b loops over."""
    if a.kind not in LOOPS:
        return False
    rest = [d for d in b.shape if d != 1]
    for d in a.shape:
        if d == 1:
            continue
        if d not in rest:
            return False
        rest.remove(d)
    return bool(rest) or is_single(a.shape)


def _summed_axes(product: Node) -> list[tuple[Value, int]]:
    """The operands of a product, each with the axis that is summed over."""
    a, b = product.operands
    axis_a = a.type.rank - (2 if product.attrs.get("transpose_a") else 1)
    axis_b = b.type.rank - (1 if product.attrs.get("transpose_b") else 2)
    return [(a, axis_a), (b, axis_b)]


@dataclass
class _Group:
    """One kernel to be, or one node outside: its parts in order, and the nodes to compute."""

    parts: list[int] = field(default_factory=list)
    nodes: tuple[Node, ...] = ()
    exports: set[Value] = field(default_factory=set)


class _Rebuilder:
    """Makes the fused graph."""

    def __init__(self, graph: Graph, division: Partition, kernels: _Kernels) -> None:
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
        order = ("contract", "scatter", "scan", "rows", "reduce", "map")
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
