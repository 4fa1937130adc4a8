"""The order in memory of what a call gives is NumPy's, also from native code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc

X = np.random.default_rng(0).normal(size=(4, 6))
Z = np.random.default_rng(1).normal(size=(3, 4, 5))


def by_columns(x: Any) -> Any:
    t = x.T
    return t * 2, np.tanh(t) + 1, np.where(t > 0, t, 0), (t - t.mean(0)).T, np.exp(t).reshape(-1)


def by_other_axes(z: Any) -> Any:
    t = z.transpose(2, 0, 1)
    return t * 2 + 1, t.sum(0) * 3, np.maximum(t, 0), t[1:] - t[:-1], np.swapaxes(t, 0, 1) * 1, t.T / 2


def mixed(x: Any) -> Any:
    f = np.asfortranarray(x)
    return f + x, f + f, f * x[0], f.copy() * 2, f.astype(np.float32) * 2, np.add(f, 1) > 0


@pytest.mark.parametrize(("f", "x"), [(by_columns, X), (by_other_axes, Z), (mixed, X)])
def test_strides(f: Any, x: Any) -> None:
    jitted = graphc.jit(f)
    for _ in range(5):
        for expected, found in zip(f(x), jitted(x), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
            assert found.strides == expected.strides
