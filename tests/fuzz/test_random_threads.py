"""Random graphs on several threads: the bits of one thread, outputs and weights."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from graphc import codegen
from graphc.codegen.target import host
from graphc.codegen.team import members, team

pytestmark = pytest.mark.skipif(members(2, host()) == 1, reason="no team on this system")
SEEDS = {"graph": (30, 1000), "loops": (8, 500)}
"""How many programs run by default, and in the long run."""


def _beside(name: str) -> ModuleType:
    """A module beside this file: tests are no package."""
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(spec.name, module)
    spec.loader.exec_module(module)
    return module


generator = _beside("generator")
loops = _beside("control_programs")


@pytest.fixture(autouse=True)
def divide_everything() -> Iterator[None]:
    """However small a kernel is, all members work at it."""
    grain = team().grain
    team().grain = 0
    yield
    team().grain = grain


def ran(program: Any, threads: int) -> list[bytes]:
    """All that a call gives and leaves behind."""
    graph, arrays = program.graph, program.arrays
    compiled = codegen.compile(graph, threads=threads, cache=False)
    compiled.bind([arrays[w.value.name].copy() for w in graph.weights])
    result = compiled(*(arrays[v.name] for v in graph.inputs))
    outputs = result if isinstance(result, tuple) else (result,)
    return [np.asarray(x).tobytes() for x in (*outputs, *compiled.weights)]


def seeds() -> list:
    return [
        pytest.param(kind, seed, marks=(pytest.mark.slow,) if seed >= quick else ())
        for kind, (quick, long) in SEEDS.items()
        for seed in range(long)
    ]


@pytest.mark.parametrize(("kind", "seed"), seeds())
def test_threads(kind: str, seed: int) -> None:
    if kind == "loops":
        program = loops.generate(seed)
    else:
        program = generator.generate(seed, generator.WILD if seed % 2 else generator.SMOOTH)
    alone = ran(program, 1)
    for threads in (2, 3):
        assert alone == ran(program, threads), f"{kind}, seed {seed}: {threads} threads"
