"""Arguments that are views of one array: arrays of their own, unless what is shared is written."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc

Args = tuple[Any, ...]


def rows(pairs: list[Args], w: np.ndarray) -> np.ndarray:
    total = np.zeros_like(w)
    for x, y in pairs:
        total += np.outer(x, np.tanh(x @ w) - y)
    return total


def cached(cells: list[np.ndarray], steps: list[np.ndarray], d: np.ndarray) -> np.ndarray:
    for c, x in zip(cells, steps, strict=True):
        c[...] = x.T @ d
        d = d * 0.5
    return d


def flat(w: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    w -= 0.1 * np.outer(x, b)
    b *= 0.5
    return x @ w + b


def late(holder: list[np.ndarray], out: np.ndarray) -> np.ndarray:
    first = holder[0][1:]
    out += first.sum()
    return first * 2 + holder[1][:-1]


def make(name: str, k: int) -> Args:
    r = np.random.default_rng(k)
    data, theta = r.normal(size=(6, 4)), r.normal(size=15)
    if name == "rows":
        return [(data[i], data[i, :3] * 2) for i in range(4)], theta[:12].reshape(4, 3)
    if name == "cached":
        steps = r.normal(size=(5, 3, 4))
        return list(theta[:12].reshape(3, 4, 1)), [steps[:, t] for t in range(3)], r.normal(size=(5, 1))
    if name == "flat":
        return theta[:12].reshape(4, 3), theta[12:], data[0]
    return [data[1:], data[:-1]], np.zeros(3)


def numbers(args: Any) -> list[float]:
    return [v for a in args for v in numbers(a)] if isinstance(args, list | tuple) else list(np.ravel(args))


@pytest.mark.parametrize("fn", [rows, cached, flat, late])
def test_views_of_one_array(fn: Callable[..., np.ndarray]) -> None:
    fast = graphc.jit(fn)
    for k in range(6):
        plain, mine = make(fn.__name__, k), make(fn.__name__, k)
        np.testing.assert_allclose(fast(*mine), fn(*plain), rtol=1e-12)
        assert numbers(mine) == pytest.approx(numbers(plain), rel=1e-12)
    assert fast.recordings == 1
    assert fast.hits == 5


def test_what_is_shared_and_written_is_seen_by_all() -> None:
    def both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        part = b[1:]
        before = part * 2
        a += 1
        return before + part + b.sum()

    fast = graphc.jit(both)
    for start in (5, 2, 5, 2, 4, 5):  # disjoint, and overlapping
        plain, mine = np.arange(10.0), np.arange(10.0)
        wanted = both(plain[:5], plain[start : start + 5])
        np.testing.assert_array_equal(fast(mine[:5], mine[start : start + 5]), wanted)
        np.testing.assert_array_equal(mine, plain)


def test_data_in_a_buffer_of_bytes() -> None:
    labels = np.frombuffer(bytes(range(10)) * 4, np.uint8)

    def step(w: np.ndarray, y: np.ndarray) -> None:
        w += np.eye(10)[y].sum(axis=0)

    fast = graphc.jit(step)
    mine, plain = np.zeros(10), np.zeros(10)
    for i in range(0, 32, 4):
        fast(mine, labels[i : i + 4])
        step(plain, labels[i : i + 4])
    np.testing.assert_array_equal(mine, plain)
    assert fast.recordings == 1


def test_gradients_of_views_of_one_array() -> None:
    theta = np.random.default_rng(1).normal(size=8)

    def loss(w: np.ndarray, b: np.ndarray, x: np.ndarray) -> Any:
        return np.sum(np.tanh(x * w) * b + x**2)

    args = theta[:3], theta[2:5], theta[5:]
    got = graphc.grad(loss, argnums=(0, 1, 2))(*args)
    wanted = graphc.grad(loss, argnums=(0, 1, 2))(*[a.copy() for a in args])
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12)
