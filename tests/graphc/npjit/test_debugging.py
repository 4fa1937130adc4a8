"""With GRAPHC_BACKEND=reference a debugger stops on the user's own lines, and sees the user's own values."""

from __future__ import annotations

import io
import linecache
import pdb
import re
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytest

import graphc


def doubled(x: np.ndarray) -> np.ndarray:
    twice = x * 2
    return twice + 1


class Net:
    """Weights, and a step that a debugger goes through."""

    def __init__(self) -> None:
        self.w = np.arange(4.0)

    def step(self, x: np.ndarray, rate: float) -> float:
        h = doubled(self.w * x)
        total = 0.0
        for row in h:
            if row > 3:
                total = total + row * row
        self.w = self.w - rate * h
        return total


def loss(w: np.ndarray, x: np.ndarray) -> Any:
    h = doubled(w * x)
    total = 0.0
    for row in h:
        if row > 3:
            total = total + row**2
    return total


X, W = np.ones(4), np.arange(4.0)
STOPS = "twice = x * 2", "total = total + row**2"


@pytest.fixture(autouse=True)
def reference(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")
    before = sys.gettrace()
    yield
    sys.settrace(before)


def line_of(text: str) -> int:
    """The first line of this file that has a text."""
    lines = linecache.getlines(__file__)
    return next(i for i, line in enumerate(lines, 1) if text in line)


def lines(f: Callable[..., Any], *args: Any) -> tuple[Any, list[tuple[str, int]]]:
    """The result of a call, and the lines of this file that Python tells a debugger of, with functions."""
    found: list[tuple[str, int]] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != __file__:
            return None
        if event == "line":
            found.append((frame.f_code.co_name, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        return f(*args), found
    finally:
        sys.settrace(None)


def session(commands: str, f: Callable[..., Any], *args: Any) -> tuple[Any, str]:
    """The result of a call within pdb, and what pdb prints."""
    out = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO(commands), stdout=out, nosigint=True, readrc=False)
    debugger.use_rawinput = False
    for text in STOPS:
        debugger.set_break(__file__, line_of(text))
    result = debugger.runcall(f, *args)
    return result, out.getvalue()


@pytest.mark.parametrize("times", [1, 3])
def test_lines_of_jitted_functions_and_methods(times: int) -> None:
    f, net, plain = graphc.jit(loss), Net(), Net()
    step = graphc.jit(net.step)
    for _ in range(times):
        assert lines(f, W, X) == lines(loss, W, X)
        assert lines(step, X, 0.1) == lines(plain.step, X, 0.1)
    assert np.array_equal(net.w, plain.w)


@pytest.mark.parametrize(
    "make", [graphc.value_and_grad, lambda f: graphc.jit(graphc.value_and_grad(graphc.jit(f)))]
)
def test_lines_of_functions_that_are_differentiated(make: Callable[..., Any]) -> None:
    (value, gradient), found = lines(make(loss), W, X)
    want, expected = lines(loss, W, X)
    assert value == want
    assert np.allclose(gradient, [0, 0, 20, 28])
    assert found == expected


@pytest.mark.parametrize("make", [graphc.jit, graphc.value_and_grad])
def test_pdb_stops_at_breakpoints_and_shows_values(make: Callable[..., Any]) -> None:
    commands = ["continue", "p 'in', x", "next", "p 'now', twice", "continue"]
    commands += ["p 'row', float(row)", "continue", "continue", ""]
    result, printed = session("\n".join(commands), make(loss), W, X)
    assert (result if make is graphc.jit else result[0]) == 74
    inside, row = (line_of(text) for text in STOPS)
    stops = re.findall(r"> .*test_debugging.py\((\d+)\)(\w+)\(\)", printed)
    places = [(inside, "doubled"), (inside + 1, "doubled"), (row, "loss"), (row, "loss")]
    assert stops == [(str(line), name) for line, name in places]
    for text in ("'in', array([0., 1., 2., 3.])", "'now', array([0., 2., 4., 6.])", "'row', 5.0"):
        assert text in printed


def test_pdb_shows_the_frames_of_callers() -> None:
    commands = ["continue", "up", "p 'above', w.tolist()", "continue", "continue", "continue", ""]
    _, printed = session("\n".join(commands), graphc.jit(loss), W, X)
    assert "'above', [0.0, 1.0, 2.0, 3.0]" in printed
