"""A native run of a segment: a compiled graph that is called with the caller's own arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.codegen.native import NativeProgram
from graphc.codegen.options import Options
from graphc.codegen.signature import Sizes
from graphc.codegen.stages import Stages
from graphc.ir.errors import GraphcError
from graphc.ir.graph import Graph


class Retry(Exception):
    """A native run failed (an index out of range, a number too large): NumPy says what happens then."""


class NativeCall:
    """A graph whose weights are arrays of the caller, written in place: they come last.

    `fast` gives NotImplemented for arguments that are not exactly as expected; then `slow` converts them.
    """

    def __init__(self, graph: Graph, options: Options) -> None:
        self.graph = graph
        self.program = NativeProgram(Stages(graph, options), options, passed=True)
        self.runner = self.program.bind(())
        self.types = [v.type for v in (*graph.inputs, *(w.value for w in graph.weights))]
        self.fast = self.runner.fast or (lambda *_: NotImplemented)

    def slow(self, *values: Any) -> Any:
        """A run with arrays of any strides, and numbers of any class.

        Raises
        ------
        Retry
            The graph fails, or a number does not fit.
        """
        try:
            arrays = [
                np.asarray(v, t.dtype.numpy, order="C") for v, t in zip(values, self.types, strict=True)
            ]
            arrays = [a if a.flags.c_contiguous and a.flags.aligned else a.copy() for a in arrays]
            results = self.runner.run(arrays, _NO_SIZES)
        except (GraphcError, OverflowError) as e:
            raise Retry(str(e)) from e
        first = len(self.graph.inputs)
        for given, used in zip(values[first:], arrays[first:], strict=True):
            if used is not given:
                np.copyto(given, used)
        return arranged(results)


_NO_SIZES: Sizes = {}


def arranged(outputs: Sequence[np.ndarray]) -> Any:
    """Results as the entry gives them: NumPy scalars for those without dimensions, one alone or a tuple."""
    values = tuple(o if o.ndim else o[()] for o in outputs)
    return values[0] if len(values) == 1 else values
