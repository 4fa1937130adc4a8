"""Types for every value: of an untyped graph, or of one whose inputs get other types.

>>> from graphc.ir import parse, tensor
>>> graph = parse("graph @f(%x: f32[B, 3]) { %y = negative %x  return %y }")
>>> print(infer(graph).outputs[0])
%y: f32[B, 3]
>>> print(retype(graph, {"x": tensor("f32", 2, 3)}).outputs[0])
%y: f32[2, 3]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from graphc.ir.dims import Dim, Size, substitute, symbol, symbols
from graphc.ir.equalities import Equalities
from graphc.ir.errors import ArgumentError, GraphcError
from graphc.ir.graph import Graph, Node, Requirement, Update, Value, Weight
from graphc.ir.result_types import result_types
from graphc.ir.types import TensorType
from graphc.passes.manager import register

Sizes = dict[str, Dim]


@register("infer")
def infer(graph: Graph) -> Graph:
    """The graph with a type for every value; the same object if all have one. Parameters must have theirs."""
    return graph if is_typed(graph) else _Typing(graph, {}, {}).run()


def retype(graph: Graph, types: Mapping[str, TensorType]) -> Graph:
    """The graph for other types of its inputs, by name.

    A symbol that a new type gives a size has that size everywhere: in other inputs, attributes and weights.
    ArgumentError for a name that is no input, or sizes that contradict each other; ShapeError and DTypeError
    where an op does not take its new operands.
    """
    inputs = {v.name: v for v in graph.inputs}
    unknown = sorted(set(types) - set(inputs))
    if unknown:
        raise ArgumentError(f"@{graph.name} has no input %{unknown[0]}; it has {', '.join(inputs) or 'none'}")
    sizes: Sizes = {}
    for name, new in types.items():
        _unify(inputs[name], new, sizes)
    return _Typing(graph, dict(types), sizes).run()


def is_typed(graph: Graph) -> bool:
    """Whether every value has a type, in the graph and in its regions."""
    typed = all(v.declared is not None for v in graph.values())
    return typed and all(is_typed(r) for node in graph.nodes for r in node.regions)


def _unify(value: Value, new: TensorType, sizes: Sizes) -> None:
    """Note the sizes that symbols of an input's old type take in its new one."""
    if value.declared is None or value.declared.rank != new.rank:
        return
    for old, size in zip(value.declared.shape, new.shape):
        names = symbols(old)
        name = next(iter(names)) if len(names) == 1 else ""
        if not isinstance(old, Size) or old != symbol(name or "?"):
            continue
        if sizes.setdefault(name, size) != size:
            raise ArgumentError(f"the size {name} is {sizes[name]} and {size} in the new types of the inputs")


class _Typing:
    """Builds a graph again with inferred types. Values keep their names, nodes their locations."""

    def __init__(self, graph: Graph, types: dict[str, TensorType], sizes: Sizes) -> None:
        self.graph, self.types, self.sizes = graph, types, sizes
        self.values: dict[Value, Value] = {}
        self.requirements: dict[Requirement, None] = {}
        for r in graph.requirements:
            self._require(Requirement(substitute(r.left, sizes), substitute(r.right, sizes), r.reason))

    def _require(self, r: Requirement) -> None:
        if r.left == r.right:
            return
        if isinstance(r.left, int) and isinstance(r.right, int):
            raise ArgumentError(f"@{self.graph.name}: {r.reason or 'sizes'}: {r.left} is not {r.right}")
        self.requirements[r] = None

    def run(self) -> Graph:
        graph = self.graph
        inputs = tuple(self._parameter(v) for v in graph.inputs)
        weights = tuple(Weight(self._parameter(w.value), w.path) for w in graph.weights)
        nodes = tuple([self._node(node) for node in graph.nodes])
        updates = tuple(Update(self.values[u.target], self.values[u.new]) for u in graph.updates)
        outputs = tuple(self.values[v] for v in graph.outputs)
        return Graph(graph.name, inputs, weights, nodes, updates, outputs, tuple(self.requirements))

    def _parameter(self, value: Value) -> Value:
        declared = self.types.get(value.name) or value.declared
        if declared is None:
            raise ArgumentError(f"@{self.graph.name}: the parameter %{value.name} needs a type")
        return self._define(value, declared.substitute(self.sizes))

    def _define(self, value: Value, declared: TensorType) -> Value:
        self.values[value] = Value(value.name, declared)
        return self.values[value]

    def _node(self, node: Node) -> Node:
        operands = tuple(self.values[v] for v in node.operands)
        attrs = {name: substituted(a, self.sizes) for name, a in node.attrs.items()}
        regions = tuple(self._region(node, r, operands) for r in node.regions)
        try:
            types, needed = result_types(
                node.op, tuple(v.type for v in operands), attrs, regions, Equalities(self.requirements)
            )
        except GraphcError as e:
            place = f"\n  at {node.location}" if node.location else ""
            e.args = (f"{node!r}: {e}{place}",)
            raise
        for r in needed:
            self._require(r)
        if len(types) != len(node.results):
            raise ArgumentError(f"{node!r}: {node.op.name} has {len(types)} results here")
        results = tuple(self._define(v, t) for v, t in zip(node.results, types))
        return replace(node, operands=operands, attrs=attrs, regions=regions, results=results)

    def _region(self, node: Node, region: Graph, operands: tuple[Value, ...]) -> Graph:
        """The region with its parameters' types from the node's operands."""
        of = REGION_TYPES.get(node.op.name, lambda attrs, types: types)
        types = of(node.attrs, tuple(v.type for v in operands))
        return _Typing(region, {v.name: t for v, t in zip(region.inputs, types)}, self.sizes).run()


def _scan_types(attrs: Mapping[str, Any], types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    """Carries, slices of what is scanned, constants."""
    start, stop = attrs["carries"], attrs["carries"] + attrs["scanned"]
    slices = [t.with_shape(t.shape[1:]) for t in types[start:stop]]
    return (*types[:start], *slices, *types[stop:])


REGION_TYPES: dict[str, Callable[[Mapping[str, Any], tuple[TensorType, ...]], tuple[TensorType, ...]]] = {
    "scan": _scan_types,
    "cond": lambda attrs, types: types[1:],
}
"""The types of the parameters of an op's regions, where these are not the operands."""


def substituted(attribute: Any, sizes: Sizes) -> Any:
    """An attribute's value with symbols replaced."""
    if isinstance(attribute, Size):
        return substitute(attribute, sizes)
    if isinstance(attribute, tuple):
        return tuple(substituted(a, sizes) for a in attribute)
    return attribute
