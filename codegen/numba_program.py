"""`backend="numba"`: the whole step as one readable Python function, compiled by Numba."""

from __future__ import annotations

import linecache
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from graphc.codegen.buffers import aligned_empty
from graphc.codegen.failures import failure
from graphc.codegen.kernel_list import KernelStep, kernels_of
from graphc.codegen.numba_step import StepSource, step_source
from graphc.codegen.options import Options
from graphc.codegen.program import Arrays
from graphc.codegen.signature import Sizes
from graphc.codegen.stages import Stages
from graphc.ir import dims
from graphc.ir.graph import Graph
from graphc.passes.memory import plan
from graphc.passes.plan import Plan


class NumbaProgram:
    """Runs the source of a step."""

    def __init__(self, traced: Graph, final: Graph) -> None:
        self.traced, self.final = traced, final
        self.plan: Plan = plan(final)
        self.kernels: list[KernelStep] = kernels_of(final, self.plan)

    @cached_property
    def source(self) -> StepSource:
        """The step as Python source."""
        return step_source(self.final, self.kernels, self.plan)

    @cached_property
    def step(self) -> Callable[..., int]:
        scope: dict[str, Any] = {}
        file = f"<graphc {self.source.function}>"
        lines = self.source.text.splitlines(keepends=True)
        linecache.cache[file] = (len(self.source.text), None, lines, file)  # for tracebacks
        exec(compile(self.source.text, file, "exec"), scope)
        return scope[self.source.function]

    def bind(self, weights: Arrays) -> NumbaRunner:
        return NumbaRunner(self, weights)


@dataclass(frozen=True)
class NumbaRunner:
    """The step on one set of weights."""

    program: NumbaProgram
    weights: Arrays
    fast: None = None
    lock: Any = field(default_factory=threading.Lock)

    def run(self, inputs: Arrays, sizes: Sizes) -> tuple[np.ndarray, ...]:
        """Run the step on flat arrays; the last thing it does is to write the weights."""
        program = self.program
        outputs = empty_outputs(program.final, sizes)
        flat = [x.reshape(-1) for x in (*inputs, *self.weights, *outputs)]
        with self.lock if program.final.updates else nullcontext():
            status = program.step(*flat, *(sizes[s] for s in program.final.symbols))
        if status:
            raise failure(program.traced, program.kernels, status, inputs, self.weights)
        return outputs


def empty_outputs(graph: Graph, sizes: Sizes) -> tuple[np.ndarray, ...]:
    """A fresh array for each output of a graph."""
    return tuple(
        aligned_empty(tuple(dims.evaluate(d, sizes) for d in v.type.shape), v.type.dtype.numpy)
        for v in graph.outputs
    )


def build(pipeline: Stages, options: Options) -> NumbaProgram:
    """The Numba program for the final graph."""
    return NumbaProgram(pipeline.traced, pipeline.final)
