"""Sums over windows that slide: the bits of the loop, and a graph that does not grow with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc


def overlap_add(x: np.ndarray, w: np.ndarray, n: int) -> Any:
    out = np.zeros(2 * n + 5, x.dtype)
    for t in range(n):
        out[2 * t : 2 * t + 4] += w[:4, 0] * x[t, 0]
    return out


def into_argument(x: np.ndarray, w: np.ndarray, n: int) -> Any:
    y = x * 1
    for t in range(n - 1, -1, -1):
        y[t : t + 3] -= w[:3, :3] * x[t + 1, 0]
    return y


def columns(x: np.ndarray, w: np.ndarray, n: int) -> Any:
    y = x.T.copy()
    for t in range(n):
        y[1:3, t : t + 2] += y.shape[0] * w[:2, :2]
    return y


def two_sums(x: np.ndarray, w: np.ndarray, n: int) -> Any:
    a, b, total = np.zeros(n + 4, x.dtype), np.ones(n + 9, x.dtype), x[0] * 0
    for t in range(n):
        a[t : t + 3] += x[t] * 2
        b[t + 2 : t + 4] += x[t, :2] * w[0, 0]
        total = total + x[t] * w[1, :3]
    return a, b, total


def images(x: np.ndarray, w: np.ndarray, n: int) -> Any:
    m = n // 4
    d, picture = x[:m, :1] * x[:6, 1], np.concatenate([x, x, x], axis=1)
    dx, dw = np.zeros((m + 2, 8), x.dtype), np.zeros_like(w[:3, :3])
    for i in range(m):
        for j in range(6):
            dw += picture[i : i + 3, j : j + 3] * d[i, j]
            dx[i : i + 3, j : j + 3] += w[:3, :3] * d[i, j]
    return dx, dw


def batches(x: np.ndarray, w: np.ndarray, n: int) -> Any:
    d = x.T[:2, : n // 6, None] * x[:3, 0]
    dx = np.zeros((2, 3, n // 6 + 2, 7), x.dtype)
    for k in range(2):
        for i in range(n // 6):
            for j in range(3):
                dx[k, :, i : i + 3, 2 * j : 2 * j + 3] += w[:3, :3] * d[k, i, j]
    return dx


def read_between(x: np.ndarray, w: np.ndarray, n: int) -> Any:
    y, total = np.zeros(n + 3, x.dtype), x[0, 0] * 0
    for t in range(n):
        y[t : t + 3] += x[t]
        total = total + y[t]
    return y, total


def not_a_line(x: np.ndarray, w: np.ndarray, n: int) -> Any:
    y = np.zeros(n + 3, x.dtype)
    for t in range(n):
        k = (t * t) % n
        y[k : k + 3] += x[t]
    return y


SUMS = [overlap_add, into_argument, columns, two_sums, images]


def arrays(n: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    x, w = (rng.normal(size=(n + 6, 3)) * 9).astype(dtype), (rng.normal(size=(4, 4)) * 9).astype(dtype)
    if x.dtype.kind == "f":
        x[3, 0], x[7], w[0, 1] = -0.0, np.nan, -0.0
    return x, w


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
@pytest.mark.parametrize("f", [*SUMS, batches, read_between, not_a_line])
def test_sums_over_windows_have_the_bits_of_the_loop(f: Callable[..., Any], dtype: Any) -> None:
    counts = []
    for n in (24, 48):
        x, w = arrays(n, dtype)
        fast = graphc.jit(f)
        fast(x, w, n)
        native = fast.fast[3,][0].fast.native()
        assert not native.kept
        counts.append(sum(len(g.nodes) for g in native.graphs))
        got, expected = native((x, w, n), {}), f(x, w, n)
        for a, b in zip(got, expected) if isinstance(expected, tuple) else [(got, expected)]:
            np.testing.assert_array_equal(a, b)
            if x.dtype.kind == "f":
                np.testing.assert_array_equal(np.signbit(a)[~np.isnan(a)], np.signbit(b)[~np.isnan(b)])
    if f in SUMS:
        assert counts[1] <= counts[0] + 8


def smoothed(x: np.ndarray) -> Any:
    h = x[0] * 0.5
    for t in range(14):
        h = np.tanh((x[t : t + 3] * x[t + 1]).sum(axis=0) * 0.3 + h)
    return (h * h).sum()


def test_gradients_of_windows_that_slide() -> None:
    x = np.random.default_rng(0).normal(size=(18, 2))
    graphc.check_grads(smoothed, (x,))
    fast = graphc.value_and_grad(smoothed)
    value, gradient = fast(x)
    for _ in range(20):
        again, same = fast(x)
        np.testing.assert_allclose(again, value, rtol=1e-12)
        np.testing.assert_allclose(same, gradient, rtol=1e-10, atol=1e-12)
