"""Loops over windows that slide: one view of all windows, and a graph that does not grow with the loop."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.codegen.compiled import compile
from graphc.ir import Builder, tensor
from graphc.ir.evaluate import run
from graphc.npjit.native.sliding import grid, overlapping

GRIDS = {
    "one axis": ((9, 3), (4, 3), [range(6)]),
    "by two": ((9, 3), (4, 3), [range(0, 6, 2)]),
    "down": ((9, 3), (4, 2), [range(5, -1, -1)]),
    "last axis": ((3, 9), (2, 4), [range(1, 2), range(6)]),
    "middle axis": ((2, 9, 3), (2, 5, 2), [range(1), range(4, 1, -1), range(1, 2)]),
    "two axes": ((7, 8), (3, 2), [range(5), range(0, 7, 2)]),
    "apart": ((6, 4, 7), (2, 4, 3), [range(1, 5), range(1), range(4, -1, -2)]),
    "gaps": ((12, 3), (2, 3), [range(0, 10, 5)]),
    "single": ((5, 5), (1, 2), [range(5), range(3, -1, -1)]),
}


@pytest.mark.parametrize("dtype", ["f32", "f64", "i64", "i32", "u8", "bool"])
@pytest.mark.parametrize("name", GRIDS)
def test_windows_of_a_grid(name: str, dtype: str) -> None:
    whole, box, ranges = GRIDS[name]
    ranges = [*ranges, *[range(1)] * (len(whole) - len(ranges))]
    places = list(product(*ranges))
    b = Builder("windows")
    x = b.input("x", tensor(dtype, *whole))
    nodes = []
    for start in places:
        stop = tuple(a + n for a, n in zip(start, box))
        nodes.append(b.slice(x, start=start, stop=stop, step=(1,) * len(whole)))
    made = [b.nodes[-len(places) + i] for i in range(len(places))]
    starts = np.array(places, object)
    moving = np.flatnonzero((starts != starts[0]).any(0)).tolist()
    stacked = overlapping(b, made, starts, moving)
    assert stacked is not None
    b.output(stacked)
    graph = b.build()
    values = (np.random.default_rng(0).normal(size=whole) * 20).astype(graph.inputs[0].type.dtype.numpy)
    expected = np.stack([values[tuple(slice(a, a + n) for a, n in zip(p, box))] for p in places])
    np.testing.assert_array_equal(run(graph, {"x": values}).outputs[0], expected)
    if dtype in ("f32", "bool"):
        np.testing.assert_array_equal(compile(graph)(values), expected)


@pytest.mark.parametrize(
    "places",
    [
        [(0, 0), (1, 1), (2, 2)],
        [(0, 0), (0, 1), (0, 2), (1, 0), (1, 3)],
        [(0, 0), (0, 2), (0, 3)],
        [(0, 0), (1, 0), (0, 0), (1, 0)],
        [(0, 0), (0, 1), (1, 1), (1, 0)],
    ],
)
def test_places_that_are_no_grid(places: list[tuple[int, int]]) -> None:
    starts = np.array(places, object)
    assert grid(starts, np.flatnonzero((starts != starts[0]).any(0)).tolist()) is None


def moving_average(x: np.ndarray, n: int) -> Any:
    out = np.zeros(n, x.dtype)
    for t in range(n):
        out[t] = (x[t : t + 4, 0] * 2).sum()
    return out


def recurrent(x: np.ndarray, n: int) -> Any:
    h = np.zeros(x.shape[1], x.dtype)
    for t in range(n):
        h = np.tanh(x[t : t + 3].sum(axis=0) * 0.1 + h)
    return h


def backwards(x: np.ndarray, n: int) -> Any:
    h, found = x[0] * 0.5, []
    for t in range(n - 1, -1, -1):
        h = h * 0.5 + x[t : t + 2].max(axis=0) - x[t + 1 : t + 3].min(axis=0)
        found.append(h[0])
    return h, np.array(found)


def strided(x: np.ndarray, n: int) -> Any:
    total = x[0, 0] * 0.0
    for t in range(0, n, 2):
        total = total * 0.9 + (x[t : t + 5] * x[:5]).sum() + x[t : t + 2, 1].mean()
    return [total]


def images(x: np.ndarray, n: int) -> Any:
    m = n // 4
    picture = np.concatenate([x[:m]] * 4, axis=1)
    out = np.zeros((m - 2, picture.shape[1] - 2), x.dtype)
    for i in range(m - 2):
        for j in range(picture.shape[1] - 2):
            out[i, j] = (picture[i : i + 3, j : j + 3] * x[:3, :1]).sum()
    return out


def attention(x: np.ndarray, n: int) -> Any:
    rows = []
    for t in range(n):
        window = x[t : t + 3]
        scores = np.exp(window @ x[t + 1])
        rows.append((scores / scores.sum()) @ window)
    return np.array(rows)


def filled(x: np.ndarray, n: int) -> Any:
    y = x.copy()
    for t in range(1, n):
        y[t] = y[t - 1] * 0.5 + x[t : t + 2].sum(axis=0) * 0.1
    return y


LOOPS = [moving_average, recurrent, backwards, strided, images, attention, filled]


@pytest.mark.parametrize("f", LOOPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loops_over_windows_do_not_grow(f: Callable[..., Any], dtype: Any) -> None:
    counts = []
    for n in (40, 80):
        x = np.random.default_rng(n).normal(size=(n + 6, 4)).astype(dtype)
        fast = graphc.jit(f)
        fast(x, n)
        native = fast.fast[2,][0].fast.native()
        assert not native.kept
        counts.append(sum(len(g.nodes) for g in native.graphs))
        tolerance = 1e-5 if dtype == np.float32 else 1e-12
        for got, expected in zip(native((x, n), {}), f(x, n)):
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    assert counts[1] <= counts[0] + 8
    assert counts[0] < 80
