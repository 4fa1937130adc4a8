"""Random graphs on several threads: the bits of one thread, outputs and weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fuzz_graphs as graphs
import fuzz_loops as loops
import pytest
from fuzz_checks import compiled_run, seeds

from graphc.codegen.target import host
from graphc.codegen.team import members, team

pytestmark = pytest.mark.skipif(members(2, host()) == 1, reason="no team on this system")
SEEDS = {"graph": (30, 1000), "loops": (8, 500)}
"""How many programs run by default, and in the long run."""


@pytest.fixture(autouse=True)
def divide_everything() -> Iterator[None]:
    """However small a kernel is, all members work at it."""
    grain = team().grain
    team().grain = 0
    yield
    team().grain = grain


def ran(program: Any, threads: int) -> list[bytes]:
    """All that a call gives and leaves behind."""
    compiled, found = compiled_run(program, threads=threads)
    return [x.tobytes() for x in (*found.outputs, *compiled.weights)]


@pytest.mark.parametrize(("kind", "seed"), seeds(SEEDS))
def test_threads(kind: str, seed: int) -> None:
    if kind == "loops":
        program = loops.generate(seed)
    else:
        program = graphs.generate(seed, graphs.WILD if seed % 2 else graphs.SMOOTH)
    alone = ran(program, 1)
    for threads in (2, 3):
        assert alone == ran(program, threads), f"{kind}, seed {seed}: {threads} threads"
