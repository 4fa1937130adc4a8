"""autodiff, updates, decompose: coarse ops become simpler ones with the same values."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import passes
from graphc.ir import OPS, Builder, Graph, Kind, Location, dtype_of, tensor
from graphc.ir.evaluate import run
from graphc.ir.opdef import OpDef
from graphc.ir.ops.updates import UPDATES
from graphc.ir.samples import Case, cases
from graphc.passes.observers import difference

COARSE = [op for op in OPS.values() if op.kind is Kind.COARSE and op.decompose is not None]


def graph_of(op: OpDef, case: Case) -> tuple[Graph, dict[str, np.ndarray]]:
    b = Builder(op.name)
    arrays = {f"x{i}": x for i, x in enumerate(case.operands)}
    operands = [b.input(n, tensor(dtype_of(x.dtype), *x.shape)) for n, x in arrays.items()]
    with b.at(Location("model.py", 5, "layer")):
        results = b.op(op, *operands, **case.attrs)
    b.output(*(results if isinstance(results, tuple) else (results,)))
    return b.build(), arrays


@pytest.mark.parametrize("op", COARSE, ids=lambda op: op.name)
def test_decompositions_have_the_values_of_the_op(op: OpDef) -> None:
    for case in cases(op):
        graph, arrays = graph_of(op, case)
        after = passes.run(graph, "decompose")
        after.verify()
        assert all(n.op.decompose is None for n in after.nodes if n.op.kind is Kind.COARSE)
        for expected, found in zip(run(graph, arrays).outputs, run(after, arrays).outputs, strict=True):
            assert difference(expected, found) <= 64, case


@pytest.mark.parametrize("op", COARSE, ids=lambda op: op.name)
def test_parts_say_what_they_are_a_part_of(op: OpDef) -> None:
    graph, _ = graph_of(op, next(cases(op)))
    after = passes.run(graph, "decompose")
    assert {str(n.location) for n in after.nodes} == {f"model.py:5 'layer' (part of {op.name})"}
    assert [v.name for v in after.outputs] == [v.name for v in graph.outputs]


def test_updates_expands_only_optimizers() -> None:
    b = Builder("f")
    w, lr, step = (
        b.weight("w", tensor("f32", 3)),
        b.weight("lr", tensor("f32")),
        b.weight("step", tensor("i64")),
    )
    x = b.softmax(b.input("x", tensor("f32", 2, 3)), axis=1)
    b.update(w, b.sgd(w, b.sum(x, axes=(0,)), lr, step))
    after = passes.run(b.build(), "updates")
    names = [n.op.name for n in after.nodes]
    assert "softmax" in names
    assert not set(names) & set(UPDATES)
    assert after.updates[0].new.name == "sgd"


def test_autodiff_writes_gradients_out_and_drops_stops() -> None:
    b = Builder("f")
    x = b.input("x", tensor("f32", 4))
    y = b.sum(b.sin(x) * b.stop_gradient(x), axes=(0,))
    b.output(b.op("gradient", y, 1.0, x, outputs=1))
    graph = b.build()
    after = passes.run(graph, "autodiff, dce")
    after.verify()
    assert not {"gradient", "stop_gradient"} & {n.op.name for n in after.nodes}
    x_array = np.linspace(-2, 2, 4, dtype=np.float32)
    np.testing.assert_allclose(after.evaluate(x=x_array), np.cos(x_array) * x_array, rtol=1e-6)
    np.testing.assert_array_equal(after.evaluate(x=x_array), graph.evaluate(x=x_array))
