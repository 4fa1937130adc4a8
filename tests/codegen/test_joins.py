"""Concatenations in place: blocks of DenseNet and Inception, forward and backward, on two backends."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import passes
from graphc.codegen import compile
from graphc.ir import Builder, Expr, Graph, tensor
from graphc.ir.evaluate import run
from graphc.passes.memory import plan
from graphc.passes.plan_check import check_plan


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


def conv(b: Builder, x: Expr, channels: int, name: str, size: int = 3, groups: int = 1) -> Expr:
    kernel = b.weight(name, tensor("f32", size, size, x.shape[-1] // groups, channels))
    attrs = {
        "strides": (1, 1),
        "padding": ((size // 2, size // 2),) * 2,
        "dilation": (1, 1),
        "groups": groups,
    }
    return b.conv(x, kernel, size=(size, size), **attrs)


def norm(b: Builder, x: Expr, name: str) -> Expr:
    gamma, beta = (b.weight(name + n, tensor("f32", x.shape[-1])) for n in ("gamma", "beta"))
    return b.relu(b.batch_norm_train(x, gamma, beta, axis=3)[0])


def dense_block(b: Builder, x: Expr) -> Expr:
    h = b.relu(conv(b, x, 12, "stem"))
    for i in range(3):
        new = norm(b, conv(b, norm(b, h, f"a{i}"), 16, f"b{i}", 1), f"c{i}")
        h = b.concatenate(h, conv(b, new, 4, f"d{i}"), axis=3)
    return h


def inception_block(b: Builder, x: Expr) -> Expr:
    pooled = b.average_pool(x, size=(3, 3), strides=(1, 1), padding=((1, 1), (1, 1)))
    inner = b.concatenate(b.relu(conv(b, x, 3, "e")), b.relu(conv(b, x, 6, "f", groups=2)), axis=3)
    largest = b.max_pool(x, size=(3, 3), strides=(1, 1), padding=((1, 1), (1, 1)))
    return b.concatenate(b.relu(conv(b, x, 5, "g", 1)), inner, pooled, largest, axis=3)


def network(train: bool) -> Graph:
    b = Builder("network")
    h = inception_block(b, dense_block(b, b.input("x", tensor("f32", "B", 6, 5, 8))))
    loss = b.mean(b.square(conv(b, h, 7, "last")), axes=(0, 1, 2, 3))
    b.output(loss)
    if train:
        weights = [w.value for w in b.weights]
        for w, g in zip(weights, b.gradient(loss, b.constant(1.0, "f32"), *weights, outputs=1)):
            b.update(w, Expr(b, w) - g * 0.1)
    return b.build()


def small(train: bool) -> Graph:
    """Products, a window product and a map, side by side."""
    b = Builder("small")
    x = b.input("x", tensor("f32", "B", 6, 5, 8))
    inner = b.concatenate(b.relu(conv(b, x, 3, "a", 1)), b.tanh(x), axis=3)
    b.output(b.sum(conv(b, b.concatenate(inner, conv(b, inner, 4, "b"), axis=3), 2, "c", 1), axes=(1, 2)))
    return b.build()


@pytest.mark.parametrize(
    ("make", "backend", "train", "count"),
    [
        (network, "llvm", False, 5),
        (network, "llvm", True, 6),
        (small, "llvm", False, 2),
        (small, "numba", False, 2),
    ],
)
def test_blocks_have_the_values_of_the_evaluator(make, backend, train, count):
    graph = make(train)
    final = passes.run(graph)
    memory = plan(final)
    assert len(memory.joined) == count
    check_plan(final, memory, {"B": 3})
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 6, 5, 8)).astype("f4")
    weights = [rng.standard_normal(w.value.type.shape).astype("f4") * np.float32(0.3) for w in graph.weights]
    arrays = {w.value.name: a.copy() for w, a in zip(graph.weights, weights)}
    compiled = compile(graph, backend=backend)
    compiled.bind(weights)
    expected = run(graph, {"x": x, **arrays})
    np.testing.assert_allclose(compiled(x), expected.outputs[0], rtol=1e-4, atol=1e-4)
    for w, array in zip(graph.weights, weights):
        wanted = expected.updates.get(w.value.name, arrays[w.value.name])
        np.testing.assert_allclose(array, wanted, rtol=2e-3, atol=2e-4)
