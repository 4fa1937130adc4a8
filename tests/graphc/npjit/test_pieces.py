"""Functions with breaks: what lies between them is compiled, found again, and gives the same values."""

from __future__ import annotations

import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from npjit_harness import copy_tree, diff

import graphc
from graphc.npjit import pending, pieces, settled, ways


@pytest.fixture(autouse=True)
def every_piece_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "WORTH", -1)
    monkeypatch.setattr(pieces, "SEEN", 1)
    monkeypatch.setattr(ways, "BRANCHES", 0)  # so that tests on data are breaks
    monkeypatch.setattr(settled, "ROUNDS", 1_000)  # so that plain Python does not take over


def converges(x: np.ndarray, w: np.ndarray, log: list[Any], state: dict[str, Any]) -> Any:
    rows, first = x[1:3], x[0]
    while np.abs(x).max() > 0.05:
        y = np.tanh(x @ w) * 0.5
        z = y * y - x * 0.1
        x *= 0.3
        x += z
        rows += 0.001
        log.append(z[0])
        state["last"] = {"y": y, "n": len(log)}
    return x, rows.sum(), first, log[-1].sum()


def branches(x: np.ndarray, w: np.ndarray, log: list[Any], state: dict[str, Any]) -> Any:
    a = np.exp(-x * x)
    b, c = np.split(a, 2)
    for i in range(4):
        if (a * i).sum() > 3:
            b += c * i
            log.append(float(b.mean()))
        else:
            a = a + 0.5 * b.sum()
        if i == 2 and b[0, 0] > 0:
            x[3, 3] = 7
    return a, b, c, x


def draws_and_fails(x: np.ndarray, w: np.ndarray, log: list[Any], state: dict[str, Any]) -> Any:
    for i in range(5):
        noise = np.random.rand(4, 4)
        x += noise * w
        log.append(x.sum())
        if x[0, 0] > 1.5:
            x[i, int(x[0, 0] * 3)] = 1
    return x


@pytest.mark.parametrize("f", [converges, branches, draws_and_fails])
def test_same_as_plain(f: Any) -> None:
    jitted = graphc.jit(f)
    for seed in range(5):
        r = np.random.default_rng(seed)
        args: tuple[Any, ...] = (r.normal(size=(4, 4)), r.normal(size=(4, 4)) * 0.3, [], {})
        plain, mine = copy_tree(args), copy_tree(args)
        found = []
        for g, given in ((f, plain), (jitted, mine)):
            np.random.seed(seed)
            try:
                found.append([g(*given), given, np.random.get_state()[2]])
            except IndexError as e:
                found.append([str(e), given, np.random.get_state()[2]])
        assert diff(*found) is None
    assert jitted.pieces.compiled > 0 or f is draws_and_fails


def test_pieces_are_found_again(capsys: pytest.CaptureFixture[str]) -> None:
    def told(x: np.ndarray) -> np.ndarray:
        for _ in range(3):
            x = np.tanh(x * 2) + x * x - 0.5
            print(x.sum())
        return x

    f = graphc.jit(told)
    for _ in range(2):
        f(np.ones(8))
    compiles = graphc.stats()["compiles"]
    for _ in range(4):
        f(np.ones(8))
    assert graphc.stats()["compiles"] == compiles
    plain = capsys.readouterr().out
    for _ in range(6):
        told(np.ones(8))
    assert [float(a) for a in plain.split()] == pytest.approx(
        [float(a) for a in capsys.readouterr().out.split()]
    )


@pytest.mark.parametrize(("made", "most"), [(graphc.jit, 8), (graphc.grad, 100)])
def test_values_go_when_nobody_needs_them_any_more(made: Any, most: int) -> None:
    """A long chain of large arrays takes the memory of a few, when it is recorded and when NumPy does it."""

    def f(x: Any) -> Any:
        for _ in range(40):
            x = np.tanh(x) + 0.1
        return x.sum()

    x, call = np.ones(1 << 16), made(f)
    for _ in range(4):
        tracemalloc.start()
        call(x)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most * x.nbytes


def test_a_hopeless_recording_leaves_calls_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where breaks are many and recording takes far longer than the work, functions are not entered."""
    monkeypatch.setattr(pending, "BEARABLE", 0)
    monkeypatch.setattr(pending, "OUTWEIGHED", 0)
    frames: list[Any] = []

    def step(x: np.ndarray, k: int, seen: list[Any]) -> Any:
        frames.append(step.__code__ is sys._getframe().f_code)
        x[k % 5] *= 0.5
        seen.append(x.sum())
        return (x > 0.4).sum()

    def program(x: np.ndarray, seen: list[Any]) -> Any:
        total = 0
        for k in range(3 * pending.MANY_BREAKS):
            total += int(step(x * 1.0, k, seen)) + k
            x[k % 5] += 0.01
        return total, x[::2]

    jitted = graphc.jit(program)
    for _ in range(4):
        plain: Any = [np.ones(5), []]
        mine = copy_tree(plain)
        assert diff([program(*plain), plain], [jitted(*mine), mine]) is None
    assert "recording it takes longer than it is worth" in jitted.explain()
    assert True in frames
