"""This machine's peak of fused multiply-adds on one core, measured in the rounds of what it stands beside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphc.codegen.element import register
from graphc.codegen.loader import load
from graphc.codegen.target import host
from graphc.codegen.text import Function, module


def peak_probe(dtype: str, turns: int = 50_000) -> tuple[Callable[[], None], float]:
    """(function, its floating-point operations): 12 independent chains of multiply-adds in registers."""
    t = register(dtype, host())
    f = Function("peak", "ptr %x, i64 %n")
    a = f.vload(t, "%x")
    with f.loop(0, "%n", 1, [(t.vec, a)] * 12) as l:
        l.next = [f.fma(t, v, a, a) for v in l.values]
    total = l.results[0]
    for v in l.results[1:]:
        total = f(f"fadd {t.vec} {total}, {v}")
    f.vstore(t, total, "%x")
    run = load([module(f.text(), target=host())], host()).function("peak", "pi")
    x = np.zeros(64, "u1")
    return lambda: run(x, turns), 2.0 * t.lanes * 12 * turns
