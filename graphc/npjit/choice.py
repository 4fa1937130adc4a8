"""Which way is the fastest: each is tried on the first real calls, and the best is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from graphc.codegen.forks import free_in_children
from graphc.npjit.emit import MISS, Fast
from graphc.npjit.settled import Plain, Way

ROUNDS, MORE, CLOSE = 3, 8, 1.3
"""Measured calls of each way; more of them for ways whose least times are closer than this ratio."""
HANDICAP = {"flat": 1.1}
"""NumPy without Python between must win clearly: on a busy machine that is often chance."""
AROUND = {"native": 600, "flat": 600}
"""Nanoseconds that a call takes around a fast function: calls go straight to plain Python."""


class Choice:
    """A fast function that times the ways of doing a call; `settle` gets the name and function of the best.

    Only calls that the recording is for are tried, so plain Python is timed without the guards that it will
    seldom need if it wins. A way's first call is not counted: it may compile, and it warms caches. Where
    `is_sure`, native code is taken without measuring if there is some.
    """

    def __init__(
        self,
        fast: Fast,
        plain: Callable[..., Any] | None,
        settle: Callable[[Choice, str, Way], None],
        is_sure: bool = False,
    ) -> None:
        self.fast, self.settle, self.is_sure = fast, settle, is_sure
        self.lock = free_in_children(threading.Lock())
        self.ways: dict[str, Way] = {
            "native": self._compiling,
            "flat": fast.flat,
        }
        self.plain = plain
        if plain is not None:
            self.ways["plain"] = lambda args, kwargs: plain(*args, **kwargs)
        self.times: dict[str, list[int]] = {}
        self.reason = ""

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.fast.guards(args, kwargs) is MISS:  # it is for another recording, which should not wait
            return MISS
        if not self.lock.acquire(blocking=False):  # another thread measures, or an outer call of a recursion
            return self.fast.flat(args, kwargs)
        try:
            return self._tried(args, kwargs)
        finally:
            self.lock.release()

    def _tried(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = min(self._contenders(), key=self._count)
        begin = perf_counter_ns()
        result = self.ways[name](args, kwargs)
        if result is MISS:
            return MISS
        if name in self.ways:
            self.times.setdefault(name, []).append(max(1, perf_counter_ns() - begin))
        left = self._contenders()
        if len(left) == 1 or all(self._count(w) > MORE for w in left):
            best = min(left, key=lambda w: self._least(w) * HANDICAP.get(w, 1) + AROUND.get(w, 0))
            self.settle(self, best, self._settled(best))
        return result

    def _settled(self, best: str) -> Way:
        if best != "plain" or self.plain is None:
            return self.ways[best]
        return Plain(self.plain, self._least(best), (self.fast.guards,))

    def _count(self, way: str) -> int:
        return len(self.times.get(way, ()))

    def _least(self, way: str) -> int:
        times = self.times[way]
        return min(times[1:] or times)

    def _contenders(self) -> list[str]:
        """The ways that may still be the fastest."""
        if any(self._count(w) <= ROUNDS for w in self.ways):
            return list(self.ways)
        least = {w: self._least(w) + AROUND.get(w, 0) for w in self.ways}
        return [w for w, time in least.items() if time <= CLOSE * min(least.values())]

    def _compiling(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The first call of the compiled way."""
        try:
            native = self.fast.native()
        except Exception as e:  # whatever keeps it from being compiled: NumPy does it
            native, self.reason = None, f"{type(e).__name__}: {e}"
        if native is None:
            del self.ways["native"]
            return self._tried(args, kwargs)
        self.ways["native"] = native
        if self.is_sure:
            self.settle(self, "native", native)
        return native(args, kwargs)

    def summary(self) -> str:
        """The best times, in microseconds."""
        return ", ".join(f"{w} {min(t[1:] or t) / 1e3:.1f} us" for w, t in self.times.items())
