"""`backend="llvm"`: a final graph as machine code, and the way of a call into it."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import numpy as np

from graphc.codegen import entry
from graphc.codegen.emit_llvm import scratch
from graphc.codegen.failures import failure
from graphc.codegen.frames import Pool
from graphc.codegen.kernel_list import KernelStep, kernels_of
from graphc.codegen.kernels.library import product_symbols
from graphc.codegen.layout import Layout, layout_of
from graphc.codegen.loader import Code, compile_object
from graphc.codegen.loops import Product
from graphc.codegen.native_text import ENTRY, STEP, native_text
from graphc.codegen.options import Options
from graphc.codegen.program import Arrays
from graphc.codegen.signature import Sizes
from graphc.codegen.stages import Stages
from graphc.codegen.storage import storage_of
from graphc.codegen.target import Target, host

POOLS = 8  # tuples of sizes whose frames are kept


class NativeProgram:
    """Machine code of one graph."""

    def __init__(self, pipeline: Stages, options: Options) -> None:
        self.pipeline, self.options = pipeline, options
        self.target: Target = host()
        self.layout: Layout = self._layout()
        data = compile_object(self.text, self.target)
        symbols = entry.symbols() | self._product_symbols()
        self.code = Code([data], self.target, symbols, keep=[self.layout])
        self.step = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(self.code.address(STEP))
        self.entry = entry.python_callable(self.code, ENTRY) if entry.layout_is_known() else None

    @cached_property
    def kernels(self) -> list[KernelStep]:
        """The kernels, in order."""
        return kernels_of(self.pipeline.final)

    @cached_property
    def text(self) -> str:
        """The module as LLVM text."""
        return native_text(self.kernels, self.layout, self.target, release_gil=True)

    def _layout(self) -> Layout:
        final = self.pipeline.final
        return layout_of(final, storage_of(final), [scratch(k.kernel, self.target) for k in self.kernels])

    def _product_symbols(self) -> dict[str, int]:
        parts = [p for k in self.kernels for p in k.kernel.parts if isinstance(p, Product)]
        found: dict[str, int] = {}
        for dtype in sorted({p.dtype.name for p in parts if p.dtype.is_floating}):
            found |= product_symbols(dtype, self.target)
        return found

    def bind(self, weights: Arrays) -> NativeRunner:
        return NativeRunner(self, weights)


class NativeRunner:
    """Machine code on one set of weights."""

    def __init__(self, program: NativeProgram, weights: Arrays) -> None:
        self.program, self.weights = program, weights
        self._pools: dict[tuple[int, ...], Pool] = {}
        self._current: Pool | None = None
        self._guard = threading.Lock() if program.pipeline.traced.updates else nullcontext()
        self.fast: Callable[..., Any] | None = self._fast if program.entry is not None else None

    def _pool(self, sizes: Sizes) -> Pool:
        key = tuple(sizes.values())
        pool = self._pools.get(key)
        if pool is None:
            pool = Pool(self.program.layout, sizes, self.weights)
            while len(self._pools) >= POOLS:
                self._pools.pop(next(iter(self._pools)), None)
            self._pools[key] = pool
        self._current = pool
        return pool

    def _fast(self, *inputs: Any) -> Any:
        """A call with arrays that fit the sizes of the last one; else NotImplemented."""
        pool = self._current
        if pool is None:
            return NotImplemented
        frame = pool.take()
        outputs = pool.outputs()
        with self._guard:
            status = self.program.entry(frame.table, *inputs, *outputs)
            scalars = [x[()] for x in frame.scalars]
        pool.free.append(frame)
        if status != 0:  # NotImplemented, or a failure that `run` will meet again
            return NotImplemented
        values = pool.arranged(outputs, scalars)
        return values[0] if len(values) == 1 else values

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
            raise failure(self.program.pipeline.traced, self.program.kernels, status, inputs, self.weights)
        return pool.arranged(outputs, scalars)


def build(pipeline: Stages, options: Options) -> NativeProgram:
    """Compile, or load from the cache, the machine code for a pipeline's final graph."""
    return NativeProgram(pipeline, options)
