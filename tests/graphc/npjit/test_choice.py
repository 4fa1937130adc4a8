"""How the fastest way of a call is found, and what plain Python costs then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphc.npjit import choice
from graphc.npjit.choice import MORE, ROUNDS, Choice
from graphc.npjit.emit import MISS, Fast
from graphc.npjit.settled import OFTEN, SELDOM, SHORT, Aside, Plain, joined


class Clock:
    """The time of a call is what its way adds, in microseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.calls: list[str] = []
        monkeypatch.setattr(choice, "perf_counter_ns", lambda: self.now)

    def way(self, name: str, *times: int) -> Any:
        def run(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
            self.now += 1000 * times[min(self.calls.count(name), len(times) - 1)]
            self.calls.append(name)
            return name

        return run


def settled(clock: Clock, native: Any, flat: Any, plain: Any) -> tuple[str, int]:
    """The way that is chosen, and after how many calls."""
    found: list[str] = []
    guards = lambda args, kwargs: None  # noqa: E731
    ways = Choice(
        Fast(flat, guards, lambda: native), lambda: plain((), {}), lambda _, name, __: found.append(name)
    )
    while not found:
        ways((), {})
    return found[0], len(clock.calls)


def test_clear_differences_need_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    ways = [clock.way("native", 900, 10), clock.way("flat", 50), clock.way("plain", 30)]
    assert settled(clock, *ways) == ("native", 3 * (ROUNDS + 1))


def test_close_ones_are_measured_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy hides what a way can do in its first calls."""
    clock = Clock(monkeypatch)
    ways = [clock.way("native", 900, 36, 36, 36, 20), clock.way("flat", 90), clock.way("plain", 30)]
    name, calls = settled(clock, *ways)
    assert name == "native"
    assert calls <= 3 * (ROUNDS + 1) + 2 * (MORE - ROUNDS)
    assert clock.calls.count("flat") == ROUNDS + 1


def test_the_way_around_a_fast_function_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    ways = [clock.way("native", 900, 1), clock.way("flat", 2), clock.way("plain", 1)]
    assert settled(clock, *ways)[0] == "plain"


def test_sizes_are_measured_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where small and large calls take turns, each way gets both."""
    now, found = [0], []

    def way(small: int, large: int) -> Any:
        def run(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
            now[0] += 1000 * (small if len(args[0]) == 1 else large)
            return 1

        return run

    monkeypatch.setattr(choice, "perf_counter_ns", lambda: now[0])
    native, flat, plain = way(9, 100), way(30, 1200), way(10, 1000)
    fast = Fast(flat, lambda args, kwargs: None, lambda: native)
    ways = Choice(fast, lambda *args: plain(args, {}), lambda _, name, __: found.append(name))
    for i in range(100):
        ways((np.ones(1 if i % 2 else 9),), {})
        if found:
            break
    assert found == ["native"]
    assert ways.summary().startswith("native 9.0 us, flat 30.0 us")


def test_many_sizes_are_measured_together() -> None:
    found: list[str] = []
    fast = Fast(lambda args, kwargs: 1, lambda args, kwargs: None, lambda: None)
    ways = Choice(fast, None, lambda _, name, __: found.append(name))
    for n in range(40):
        ways((np.ones(n),), {})
    assert found[0] == "flat"


def test_plain_python_asks_seldom() -> None:
    asked: list[int] = []

    def guard(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        asked.append(args[0])
        return MISS if args[0] > 50 else None

    run = Plain(lambda x: -x, SHORT, (guard,))
    results = [run((i,), {}) for i in range(1, 4 * OFTEN + 1)]
    assert asked == [OFTEN, 2 * OFTEN, 3 * OFTEN, 4 * OFTEN]
    assert [i for i, r in enumerate(results, 1) if r is MISS] == [4 * OFTEN]
    assert results[:OFTEN] == [*range(-1, -OFTEN - 1, -1)]
    assert Plain(abs, SHORT - 1).every == SELDOM


def test_plain_python_for_the_calls_of_two_recordings() -> None:
    ones, twos = (lambda args, kwargs, n=n: None if args[0] == n else MISS for n in (1, 2))
    both = joined(Plain(abs, 9000, (ones,)), Plain(abs, 5000, (twos,)))
    assert [both.look((n,), {}) is MISS for n in (1, 2, 3)] == [False, False, True]
    assert both.usual == 5000
    for_all = Plain(abs, 1)
    assert joined(both, for_all) is joined(for_all, both) is for_all


def test_much_longer_calls_reopen(monkeypatch: pytest.MonkeyPatch) -> None:
    now, reopened = [0], []
    monkeypatch.setattr("graphc.npjit.settled.perf_counter_ns", lambda: now[0])

    def work(took: int) -> None:
        now[0] += took

    plain = Plain(work, 100_000, reopen=reopened.append)
    plain.look((900_000,), {})
    assert not reopened
    plain.look((1_100_000,), {})
    assert reopened == [plain]


def test_recordings_that_take_long_are_few() -> None:
    aside, ms = Aside(), 1_000_000
    aside.add(900 * ms)  # with what the first call has to import and compile
    assert not aside.tries_plain
    aside.add(400 * ms, 100 * ms)
    assert aside.tries_plain
    aside.plain.append(200 * ms)
    assert aside.won
    aside.plain[0] = 350 * ms  # without what is beside the work, recordings would take less
    assert not aside.won
    assert not aside.tries_plain
    aside.add(90 * ms, 80 * ms)
    aside.add(90 * ms, 80 * ms)
    assert aside.tries_plain
    aside.plain += [100 * ms, 100 * ms]
    assert not aside.won


def test_short_recordings_are_measured_more_often() -> None:
    aside = Aside()
    for _ in range(ROUNDS + 1):
        assert not aside.tries_plain
        aside.add(90_000)
    for _ in range(ROUNDS):
        assert aside.tries_plain
        assert not aside.won
        aside.call(abs, (1,), {})
    assert aside.won
    assert "recording took 90.0 us" in aside.summary()
