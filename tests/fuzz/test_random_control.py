"""Random loops and branches: compiled code against the evaluator, for values and gradients, and the rules of
memory plans.
"""

from __future__ import annotations

import fuzz_loops as loops
import pytest
from fuzz_checks import check_close, compiled_run, seeds

from graphc import passes
from graphc.ir.evaluate import run
from graphc.passes.memory import plan
from graphc.passes.plan_check import check_plan

SEEDS = {"llvm": (24, 2000), "numba": (1, 40), "gradient": (8, 1000)}
"""How many programs run by default, and in the long run."""


@pytest.mark.parametrize(("kind", "seed"), seeds(SEEDS))
def test_loops_and_branches(kind: str, seed: int) -> None:
    if kind == "gradient":
        program = loops.with_gradient(loops.generate(seed, ("scan", "scan", "cond")))
    else:
        program = loops.generate(seed)
    compiled, found = compiled_run(program, backend="llvm" if kind == "gradient" else kind)
    assert not compiled.fallback
    check_close(seed, kind, run(program.graph, program.arrays), found)
    lowered = compiled.lowered
    check_plan(lowered.final, lowered.plan, compiled.last_sizes or dict.fromkeys(program.graph.symbols, 2))


def test_programs_are_varied() -> None:
    made = [loops.generate(seed).graph for seed in range(60)]
    assert {"scan", "while", "cond"} <= {n.op.name for g in made for n in g.nodes}
    plans = [plan(passes.run(g)) for g in made[:24]]
    carries = [c.way for p in plans for control in p.controls.values() for c in control.carries]
    assert set(carries) == {"stays", "over", "swap", "follows", "history"}
