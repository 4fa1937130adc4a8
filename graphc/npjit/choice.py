"""Which way is the fastest: each is tried on the first real calls, and the best is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from graphc.codegen.forks import free_in_children
from graphc.npjit.emit import MISS, Fast

ROUNDS, MORE, CLOSE = 3, 8, 1.3
"""Measured calls of each way; more of them for ways whose least times are closer than this ratio."""
HANDICAP = {"flat": 1.1}
"""NumPy without Python between must win clearly: on a busy machine that is often chance."""
ASKED = 16
"""Each 16th call of plain Python asks whether it is still a call that the recording is for."""
LOOKED_AT, LONGER = 64, 10
"""Each 64th call of plain Python is measured, and ten times the usual time is much longer."""
TEDIOUS, HOPELESS = 1_000_000_000, 10
"""Where recording takes a second, one call of plain Python is enough to win if it takes a tenth of that."""
Way = Callable[[tuple[Any, ...], dict[str, Any]], Any]


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
            best = min(left, key=lambda w: self._least(w) * HANDICAP.get(w, 1))
            plain = self.plain if best == "plain" else None
            self.settle(self, best, self.ways[best] if plain is None else _guarded(self.fast, plain))
        return result

    def _count(self, way: str) -> int:
        return len(self.times.get(way, ()))

    def _least(self, way: str) -> int:
        times = self.times[way]
        return min(times[1:] or times)

    def _contenders(self) -> list[str]:
        """The ways that may still be the fastest."""
        if any(self._count(w) <= ROUNDS for w in self.ways):
            return list(self.ways)
        bound = CLOSE * min(map(self._least, self.ways))
        return [w for w in self.ways if self._least(w) <= bound]

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


def _guarded(fast: Fast, plain: Callable[..., Any]) -> Way:
    """Plain Python for those calls that the recording is for."""

    def run(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return MISS if fast.guards(args, kwargs) is MISS else plain(*args, **kwargs)

    return run


def seldom_asking(plain: Callable[..., Any], guarded: Way) -> Way:
    """Plain Python that seldom asks whether a call is one that the recording is for.

    It is right for any call, and asking takes as long as some small functions do.
    """
    count = 0

    def run(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal count
        count += 1
        return plain(*args, **kwargs) if count % ASKED else guarded(args, kwargs)

    run.is_plain = True  # type: ignore[attr-defined]
    return run


class Aside:
    """Calls that are recorded each time, measured beside plain Python, which does them if it wins."""

    def __init__(self) -> None:
        self.recorded: list[int] = []
        self.plain: list[int] = []
        self.failing = True

    @property
    def tries_plain(self) -> bool:
        """Whether the next call is to be done by plain Python."""
        wanted = ROUNDS if len(self.recorded) > ROUNDS else int(self._takes_long())
        return len(self.plain) < wanted

    def _takes_long(self) -> bool:
        """Whether recording takes so long that it is not done four times before plain Python is asked."""
        return len(self.recorded) > 1 and min(self.recorded[1:]) > TEDIOUS

    @property
    def won(self) -> bool:
        """Whether plain Python is known to be the faster."""
        if len(self.plain) >= ROUNDS:
            return min(self.plain) < min(self.recorded[1:])
        return bool(self.plain) and self._takes_long() and HOPELESS * min(self.plain) < min(self.recorded[1:])

    def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A measured call by plain Python."""
        begin = perf_counter_ns()
        try:
            return fn(*args, **kwargs)
        finally:
            self.plain.append(perf_counter_ns() - begin)

    def summary(self) -> str:
        """The best times, in microseconds."""
        recorded, plain = min(self.recorded[1:]) / 1e3, min(self.plain) / 1e3
        return f"recording took {recorded:.1f} us, plain Python {plain:.1f} us"


class Settled:
    """Plain Python from now on.

    `reopen` is called where calls become much longer, since data may have grown, and where one succeeds after
    all those that were recorded had failed.
    """

    def __init__(
        self, fn: Callable[..., Any], usual: int, failing: bool, reopen: Callable[[Settled], None]
    ) -> None:
        self.fn, self.usual, self.failing, self.reopen = fn, usual, failing, reopen
        self.count = 0

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.failing:
            result = self.fn(*args, **kwargs)
            self.reopen(self)
            return result
        self.count += 1
        if self.count % LOOKED_AT:
            return self.fn(*args, **kwargs)
        begin = perf_counter_ns()
        try:
            return self.fn(*args, **kwargs)
        finally:
            if perf_counter_ns() - begin > LONGER * max(self.usual, 50_000):
                self.reopen(self)
