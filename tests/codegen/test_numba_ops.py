"""Every op on the Numba backend, with every element type: the evaluator's values, and no falling back to it.

Many calls share one graph, since Numba takes most of a second for each function.
"""

from __future__ import annotations

import numpy as np
import pytest

from graphc import codegen
from graphc.codegen.stats import STATS
from graphc.ir import OPS, Builder, Kind, OpDef, TensorType, dtype_of
from graphc.ir.evaluate import run
from graphc.ir.samples import Case, cases

WITHOUT_REGIONS = set(Kind) - {Kind.CONTROL, Kind.KERNEL}
PER_GRAPH = 32
TOLERANCE = {"f": 3e-5, "d": 1e-11}


def first_of_each_type(op: OpDef) -> list[Case]:
    """The first sample of every element type that the op takes."""
    found: dict[str, Case] = {}
    for case in cases(op):
        found.setdefault(case.dtype, case)
    return list(found.values())


# users' own operators, which other tests define, are no part of the table
NAMED = [
    (n, op) for n, op in sorted(OPS.items()) if op.kind in WITHOUT_REGIONS and not n.startswith("custom.")
]
CALLS = [(op, case) for _, op in NAMED for case in first_of_each_type(op)]


@pytest.mark.parametrize("start", range(0, len(CALLS), PER_GRAPH))
def test_ops_on_numba(start: int) -> None:
    b, arrays, labels = Builder("calls"), {}, []
    for i, (op, case) in enumerate(CALLS[start : start + PER_GRAPH]):
        operands = []
        for j, operand in enumerate(case.operands):
            arrays[f"x{i}_{j}"] = operand
            operands.append(b.input(f"x{i}_{j}", TensorType(dtype_of(operand.dtype), operand.shape)))
        results = b.op(op, *operands, **case.attrs)
        results = results if isinstance(results, tuple) else (results,)
        b.output(*results)
        labels += [f"{op.name} of {case.dtype}"] * len(results)
    graph, before = b.build(), STATS.reference_fallbacks
    compiled = codegen.compile(graph, backend="numba", cache=False)
    found = compiled(*(arrays[v.name] for v in graph.inputs))
    assert STATS.reference_fallbacks == before
    for label, expected, got in zip(labels, run(graph, arrays).outputs, found, strict=True):
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape), label
        limit = TOLERANCE.get(expected.dtype.char, 0.0)
        np.testing.assert_allclose(got, expected, rtol=limit, atol=limit, err_msg=label)
