"""`backend="numba"`: the whole step as one readable Python function, compiled by Numba."""

from __future__ import annotations

import linecache
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np

from graphc.codegen.buffers import aligned_empty
from graphc.codegen.custom import scalars_of
from graphc.codegen.failures import failure
from graphc.codegen.kernel_list import KernelStep
from graphc.codegen.lowered import Lowered
from graphc.codegen.options import Options
from graphc.codegen.program import Arrays
from graphc.codegen.signature import Sizes
from graphc.codegen.stages import Stages
from graphc.codegen.target import host
from graphc.ir import dims
from graphc.ir.graph import Graph


class NumbaProgram:
    """Runs the source of a step, which is written at once; Numba compiles it at the first call."""

    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.source = lowered.python

    @cached_property
    def step(self) -> Callable[..., int]:
        """The step, which Numba compiles at its first call."""
        scope = custom_scope(self.lowered.kernels)
        source = self.source
        file = f"<graphc {source.function}>"
        lines = source.text.splitlines(keepends=True)
        linecache.cache[file] = (len(source.text), None, lines, file)  # for tracebacks
        exec(compile(source.text, file, "exec"), scope)
        return cast(Callable[..., int], scope[source.function])

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
        lowered = self.program.lowered
        final = lowered.final
        outputs = empty_outputs(final, sizes)
        flat = [x.reshape(-1) for x in (*inputs, *self.weights, *outputs)]
        with self.lock if final.updates else nullcontext():
            status = self.program.step(*flat, *(sizes[s] for s in final.symbols))
        if status:
            raise failure(lowered.pipeline.traced, lowered.kernels, status, inputs, self.weights)
        return outputs


def custom_scope(kernels: Sequence[KernelStep]) -> dict[str, Any]:
    """Users' scalar functions that kernels call, by their names in the source."""
    scalars = scalars_of(kernels)
    if not scalars:
        return {}
    import numba

    return {s.identifier: numba.njit(error_model="numpy")(s.in_f64()) for s in scalars}


def empty_outputs(graph: Graph, sizes: Sizes) -> tuple[np.ndarray, ...]:
    """A fresh array for each output of a graph."""
    return tuple(
        aligned_empty(tuple(dims.evaluate(d, sizes) for d in v.type.shape), v.type.dtype.numpy)
        for v in graph.outputs
    )


def build(pipeline: Stages, options: Options) -> NumbaProgram:
    """The Numba program for the final graph."""
    return NumbaProgram(Lowered(pipeline, host()))
