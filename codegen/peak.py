"""What this machine can do at most, measured once in a process: multiply-adds of one core, reading memory.

The rates are those of one thread: 12 independent chains of fused multiply-adds in registers, and sums over
arrays that lie in the second-level cache, in the last one, and in memory.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from graphc.codegen.buffers import aligned_empty
from graphc.codegen.element import Element, register
from graphc.codegen.loader import Code, load
from graphc.codegen.module_text import module
from graphc.codegen.target import Target, host
from graphc.codegen.text import Function

CHAINS, TURNS, ROUNDS = 12, 50_000, 12
SIZES = {"L2": 128 << 10, "L3": 4 << 20, "memory": 128 << 20}
"""Bytes of arrays that lie there on most machines of these years."""


@dataclass(frozen=True)
class Peak:
    """Operations per second of one core by element type, and bytes per second that it reads by where they
    are.
    """

    flops: Mapping[str, float]
    reading: Mapping[str, float]

    @property
    def memory(self) -> float:
        """Bytes per second from memory."""
        return self.reading["memory"]

    def level(self, size: int) -> str:
        """Where that many bytes are."""
        return next((name for name, most in SIZES.items() if size <= most), "memory")

    def roof(self, flops: float, size: int, dtype: str = "f32", cores: int = 1) -> float:
        """The seconds that so many operations on so many bytes take at least: whichever of both takes longer.

        Williams, Waterman and Patterson: Roofline, an insightful visual performance model (2009), with a roof
        for each level of memory.
        """
        return max(flops / (cores * self.flops[dtype]), size / (cores * self.reading[self.level(size)]))


@functools.cache
def peak() -> Peak:
    """The peak of this machine; the first call takes some tenths of a second.

    >>> peak().flops["f32"] > peak().flops["f64"] > 0
    True
    """
    return Peak(
        {t: _most(*multiply_adds(t)) for t in ("f32", "f64")},
        {name: _most(*_reading(size)) for name, size in SIZES.items()},
    )


@functools.cache
def _code() -> Code:
    target = host()
    chains = (_chains(t, target) for t in ("f32", "f64"))
    return load([module(*chains, _sum(target), target=target)], target)


def multiply_adds(dtype: str) -> tuple[Callable[[], None], float]:
    """A run of the chains, and its floating-point operations: to be timed beside something else."""
    t = register(dtype, host())
    run, x = _code().function(f"chains_{dtype}", "pi"), np.zeros(t.lanes * t.size, np.uint8)
    return lambda: run(x, TURNS), 2.0 * t.lanes * CHAINS * TURNS


def _reading(size: int) -> tuple[Callable[[], None], float]:
    """A run that reads an array of that many bytes, small ones again and again, and all bytes it reads."""
    run, turns = _code().function("sum_bytes", "pii"), max(1, (8 << 20) // size)
    x = aligned_empty((size,), np.uint8)
    x[:] = 1
    return lambda: run(x, size, turns), float(size * turns)


def _most(run: Callable[[], None], amount: float) -> float:
    """The most that was done in a second of CPU time, of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.thread_time()
        run()
        best = min(best, time.thread_time() - start)
    return amount / best


def _chains(dtype: str, target: Target) -> str:
    t = register(dtype, target)
    f = Function(f"chains_{dtype}", "ptr %x, i64 %n")
    a = f.vload(t, "%x")
    with f.loop(0, "%n", 1, [(t.vec, a)] * CHAINS) as loop:
        loop.next = [f.fma(t, v, a, a) for v in loop.values]
    f.vstore(t, functools.reduce(lambda x, y: f(f"fadd {t.vec} {x}, {y}"), loop.results), "%x")
    return f.text()


def _sum(target: Target) -> str:
    """Adds up an array, `turns` times, in 8 sums."""
    t = Element("i64", target.register_bytes // 8)
    f = Function("sum_bytes", "ptr %x, i64 %size, i64 %turns")
    zero = [(t.vec, "zeroinitializer")] * 8
    with f.loop(0, "%turns", 1, zero) as turn:
        with f.loop(0, "%size", 8 * target.register_bytes, list(zip([t.vec] * 8, turn.values))) as loop:
            places = [f.at("i8", "%x", f.add(loop.i, i * target.register_bytes)) for i in range(8)]
            loop.next = [f(f"add {t.vec} {v}, {f.vload(t, p)}") for v, p in zip(loop.values, places)]
        turn.next = loop.results
    f.vstore(t, functools.reduce(lambda x, y: f(f"add {t.vec} {x}, {y}"), turn.results), "%x")
    return f.text()
