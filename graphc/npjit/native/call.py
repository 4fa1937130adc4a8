"""A native run of a segment: a compiled graph that is called with the caller's own arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from graphc.codegen import backends
from graphc.codegen.native import NativeProgram, NativeRunner
from graphc.codegen.options import Options
from graphc.codegen.signature import Signature, Sizes
from graphc.codegen.stages import Stages
from graphc.codegen.stats import STATS
from graphc.ir import dims
from graphc.ir.dims import Dim
from graphc.ir.errors import GraphcError, NumericsError
from graphc.ir.graph import Graph
from graphc.npjit.native.symbols import LEAST

WATCH: ContextVar[Callable[[NativeCall, list[np.ndarray], Sizes], None] | None] = ContextVar(
    "watch", default=None
)
"""Is told of the first run of each native call with some sizes."""


class Retry(Exception):
    """A native run failed (an index out of range, a number too large): NumPy says what happens then."""


class NativeCall:
    """A graph whose weights are arrays of the caller, written in place: they come last.

    `fast` gives NotImplemented for arguments that are not exactly as expected; then `slow` converts them.
    """

    def __init__(self, graph: Graph, options: Options, bounds: Iterable[Dim] = ()) -> None:
        self.graph, self.bounds = graph, tuple(bounds)
        self.signature = Signature.of(graph)
        begin = perf_counter()
        self.runner = _runner(graph, options)
        STATS.compiled(perf_counter() - begin)
        self.types = [v.type for v in (*graph.inputs, *(w.value for w in graph.weights))]
        self.fast = self.runner.fast or (lambda *_: NotImplemented)
        self._untuned = options.tune and isinstance(self.runner, NativeRunner)
        if self._untuned:
            self.fast = self._tuned
        self.places = [self._place(name) for name in self.signature.symbols]

    def slow(self, *values: Any) -> Any:
        """A run with arrays of any strides, and numbers of any class.

        Raises
        ------
        Retry
            The graph fails, or a number does not fit.
        NumericsError
            `check=` refuses a value.
        """
        try:
            if self.places and not self._untuned:
                sizes = tuple([values[i].shape[axis] for i, axis in self.places])
                result = self.runner.switched(sizes, *values)
                if result is not NotImplemented:
                    return result
            arrays = [
                np.asarray(v, t.dtype.numpy, order="C") for v, t in zip(values, self.types, strict=True)
            ]
            arrays = [a if a.flags.c_contiguous and a.flags.aligned else a.copy() for a in arrays]
            known = self._sizes(arrays)
            if (watch := WATCH.get()) is not None:
                watch(self, arrays, known)
            if self._untuned:
                self._tune(arrays, known)
            results = self.runner.run(arrays, known)
        except NumericsError:
            raise
        except (GraphcError, OverflowError, AttributeError, IndexError) as e:
            raise Retry(str(e)) from e
        first = len(self.graph.inputs)
        for given, used in zip(values[first:], arrays[first:], strict=True):
            if used is not given:
                np.copyto(given, used)
        return arranged(results)

    def _tune(self, arrays: Sequence[np.ndarray], sizes: Sizes) -> None:
        """Go on with the code that is quickest for arrays of these sizes."""
        from graphc.codegen.tuner import tuned

        self.runner = tuned(self.runner.program, (), arrays, sizes).bind(())
        self._untuned = False

    def _tuned(self, *values: Any) -> Any:
        """A fast call once the quickest code is known."""
        fast = self.runner.fast
        return NotImplemented if self._untuned or fast is None else fast(*values)

    def _place(self, symbol: str) -> tuple[int, int]:
        """The argument and the axis that have a symbol as their size."""
        size = dims.symbol(symbol)
        return next((i, t.shape.index(size)) for i, t in enumerate(self.types) if size in t.shape)

    def _sizes(self, arrays: Sequence[np.ndarray]) -> Sizes:
        """The values of the symbols.

        Raises
        ------
        Retry
            The graph is not for these sizes.
        """
        if not self.signature.symbols:
            return {}
        count = len(self.graph.inputs)
        sizes = self.signature.sizes(arrays[:count], arrays[count:])
        if any(n < LEAST for n in sizes.values()) or any(dims.evaluate(d, sizes) < 0 for d in self.bounds):
            raise Retry(f"not for the sizes {sizes}")
        return sizes


def _runner(graph: Graph, options: Options) -> Any:
    """What runs a graph: native code, or what else the options ask for."""
    pipeline = Stages(graph, options)
    if options.backend == "llvm" and options.check is None and options.passes is None:
        return NativeProgram(pipeline, options, passed=True).bind(())
    return Lent(backends.build(pipeline, options)[0], len(graph.inputs))


@dataclass(frozen=True)
class Lent:
    """A program that is bound to the weights of each call, which come after its inputs."""

    program: Any
    inputs: int
    fast: None = None

    def run(self, arrays: Sequence[np.ndarray], sizes: Sizes) -> tuple[np.ndarray, ...]:
        """One call."""
        outputs: tuple[np.ndarray, ...] = self.program.bind(tuple(arrays[self.inputs :])).run(
            arrays[: self.inputs], sizes
        )
        return outputs

    def switched(self, sizes: tuple[int, ...], *values: Any) -> Any:
        """There is no code to be entered with sizes."""
        return NotImplemented


def arranged(outputs: Sequence[np.ndarray]) -> Any:
    """Results as the entry gives them: NumPy scalars for those without dimensions, one alone or a tuple."""
    values = tuple(o if o.ndim else o[()] for o in outputs)
    return values[0] if len(values) == 1 else values
