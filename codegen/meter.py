"""A program that is run again and again on the same inputs and the same weights, to see how long it takes."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

import numpy as np

from graphc.codegen.buffers import aligned_empty
from graphc.codegen.native import NativeProgram, NativeRunner
from graphc.codegen.program import Arrays
from graphc.codegen.signature import Sizes
from graphc.codegen.timed_step import TimedStep


class Meter:
    """Ordinary calls and timed ones. Each works on copies of the weights as they were at the beginning, those
    among the inputs (`NativeProgram.passed`) included.
    """

    def __init__(self, program: NativeProgram, weights: Arrays, inputs: Arrays, sizes: Sizes) -> None:
        self.program, self.step = program, TimedStep(program, sizes)
        first = len(inputs) - program.layout.passed
        self._state = [np.array(w) for w in (*weights, *inputs[first:])]
        self._copies = [_aligned(w) for w in self._state]
        self._inputs = [*inputs[:first], *self._copies[len(weights) :]]
        self._sizes = sizes
        timed = copy.copy(program)
        timed.step, timed.entry = self.step.run, None
        bound = self._copies[: len(weights)]
        self._plain, self._timed = (NativeRunner(p, bound) for p in (program, timed))
        self._alone = program.lowered.members == 1
        self.calls: list[float] = []
        self.looks: list[np.ndarray] = []

    def call(self) -> None:
        """Keep the seconds of a call. One thread needs no more than its CPU time, whoever had the core."""
        self._restore()
        fast = self._plain.fast
        cpu, wall = time.thread_time(), time.perf_counter()
        if fast is None or fast(*self._inputs) is NotImplemented:
            self._plain.run(self._inputs, self._sizes)
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        self.calls.append(min(wall, cpu) if self._alone else wall)

    def look(self) -> None:
        """Keep the marks of a call in which each kernel looks at the clock."""
        self._restore()
        self.step.marks[:] = 0
        self._timed.run(self._inputs, self._sizes)
        self.looks.append(self.step.marks.copy())

    def _restore(self) -> None:
        for mine, given in zip(self._copies, self._state):
            np.copyto(mine, given)

    @property
    def marks(self) -> np.ndarray:
        """Those of all looks: nanoseconds and calls, by look and row."""
        return np.array(self.looks, np.float64)

    def seconds(self, kernels: Sequence[int]) -> list[float]:
        """The least time of each of these kernels."""
        marks = self.marks[:, : len(self.step.overhead)]
        own = marks[:, :, 0] - self.step.overhead * marks[:, :, 1]
        return [1e-9 * float(own[:, k].min()) for k in kernels]


def _aligned(array: np.ndarray) -> np.ndarray:
    return aligned_empty(array.shape, array.dtype)
