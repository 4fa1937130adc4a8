"""Random graphs on the compiled backends: the evaluator's values up to rounding."""

from __future__ import annotations

import fuzz_graphs as graphs
import pytest
from fuzz_checks import check_close, compiled_run, seeds

from graphc.codegen.stats import STATS
from graphc.ir.evaluate import run

SEEDS = {"reference": (30, 300), "llvm": (300, 5000), "numba": (8, 60)}
"""How many programs each backend runs by default, and in the long run; Numba takes a second for each."""


@pytest.mark.parametrize(("backend", "seed"), seeds(SEEDS))
def test_backend(backend: str, seed: int) -> None:
    program = graphs.generate(seed, graphs.WILD if seed % 2 else graphs.SMOOTH)
    fallbacks = STATS.reference_fallbacks
    _, found = compiled_run(program, backend=backend)
    assert STATS.reference_fallbacks == fallbacks, f"seed {seed}: {backend} can't compile this"
    check_close(seed, backend, run(program.graph, program.arrays), found)
