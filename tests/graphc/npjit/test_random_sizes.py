"""Random programs do under jit what they do plainly at every size: with code for all sizes, and for loops of
all lengths, taken as soon as there is some.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npjit_harness import diff
from npjit_sized_programs import programs

import graphc
from graphc.npjit.known_sizes import Known

SIZES = (5, 8, 8, 3, 3, 9, 9, 2, 2, 13, 13, 4, 1, 0, 7, 7, 12, 12, 6, 6)


def inputs(n: int) -> list[Any]:
    r = np.random.default_rng(n)
    rows = [r.normal(size=(n, 4)) for _ in range(2)]
    return [*rows, r.normal(size=n), r.integers(0, 4, n), r.normal(size=(4, 4)), {"h": r.normal(size=(n, 4))}]


def observe(f: Any, n: int) -> list[Any]:
    args, out, error = inputs(n), None, None
    try:
        out = f(*args)
    except Exception as e:  # any: it is compared
        error = type(e).__name__
    return [out, args, error]


def compare(count: int, seed: int, folder: Path) -> None:
    module = programs(count, seed, folder)
    for i in range(count):
        f = getattr(module, f"f{i}")
        jitted = graphc.jit(f)
        for n in SIZES:
            with np.errstate(all="ignore"):
                found = diff(observe(f, n), observe(jitted, n), "reduce")
            assert found is None, f"{n} rows: {found}\n{jitted.explain()}\n{inspect.getsource(f)}"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code is taken without measuring, and every size is recorded when it comes."""
    monkeypatch.setattr(Known, "is_sure", True)
    monkeypatch.setattr(Known, "waits", lambda *_: False)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_sizes(tmp_path: Path) -> None:
    compare(8, 1, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_random_sizes(seed: int, tmp_path: Path) -> None:
    compare(40, seed, tmp_path)
