"""`backend="reference"`: the traced graph, run node by node with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.codegen.options import Options
from graphc.codegen.program import Arrays, commit
from graphc.codegen.signature import Sizes
from graphc.codegen.stages import Stages
from graphc.ir.evaluate import run
from graphc.ir.graph import Graph


class Reference:
    """Runs a graph by the evaluator."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.index = {w.value.name: i for i, w in enumerate(graph.weights)}

    def run(self, inputs: Arrays, weights: Arrays, sizes: Sizes) -> tuple[np.ndarray, ...]:
        """Evaluate, and write the updates when all values are there."""
        names = [v.name for v in self.graph.parameters]
        done = run(self.graph, dict(zip(names, (*inputs, *weights))))
        commit(weights, {self.index[name]: value for name, value in done.updates.items()})
        return done.outputs

    def fast(self, weights: Arrays) -> Callable[..., Any] | None:
        return None


def build(pipeline: Stages, options: Options) -> Reference:
    """The evaluator's program for the traced graph."""
    return Reference(pipeline.traced)
