"""`backend="reference"`: the traced graph, run node by node with NumPy."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.codegen.options import Options
from graphc.codegen.program import Arrays
from graphc.codegen.signature import Sizes
from graphc.codegen.stages import Stages
from graphc.ir.evaluate import run
from graphc.ir.graph import Graph


@dataclass(frozen=True)
class Reference:
    """Runs a graph by the evaluator."""

    graph: Graph

    def bind(self, weights: Arrays) -> ReferenceRunner:
        return ReferenceRunner(self.graph, weights)


@dataclass(frozen=True)
class ReferenceRunner:
    """The evaluator on one set of weights."""

    graph: Graph
    weights: Arrays
    fast: None = None
    lock: Any = field(default_factory=threading.Lock)

    def run(self, inputs: Arrays, sizes: Sizes) -> tuple[np.ndarray, ...]:
        """Evaluate, and write the updates when all values are there."""
        names = [v.name for v in self.graph.parameters]
        index = {w.value.name: i for i, w in enumerate(self.graph.weights)}
        with self.lock:
            done = run(self.graph, dict(zip(names, (*inputs, *self.weights))))
            for name, value in done.updates.items():
                np.copyto(self.weights[index[name]], value, casting="no")
        return done.outputs


def build(pipeline: Stages, options: Options) -> Reference:
    """The evaluator's program for the traced graph."""
    return Reference(pipeline.traced)
