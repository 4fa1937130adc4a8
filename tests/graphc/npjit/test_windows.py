"""Windows whose bounds move from call to call: one recording for many of them, right for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from npjit_harness import copy_tree, diff
from npjit_windows import PROGRAMS

import graphc

STARTS = [0, 3, 6, 9, 3, 0, 10, -3, -12, -40, 11, 12, 40, 1, 2, -1, 4, 0, 5, 6]


def data(dtype: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(12, 12)) * 3).astype(dtype)
    return {"x": x, "y": rng.integers(0, 4, 12), "w": rng.normal(size=(12, 4)).astype(np.float32)}


def outcome(f: Callable[..., Any], args: Any) -> Any:
    try:
        return f(*args)
    except Exception as e:
        return type(e), str(e)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("f", PROGRAMS)
def test_moving_windows_are_those_of_python(f: Callable[..., Any], dtype: Any) -> None:
    fast, kept = graphc.jit(f), []
    for b in (3, 3, 2):
        for start in STARTS:
            plain, compiled = data(dtype), data(dtype)
            with np.errstate(all="ignore"):
                expected, got = outcome(f, (plain, start, b)), outcome(fast, (compiled, start, b))
            assert diff(expected, got, "reduce") is None, (start, b)
            assert diff(plain, compiled, "reduce") is None, (start, b)
            kept.append((got, copy_tree(got)))
    for got, before in kept:
        assert diff(before, got, "reduce") is None
