"""A training step of a small MLP at every stage: its text, its round trip, its values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphc.ir import Builder, Expr, Graph, Location, parse, tensor
from graphc.ir.evaluate import run
from graphc.passes import PassManager, Stage
from graphc.passes.observers import difference, verify_each
from graphc.passes.pipelines import pass_names


def mlp_step() -> Graph:
    """784-32-10 with relu, softmax cross-entropy on labels, and SGD."""
    b = Builder("train")
    x, y = b.input("x", tensor("f32", "B", 784)), b.input("y", tensor("i64", "B"))
    weights = [
        weight for name, n, m in (("hidden", 784, 32), ("head", 32, 10)) for weight in dense(b, name, n, m)
    ]
    rate, step = (
        b.weight("rate", tensor("f32"), "sgd/learning_rate"),
        b.weight("step", tensor("i64"), "sgd/step"),
    )
    with b.at(Location("train.py", 8, "hidden")):
        hidden = b.relu(b.matmul(x, weights[0]) + weights[1])
    with b.at(Location("train.py", 9, "head")):
        logits = b.matmul(hidden, weights[2]) + weights[3]
    with b.at(Location("train.py", 11)):
        loss = b.mean(b.sparse_softmax_cross_entropy(logits, y), axes=(0,))
    gradients = b.op("gradient", loss, 1.0, *weights, outputs=1)
    for weight, gradient in zip(weights, gradients):
        b.update(weight, b.sgd(weight, gradient, rate, step))
    b.update(step, step + 1)
    b.output(loss)
    return b.build()


def dense(b: Builder, name: str, inputs: int, units: int) -> tuple[Expr, Expr]:
    kernel = b.weight(f"{name}_kernel", tensor("f32", inputs, units), f"{name}/kernel")
    return kernel, b.weight(f"{name}_bias", tensor("f32", units), f"{name}/bias")


def arrays(batch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    values = {
        "x": rng.random((batch, 784)),
        "hidden_kernel": rng.normal(size=(784, 32)) * 0.05,
        "hidden_bias": rng.normal(size=32) * 0.1,
        "head_kernel": rng.normal(size=(32, 10)) * 0.3,
        "head_bias": rng.normal(size=10) * 0.1,
        "rate": np.array(0.05),
    }
    found = {name: value.astype(np.float32) for name, value in values.items()}
    return found | {"y": rng.integers(0, 10, batch), "step": np.array(3)}


STAGES: list[Stage] = PassManager("default", [verify_each]).run(mlp_step())


@pytest.mark.parametrize("number", range(len(STAGES)), ids=[s.name for s in STAGES])
def test_stage(number: int, golden: Callable[[str, str], None]) -> None:
    stage = STAGES[number]
    assert parse(str(stage.graph)) == stage.graph
    assert str(parse(str(stage.graph))) == str(stage.graph)
    if stage.changed or number == 0:
        golden(f"mlp/{number:02}_{stage.name}.gir", f"{stage.graph}\n")


@pytest.mark.parametrize("batch", [1, 7])
def test_values_at_every_stage(batch: int) -> None:
    given = arrays(batch)
    expected = run(STAGES[0].graph, given)
    for stage in STAGES[1:]:
        found = run(stage.graph, given)
        assert difference(expected.outputs[0], found.outputs[0]) <= 8, stage.name
        for name, value in expected.updates.items():
            assert difference(value, found.updates[name]) <= 16, (stage.name, name)


def test_gradients_are_those_of_a_hand_written_step() -> None:
    given = arrays(7)
    x, y = given["x"].astype(np.float64), given["y"]
    before = x @ given["hidden_kernel"] + given["hidden_bias"]
    hidden = np.maximum(before, 0)
    logits = hidden @ given["head_kernel"] + given["head_bias"]
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = exp / exp.sum(axis=1, keepdims=True)
    d_logits = (p - np.eye(10)[y]) / 7
    d_before = (d_logits @ given["head_kernel"].T) * (before > 0)
    gradients = {
        "hidden_kernel": x.T @ d_before,
        "hidden_bias": d_before.sum(axis=0),
        "head_kernel": hidden.T @ d_logits,
        "head_bias": d_logits.sum(axis=0),
    }
    found = run(STAGES[-1].graph, given)
    np.testing.assert_allclose(found.outputs[0], -np.log(p[np.arange(7), y]).mean(), rtol=1e-6)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(found.updates[name], given[name] - 0.05 * gradient, rtol=1e-5, atol=1e-7)
    assert found.updates["step"] == 4


def test_the_final_stage_is_kernels_only() -> None:
    assert pass_names()[-1] == "schedule"
    assert {n.op.name for n in STAGES[-1].graph.nodes} == {"kernel"}
    assert len(STAGES[-1].graph.nodes) <= 6
