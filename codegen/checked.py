"""`check="nan"` and `check="reference"`: kernel by kernel, each result looked at before the next kernel runs.

Every value gets memory of its own, and weights are written when the last kernel was fine, so that a failure
changes nothing. Slow on purpose: it is for finding the place where numbers go wrong.

Graphs with nodes that are no kernels (users' NumPy functions, what a pipeline without `fuse` or `decompose`
leaves) run here too, without checks: those nodes by the evaluator, the rest as machine code. Loops and
branches are the evaluator's, kernels inside of them machine code.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.codegen.buffers import aligned_empty
from graphc.codegen.custom import compile_text, scalars_of
from graphc.codegen.emit_llvm import emit_kernel, module_text, scratch
from graphc.codegen.emit_numba import HEADER, kernel_source
from graphc.codegen.emit_product import drivers
from graphc.codegen.failures import failure, location_lines
from graphc.codegen.kernel_list import KernelStep
from graphc.codegen.kernels.library import driver_symbols
from graphc.codegen.loader import Code
from graphc.codegen.lower import lower
from graphc.codegen.numba_program import custom_scope
from graphc.codegen.options import Options
from graphc.codegen.program import Arrays
from graphc.codegen.signature import Sizes
from graphc.codegen.stages import Stages
from graphc.codegen.target import Target, host
from graphc.ir import dims
from graphc.ir.errors import NumericsError
from graphc.ir.evaluate import BoundRegion, evaluate_node, run
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind

Values = dict[Value, np.ndarray]
KernelCall = Callable[[Mapping[str, np.ndarray], Sizes], int]

TOLERANCE = {"f32": 1e-4, "f64": 1e-9}
"""Allowed difference from the evaluator, relative to the largest magnitude of the array."""


class CheckedProgram:
    """The kernels of a graph, each as a function of its own."""

    def __init__(self, pipeline: Stages, options: Options) -> None:
        self.pipeline, self.check = pipeline, options.check
        nodes = list(_kernels(pipeline.final))
        self.steps = [KernelStep(n, lower(n, n.results[0].name, {}), i) for i, n in enumerate(nodes)]
        make = numba_call if options.backend == "numba" else native_call
        self.calls = {s.node: (s, make(s, pipeline.final.symbols, host())) for s in self.steps}

    def bind(self, weights: Arrays) -> CheckedRunner:
        return CheckedRunner(self, weights)


def _kernels(graph: Graph) -> Iterator[Node]:
    """The kernels of a graph, and of the regions of its control ops."""
    for node in graph.nodes:
        if node.op.kind is Kind.KERNEL:
            yield node
        else:
            for region in node.regions:
                yield from _kernels(region)


def native_call(step: KernelStep, symbols: tuple[str, ...], target: Target) -> KernelCall:
    """One kernel as machine code."""
    places = {name: i for i, name in enumerate(symbols)}
    text = emit_kernel(step.kernel, target, None, places)
    bound = driver_symbols(drivers([step.kernel]), target)
    code = Code([compile_text(module_text([text], target), scalars_of([step]), target)], target, bound)
    native = code.function(step.kernel.name, "ppii", "i")

    def call(arrays: Mapping[str, np.ndarray], sizes: Sizes) -> int:
        spare = aligned_empty((dims.evaluate(scratch(step.kernel, target), sizes),), np.uint8)
        pointers = [arrays[b.name].ctypes.data for b in step.kernel.buffers] + [spare.ctypes.data]
        table, values = np.array(pointers, np.int64), np.array([sizes[s] for s in symbols], np.int64)
        return int(native(table, values, 0, 1))

    return call


def numba_call(step: KernelStep, symbols: tuple[str, ...], target: Target) -> KernelCall:
    """One kernel as Python source, compiled by Numba."""
    scope: dict[str, Any] = custom_scope([step])
    text = kernel_source(step.kernel, symbols, step.note)
    exec(HEADER + text, scope)
    function = next(scope[line[4 : line.index("(")]] for line in text.splitlines() if line.startswith("def "))

    def call(arrays: Mapping[str, np.ndarray], sizes: Sizes) -> int:
        flat = [arrays[b.name].reshape(-1) for b in step.kernel.buffers]
        return int(function(*flat, *(sizes[s] for s in symbols)))

    return call


@dataclass(frozen=True)
class CheckedRunner:
    """The kernels on one set of weights."""

    program: CheckedProgram
    weights: Arrays
    fast: None = None
    lock: Any = field(default_factory=threading.Lock)

    def run(self, inputs: Arrays, sizes: Sizes) -> tuple[np.ndarray, ...]:
        """Run and check all kernels, then write the weights.

        Raises
        ------
        NumericsError
            A kernel's result holds a NaN, or differs from the evaluator's.
        """
        graph = self.program.pipeline.final
        values: Values = dict(zip(graph.parameters, (*inputs, *self.weights)))
        with self.lock:
            self._nodes(graph, values, sizes, inputs)
            new = [values[u.new].copy() for u in graph.updates]
            outputs = tuple(values[v].copy() for v in graph.outputs)
            index = {w.value: i for i, w in enumerate(graph.weights)}
            for update, value in zip(graph.updates, new):
                np.copyto(self.weights[index[update.target]], value, casting="no")
        return outputs

    def _nodes(self, graph: Graph, values: Values, sizes: Sizes, inputs: Arrays) -> None:
        """Compute the values of a graph's or a region's nodes."""

        def run_region(region: Graph, values: Values) -> None:
            self._nodes(region, values, sizes, inputs)

        for node in graph.nodes:
            if node in self.program.calls:
                values.update(self._kernel(node, values, sizes, inputs))
                continue
            regions = [CheckedRegion(r, sizes, run_region) for r in node.regions]
            results = evaluate_node(node, [values[v] for v in node.operands], sizes, regions)
            values.update(zip(node.results, results))

    def _kernel(self, node: Node, values: Values, sizes: Sizes, inputs: Arrays) -> Values:
        step, call = self.program.calls[node]
        results = {
            r: aligned_empty(tuple(dims.evaluate(d, sizes) for d in r.type.shape), r.type.dtype.numpy)
            for r in node.results
        }
        operands = {v: np.asarray(values[v], order="C") for v in node.operands}
        status = call({v.name: x for v, x in (operands | results).items()}, sizes)
        if status:
            traced = self.program.pipeline.traced
            raise failure(traced, self.program.steps, step.number << 32 | status, inputs, self.weights)
        if self.program.check == "nan":
            check_nan(step, results, operands)
        elif self.program.check == "reference":
            check_reference(step, results, operands, sizes)
        return results


@dataclass(frozen=True)
class CheckedRegion(BoundRegion):
    """A region whose kernels are looked at: `run` enters the values of its nodes."""

    run: Callable[[Graph, Values], None]

    def __call__(self, *operands: np.ndarray) -> tuple[np.ndarray, ...]:
        values = dict(zip(self.graph.inputs, operands, strict=True))
        self.run(self.graph, values)
        return tuple(values[v] for v in self.graph.outputs)


def check_nan(step: KernelStep, results: Values, operands: Values) -> None:
    """NumericsError if a result holds a NaN; it names the node inside the kernel that made the first."""
    for value, array in results.items():
        if not value.type.dtype.is_floating or not np.isnan(array).any():
            continue
        at = np.argwhere(np.isnan(array))[0]
        holding = [f"%{v.name}" for v, x in operands.items() if x.dtype.kind == "f" and np.isnan(x).any()]
        cause = f"\n  operands that hold NaN already: {', '.join(holding)}" if holding else ""
        what = f"the kernel '{step.name}' gave a NaN: {_element(value, at)}."
        raise NumericsError(f"{what}{cause}{_origin(step.node, operands)}")


def _origin(node: Node, operands: Values) -> str:
    """The first node of the kernel that gives a NaN for these operands, by the evaluator, and its place."""
    (region,) = node.regions
    arrays = {p.name: operands[v] for p, v in zip(region.inputs, node.operands)}
    found = run(region, arrays, keep=True).values
    for inner in region.nodes:
        if any(found[r.name].dtype.kind == "f" and np.isnan(found[r.name]).any() for r in inner.results):
            return f"\n  made by {inner.op.name}{location_lines([inner.location] if inner.location else [])}"
    return ""


def check_reference(step: KernelStep, results: Values, operands: Values, sizes: Sizes) -> None:
    """NumericsError if a result differs from the evaluator's on the same operands."""
    expected = evaluate_node(step.node, [operands[v] for v in step.node.operands], sizes)
    for (value, got), want in zip(results.items(), expected):
        different = np.argwhere(~_close(got, np.asarray(want), TOLERANCE.get(value.type.dtype.name, 0.0)))
        if len(different):
            at = tuple(int(i) for i in different[0])
            raise NumericsError(
                f"the kernel '{step.name}' differs from the evaluator in {len(different)} of {got.size} "
                f"elements: {_element(value, at)} is {got[at]} and not {want[at]}.\n"
                f"  made by {step.operations}{location_lines(step.locations)}"
            )


def _close(got: np.ndarray, want: np.ndarray, tolerance: float) -> np.ndarray:
    if not tolerance:
        return np.asarray(got == want)
    finite = np.isfinite(want)
    scale = float(np.abs(want, where=finite, out=np.zeros_like(want)).max(initial=0.0))
    with np.errstate(all="ignore"):
        near = np.abs(got - want) <= tolerance * scale
    return np.where(finite, near, (got == want) | (np.isnan(got) & np.isnan(want)))


def _element(value: Value, at: Any) -> str:
    position = ", ".join(str(int(i)) for i in at)
    return f"%{value.name}[{position}] ({value.type})" if position else f"%{value.name} ({value.type})"


def build(pipeline: Stages, options: Options) -> CheckedProgram:
    """The checking program for a pipeline's final graph."""
    return CheckedProgram(pipeline, options)
