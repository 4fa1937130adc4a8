"""`backend="llvm"`: a final graph as machine code, and the way of a call into it."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.codegen import entry
from graphc.codegen.call_entry import ENTRY, STEP, call_symbols
from graphc.codegen.choices import Choices
from graphc.codegen.custom import compile_text, scalars_of, uses_custom
from graphc.codegen.forks import free_in_children
from graphc.codegen.frames import Frame, Pool
from graphc.codegen.kernels.library import driver_symbols, prepare
from graphc.codegen.layout import Layout
from graphc.codegen.loader import Code
from graphc.codegen.object_cache import Artifact, ObjectCache
from graphc.codegen.options import Options
from graphc.codegen.program import Arrays
from graphc.codegen.signature import Sizes
from graphc.codegen.stages import Stages
from graphc.codegen.target import Target, host

if TYPE_CHECKING:
    from graphc.codegen.lowered import Lowered

POOLS = 8  # tuples of sizes whose frames are kept; more of them where frames are small
SMALL = 1 << 18


class NativeProgram:
    """Machine code of one graph. With a warm cache the passes do not run before someone asks for their
    results. `passed`: the weights' arrays come with each call, after the inputs, and are updated in place.
    `choices`: what was measured to be quickest (`tuner`).
    """

    def __init__(
        self, pipeline: Stages, options: Options, passed: bool = False, choices: Choices | None = None
    ) -> None:
        self.pipeline, self.options, self.passed = pipeline, options, passed
        self.choices: Choices = choices or {}
        self.target: Target = host()
        self._stored: ObjectCache | None = None
        artifact = self._artifact()
        self.layout: Layout = artifact.layout
        self._alone = options.threads == 1  # members divide sizes in ways that only native code knows
        symbols = call_symbols() | driver_symbols(self.layout.drivers, self.target, not self._alone)
        if not self._alone:
            from graphc.codegen.team import symbols_for

            symbols = symbols | symbols_for(options.threads, self.target)
        self.code = Code([artifact.data], self.target, symbols)
        self.step = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(self.code.address(STEP))
        self.entry = entry.python_callable(self.code, ENTRY) if entry.layout_is_known() else None

    @cached_property
    def lowered(self) -> Lowered:
        """The way from the final graph to code; with a warm cache neither runs, nor is it imported."""
        from graphc.codegen.lowered import Lowered

        return Lowered(self.pipeline, self.target, passed=self.passed, choices=self.choices)

    def prepare(self, sizes: Sizes) -> None:
        """Load what calls with these sizes want of the library."""
        if self._alone:
            prepare(self.layout.calls, sizes, self.target)

    def prepare_all(self) -> None:
        """Load what calls of any sizes may want."""
        driver_symbols(self.layout.drivers, self.target)

    def with_own_names(self) -> NativeProgram:
        """A program whose machine code has the names of `lowered`: this one, but where the cache had the code
        of an equal graph whose kernels bear other names.
        """
        if self.layout == self.lowered.layout:
            return self
        return NativeProgram(self.pipeline, replace(self.options, cache=False), self.passed, self.choices)

    @property
    def story(self) -> str:
        """Whether the cache had the code, and if not, why."""
        return f"cache: {'not used' if self._stored is None else self._stored.story()}"

    def _artifact(self) -> Artifact:
        if not self.options.cache or uses_custom(self.pipeline.traced):
            return self._made()
        self._stored = stored = ObjectCache(
            self.pipeline.traced, self.options, self.target, self.passed, self.choices
        )
        found = stored.get()
        if found is None:
            found = self._made()
            stored.put(found)
        return found

    def _made(self) -> Artifact:
        scalars = scalars_of(self.lowered.kernels)
        return Artifact(compile_text(self.lowered.llvm, scalars, self.target), self.lowered.layout)

    def bind(self, weights: Arrays) -> NativeRunner:
        return NativeRunner(self, weights)


class NativeRunner:
    """Machine code on one set of weights."""

    def __init__(self, program: NativeProgram, weights: Arrays) -> None:
        self.program, self.weights = program, weights
        self._pools: dict[tuple[int, ...], Pool] = {}
        self._free: list[Frame] = []  # those of the sizes of the last general call
        self._entry: Callable[..., Any] = program.entry or (lambda *_: NotImplemented)
        updates = bool(program.pipeline.traced.updates) and not program.passed
        self._guard = free_in_children(threading.Lock()) if updates else nullcontext()
        quick = self._fast_alone if updates else self._fast
        self.fast: Callable[..., Any] | None = quick if program.entry is not None else None

    def _pool(self, sizes: Sizes) -> Pool:
        key = tuple(sizes.values())
        pool = self._pools.get(key)
        if pool is None:
            self.program.prepare(sizes)
            pool = Pool(self.program.layout, sizes, self.weights)
            while len(self._pools) >= (POOLS if pool.arena.arena_bytes > SMALL else 8 * POOLS):
                self._pools.pop(next(iter(self._pools)), None)
            self._pools[key] = pool
        self._free = pool.free
        return pool

    def _fast(self, *inputs: Any) -> Any:
        """A call with arrays that fit the sizes of the last one; else NotImplemented."""
        free = self._free
        try:
            frame = free.pop()
        except IndexError:
            return NotImplemented
        result = self._entry(frame.table, *inputs)
        free.append(frame)
        return result

    def switched(self, sizes: tuple[int, ...], *inputs: Any) -> Any:
        """A call with arrays of sizes that some earlier one had, in the order of the layout's symbols; else
        NotImplemented.
        """
        pool = self._pools.get(sizes)
        if pool is None:
            return NotImplemented
        self._free = pool.free
        frame = pool.take()
        with self._guard:
            result = self._entry(frame.table, *inputs)
        pool.free.append(frame)
        return result

    def _fast_alone(self, *inputs: Any) -> Any:
        """The same for a graph that writes weights: one call at a time."""
        with self._guard:
            return self._fast(*inputs)

    def run(self, inputs: Arrays, sizes: Sizes) -> tuple[np.ndarray, ...]:
        """Run the step through ctypes, which takes any arrays."""
        pool = self._pool(sizes)
        frame, outputs = pool.take(), pool.outputs()
        for i, array in enumerate((*inputs, *outputs)):
            frame.table[i] = array.ctypes.data
        with self._guard:
            status = self.program.step(frame.table.ctypes.data)
            scalars = [x.copy() for x in frame.scalars]
        pool.free.append(frame)
        if status:
            from graphc.codegen.failures import failure

            raise failure(
                self.program.pipeline.traced, self.program.lowered.kernels, status, inputs, self.weights
            )
        return pool.arranged(outputs, scalars)


def build(pipeline: Stages, options: Options) -> NativeProgram:
    """Compile, or load from the cache, the machine code for a pipeline's final graph."""
    return NativeProgram(pipeline, options)
