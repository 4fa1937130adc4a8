"""A scan taken apart, for passes that change what it carries, reads and gives.

    form = ScanForm.of(node, names)
    x = form.scanned(array)             the parameter that is a slice of an array around the loop
    stack = form.piece(value)           the array of what a value of the region is in all turns
    new_node = form.build()

Results and parameters that stay are the same values as before, so nothing around the loop has to be changed
for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from graphc.ir.builder import Builder
from graphc.ir.dims import Dim
from graphc.ir.graph import Graph, Node, Update, Value


@dataclass
class Carried:
    """A carry: its first value, the region's parameter, what the region makes of it, and the last value."""

    first: Value
    parameter: Value
    output: Value
    result: Value


@dataclass
class Given:
    """An array that is scanned, or a constant, with the region's parameter."""

    operand: Value
    parameter: Value


@dataclass
class Piece:
    """A value of the region that is stacked, and the stack."""

    output: Value
    result: Value


@dataclass
class ScanForm:
    """The parts of a scan; `names` gives free names around the loop."""

    node: Node
    names: Callable[[str], str]
    carries: list[Carried]
    xs: list[Given]
    constants: list[Given]
    pieces: list[Piece]
    nodes: list[Node]
    inner: Builder = field(default_factory=Builder)

    @classmethod
    def of(cls, node: Node, names: Callable[[str], str]) -> ScanForm:
        """The parts of a node."""
        (region,) = node.regions
        k, end = node.attrs["carries"], node.attrs["carries"] + node.attrs["scanned"]
        given = [Given(*pair) for pair in zip(node.operands, region.inputs)]
        carries = [
            Carried(g.operand, g.parameter, *pair)
            for g, pair in zip(given[:k], zip(region.outputs, node.results))
        ]
        pieces = [Piece(*pair) for pair in zip(region.outputs[k:], node.results[k:])]
        form = cls(node, names, carries, given[k:end], given[end:], pieces, list(region.nodes))
        form.inner.reserve(value.name for value in region.values())
        return form

    @property
    def length(self) -> Dim:
        """The number of turns."""
        length: Dim = self.node.attrs["length"]
        return length

    @property
    def outputs(self) -> list[Value]:
        """What the region gives: carries, then pieces."""
        return [c.output for c in self.carries] + [p.output for p in self.pieces]

    def producers(self) -> dict[Value, Node]:
        """The node of the region that makes each value."""
        return {r: n for n in self.nodes for r in n.results}

    def users(self) -> dict[Value, list[Node]]:
        """The nodes of the region that read each value."""
        found: dict[Value, list[Node]] = {}
        for n in self.nodes:
            for v in dict.fromkeys(n.operands):
                found.setdefault(v, []).append(n)
        return found

    def scanned(self, array: Value) -> Value:
        """The parameter that is a slice of an array."""
        for x in self.xs:
            if x.operand is array:
                return x.parameter
        t = array.type
        self.xs.append(Given(array, Value(self.inner.fresh(array.name), t.with_shape(t.shape[1:]))))
        return self.xs[-1].parameter

    def constant(self, value: Value) -> Value:
        """The parameter that is a value from around the loop."""
        for c in self.constants:
            if c.operand is value:
                return c.parameter
        self.constants.append(Given(value, Value(self.inner.fresh(value.name), value.declared)))
        return self.constants[-1].parameter

    def piece(self, value: Value) -> Value:
        """The stack of a value of the region; that of a scanned parameter is the array itself."""
        for g in self.xs:
            if g.parameter is value:
                return g.operand
        for p in self.pieces:
            if p.output is value:
                return p.result
        t = value.type
        stacked = t.with_shape((self.length, *t.shape))
        self.pieces.append(Piece(value, Value(self.names(value.name), stacked)))
        return self.pieces[-1].result

    def replace(self, new: dict[Value, Value]) -> None:
        """Let nodes and outputs of the region read other values."""
        self.nodes = [replaced(n, new) for n in self.nodes]
        for c in self.carries:
            c.output = new.get(c.output, c.output)
        for p in self.pieces:
            p.output = new.get(p.output, p.output)

    def build(self) -> Node:
        """The scan of the parts; nodes that nothing needs are still there."""
        given = [*((c.first, c.parameter) for c in self.carries)]
        given += [(g.operand, g.parameter) for g in (*self.xs, *self.constants)]
        region = replace(
            self.node.regions[0],
            inputs=tuple(parameter for _, parameter in given),
            nodes=tuple(self.nodes),
            outputs=tuple(self.outputs),
        )
        attrs = {**self.node.attrs, "carries": len(self.carries), "scanned": len(self.xs)}
        results = [c.result for c in self.carries] + [p.result for p in self.pieces]
        operands = tuple(operand for operand, _ in given)
        return replace(self.node, operands=operands, attrs=attrs, results=tuple(results), regions=(region,))


def replaced(node: Node, new: dict[Value, Value]) -> Node:
    """The node with other operands."""
    if new.keys().isdisjoint(node.operands):
        return node
    return replace(node, operands=tuple(new.get(v, v) for v in node.operands))


def with_nodes(graph: Graph, nodes: Sequence[Node], new: dict[Value, Value]) -> Graph:
    """The graph with other nodes, and other values for some of its own."""
    return replace(
        graph,
        nodes=tuple(replaced(n, new) for n in nodes),
        updates=tuple(Update(u.target, new.get(u.new, u.new)) for u in graph.updates),
        outputs=tuple(new.get(v, v) for v in graph.outputs),
    )


def names_of(graph: Graph) -> Callable[[str], str]:
    """A function that gives names which are free in a graph."""
    builder = Builder()
    for value in graph.values():
        builder.fresh(value.name)
    return builder.fresh


def has_scans(graph: Graph) -> bool:
    """Whether there is a scan among the nodes of a graph or of a region in it."""
    return any(n.op.name == "scan" or any(map(has_scans, n.regions)) for n in graph.nodes)
