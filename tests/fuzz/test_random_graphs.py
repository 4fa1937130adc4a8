"""Random graphs: every pass alone and the whole pipeline keep the values; text round-trips at each stage.

A failure names the seed; `generate(seed, style)` in fuzz_graphs.py gives the program again.
"""

from __future__ import annotations

import fuzz_graphs as generator
import numpy as np
import pytest
from fuzz_checks import check_bits, check_close

from graphc import passes
from graphc.ir import Graph, parse
from graphc.ir.evaluate import Run, run

BLOCK = 20
QUICK, LONG = range(0, 300, BLOCK), range(300, 5300, BLOCK)
PASSES = ("simplify", "cse", "fold", "dce", "fuse", "fuse, inline", "schedule")
"""Passes that keep every bit of every value; they get a graph without `gradient` nodes."""

REST = "simplify, cse, fold, cse, dce, fuse, schedule"
"""What comes after decomposition in the default pipeline."""


def blocks(quick: range, long: range) -> list:
    return [*quick, *(pytest.param(first, marks=pytest.mark.slow) for first in long)]


def check_text(seed: int, graph: Graph) -> None:
    graph.verify()
    again = parse(str(graph))
    assert again == graph, f"seed {seed}: the text reads as another graph"
    assert str(again) == str(graph), f"seed {seed}: the text reads as another graph"


@pytest.mark.parametrize("first", blocks(QUICK, LONG))
def test_passes_keep_every_bit(first: int) -> None:
    for seed in range(first, first + BLOCK):
        program = generator.generate(seed)
        check_text(seed, program.graph)
        plain = passes.run(program.graph, "autodiff")
        expected = run(plain, program.arrays)
        check_bits(seed, "autodiff", run(program.graph, program.arrays), expected)
        for names in PASSES:
            check_pass(seed, names, plain, program.arrays, expected)
        simple = passes.run(plain, "updates, decompose")
        simple.verify()
        check_pass(seed, REST, simple, program.arrays, run(simple, program.arrays))


def check_pass(seed: int, names: str, graph: Graph, arrays: dict[str, np.ndarray], expected: Run) -> None:
    after = passes.run(graph, names)
    if after is not graph:
        after.verify()
        check_bits(seed, names, expected, run(after, arrays))


@pytest.mark.parametrize("first", blocks(QUICK, LONG))
def test_the_default_pipeline_is_right_up_to_rounding(first: int) -> None:
    for seed in range(first, first + BLOCK):
        program = generator.generate(seed, generator.SMOOTH)
        final = passes.run(program.graph)
        check_text(seed, final)
        check_close(
            seed, "the default pipeline", run(program.graph, program.arrays), run(final, program.arrays)
        )


def test_programs_are_the_same_in_every_run_and_varied() -> None:
    assert str(generator.generate(7).graph) == str(generator.generate(7).graph)
    programs = [generator.generate(seed) for seed in range(150)]
    ops = {node.op.name for p in programs for node in p.graph.nodes}
    assert len(ops) > 80
    assert {"gradient", "matmul", "softmax", "gather", "scan", "cond"} <= ops
    assert {0, 1} <= {p.sizes["B"] for p in programs}
    assert any(p.graph.updates for p in programs)
    assert any(0 in v.type.shape for p in programs for v in p.graph.values())
    assert any(np.isnan(x).any() for p in programs for x in p.arrays.values() if x.dtype.kind == "f")


def test_a_pass_that_changes_a_value_is_found() -> None:
    program = generator.generate(3)
    expected = run(program.graph, program.arrays)
    wrong = Run(tuple(x + 1 if x.dtype.kind != "b" else ~x for x in expected.outputs), expected.updates)
    with pytest.raises(AssertionError, match="seed 3: this changed a value"):
        check_bits(3, "this", expected, wrong)
