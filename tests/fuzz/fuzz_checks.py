"""Random programs on the backends, and how their results are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphc import codegen
from graphc.codegen.compiled import Compiled
from graphc.ir.evaluate import Run
from graphc.passes.observers import difference

ROUNDING = {"f32": 1e-4, "f64": 1e-11}
"""How far a decomposed op may be from the op, relative to the largest value."""


def arrays_of(result: Run) -> list[np.ndarray]:
    return [*result.outputs, *(result.updates[name] for name in sorted(result.updates))]


def check_bits(seed: int, what: str, before: Run, after: Run) -> None:
    for x, y in zip(arrays_of(before), arrays_of(after), strict=True):
        assert difference(x, y) == 0, f"seed {seed}: {what} changed a value"


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


def compiled_run(program: Any, **options: Any) -> tuple[Compiled, Run]:
    """A program compiled and called once: outputs, and the weights that it updated."""
    graph, arrays = program.graph, program.arrays
    compiled = codegen.compile(graph, cache=False, **options)
    compiled.bind([arrays[w.value.name].copy() for w in graph.weights])
    result = compiled(*(arrays[v.name] for v in graph.inputs))
    outputs = tuple(np.asarray(x) for x in (result if isinstance(result, tuple) else (result,)))
    weights = {w.value: x for w, x in zip(graph.weights, compiled.weights)}
    return compiled, Run(outputs, {u.target.name: weights[u.target] for u in graph.updates})


def seeds(counts: dict[str, tuple[int, int]]) -> list:
    """(kind, seed) for each kind: so many by default, and so many in the long run."""
    return [
        pytest.param(kind, seed, marks=(pytest.mark.slow,) if seed >= quick else ())
        for kind, (quick, long) in counts.items()
        for seed in range(long)
    ]
