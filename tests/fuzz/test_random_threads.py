"""Random graphs on several threads: the bits of one thread, outputs and weights."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from graphc import codegen
from graphc.codegen.target import host
from graphc.codegen.team import members, team

pytestmark = pytest.mark.skipif(members(2, host()) == 1, reason="no team on this system")
SEEDS = (60, 1000)
"""How many programs run by default, and in the long run."""

_spec = importlib.util.spec_from_file_location("fuzz_generator", Path(__file__).with_name("generator.py"))
assert _spec is not None
assert _spec.loader is not None
generator = importlib.util.module_from_spec(_spec)
sys.modules.setdefault(_spec.name, generator)
_spec.loader.exec_module(generator)


@pytest.fixture(autouse=True)
def divide_everything() -> Iterator[None]:
    """However small a kernel is, all members work at it."""
    grain = team().grain
    team().grain = 0
    yield
    team().grain = grain


def ran(program: generator.Program, threads: int) -> list[bytes]:  # type: ignore[name-defined]
    """All that a call gives and leaves behind."""
    graph, arrays = program.graph, program.arrays
    compiled = codegen.compile(graph, threads=threads, cache=False)
    compiled.bind([arrays[w.value.name].copy() for w in graph.weights])
    result = compiled(*(arrays[v.name] for v in graph.inputs))
    outputs = result if isinstance(result, tuple) else (result,)
    return [np.asarray(x).tobytes() for x in (*outputs, *compiled.weights)]


def seeds() -> list:
    quick, long = SEEDS
    return [pytest.param(s, marks=(pytest.mark.slow,) if s >= quick else ()) for s in range(long)]


@pytest.mark.parametrize("seed", seeds())
def test_threads(seed: int) -> None:
    program = generator.generate(seed, generator.WILD if seed % 2 else generator.SMOOTH)
    alone = ran(program, 1)
    for threads in (2, 3):
        assert alone == ran(program, threads), f"seed {seed}: {threads} threads"
