"""Random programs do under jit what they do plainly: values, effects, aliases, errors, random streams."""

from __future__ import annotations

import contextlib
import inspect
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npjit_harness import diff, diff_text
from npjit_programs import inputs, programs

import graphc
from graphc.npjit import pieces
from graphc.npjit.emit import Emitter

FRESH = (0, 0, 1, 2, 0, 1)
"""Kinds of fresh arguments of successive calls."""


def observe(f: Any, args: list[Any]) -> list[Any]:
    np.random.seed(2)
    error = out = share = None
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            out = f(*args)
        except Exception as e:  # any: it is compared
            error = type(e).__name__
    if out is not None:
        known = (args[0], args[2].w, args[3]["a"], args[4][0])
        share = [np.may_share_memory(p, q) for p in out[:2] for q in known]
    return [out, args, error, share, np.random.get_state()[2], text.getvalue()]


def compared(plain: list[Any], mine: list[Any]) -> str | None:
    return diff_text(plain.pop(), mine.pop()) or diff(plain, mine, "reduce")


def difference(f: Any, jitted: Any) -> str | None:
    for shared in FRESH:
        found = compared(observe(f, inputs(shared)), observe(jitted, inputs(shared)))
        if found:
            return f"inputs {shared}: {found}"
    plain, same = inputs(1), inputs(1)
    for _ in range(3):
        found = compared(observe(f, plain), observe(jitted, same))
        if found:
            return f"again: {found}"
    return None


def compare(count: int, seed: int, folder: Path) -> None:
    module, hits = programs(count, seed, folder), 0
    for i in range(count):
        f = getattr(module, f"f{i}")
        jitted = graphc.jit(f)
        with np.errstate(all="ignore"):
            found = difference(f, jitted)
        assert found is None, f"{found}\n{jitted.explain()}\n{inspect.getsource(f)}"
        assert "can't be recorded" not in jitted.explain(), f"{jitted.explain()}\n{inspect.getsource(f)}"
        hits += jitted.hits
    assert hits > count, "nearly nothing was done by fast functions"


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("seed", range(9))
def test_random_programs(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Emitter, "native", lambda *_: None)  # compiling so many takes minutes
    monkeypatch.setattr(pieces, "LONGEST", 0)  # on a busy machine some pieces would be compiled too
    compare(50, seed, tmp_path)


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_compiled_random_programs(tmp_path: Path) -> None:
    compare(50, 9, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("seed", range(100, 120))
def test_many_random_programs(seed: int, tmp_path: Path) -> None:
    compare(150, seed, tmp_path)
