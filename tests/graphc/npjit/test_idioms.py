"""Each idiom gives what plain NumPy gives, and most are recorded without a graph break."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import npjit_cases  # noqa: F401  (its import registers the cases)
import pytest
from npjit_harness import REGISTRY, run_case

import graphc

CASES = {c.name: c for c in REGISTRY if c.kind != "grad"}
BREAKS = {
    *("prints_while_it_works", "while_not_converged", "batches_generator", "copy_semantics"),
    *("stops_when_the_loss_explodes", "policy_forward_backward"),
}
"""Prints or tests of data, deepcopy of a nested container, a generator as the function itself."""


def collecting(made: list[Any]) -> Callable[..., Any]:
    """graphc.jit that keeps what it made."""

    def jit(fn: Any = None, **options: Any) -> Any:
        if fn is None:
            return functools.partial(jit, **options)
        made.append(graphc.jit(fn))
        return made[-1]

    return jit


@pytest.mark.parametrize("name", sorted(CASES))
def test_same_as_plain(name: str) -> None:
    made: list[Any] = []
    difference, notes = run_case(CASES[name], collecting(made))
    assert difference is None
    assert not [n for n in notes if not n.startswith("reference")]
    broken = [f.explain() for f in made if "graph break" in f.explain()]
    assert not broken or name in BREAKS, broken
