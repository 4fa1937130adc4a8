"""Traps: plain Python and jit, on fresh and on repeated objects, agree in all that can be seen."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import npjit_traps
import numpy as np
import pytest
from npjit_harness import diff
from npjit_traps import TRAPS, reset

import graphc


def observe(f: Any, args: list[Any]) -> list[Any]:
    np.random.seed(5)
    reset()
    out, error, text = None, None, io.StringIO()
    with contextlib.redirect_stdout(text), np.errstate(all="ignore"):
        try:
            out = f(*args)
        except Exception as e:  # any: it is compared
            error = type(e)
    state = np.random.get_state()[1:3]
    return [out, list(args), text.getvalue(), state, error, npjit_traps.W.copy(), npjit_traps.T.m.copy()]


@pytest.mark.parametrize("trap", TRAPS, ids=[f.__name__ for f, _ in TRAPS])
def test_trap(trap: Any) -> None:
    f, make = trap
    jitted = graphc.jit(f)
    for _ in range(3):
        assert diff(observe(f, make[0]()), observe(jitted, make[0]())) is None
    plain, same = make[0](), make[0]()
    for _ in range(3):
        assert diff(observe(f, plain), observe(jitted, same)) is None
