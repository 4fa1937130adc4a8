"""Recordings that take too long are given up: everything is taken back, and plain Python does the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from npjit_harness import copy_tree, diff

import graphc
from graphc.npjit import pending, recording
from graphc.npjit.straight import is_known


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LIMIT", 40)
    monkeypatch.setattr(pending, "MANY_TESTS", 8)


class Net:
    def __init__(self) -> None:
        self.w, self.count, self.seen = np.ones(4), 0, []


def elements(net: Any, x: np.ndarray, log: list[Any]) -> Any:
    net.count += 1
    net.first = x[0]
    log.append(x[1])
    x[0] = 7
    for i in range(30):
        net.w[i % 4] += x[i % 3] * 0.5
        log.append(net.w[1])
        net.seen.append(i)
    del net.seen[3:]
    return net.w.sum(), log[-1]


def data_decide(net: Any, x: np.ndarray, log: list[Any]) -> Any:
    net.count += 1
    for i in range(40):
        if x[i % 3] > 0.2:
            net.w = net.w * 0.9
            log.append(i)
        x[i % 3] += 0.1
    return net.w


def with_finally(net: Any, x: np.ndarray, log: list[Any]) -> Any:
    for i in range(3):
        try:
            log.append(x[5])
        except IndexError:
            for k in range(30):
                x[0] += 0.5 * k
        else:
            for k in range(30):
                x[1] -= 0.25 * k
        finally:
            net.count += i
            print("done", i)
    return x.sum()


def printing(net: Any, x: np.ndarray, log: list[Any]) -> Any:
    print(x.sum())
    for i in range(50):
        x[i % 3] += net.w[i % 4]
    return x


def drawing(net: Any, x: np.ndarray, log: list[Any]) -> Any:
    for i in range(20):
        if x[i % 3] + np.random.rand() > 0.5:
            x[i % 3] -= 0.25
            net.count += 1
    return x * 2


def nested(net: Any, x: np.ndarray, log: list[Any]) -> Any:
    try:
        return elements(net, x, log)
    finally:
        net.count += 1


def with_manager(net: Any, x: np.ndarray, log: list[Any]) -> Any:
    with np.errstate(all="ignore"):
        result = elements(net, x / 0.0, log)
    return result, np.geterr()


PROGRAMS = [elements, data_decide, with_finally, printing, drawing, nested, with_manager]


@pytest.mark.parametrize("f", PROGRAMS)
def test_as_plain(f: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    jitted = graphc.jit(f)
    for length in (3, 3, 7, 3, 7, 3, 3, 3, 3, 7):
        given = [np.linspace(0, 1, length), [0]]
        states = []
        for call in (f, jitted):
            net, (x, log) = Net(), copy_tree(given)
            np.random.seed(length)
            with np.errstate(divide="ignore"):
                result = call(net, x, log)
            states.append([result, vars(net), x, log, np.random.rand(), capsys.readouterr().out])
        assert diff(*states) is None


@pytest.mark.parametrize("f", [elements, data_decide])
def test_it_is_tried_once(f: Callable[..., Any]) -> None:
    jitted = graphc.jit(f)
    for _ in range(5):
        jitted(Net(), np.linspace(0, 1, 3), [0])
    assert jitted.recordings == 1
    assert "recording it takes too long" in jitted.explain()


def test_functions_are_not_entered_behind_many_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a `try` nothing can be taken back."""
    monkeypatch.setattr(pending, "BEARABLE", 0)
    monkeypatch.setattr(pending, "OUTWEIGHED", 0)
    jitted = graphc.jit(twice)
    for _ in range(3):
        states = []
        for call in (twice, jitted):
            net, x, log = Net(), np.linspace(0, 1, 3), [0]
            states.append([call(net, x, log), vars(net), x, log])
        assert diff(*states) is None
    assert "call of elements (recording it takes longer than it is worth)" in jitted.explain()


def twice(net: Any, x: np.ndarray, log: list[Any]) -> Any:
    try:
        return elements(net, x, log), elements(net, x, log)
    finally:
        net.count += 1


def test_gradients_go_on() -> None:
    def loss(w: np.ndarray) -> Any:
        total = 0.0
        for i in range(40):
            total = total + w[i % 3] ** 2
        return total

    np.testing.assert_allclose(graphc.grad(loss)(np.arange(3.0)), 2 * np.arange(3.0) * [14, 13, 13])


def test_recordings_that_no_later_call_is_for() -> None:
    """Each call brings an object of another class."""

    def scaled(net: Any, x: np.ndarray) -> Any:
        return x * net.factor + 1

    jitted = graphc.jit(scaled)
    for i in range(20):
        net = type("Net", (), {"factor": i})()
        assert jitted(net, np.ones(3)).tolist() == [i + 1.0] * 3
    assert jitted.recordings < 6
    assert "no recording is for a later call" in jitted.explain()
    assert (jitted.straight_calls > 0) == is_known()


def test_modes_that_come_again_are_all_recorded() -> None:
    class Modal:
        mode = "0"

        def run(self, x: np.ndarray) -> Any:
            return x * len(self.mode) + 1

    net = Modal()
    jitted = graphc.jit(net.run)
    for i in range(60):
        net.mode = "1" * (i % 3)
        assert jitted(np.ones(3)).tolist() == [i % 3 + 1.0] * 3
    assert "no recording is for a later call" not in jitted.explain()
