"""Random graphs on the compiled backends: the evaluator's values up to rounding."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from graphc import codegen
from graphc.codegen.stats import STATS
from graphc.ir.evaluate import Run, run


def _beside(name: str) -> ModuleType:
    """A module beside this file: tests are no package."""
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


graphs = _beside("test_random_graphs")
generator = graphs.generator
SEEDS = {"reference": (30, 300), "llvm": (300, 5000), "numba": (8, 60)}
"""How many programs each backend runs by default, and in the long run; Numba takes a second for each."""


def seeds() -> list:
    marks = {False: (), True: (pytest.mark.slow,)}
    return [
        pytest.param(backend, seed, marks=marks[seed >= quick])
        for backend, (quick, long) in SEEDS.items()
        for seed in range(long)
    ]


@pytest.mark.parametrize(("backend", "seed"), seeds())
def test_backend(backend: str, seed: int) -> None:
    program = generator.generate(seed, generator.WILD if seed % 2 else generator.SMOOTH)
    graph, arrays = program.graph, program.arrays
    fallbacks = STATS.reference_fallbacks
    compiled = codegen.compile(graph, backend=backend, cache=False)
    compiled.bind([arrays[w.value.name].copy() for w in graph.weights])
    result = compiled(*(arrays[v.name] for v in graph.inputs))
    outputs = tuple(np.asarray(x) for x in (result if isinstance(result, tuple) else (result,)))
    weights = {w.value: x for w, x in zip(graph.weights, compiled.weights)}
    found = Run(outputs, {u.target.name: weights[u.target] for u in graph.updates})
    assert STATS.reference_fallbacks == fallbacks, f"seed {seed}: {backend} can't compile this"
    graphs.check_close(seed, backend, run(graph, arrays), found)
