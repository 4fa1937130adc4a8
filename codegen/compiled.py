"""`compile(graph, ...) -> Compiled`: calls, weights, errors, and every view of what was compiled.

>>> from graphc.ir import Builder, tensor
>>> b = Builder("double")
>>> b.output(b.input("x", tensor("f32", "B")) * 2)
>>> f = compile(b.build(), backend="reference")
>>> f([1.0, 2.5])
array([2., 5.], dtype=float32)
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.codegen import backends
from graphc.codegen import options as option
from graphc.codegen.options import Options
from graphc.codegen.program import Runner, result_of
from graphc.codegen.report import Text
from graphc.codegen.signature import Signature, Sizes, counted
from graphc.codegen.stages import StageList, Stages
from graphc.codegen.stats import STATS
from graphc.ir.errors import ArgumentError, StateError
from graphc.ir.graph import Graph
from graphc.passes.infer import infer, is_typed
from graphc.passes.log import log

if TYPE_CHECKING:
    from graphc.codegen.c_entry import CEntry
    from graphc.codegen.cost import CostTable
    from graphc.codegen.lowered import Lowered
    from graphc.codegen.memory_report import MemoryReport
    from graphc.codegen.profile import Profile


def compile(
    graph: Graph,
    *,
    backend: str | None = None,
    check: str | None = None,
    threads: int | None = None,
    passes: str | None = None,
    cache: bool = True,
    fast_math: bool = False,
    tune: bool | None = None,
) -> Compiled:
    """A callable for a traced graph.

    `backend` is "llvm" (default), "numba" (the same kernels as readable Python, compiled by Numba) or
    "reference" (NumPy). `check="nan"` stops at the first kernel whose output holds a NaN,
    `check="reference"` at the first that differs from the evaluator. `passes` is a pipeline as text.
    `cache=False` neither reads nor writes the object cache. `threads` is how many threads a call of the
    "llvm" backend uses at most (default: GRAPHC_THREADS, or 1); results have the same bits for any number.
    `fast_math=True` lets convolutions of the "llvm" backend use Winograd's algorithm without guards: where
    taps are 0 (masks) or of very different sizes, results have the errors of a dense kernel, and infinite
    pixels may give NaN.
    `tune=True` (default: GRAPHC_TUNE) measures at the first call what sizes leave open, for the sizes of that
    call, and keeps the choices in the cache; results stay the same.

    Raises
    ------
    ArgumentError
        An option that is not possible.
    VerifyError
        The graph breaks a rule of the IR.
    """
    start = time.perf_counter()
    chosen = option.resolve(backend, check, threads, passes, cache, fast_math, tune)
    compiled = Compiled(graph, chosen)
    seconds = time.perf_counter() - start
    STATS.compiled(seconds)
    log("compile", f"@{graph.name} ({len(graph.nodes)} nodes) by {chosen.backend} in {1e3 * seconds:.1f} ms")
    return compiled


class Compiled:
    """A compiled graph: call it with arrays; look at every step from the graph to machine code.

    A call gives fresh arrays: one array for one output, a tuple for several, NumPy scalars for outputs
    without dimensions.
    """

    def __init__(self, graph: Graph, options: Options) -> None:
        graph = graph if is_typed(graph) else infer(graph)
        self.graph, self.options = graph, options
        self.parameters = Signature.of(graph)
        self.pipeline = Stages(graph, options)
        self.program, self.fallback = backends.build(self.pipeline, options)
        self.last_sizes: Sizes = {}
        self.weights: tuple[np.ndarray, ...] = ()
        self._runner: Runner | None = None
        self._fast: Callable[..., Any] = self._general
        self._lock = threading.Lock()
        self._untuned = options.tune
        if not graph.weights:
            self._link(())

    def __repr__(self) -> str:
        return f"<Compiled {self.parameters}>"

    def __call__(self, *inputs: Any) -> Any:
        """Run. Arguments are converted where that keeps their meaning.

        Raises
        ------
        ArgumentError, DTypeError, ShapeError
            Arguments that do not fit.
        StateError
            The graph has weights and `bind` was not called.
        IndexRangeError, NumericsError
            Values that an operation or `check=` refuses; then nothing has changed.
        """
        result = self._fast(*inputs)
        return self._general(*inputs) if result is NotImplemented else result

    def bind(self, arrays: Iterable[np.ndarray]) -> Compiled:
        """Keep these arrays, one per weight of the graph, by reference: calls read them and update them in
        place.

        Raises
        ------
        ArgumentError, DTypeError, ShapeError
            The number of arrays is wrong, or one is not a writeable C-contiguous array of its weight's type.
        """
        given = tuple(arrays)
        wanted = self.parameters.weights
        if len(given) != len(wanted):
            has = f"{self.parameters.name} has {counted(len(wanted), 'weight')}"
            raise ArgumentError(
                f"{has}, but {counted(len(given), 'array')} {'was' if len(given) == 1 else 'were'} bound."
            )
        self._link(tuple(self.parameters.check_weight(i, a) for i, a in enumerate(given)))
        return self

    def _link(self, weights: tuple[np.ndarray, ...]) -> None:
        self.weights = weights
        self._runner = self.program.bind(weights)
        self._fast = self._runner.fast or self._general
        if "_c_entry" in self.__dict__:
            self._c_entry.bind(weights)

    def _general(self, *inputs: Any) -> Any:
        """A call with every check and conversion: the way for whatever the fast entry does not take."""
        arrays, self.last_sizes = self.prepared(inputs)
        if self._untuned:
            self._tune(arrays)
        assert self._runner is not None
        return result_of(self._runner.run(arrays, self.last_sizes))

    def _tune(self, arrays: list[np.ndarray]) -> None:
        """Go on with the code that is quickest for arrays of these sizes."""
        from graphc.codegen.native import NativeProgram
        from graphc.codegen.tuner import tuned

        with self._lock:
            if self._untuned and isinstance(self.program, NativeProgram):
                found = tuned(self.program, self.weights, arrays, self.last_sizes)
                if found is not self.program:
                    self.program = found
                    self._link(self.weights)
                self._untuned = False

    def prepared(self, inputs: Sequence[Any]) -> tuple[list[np.ndarray], Sizes]:
        """The arguments of a call, checked and converted, and the value of each symbol.

        Raises
        ------
        ArgumentError, DTypeError, ShapeError
            Arguments that do not fit.
        StateError
            The graph has weights and `bind` was not called.
        """
        if self._runner is None:
            name, count = self.parameters.name, len(self.graph.weights)
            theirs = "its array" if count == 1 else "their arrays"
            raise StateError(
                f"{name} has {counted(count, 'weight')}: bind {theirs} first, with f.bind(arrays)."
            )
        arrays = self.parameters.convert(inputs)
        return arrays, self.parameters.sizes(arrays, self.weights)

    # -- from C and Numba ---------------------------------------------------------------------------
    @property
    def signature(self) -> Text:
        """The C prototype of `address`, and what each of its arguments is."""
        from graphc.codegen.c_entry import c_signature

        symbols, p = self.graph.symbols, self.parameters
        return c_signature(p.name, p.inputs, p.outputs, symbols)

    @property
    def address(self) -> int:
        """The address of the C function that `signature` describes; valid as long as this object lives.

        It checks no sizes: that is the caller's part.
        """
        return self._c_entry.address

    @property
    def ctypes(self) -> Any:
        """The C function for ctypes."""
        return self._c_entry.function()

    @cached_property
    def njit_function(self) -> Any:
        """This function for `@numba.njit` code; code that names the compiled object itself gets it by
        itself.
        """
        from graphc.codegen.numba_call import wrapper

        return wrapper(self)

    @cached_property
    def _c_entry(self) -> CEntry:
        from graphc.codegen.c_entry import CEntry
        from graphc.codegen.native import NativeProgram

        lowered = self.lowered  # raises if there is no native code
        if isinstance(self.program, NativeProgram):
            return CEntry(self.program, self.weights)
        return CEntry(NativeProgram(lowered.pipeline, self.options), self.weights)

    # -- what was compiled --------------------------------------------------------------------------
    def ir(self, stage: str = "final") -> Graph:
        """The graph at a stage: "traced", the name of a pass (as it was after that), or "final"; it prints as
        text.
        """
        return self.pipeline.graph(stage)

    def stages(self) -> StageList:
        """Each stage that changed the graph: name, number of nodes, milliseconds; prints as a table."""
        return self.pipeline.listed()

    def diff(self, before: str, after: str) -> Text:
        """A text diff between two stages."""
        return self.pipeline.diff(before, after)

    @property
    def lowered(self) -> Lowered:
        """Kernels, memory plan and code of the final graph.

        Raises
        ------
        StateError
            The graph has none: it runs by the evaluator.
        """
        if self.fallback:
            raise StateError(f"{self.parameters.name} runs by the evaluator: {self.fallback}")
        return self._lowered

    @cached_property
    def _lowered(self) -> Lowered:
        from graphc.codegen.lowered import Lowered
        from graphc.codegen.target import host

        return Lowered(self.pipeline, host())

    def source(self, kernel: str | int | None = None) -> Text:
        """The whole step, or one kernel by name or number, as Python source that Numba compiles."""
        from graphc.codegen import inspect

        return inspect.source(self.lowered, kernel)

    def llvm(self, kernel: str | int | None = None) -> Text:
        """The LLVM IR of the step, or of one kernel, as the machine code is made from it."""
        from graphc.codegen import inspect

        return inspect.llvm(self.lowered, kernel)

    def asm(self, kernel: str | int | None = None) -> Text:
        """The machine code of the step, or of one kernel, as text."""
        from graphc.codegen import inspect

        return inspect.asm(self.lowered, kernel)

    def cost(self, **sizes: int) -> CostTable:
        """Operations, bytes and their ratio, by kernel and in total; for the given sizes, or those of the
        last call.

        Sizes that are not known stay symbols.
        """
        from graphc.codegen.cost import cost_table

        return cost_table(self.lowered.kernels, sizes or self.last_sizes)

    def memory(self, **sizes: int) -> MemoryReport:
        """The memory of a call with the given sizes, or those of the last call, and each buffer's lifetime.

        Raises
        ------
        StateError
            A size is not given, and there was no call yet.
        """
        from graphc.codegen import inspect

        return inspect.memory(self.lowered, sizes or self.last_sizes)

    def profile(self, *inputs: Any, rounds: int | None = None) -> Profile:
        """The time of each kernel in a call with these inputs, beside this machine's measured peak, with the
        layers and source lines that it came from; prints as a table.

        The kernels are those of `backend="llvm"`. Weights stay as they are: it works on copies. `rounds` is
        how often it is measured (default: for half a second, and 4 times at least); each kernel's least time
        counts.

        Raises
        ------
        ArgumentError, DTypeError, ShapeError
            Inputs that do not fit.
        StateError
            The graph has weights and `bind` was not called, or it has no kernels: it runs by the evaluator.
        """
        from graphc.codegen.profile import measure

        return measure(self, inputs, rounds)

    def explain(self) -> Text:
        """What was fused with what, why a neighbour was not, and whether the cache was hit."""
        from graphc.codegen import inspect

        return inspect.explain(self)


if "numba.extending" in sys.modules:  # Numba may have looked for extensions before this class was there
    from graphc.codegen.numba_call import register

    register()
