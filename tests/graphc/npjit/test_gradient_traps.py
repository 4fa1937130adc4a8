"""Derivatives that are infinite or NaN where nobody looks, and subgradients where there is no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc

X = np.array([4.0, 0.0, -3.0])
LOOKED_AT_FIRST = np.array([0.25, 0.0, 0.0])


def stored(x: Any) -> Any:
    y = np.sqrt(x)
    y[1:] = 0
    return y.sum()


UNTAKEN = {
    "index": lambda x: np.sqrt(x)[0],
    "mask": lambda x: np.sum(np.sqrt(x)[x > 0]),
    "take": lambda x: np.take(np.sqrt(x), 0),
    "take_along_axis": lambda x: np.take_along_axis(np.sqrt(x), np.array([0]), 0).sum(),
    "compress": lambda x: np.compress(x > 0, np.sqrt(x)).sum() * 0.5 + np.sqrt(x).compress(x > 0).sum() * 0.5,
    "extract": lambda x: np.extract(x > 0, np.sqrt(x)).sum(),
    "delete": lambda x: np.delete(np.sqrt(x), [1, 2]).sum(),
    "repeat": lambda x: np.repeat(np.sqrt(x), [1, 0, 0]).sum(),
    "sum where": lambda x: np.sum(np.sqrt(x), where=x > 0),
    "mean where": lambda x: np.mean(np.sqrt(x), where=x > 0),
    "prod where": lambda x: np.prod(np.sqrt(x), where=x > 0),
    "max where": lambda x: np.max(np.sqrt(x), where=x > 0, initial=0),
    "out where": lambda x: np.sqrt(x, out=np.zeros(3), where=x > 0).sum(),
    "triangle": lambda x: np.tril(np.sqrt(x) * np.ones((1, 3)))[0].sum(),
    "diagonal": lambda x: np.diagonal(np.sqrt(x)[None])[0],
    "trace": lambda x: np.trace(np.sqrt(x)[None]),
    "split": lambda x: np.split(np.sqrt(x), [1])[0].sum(),
    "unstack": lambda x: np.sqrt(x)[:, None].T[0][0],
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(np.sqrt(x), 2)[0, 0],
    "stored over": stored,
    "nanmax": lambda x: np.nanmax(np.sqrt(x)),
    "einsum": lambda x: np.einsum("i->", np.where(x > 0, np.sqrt(x), 0)),
}


@pytest.mark.parametrize("name", UNTAKEN)
def test_what_is_not_taken_has_gradient_0(name: str) -> None:
    f = graphc.grad(UNTAKEN[name])
    with np.errstate(all="ignore"):
        for _ in range(2):
            np.testing.assert_allclose(f(X), LOOKED_AT_FIRST)


@pytest.mark.parametrize("order", [None, 1, 2, 3, 1.5])
def test_norms_at_the_origin(order: Any) -> None:
    f = graphc.grad(
        lambda x: np.linalg.norm(x, order) + np.sum(np.linalg.norm(x.reshape(2, 2), order, axis=1))
    )
    assert f(np.zeros(4)).tolist() == [0, 0, 0, 0]
    row = graphc.grad(lambda x: np.linalg.norm(x, order, axis=1).sum())(np.array([[0.0, 0.0], [0.0, 2.0]]))
    np.testing.assert_allclose(row, [[0, 0], [0, 1]])


@pytest.mark.parametrize("f", [np.std, np.nanstd])
def test_spread_of_equal_numbers(f: Any) -> None:
    assert graphc.grad(lambda x: f(x) + np.sum(f(x.reshape(2, 2), axis=1)))(np.ones(4)).tolist() == [0] * 4


def test_whole_quotients_are_those_of_the_remainder() -> None:
    gx, gy = graphc.grad(lambda x, y: np.sum(x % y), (0, 1))(np.array([1.0]), np.array([0.1]))
    assert (gx.tolist(), gy.tolist()) == ([1.0], [-9.0])
