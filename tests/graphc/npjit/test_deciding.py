"""Sizes and layouts that data decide: a deferred number or array says how long a result is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from npjit_harness import diff

import graphc


def count(x: np.ndarray) -> Any:
    return (x > 0).sum()


CASES: dict[str, Callable[[np.ndarray], Any]] = {
    "zeros": lambda x: (
        np.zeros(count(x)).sum() + len(np.zeros((count(x), 2))),
        np.ones((2, count(x))).shape,
    ),
    "constructors": lambda x: [f(count(x)).shape for f in (np.empty, np.eye, np.identity, np.tri, np.arange)],
    "full": lambda x: np.full(count(x), x[0]),
    "like": lambda x: np.zeros_like(x, shape=count(x)).shape,
    "classes": lambda x: np.zeros((2, np.abs(x).astype(int).max() + 1)).shape,
    "one hot": lambda x: np.eye(count(x) + 1)[count(x)],
    "by argmax": lambda x: np.ones((x.argmax() + 1, 2)).shape,
    "linspace": lambda x: (np.linspace(0, 1, count(x)).shape, len(np.linspace(0, 1, num=int(count(x))))),
    "tile": lambda x: (np.tile(x, count(x)).shape, np.tile(x, (count(x), 2)).shape),
    "repeat": lambda x: (np.repeat(x, count(x)).shape, x.repeat(count(x)).shape),
    "repeat by an array": lambda x: (len(np.repeat(x, x > 0)), x.repeat((x > 0) * 2).shape),
    "reshape": lambda x: (x[: count(x)].reshape(count(x), 1).shape, np.reshape(x[: count(x)], (1, count(x)))),
    "pad": lambda x: np.pad(x, ((0, count(x)),)).shape,
    "broadcast": lambda x: np.broadcast_to(x, (count(x), len(x))).shape,
    "split": lambda x: (np.split(x, [count(x)]), [len(v) for v in np.split(x, np.flatnonzero(x > 0))]),
    "array_split": lambda x: [v.shape for v in np.array_split(x, count(x))],
    "delete": lambda x: (len(np.delete(x, x > 0)), np.delete(x, count(x) // 2).shape),
    "insert": lambda x: np.insert(x, np.flatnonzero(x > 0), 0.0).shape,
    "compress": lambda x: (x.compress(x > 0).shape, len(np.compress(x > 0, x))),
    "axis": lambda x: (np.expand_dims(x, int(x[0] > 0)).shape, np.ones((2, 3)).sum(axis=int(x[0] > 0))),
    "diag": lambda x: np.diag(x, count(x)).shape,
    "diff": lambda x: np.diff(x, int(x[0] > 0) + 1).shape,
    "power": lambda x: np.linalg.matrix_power(np.eye(2) * 2, count(x)),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, count(x)).shape,
    "draws": lambda x: (
        np.random.rand(count(x)),
        np.random.permutation(count(x)),
        np.random.normal(size=count(x)),
    ),
    "draws of a mask": lambda x: (np.random.permutation(x[x > 0]), np.random.choice(x[x > 0], 3)),
    "generator": lambda x: np.random.default_rng(0).normal(size=(count(x), 2)),
    "lists": lambda x: ([0] * int(count(x)), int(count(x)) * (1, 2), "ab" * int(count(x))),
    "roots": lambda x: np.roots(np.round(x)).shape,
    "sets": lambda x: np.setxor1d(np.round(x), [0.0]).shape,
    "divmod": lambda x: divmod(int(count(x)), 2),
}


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_sizes_from_data(f: Callable[[np.ndarray], Any]) -> None:
    jitted = graphc.jit(f)
    for seed in (0, 0, 1, 0):
        x = np.random.default_rng(seed).normal(size=9)
        np.random.seed(seed)
        expected = f(x), np.random.rand()
        np.random.seed(seed)
        assert diff(expected, (jitted(x), np.random.rand())) is None


def test_a_mask_of_what_was_taken_by_a_mask() -> None:
    def taken(y: np.ndarray, x: np.ndarray) -> Any:
        z, m = y[np.flatnonzero(x > -99)], x > 0
        return len(z[m]), z[m] / len(z[m]), len(z[~m])

    x, y = np.random.default_rng(3).normal(size=(2, 9))
    jitted = graphc.jit(taken)
    for _ in range(3):
        assert diff(taken(y, x), jitted(y, x)) is None


def test_counts_keep_a_gradient() -> None:
    w = np.array([1.0, 2.0, 3.0])
    g = graphc.grad(lambda x: np.sum(np.repeat(x, np.array([0, 1, 2])) ** 2) + np.sum(np.delete(x, x > 2.5)))
    assert g(w).tolist() == [1.0, 5.0, 12.0]


DECIDED = {
    "complex or real": (lambda a: np.linalg.eig(a)[0] * 2, [np.array([[0, -1.0], [1, 0]]), np.eye(2)]),
    "roots": (lambda a: np.emath.sqrt(a[0] - 1) * 2, [np.array([[0, 2.0]]), np.array([[1.0, 2]])]),
    "residuals": (
        lambda a: [r * 2 for r in np.linalg.lstsq(a, np.arange(3.0), rcond=None)],
        [np.ones((3, 2)), np.arange(6.0).reshape(3, 2)],
    ),
    "a mask in ix_": (lambda a: a[np.ix_(a[0] > 0, [0, 1])].shape, [np.eye(2), np.ones((2, 2))]),
    "nonzero": (lambda a: [i * 2 for i in a[0].nonzero()[0]], [np.eye(2), np.ones((2, 2))]),
    "tolist": (lambda a: np.where(a[0] > 0)[0].tolist(), [np.ones((1, 5)), np.zeros((1, 5)), np.eye(4)]),
    "a set": (lambda a: sorted({*(a[0] > 0).tolist(), 7}), [np.eye(2), np.ones((2, 2))]),
    "compress": (lambda a: a.compress(a[0] > 0, axis=1).sum(0), [np.eye(2), np.ones((2, 2))]),
    "bins": (lambda a: np.histogram(a, "auto")[0] * 2, [np.arange(8.0).reshape(2, 4), np.ones((2, 2))]),
}


@pytest.mark.parametrize("name", DECIDED)
def test_element_types_and_lengths_that_data_decide(name: str) -> None:
    f, inputs = DECIDED[name]
    jitted = graphc.jit(f)
    for a in inputs * 3:
        assert repr(jitted(a)) == repr(f(a))


def sliced(b: np.ndarray) -> Any:
    c = b[1:]
    c += 1
    return b, c


def reshaped(b: np.ndarray) -> Any:
    c = b.reshape(-1, 1)
    c *= 2
    d = b.T[::-1]
    d[:1] = 9
    return b, c, d


def passed_on(b: np.ndarray) -> Any:
    c = np.asarray(b)
    c[0] = 7
    d = np.atleast_2d(b).ravel()
    d -= 1
    u, v = b[:1], b[-1:]
    u += v
    return b, c, d, u


def trimmed(b: np.ndarray) -> Any:
    c = np.trim_zeros(b)
    c += 1
    return b, c


@pytest.mark.parametrize("change", [sliced, reshaped, passed_on, trimmed])
@pytest.mark.parametrize("make", [lambda x: x[x > 0], np.unique, lambda x: x[np.flatnonzero(x)]])
def test_views_of_arrays_whose_lengths_data_decide(make: Any, change: Any) -> None:
    def program(x: np.ndarray) -> Any:
        return change(make(x))

    jitted = graphc.jit(program)
    for i in range(6):
        x = np.array([0.0, 1, -1, 2, 3, -2, 0])[: 7 - i % 3]
        assert diff(program(x.copy()), jitted(x.copy())) is None
