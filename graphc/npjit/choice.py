"""Which way is the fastest: each is tried on the first real calls, and the best is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from graphc.codegen.forks import free_in_children
from graphc.npjit.emit import MISS, Fast
from graphc.npjit.known_sizes import sizes_of
from graphc.npjit.settled import Plain, Way

ROUNDS, MORE, CLOSE = 3, 8, 1.3
"""Measured calls of each way; more of them for ways whose least times are closer than this ratio."""
HANDICAP = {"flat": 1.1}
"""NumPy without Python between must win clearly: on a busy machine that is often chance."""
KINDS = 4
"""Sizes that are measured apart: with more of them, each would be seen too seldom."""
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
        self.times: dict[Any, dict[str, list[int]]] = {}  # by sizes
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
        times = self._times_of(args, kwargs)
        name = min(self._contenders(times), key=lambda w: len(times.get(w, ())))
        begin = perf_counter_ns()
        result = self.ways[name](args, kwargs)
        if result is MISS:
            return MISS
        if name in self.ways:
            times.setdefault(name, []).append(max(1, perf_counter_ns() - begin))
        left = self._contenders(times)
        if len(left) == 1 or all(len(times.get(w, ())) > MORE for w in left):
            best = self._best()
            self.settle(self, best, self._settled(best))
        return result

    def _times_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, list[int]]:
        """The measured times of calls with the same sizes: others would not compare."""
        sizes = sizes_of((*args, *kwargs.values())) if len(self.times) <= KINDS else None
        return self.times.setdefault(sizes, {})

    def _best(self) -> str:
        """The way that takes the least time for all calls of sizes for which each way has been measured."""
        total = dict.fromkeys(self.ways, 0.0)
        for times in self.times.values():
            if all(len(times.get(w, ())) > 1 for w in self.ways):
                count = sum(map(len, times.values()))
                for w in self.ways:
                    total[w] += count * (_least(times[w]) * HANDICAP.get(w, 1) + AROUND.get(w, 0))
        return min(total, key=total.__getitem__)

    def _settled(self, best: str) -> Way:
        if best != "plain" or self.plain is None:
            return self.ways[best]
        least = min(_least(times[best]) for times in self.times.values() if best in times)
        return Plain(self.plain, least, (self.fast.guards,))

    def _contenders(self, times: dict[str, list[int]]) -> list[str]:
        """The ways that may still be the fastest."""
        if any(len(times.get(w, ())) <= ROUNDS for w in self.ways):
            return list(self.ways)
        least = {w: _least(times[w]) + AROUND.get(w, 0) for w in self.ways}
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
        ways = {w: None for times in self.times.values() for w in times}
        least = {w: min(_least(t[w]) for t in self.times.values() if w in t) for w in ways}
        return ", ".join(f"{w} {time / 1e3:.1f} us" for w, time in least.items())


def _least(times: list[int]) -> int:
    return min(times[1:] or times)
