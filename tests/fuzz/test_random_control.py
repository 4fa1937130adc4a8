"""Random loops and branches: compiled code against the evaluator, for values and gradients, and the rules of
memory plans.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from graphc import codegen, passes
from graphc.ir.evaluate import Run, run
from graphc.passes.memory import plan
from graphc.passes.plan_check import check_plan


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
programs = _beside("control_programs")
SEEDS = {"llvm": (24, 2000), "numba": (1, 40), "gradient": (8, 1000)}
"""How many programs run by default, and in the long run."""


def seeds() -> list:
    marks = {False: (), True: (pytest.mark.slow,)}
    return [
        pytest.param(kind, seed, marks=marks[seed >= quick])
        for kind, (quick, long) in SEEDS.items()
        for seed in range(long)
    ]


@pytest.mark.parametrize(("kind", "seed"), seeds())
def test_loops_and_branches(kind: str, seed: int) -> None:
    if kind == "gradient":
        program = programs.with_gradient(programs.generate(seed, ("scan", "scan", "cond")))
    else:
        program = programs.generate(seed)
    graph, arrays = program.graph, program.arrays
    compiled = codegen.compile(graph, backend="llvm" if kind == "gradient" else kind, cache=False)
    assert not compiled.fallback
    compiled.bind([arrays[w.value.name].copy() for w in graph.weights])
    result = compiled(*(arrays[v.name] for v in graph.inputs))
    outputs = tuple(np.asarray(x) for x in (result if isinstance(result, tuple) else (result,)))
    weights = {w.value: x for w, x in zip(graph.weights, compiled.weights)}
    found = Run(outputs, {u.target.name: weights[u.target] for u in graph.updates})
    graphs.check_close(seed, kind, run(graph, arrays), found)
    lowered = compiled.lowered
    check_plan(lowered.final, lowered.plan, compiled.last_sizes or dict.fromkeys(graph.symbols, 2))


def test_programs_are_varied() -> None:
    made = [programs.generate(seed).graph for seed in range(60)]
    assert {"scan", "while", "cond"} <= {n.op.name for g in made for n in g.nodes}
    plans = [plan(passes.run(g)) for g in made[:24]]
    carries = [c.way for p in plans for control in p.controls.values() for c in control.carries]
    assert set(carries) == {"stays", "over", "swap", "follows", "history"}
