"""Random graphs: every pass alone and the whole pipeline keep the values; text round-trips at each stage.

A failure names the seed; `generate(seed, style)` in generator.py gives the program again.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from graphc import passes
from graphc.ir import Graph, parse
from graphc.ir.evaluate import Run, run
from graphc.passes.observers import difference


def _load_generator() -> ModuleType:
    """The module beside this file: tests are no package."""
    import sys

    spec = importlib.util.spec_from_file_location("fuzz_generator", Path(__file__).with_name("generator.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_generator"] = module
    spec.loader.exec_module(module)
    return module


generator = _load_generator()
BLOCK = 20
QUICK, LONG = range(0, 300, BLOCK), range(300, 5300, BLOCK)
PASSES = ("simplify", "cse", "fold", "dce", "fuse", "fuse, inline", "schedule")
"""Passes that keep every bit of every value; they get a graph without `gradient` nodes."""

REST = "simplify, cse, fold, cse, dce, fuse, schedule"
"""What comes after decomposition in the default pipeline."""

ROUNDING = {"f32": 1e-4, "f64": 1e-11}
"""How far a decomposed op may be from the op, relative to the largest value."""


def blocks(quick: range, long: range) -> list:
    return [*quick, *(pytest.param(first, marks=pytest.mark.slow) for first in long)]


def arrays_of(result: Run) -> list[np.ndarray]:
    return [*result.outputs, *(result.updates[name] for name in sorted(result.updates))]


def check_bits(seed: int, what: str, before: Run, after: Run) -> None:
    for x, y in zip(arrays_of(before), arrays_of(after), strict=True):
        assert difference(x, y) == 0, f"seed {seed}: {what} changed a value"


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


def check_close(seed: int, what: str, before: Run, after: Run) -> None:
    for x, y in zip(arrays_of(before), arrays_of(after), strict=True):
        assert x.dtype == y.dtype, f"seed {seed}"
        if x.dtype.kind != "f":
            np.testing.assert_array_equal(x, y, err_msg=f"seed {seed}: {what}")
            continue
        finite = np.abs(x[np.isfinite(x)]).astype(np.float64)
        scale = max(1.0, float(finite.max(initial=0.0)))
        name = {4: "f32", 8: "f64"}[x.dtype.itemsize]
        limit = ROUNDING[name] * scale
        np.testing.assert_allclose(y, x, rtol=0, atol=limit, err_msg=f"seed {seed}: {what}")


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
