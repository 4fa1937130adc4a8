"""How the nodes of a graph or of a kernel's region divide into loop nests. Fusion and lowering share this one
definition.

Every `Part` is one loop nest (or one product with its epilogue). A value that one part computes and another
reads lies in a buffer; everything else stays in registers. Cheap nodes (see `roles`) may stand in several
parts: each computes them again.

Nodes are placed in order. A node joins the nest that computes what it reads if that nest's loops can compute
it too (`drafts` has the rules) and no way leads from the nest out and back; nests that a node connects become
one; a map that only one nest reads is computed inside it (`absorbing`); and at last nests that read the same
array in loops of the same shape become one.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from graphc.ir.dims import Shape
from graphc.ir.errors import ArgumentError
from graphc.ir.graph import Graph, Node, Value
from graphc.passes.absorbing import Absorbing
from graphc.passes.acyclic import Groups
from graphc.passes.drafts import Draft
from graphc.passes.roles import Role, Roles, is_single, roles_of
from graphc.passes.sinking import cheaper_again, with_sunk

CYCLE = "another kernel needs the one and is needed by the other"
NOTE = "division"
JOINED = "what is concatenated is computed in its place"
PRODUCT_OPERAND = "a product reads its operands from memory"


STORED_OPERANDS = {Role.CONTRACTION: PRODUCT_OPERAND, Role.JOIN: JOINED, Role.OUTSIDE: ""}
"""Why nodes of these roles read their operands from memory."""


@dataclass(frozen=True, eq=False)
class Part:
    """One loop nest. `kind`: map, reduce, rows, contract, scatter, scan, join; or outside (no nest of ours).

    `shape` is the shape of the loops, `reduced` the axes of it that folds run over. `inputs` are read from
    memory and `outputs` written to it; `nodes` are in order and have all cheap nodes that the part computes
    for itself; `anchor` is the node that decided the loops (the product, the first fold).
    """

    kind: str
    shape: Shape
    reduced: tuple[int, ...]
    anchor: Node
    nodes: tuple[Node, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


@dataclass(frozen=True)
class Refusal:
    """Why `consumer` is not computed in the loops that compute `value`."""

    value: Value
    consumer: Node
    reason: str


@dataclass(frozen=True)
class Partition:
    """All parts of a graph in an order that runs, with what was refused on the way."""

    parts: tuple[Part, ...]
    virtual: dict[Value, Node]
    refusals: tuple[Refusal, ...]


def partition(region: Graph) -> list[Part]:
    """The parts of a kernel's region, in the order in which they must run.

    ArgumentError if the region has nodes that no kernel computes (control ops, coarse ops, reshapes that are
    mere aliases).
    """
    parts = divide(region).parts
    for part in parts:
        if part.kind == Role.OUTSIDE.value:
            raise ArgumentError(f"{part.anchor.op.name} can't be computed in a kernel")
    return list(parts)


def divide(graph: Graph) -> Partition:
    """The parts of any graph, those outside of kernels included; they are kept with the graph."""
    if NOTE not in graph.notes:
        graph.notes[NOTE] = _divide(graph)
    found: Partition = graph.notes[NOTE]
    return found


def _divide(graph: Graph) -> Partition:
    roles = roles_of(graph)
    first = _Divider(graph, roles).divide()
    loops = [(p.nodes, p.outputs) for p in first.parts if p.kind != Role.OUTSIDE.value]
    sunk, stored = cheaper_again(graph, roles, loops)
    return _Divider(graph, with_sunk(roles, sunk, stored)).divide() if sunk else first


class _Divider:
    """The state while nodes are placed: the groups, a draft per group, and what reads what."""

    def __init__(self, graph: Graph, roles: Roles) -> None:
        self.graph = graph
        self.roles = roles
        self.absorbing = Absorbing(graph, roles)
        self.groups = Groups()
        self.drafts: dict[int, Draft] = {}
        self.virtual: dict[Value, Node] = {}
        self.home: dict[Value, int] = {}
        self.leaves: dict[Value, tuple[Value, ...]] = {}
        self.refusals: list[Refusal] = []
        self.index = {node: i for i, node in enumerate(graph.nodes)}

    def divide(self) -> Partition:
        """Place all nodes."""
        for node in self.graph.nodes:
            self.place(node)
        self.join_siblings()
        return self.finish()

    # -- what a node reads ------------------------------------------------------------------------
    def reads(self, node: Node) -> tuple[Value, ...]:
        """The values that a node reads when virtual ones are computed again."""
        found: dict[Value, None] = {}
        for v in node.operands:
            found.update(dict.fromkeys(self.leaves.get(v, (v,))))
        return tuple(found)

    def sources(self, node: Node) -> dict[int, Value]:
        """The groups that compute what a node reads, the latest first, each with a value that it gives."""
        found = {self.groups.find(self.home[v]): v for v in self.reads(node) if v in self.home}
        return dict(sorted(found.items(), reverse=True))

    # -- placing ----------------------------------------------------------------------------------
    def place(self, node: Node) -> None:
        """Put a node where it belongs."""
        role = self.roles.role[node]
        if role is Role.VIRTUAL:
            self.leaves[node.results[0]] = self.reads(node)
            self.virtual[node.results[0]] = node
        elif role is Role.POINTWISE:
            self._join(node, lambda d: d.against_pointwise(node, self.virtual), self._host_pointwise)
        elif role is Role.REDUCTION:
            axes = reduction_axes(node)
            self._join(node, lambda d: d.against_reduction(node, axes, self.virtual), self._host_reduction)
        else:
            self._begin(node, role)

    def _host_pointwise(self, draft: Draft, node: Node) -> None:
        draft.add_pointwise(node, self.virtual)

    def _host_reduction(self, draft: Draft, node: Node) -> None:
        draft.add_reduction(node, reduction_axes(node))

    def _join(self, node: Node, against: Callable[[Draft], str], host: Callable[[Draft, Node], None]) -> None:
        """Let a node join the nests that compute what it reads, or begin one."""
        sources = self.sources(node)
        number = self.groups.add(sources)
        able = []
        for s, value in sources.items():
            reason = against(self.drafts[s]) or ("" if self.groups.mergeable(s, number) else CYCLE)
            if reason:
                self.refusals.append(Refusal(value, node, reason))
            else:
                able.append(s)
        if not able:
            self._begin(node, self.roles.role[node], number)
            return
        first, *others = able
        for other in others:
            self._merge_if_possible(first, other, sources[other], node)
        host(self.drafts[first], node)
        self.groups.merge(first, number)
        self.home.update(dict.fromkeys(node.results, number))

    def _merge_if_possible(self, first: int, other: int, value: Value, node: Node) -> None:
        reason = "" if self.groups.independent(first, other) else CYCLE
        reason = reason or self.drafts[first].against_merge(self.drafts[other])
        if reason:
            self.refusals.append(Refusal(value, node, reason))
        else:
            self._merge(first, other)

    def _merge(self, first: int, other: int) -> None:
        self.groups.merge(first, other)
        self.drafts[first].take(self.drafts.pop(other))

    def _begin(self, node: Node, role: Role, number: int | None = None) -> None:
        """A nest of its own for a node, with the maps that nothing else reads computed inside."""
        sources = self.sources(node)
        number = self.groups.add(sources) if number is None else number
        draft = _new_draft(node, role)
        for s, value in sources.items():
            if role in STORED_OPERANDS:
                reason = STORED_OPERANDS[role] or outside_reason(node)
                self.refusals.append(Refusal(value, node, reason))
            elif self.absorbing.fits(self.drafts[s], node, draft) and self.groups.mergeable(s, number):
                draft.absorb(self.drafts.pop(s))
                self.groups.merge(number, s)
        self.drafts[self.groups.find(number)] = draft
        self.home.update(dict.fromkeys(node.results, number))

    # -- nests that read the same -----------------------------------------------------------------
    def join_siblings(self) -> None:
        """Make one nest of those that go over the same array in the same way."""
        readers: dict[Value, dict[int, None]] = {}
        for node in self.graph.nodes:
            if self.roles.role[node] in (Role.POINTWISE, Role.REDUCTION):
                number = self.home[node.results[0]]
                for v in self.reads(node):
                    readers.setdefault(v, {})[number] = None
        for value, numbers in readers.items():
            if len(numbers) > 1 and not is_single(value.type.shape):
                self._join_readers(value, numbers)

    def _join_readers(self, value: Value, numbers: dict[int, None]) -> None:
        hosts: list[int] = []
        for number in numbers:
            g = self.groups.find(number)
            if g in hosts or self.drafts[g].shape != value.type.shape:
                continue
            if self.drafts[g].role not in (Role.POINTWISE, Role.REDUCTION):
                continue
            hosts = [self.groups.find(h) for h in hosts]
            host = next((h for h in hosts if self._siblings(h, g)), None)
            if host is None:
                hosts.append(g)
            elif host != g:
                self._merge(host, g)

    def _siblings(self, a: int, b: int) -> bool:
        return a == b or (self.groups.independent(a, b) and not self.drafts[a].against_merge(self.drafts[b]))

    # -- the result -------------------------------------------------------------------------------
    def finish(self) -> Partition:
        """The drafts as parts, in order."""
        read_by: dict[Value, set[int]] = {}
        for node in self.graph.nodes:
            if self.roles.role[node] is not Role.VIRTUAL:
                g = self._group_of(node)
                for v in self.reads(node):
                    read_by.setdefault(v, set()).add(g)
        parts = tuple(self._part(g, read_by) for g in self._order())
        return Partition(parts, self.virtual, tuple(self.refusals))

    def _group_of(self, node: Node) -> int:
        if node.results:
            return self.groups.find(self.home[node.results[0]])
        return next(g for g, draft in self.drafts.items() if draft.anchor is node)

    def _order(self) -> list[int]:
        waiting = {g: len(self.groups.sources(g)) for g in self.drafts}
        readers: dict[int, list[int]] = {g: [] for g in self.drafts}
        for g in self.drafts:
            for s in self.groups.sources(g):
                readers[s].append(g)
        ready = [g for g, count in waiting.items() if count == 0]
        heapq.heapify(ready)
        order = []
        while ready:
            g = heapq.heappop(ready)
            order.append(g)
            for r in readers[g]:
                waiting[r] -= 1
                if waiting[r] == 0:
                    heapq.heappush(ready, r)
        return order

    def _part(self, group: int, read_by: dict[Value, set[int]]) -> Part:
        draft = self.drafts[group]
        nodes = with_virtual(draft.nodes, self.virtual, self.index)
        own = {r: None for n in nodes for r in n.results}
        inputs = dict.fromkeys(v for n in nodes for v in n.operands if v not in own)
        outputs = tuple(
            r
            for n in sorted(draft.nodes, key=self.index.__getitem__)
            for r in n.results
            if r in self.graph.results or read_by.get(r, set()) - {group} or only_checks(self.graph, n)
        )
        return Part(
            _kind(draft, outputs),
            draft.shape,
            tuple(sorted(draft.reduced)),
            draft.anchor,
            nodes,
            tuple(inputs),
            outputs,
        )


def with_virtual(
    nodes: list[Node] | tuple[Node, ...], virtual: dict[Value, Node], index: dict[Node, int]
) -> tuple[Node, ...]:
    """The nodes together with the virtual ones that they are made of, in order."""
    found = dict.fromkeys(nodes)
    pending = list(nodes)
    while pending:
        for v in pending.pop().operands:
            node = virtual.get(v)
            if node is not None and node not in found:
                found[node] = None
                pending.append(node)
    return tuple(sorted(found, key=index.__getitem__))


def only_checks(graph: Graph, node: Node) -> bool:
    """Whether a node's results are made for nothing but the error that making them may raise."""
    return node.op.can_fail and not any(graph.users[r] for r in node.results)


def reduction_axes(node: Node) -> tuple[int, ...]:
    """The axes that a fold runs over."""
    if "axes" in node.attrs:
        return tuple(node.attrs["axes"])
    return (node.attrs["axis"] % node.operands[0].type.rank,)


def _new_draft(node: Node, role: Role) -> Draft:
    folds = role in (Role.REDUCTION, Role.SCAN)
    shape = node.operands[0].type.shape if folds else node.results[0].type.shape if node.results else ()
    draft = Draft(role, shape, frozenset(reduction_axes(node)) if folds else frozenset(), node)
    if role is Role.REDUCTION:
        draft.add_reduction(node, reduction_axes(node))
    else:
        draft.nodes.append(node)
        draft.places.update((r, tuple(range(len(shape)))) for r in node.results)
    return draft


def _kind(draft: Draft, outputs: tuple[Value, ...]) -> str:
    own = tuple(range(len(draft.shape)))
    full = draft.role is Role.REDUCTION and any(draft.places[v] == own for v in outputs)
    return "rows" if full and own and own[-1] in draft.reduced else draft.role.value


def outside_reason(node: Node) -> str:
    """Why a node is not in a kernel."""
    alias = node.op.name == "reshape"
    return (
        "a reshape is another view of the same memory" if alias else f"{node.op.name} runs outside of kernels"
    )
