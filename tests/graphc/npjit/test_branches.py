"""Tests on data: each way through them is recorded once, and taken again where the outcomes are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from npjit_harness import copy_tree, diff

import graphc
from graphc.npjit import ways
from graphc.npjit.choice import Choice


def early_stopping(w: np.ndarray, g: np.ndarray, state: dict[str, Any]) -> Any:
    w -= 0.1 * g
    loss = (w**2).sum()
    if loss < state["best"]:
        state["best"], state["bad"] = loss, 0
        state["kept"] = w.copy()
    else:
        state["bad"] += 1
        w[0] = 0.5
    return loss, w * 2


def random_choice(w: np.ndarray, g: np.ndarray, state: dict[str, Any]) -> Any:
    view = w[1:]
    if np.random.rand() < 0.5:
        view += np.random.randn(4)
    w *= 0.5
    return (1 if view.sum() > 0 else -1), view


def raises(w: np.ndarray, g: np.ndarray, state: dict[str, Any]) -> Any:
    w += g
    if not (w < 1.5).all():
        state["failed"] = True
        raise FloatingPointError("large")
    assert w.min() > -2, "small"
    return w


def halvings(w: np.ndarray, g: np.ndarray, state: dict[str, Any]) -> Any:
    n = 0
    while np.linalg.norm(g) > 0.5:
        g = g * 0.5
        n += 1
    w += g
    return n, max(w[0], w[1]), min(1.0, w.sum()), np.allclose(w, 0) or bool(w[0] > 0)


PROGRAMS = [early_stopping, random_choice, raises, halvings]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("f", PROGRAMS)
def test_as_plain(f: Any, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if compiled:
        monkeypatch.setattr(Choice, "_settled", lambda choice, best: choice.fast.flat)
    jitted = graphc.jit(f)
    r = np.random.default_rng(0)
    plain: list[Any] = [np.ones(5), None, {"best": 1e9, "bad": 0}]
    mine = copy_tree(plain)
    for i in range(40):
        g = r.normal(size=5) * (1 + i % 3)
        found = []
        for call, given in ((f, plain), (jitted, mine)):
            given[1] = g.copy()
            np.random.seed(i)
            try:
                result = call(*given)
            except (FloatingPointError, AssertionError) as e:
                result = type(e), str(e)
            found.append([result, given, np.random.get_state()[2]])
        assert diff(*found) is None


def test_each_way_is_recorded_once() -> None:
    jitted = graphc.jit(early_stopping)
    state = {"best": np.float64(1e9), "bad": 0, "kept": np.ones(5)}
    w = np.ones(5)
    for i in range(40):
        jitted(w, np.full(5, (-1.0) ** i), state)
    assert jitted.recordings == 2
    assert "break" not in jitted.explain()


def test_too_many_ways_are_recorded_each_time() -> None:
    def halved(x: np.ndarray) -> int:
        n = 0
        while x.sum() > 1:
            x = x * 0.5
            n += 1
        return n

    jitted = graphc.jit(halved)
    for i in range(20):
        x = np.full(3, 2.0**i)
        assert jitted(x) == halved(x)
    assert f"more than {ways.FEW_BRANCHES} ways" in jitted.explain()


def test_gradients_of_both_ways() -> None:
    f = graphc.value_and_grad(lambda w: (w**2).sum() if w.sum() > 0 else (w**3).sum())
    for i in range(10):
        w = np.array([1.0, -2.0, 0.5]) * (-1) ** i
        np.testing.assert_allclose(f(w)[1], 2 * w if w.sum() > 0 else 3 * w**2)
    assert f.recordings == 2


def test_a_failing_change_has_done_its_part() -> None:
    def divided(a: np.ndarray) -> Any:
        view = a[1:]
        try:
            with np.errstate(divide="raise"):
                view /= 0.0
        except FloatingPointError as e:
            return str(e)
        return None

    for _ in range(4):
        x, y = np.ones(3), np.ones(3)
        assert divided(x) == graphc.jit(divided)(y)
        assert x.tolist() == y.tolist() == [1, np.inf, np.inf]


def test_calls_that_go_now_this_way_now_that_are_right_and_soon_straight() -> None:
    def f(x: Any) -> Any:
        n = 0
        while np.abs(x).sum() > 1.0 and n < 4:
            x, n = x * 0.5, n + 1
        return x, n

    jitted = graphc.jit(f)
    values = [np.full(4, 0.6 * 2.0**i) for i in (0, 2, 1, 3)]
    for _ in range(12):
        for x in values:
            expected, found = f(x), jitted(x)
            np.testing.assert_array_equal(found[0], expected[0])
            assert found[1] == expected[1]
    assert jitted.recordings <= 8
