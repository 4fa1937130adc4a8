"""The graph: typed SSA, immutable. Only the `Builder` makes nodes; a pass returns a new graph.

A `Graph` is also the form of a region (the body of a kernel, a scan, a branch): its inputs are the region's
parameters and its outputs what the region yields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphc.ir import dims
from graphc.ir.dims import Dim
from graphc.ir.errors import VerifyError
from graphc.ir.locations import NOWHERE, Location
from graphc.ir.types import TensorType

if TYPE_CHECKING:
    import numpy as np

    from graphc.ir.opdef import OpDef


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """One SSA value. Values are the same only if they are one object; names are unique in a graph."""

    name: str
    declared: TensorType | None

    @property
    def type(self) -> TensorType:
        """The value's type; VerifyError while it is not inferred yet (an untyped `.gir`)."""
        if self.declared is None:
            raise VerifyError(f"the type of %{self.name} is not known yet: run the pass `infer` first")
        return self.declared

    def __repr__(self) -> str:
        return f"%{self.name}: {self.declared or '?'}"


@dataclass(frozen=True, eq=False, slots=True)
class Weight:
    """State that enters as an input: a weight, an optimizer slot, a moving statistic, a metric's sum."""

    value: Value
    path: str


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One operation: op, operands, attributes (sorted by name), regions, results and where it comes from."""

    op: OpDef
    operands: tuple[Value, ...]
    attrs: Mapping[str, Any]
    results: tuple[Value, ...]
    regions: tuple[Graph, ...] = ()
    location: Location = NOWHERE

    @property
    def result(self) -> Value:
        """The result of a node that has exactly one."""
        (value,) = self.results
        return value

    def __repr__(self) -> str:
        return f"{', '.join(f'%{r.name}' for r in self.results)} = {self.op.name}"


@dataclass(frozen=True, eq=False, slots=True)
class Update:
    """`target` (a weight's value) takes the value `new` when the call has succeeded."""

    target: Value
    new: Value


@dataclass(frozen=True)
class Requirement:
    """A relation of sizes that could not be proved while tracing; it is checked when a call enters."""

    left: Dim
    right: Dim
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Graph:
    """A function of `inputs` and `weights`: nodes in order of execution, updates of weights, outputs."""

    name: str
    inputs: tuple[Value, ...]
    weights: tuple[Weight, ...]
    nodes: tuple[Node, ...]
    updates: tuple[Update, ...]
    outputs: tuple[Value, ...]
    requirements: tuple[Requirement, ...] = field(default=())

    def __str__(self) -> str:
        from graphc.ir.printer import print_graph

        return print_graph(self)

    def __repr__(self) -> str:
        return f"<Graph @{self.name}: {len(self.nodes)} nodes>"

    @cached_property
    def _text(self) -> str:
        from graphc.ir.printer import print_graph

        return print_graph(self, locations=False)

    def __eq__(self, other: object) -> bool:
        """Equal structure, names, types and attributes; locations do not count."""
        return isinstance(other, Graph) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def parameters(self) -> tuple[Value, ...]:
        """Inputs, then weights: all values that are defined outside the nodes."""
        return self.inputs + tuple(w.value for w in self.weights)

    def values(self) -> Iterator[Value]:
        """All values, in order of definition."""
        yield from self.parameters
        for node in self.nodes:
            yield from node.results

    @cached_property
    def producers(self) -> dict[Value, Node]:
        """The node that defines each value."""
        return {r: node for node in self.nodes for r in node.results}

    @cached_property
    def users(self) -> dict[Value, tuple[Node, ...]]:
        """The nodes that read each value, in order; a node stands once."""
        found: dict[Value, list[Node]] = {v: [] for v in self.values()}
        for node in self.nodes:
            for v in dict.fromkeys(node.operands):
                found[v].append(node)
        return {v: tuple(nodes) for v, nodes in found.items()}

    @cached_property
    def results(self) -> frozenset[Value]:
        """The values that leave the graph: outputs and new values of weights."""
        return frozenset(self.outputs) | {u.new for u in self.updates}

    @cached_property
    def notes(self) -> dict[str, Any]:
        """What passes found out about this graph and would find out again, each under its own name."""
        return {}

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the parameters' shapes, in order of first appearance."""
        found: dict[str, None] = {}
        for v in self.parameters:
            for d in v.type.shape:
                found.update(dict.fromkeys(sorted(dims.symbols(d))))
        return tuple(found)

    def verify(self) -> None:
        """Check every rule of the IR; VerifyError with the offending line underlined."""
        from graphc.ir.verify import verify

        verify(self)

    def evaluate(self, **inputs: np.ndarray) -> Any:
        """Run with NumPy. Inputs and weights by name; gives the output, or a tuple for several.

        New values of weights are given by `graphc.ir.evaluate.run`, which this calls.
        """
        from graphc.ir.evaluate import run

        outputs = run(self, inputs).outputs
        return outputs[0] if len(outputs) == 1 else outputs
