"""Running a graph with NumPy, node by node: the meaning that every backend is compared with.

>>> import numpy as np
>>> from graphc.ir import Builder, tensor
>>> b = Builder("f")
>>> x = b.input("x", tensor("f32", "B", 3))
>>> b.output(b.sum(x * 2, axes=(1,)))
>>> run(b.build(), {"x": np.ones((2, 3), np.float32)}).outputs[0]
array([6., 6.], dtype=float32)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.ir import dims
from graphc.ir.dims import Dim, Size
from graphc.ir.errors import ArgumentError, DTypeError, GraphcError, ShapeError, VerifyError
from graphc.ir.graph import Graph, Node, Requirement, Value
from graphc.ir.types import TensorType, dtype_of

Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Run:
    """What a run gave.

    Outputs in order, new values of weights by name, and every value by name if they were kept.
    """

    outputs: tuple[np.ndarray, ...]
    updates: dict[str, np.ndarray]
    values: dict[str, np.ndarray] = field(default_factory=dict)


def run(graph: Graph, inputs: Mapping[str, Any], keep: bool = False) -> Run:
    """Run `graph` on arrays for its inputs and weights, by name. The results share no memory with `inputs`.

    With `keep`, `Run.values` has every value of the graph. Raises ArgumentError for a missing or unknown
    name, DTypeError and ShapeError for an array that does not fit its type, ShapeError for a relation of
    sizes that does not hold, and what ops raise.
    """
    if any(node.op.name == "gradient" for node in graph.nodes):
        from graphc.ir.differentiate import expand_gradients

        graph = expand_gradients(graph)
    arrays = _parameters(graph, inputs)
    sizes = bind_sizes([v.type for v in arrays], [x.shape for x in arrays.values()], [v.name for v in arrays])
    check_requirements(graph.requirements, sizes)
    values = _run_nodes(graph, arrays, sizes)
    return Run(
        tuple(_own(values[v]) for v in graph.outputs),
        {u.target.name: _own(values[u.new]) for u in graph.updates},
        {v.name: x for v, x in values.items()} if keep else {},
    )


def bind_sizes(
    types: Sequence[TensorType], shapes: Sequence[Sequence[int]], names: Sequence[str]
) -> dict[str, int]:
    """The symbols' values from the shapes of arrays; ShapeError where a shape does not fit its type."""
    sizes: dict[str, int] = {}
    open_entries: list[tuple[Dim, int, str]] = []
    for type, shape, name in zip(types, shapes, names):
        if len(shape) != type.rank:
            raise ShapeError(f"%{name} has the type {type}, but the array has the shape {tuple(shape)}")
        open_entries += [
            (d, n, f"%{name}: {type}, axis {i}") for i, (d, n) in enumerate(zip(type.shape, shape))
        ]
    while open_entries:
        left = [entry for entry in open_entries if not _bind(entry, sizes)]
        if len(left) == len(open_entries):
            raise ShapeError(f"can't tell the size {left[0][0]} from an array of {left[0][1]} ({left[0][2]})")
        open_entries = left
    return sizes


def _bind(entry: tuple[Dim, int, str], sizes: dict[str, int]) -> bool:
    """Check one size, or solve it for its only unknown symbol; False if that has to wait."""
    size, actual, place = entry
    unknown = dims.symbols(size) - sizes.keys()
    if unknown:
        solved = _solve(size, actual, next(iter(unknown)), sizes) if len(unknown) == 1 else None
        if solved is None:
            return False
        sizes.update(solved)
    expected = dims.evaluate(size, sizes)
    if expected != actual:
        known = "" if isinstance(size, int) else f" ({size})"
        raise ShapeError(f"an axis of {actual} where {expected}{known} was expected: {place}")
    return True


def _solve(size: Dim, actual: int, symbol: str, sizes: Sizes) -> dict[str, int] | None:
    """The value of the symbol if the size is linear in it."""
    reduced = dims.substitute(size, dict(sizes))
    factor = dims.substitute(reduced, {symbol: 1}) - dims.substitute(reduced, {symbol: 0})
    linear = isinstance(reduced, Size) and reduced == dims.symbol(symbol) * factor + dims.substitute(
        reduced, {symbol: 0}
    )
    if not linear or not isinstance(factor, int) or factor == 0:
        return None
    return {symbol: (actual - dims.evaluate(reduced, {symbol: 0})) // factor}


def check_requirements(requirements: Sequence[Requirement], sizes: Sizes) -> None:
    """ShapeError for the first relation that these sizes break."""
    for r in requirements:
        left, right = number(r.left, sizes), number(r.right, sizes)
        if left != right:
            raise ShapeError(f"{r.reason or 'sizes'}: {r.left} = {left} is not {r.right} = {right}")


def number(size: Dim, sizes: Sizes) -> int:
    """The number that a size is; ShapeError for a symbol that no input's shape has."""
    try:
        return dims.evaluate(size, sizes)
    except KeyError as e:
        raise ShapeError(f"the symbol {e.args[0]} of the size {size} is in the shape of no input") from None


def concrete(attribute: Any, sizes: Sizes) -> Any:
    """An attribute's value with all symbolic sizes replaced by numbers."""
    if isinstance(attribute, Size):
        return number(attribute, sizes)
    if isinstance(attribute, tuple):
        return tuple(concrete(a, sizes) for a in attribute)
    return attribute


def evaluate_node(
    node: Node,
    operands: Sequence[np.ndarray],
    sizes: Sizes,
    regions: Sequence[BoundRegion] | None = None,
) -> tuple[np.ndarray, ...]:
    """The results of one node for these operands; `regions` are other functions for what its regions do."""
    attrs = {name: concrete(value, sizes) for name, value in node.attrs.items()}
    if node.regions:
        attrs["regions"] = regions or tuple(BoundRegion(r, sizes) for r in node.regions)
    try:
        with np.errstate(all="ignore"):
            results = node.op.evaluate(*operands, **attrs)
    except GraphcError as e:
        if node.location and not getattr(e, "located", False):
            e.args = (f"{e}\n  at {node.location}",)
            e.located = True  # type: ignore[attr-defined]
        raise
    results = results if isinstance(results, tuple) else (results,)
    return tuple(_checked(node, v, np.asarray(x), sizes) for v, x in zip(node.results, results, strict=True))


def _checked(node: Node, value: Value, x: np.ndarray, sizes: Sizes) -> np.ndarray:
    """The array, if it has the type that was inferred.

    A definition that breaks its own word must not pass in silence.
    """
    if value.declared is not None:
        shape = tuple(number(d, sizes) for d in value.type.shape)
        if x.dtype != value.type.dtype.numpy or x.shape != shape:
            raise VerifyError(f"{node.op.name} gave {x.dtype}{list(x.shape)} for {value!r}")
    return x


@dataclass(frozen=True)
class BoundRegion:
    """A region as a function of arrays, for an op's `evaluate`."""

    graph: Graph
    sizes: Sizes

    def __call__(self, *operands: np.ndarray) -> tuple[np.ndarray, ...]:
        check_requirements(self.graph.requirements, self.sizes)
        values = _run_nodes(self.graph, dict(zip(self.graph.inputs, operands, strict=True)), self.sizes)
        return tuple(values[v] for v in self.graph.outputs)

    def empty(self, first: int) -> tuple[np.ndarray, ...]:
        """No results, stacked: what a loop that never runs has for each output from the `first` on."""
        types = [v.type for v in self.graph.outputs[first:]]
        return tuple(np.empty((0, *concrete(t.shape, self.sizes)), t.dtype.numpy) for t in types)


def _run_nodes(graph: Graph, arrays: dict[Value, np.ndarray], sizes: Sizes) -> dict[Value, np.ndarray]:
    values = dict(arrays)
    for node in graph.nodes:
        results = evaluate_node(node, [values[v] for v in node.operands], sizes)
        values.update(zip(node.results, results))
    return values


def _parameters(graph: Graph, inputs: Mapping[str, Any]) -> dict[Value, np.ndarray]:
    names = {v.name for v in graph.parameters}
    wrong = [f"no array for %{n}" for n in sorted(names - inputs.keys())]
    wrong += [f"there is no input or weight %{n}" for n in sorted(inputs.keys() - names)]
    if wrong:
        raise ArgumentError(f"@{graph.name}: {'; '.join(wrong)}")
    return {v: _fitting(v, inputs[v.name]) for v in graph.parameters}


def _fitting(value: Value, given: Any) -> np.ndarray:
    """The array; a Python number takes the input's element type."""
    weak = isinstance(given, (bool, int, float)) and not isinstance(given, np.generic)
    x = np.asarray(given, value.type.dtype.numpy if weak else None)
    if dtype_of(x.dtype) != value.type.dtype:
        raise DTypeError(f"%{value.name} has the type {value.type}, but the array holds {dtype_of(x.dtype)}")
    return x


def _own(x: np.ndarray) -> np.ndarray:
    return np.array(x, order="C")
