"""Jitted functions inside of `@njit` code, and `@njit` functions inside of jitted ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from npjit_harness import copy_tree, diff

import graphc
from graphc.ir.errors import GradientError

numba = pytest.importorskip("numba")
BY = 2.0


@graphc.jit
def doubled(x: Any) -> Any:
    return x * x + x


@graphc.jit
def both(x: Any, a: Any, by: Any = 3.0) -> Any:
    return x.sum() * a, doubled(x) * by


@graphc.jit
def written(x: Any, v: Any) -> None:
    x[0] = v
    x += 1


@graphc.jit
def checked(x: Any) -> Any:
    if x[0] > 5:
        raise ValueError("large")
    return x


@numba.njit
def of_jitted(x: Any, a: Any, f: Any) -> Any:
    s, y = both(x, a)
    t = both(x, a, 1.0)[0]
    written(x, 4.0)
    for i in range(3):
        t += doubled(x[i])
    return s, y, t, checked(x), f(x)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_jitted_functions_inside_njit(dtype: Any) -> None:
    def plain(x: Any, a: Any) -> Any:
        s, y, t = x.sum() * a, (x * x + x) * 3.0, x.sum() * a
        x[0] = 4
        x += 1
        for i in range(3):
            t += x[i] * x[i] + x[i]
        return s, y, t, x, x * x + x

    x, y = np.arange(3).astype(dtype), np.arange(3).astype(dtype)
    for expected, found in zip(plain(x, 2), of_jitted(y, 2, doubled), strict=True):
        np.testing.assert_allclose(expected, found, rtol=1e-6)
    assert x.tolist() == y.tolist()
    assert of_jitted(y, 2, doubled)[3] is not None
    with pytest.raises(ValueError, match="large"):
        checked_inside(np.full(3, 9).astype(dtype))


@numba.njit
def checked_inside(x: Any) -> Any:
    return checked(x)


@numba.njit
def weighed(x: Any, a: Any) -> Any:
    s = 0.0
    for v in x:
        s += v * a
    return s


@numba.njit
def several(x: Any) -> Any:
    x[1] *= 2
    if x[0] > 5:
        raise IndexError("big")
    return x.sum(), x * 2, (1, x[0])


@numba.vectorize
def fused(a: Any, b: Any) -> Any:
    return a * b + 1


def of_njit(x: Any, state: Any) -> Any:
    y = x + 1
    try:
        a, b, (c, d) = several(y)
    except IndexError as e:
        a, b, c, d = str(e), y, 0, 0
    state["n"] += 1
    state["w"] -= weighed(x * 2, BY)
    view = x[1:]
    view *= 2
    return a, b * 2, c, d, y, fused(x, 2.0), fused(x, x[::-1]).sum(), weighed(view, state["n"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_njit_functions_inside_jitted_ones(dtype: Any) -> None:
    jitted = graphc.jit(of_njit)
    plain = {"n": 0, "w": np.ones(2)}
    mine = copy_tree(plain)
    for i in range(8):
        x, y = np.arange(3).astype(dtype) + i, np.arange(3).astype(dtype) + i
        assert diff([of_njit(x, plain), x, plain], [jitted(y, mine), y, mine]) is None


def test_gradients_do_not_pass_through_njit() -> None:
    constant = graphc.grad(lambda x: np.sum(x * weighed(np.ones(3), 2.0)))
    assert constant(np.arange(3.0)).tolist() == [6.0, 6.0, 6.0]
    with pytest.raises(GradientError, match="no gradient of"):
        graphc.grad(lambda x: weighed(x, 2.0) * 3)(np.arange(3.0))
