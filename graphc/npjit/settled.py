"""Plain Python for calls of one form: what it takes to win, and how it is looked at from then on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

from graphc.npjit.emit import MISS

ROUNDS = 3
"""Calls by plain Python that are measured."""
TEDIOUS = 10_000_000
"""Where recording takes so many nanoseconds beside the work itself, it is done twice before plain Python is
asked, of which one call is enough to win.
"""
SELDOM, OFTEN, SHORT = 64, 16, 10_000
"""Each 16th call is looked at, and each 64th where calls take less than so many nanoseconds."""
LONGER, LONG = 10, 50_000
"""Ten times the usual time is much longer, from so many nanoseconds on."""
Way = Callable[[tuple[Any, ...], dict[str, Any]], Any]


class Aside:
    """Calls that are recorded each time, measured beside plain Python, which does them if it wins."""

    def __init__(self) -> None:
        self.recorded: list[int] = []
        self.beside: list[int] = []
        self.plain: list[int] = []
        self.failing = True

    def add(self, took: int, work: int = 0) -> None:
        """A call that was recorded: all of its time, and what operations and other functions took of that."""
        self.recorded.append(took)
        self.beside.append(took - work)

    @property
    def tries_plain(self) -> bool:
        """Whether the next call is to be done by plain Python."""
        wanted = ROUNDS if len(self.recorded) > ROUNDS else int(self._is_tedious)
        return len(self.plain) < wanted

    @property
    def _is_tedious(self) -> bool:
        return len(self.recorded) > 1 and min(self.beside[1:]) > TEDIOUS

    @property
    def won(self) -> bool:
        """Whether plain Python is known to be the faster."""
        if len(self.plain) >= ROUNDS:
            return min(self.plain) < min(self.recorded[1:])
        return bool(self.plain) and self._is_tedious and min(self.plain) < min(self.beside[1:])

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


class Plain:
    """Plain Python does all calls of one form that no way before it does, and looks at some of them.

    It is right for any call; but one that none of the `guards` holds for deserves a recording of its own. So
    do calls that take much longer than the usual time, since data may have grown, and one that succeeds after
    all those that were recorded had failed: then `reopen` is called.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        usual: int,
        guards: Sequence[Way] = (),
        failing: bool = False,
        reopen: Callable[[Plain], None] | None = None,
    ) -> None:
        self.fn, self.usual, self.guards, self.failing, self.reopen = fn, usual, guards, failing, reopen
        self.every = SELDOM if usual < SHORT and not failing else OFTEN
        self.count = 0

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.count += 1
        return self.fn(*args, **kwargs) if self.count % self.every else self.look(args, kwargs)

    def look(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of a call that is looked at, or MISS where it should be recorded."""
        if self.guards:
            missed = all(guard(args, kwargs) is MISS for guard in self.guards)
            return MISS if missed else self.fn(*args, **kwargs)
        begin = perf_counter_ns()
        done = False
        try:
            result = self.fn(*args, **kwargs)
            done = True
            return result
        finally:
            grown = perf_counter_ns() - begin > LONGER * max(self.usual, LONG)
            if self.reopen is not None and (grown or (done and self.failing)):
                self.reopen(self)


def joined(first: Plain, second: Plain) -> Plain:
    """Plain Python for the calls of both; where one takes all of them, it is that one."""
    for one in (first, second):
        if not one.guards:
            return one
    return Plain(first.fn, min(first.usual, second.usual), (*first.guards, *second.guards))
