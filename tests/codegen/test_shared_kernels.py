"""Kernels of one structure are compiled once, and compute what they would alone."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.lowered import Lowered
from graphc.codegen.options import resolve
from graphc.codegen.stages import Stages
from graphc.codegen.target import host
from graphc.ir import Builder, Expr, Graph, get_op, symbol, tensor
from graphc.ir.errors import IndexRangeError
from graphc.ir.evaluate import run


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


def chain(layers: int) -> Graph:
    """Equal layers, each with an activation that is dear, and an update of each weight."""
    b = Builder("chain")
    h = b.input("x", tensor("f32", "B", 20))
    for i in range(layers):
        w = b.weight(f"w{i}", tensor("f32", 20, 20))
        h = b.tanh(b.matmul(h, w))
        b.update(w, w * 0.5)
    b.output(h)
    return b.build()


def weights_of(graph: Graph, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(w.value.type.shape).astype("f4") for w in graph.weights]


def definitions(text: str) -> list[str]:
    return [line.split("@")[1].split("(")[0] for line in text.splitlines() if line.startswith("define")]


@pytest.mark.parametrize("threads", [1, 2])
def test_equal_layers_share_a_function_and_give_the_values(threads):
    graph = chain(4)
    compiled = compile(graph, threads=threads)
    weights = weights_of(graph)
    arrays = {w.value.name: a.copy() for w, a in zip(graph.weights, weights)}
    compiled.bind(weights)
    x = np.random.default_rng(1).standard_normal((7, 20)).astype("f4")
    expected = run(graph, {"x": x, **arrays})
    np.testing.assert_allclose(compiled(x), expected.outputs[0], rtol=1e-4, atol=1e-5)
    for w, array in zip(graph.weights, weights):
        np.testing.assert_array_equal(array, arrays[w.value.name] * np.float32(0.5))


def test_code_is_written_once():
    def functions(layers: int) -> list[str]:
        lowered = Lowered(Stages(chain(layers), resolve(threads=1)), host())
        return [name for name in definitions(lowered.llvm) if not name.startswith("kernel.")]

    assert len(functions(6)) == len(functions(3))
    assert any(name.startswith("shared.") for name in functions(3))
    assert not any(name.startswith("shared.") for name in functions(1))


def test_each_kernel_reports_its_own_failure():
    """Two gathers of one structure: the error names the line of the one that failed."""
    b = Builder("f")
    x, i, j = (
        b.input("x", tensor("f32", 5, 3)),
        b.input("i", tensor("i64", "N")),
        b.input("j", tensor("i64", "N")),
    )
    b.output(b.exp(b.gather(x, i, axis=0)))
    b.output(b.exp(b.gather(b.exp(x), j, axis=0)))
    compiled = compile(b.build())
    table = np.ones((5, 3), "f4")
    good, bad = np.array([0, 1]), np.array([0, 9])
    compiled(table, good, good)
    for indices in ((bad, good), (good, bad)):
        with pytest.raises(IndexRangeError):
            compiled(table, *indices)


def test_a_kernel_that_works_in_place_is_not_one_that_does_not():
    """The first exp has to keep its operand, the second may overwrite it."""
    b = Builder("f")
    x = b.input("x", tensor("f32", "B", 64))
    y = b.matmul(x, b.weight("w", tensor("f32", 64, 64)))
    z = b.matmul(b.exp(y), b.weight("v", tensor("f32", 64, 64)))
    b.output(b.exp(z), b.sum(y, axes=(0,)))
    graph = b.build()
    compiled = compile(graph)
    weights = [w * np.float32(0.05) for w in weights_of(graph)]
    compiled.bind(weights)
    x_value = np.random.default_rng(2).standard_normal((6, 64)).astype("f4")
    names = [w.value.name for w in graph.weights]
    expected = run(graph, {"x": x_value, **dict(zip(names, weights))}).outputs
    for got, wanted in zip(compiled(x_value), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-4)


def test_kernels_in_loops_share_with_those_outside():
    body = Builder()
    h, x = body.input("h", tensor("f32", "B", 8)), body.input("x_t", tensor("f32", "B", 8))
    body.output(body.tanh(h + x), body.tanh(h - x))
    b = Builder("f")
    xs, start = b.input("xs", tensor("f32", "T", "B", 8)), b.input("start", tensor("f32", "B", 8))
    attrs = {"carries": 1, "scanned": 1, "length": symbol("T"), "reverse": False}
    first = b.node(get_op("scan"), [start, xs], attrs, (body.build(),))
    second = b.node(get_op("scan"), [Expr(b, first.results[0]), xs], attrs, (body.build(),))
    b.output(*(Expr(b, r) for r in second.results))
    graph = b.build()
    rng = np.random.default_rng(3)
    arrays = {"xs": rng.standard_normal((4, 3, 8)).astype("f4"), "start": np.zeros((3, 8), "f4")}
    expected = run(graph, arrays).outputs
    for got, wanted in zip(compile(graph)(*arrays.values()), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_a_kernel_named_gather_does_not_meet_the_functions_that_gather_pointers():
    b = Builder("rows")
    x, where, w = (
        b.input("x", tensor("f64", 12, 4)),
        b.input("where", tensor("i64", 12)),
        b.input("w", tensor("f64", 4)),
    )
    rows = b.gather(x, where, axis=0)
    for first in (0, 6):
        part = b.slice(rows, start=(first, 0), stop=(first + 6, 4), step=(1, 1))
        product = b.matmul(part, b.reshape(w, shape=(4, 1)))
        w = w - b.reshape(b.matmul(part, product, transpose_a=True), shape=(4,))
    b.output(w)
    arrays = np.arange(48.0).reshape(12, 4) / 96, np.arange(12)[::-1].copy(), np.ones(4)
    want = compile(b.build(), backend="reference")(*arrays)
    np.testing.assert_allclose(compile(b.build(), cache=False)(*arrays), want, rtol=1e-12)


def test_columns_of_a_concatenation_share_a_function():
    """Equal products that write other columns of one array: where they begin is a part of their pointers."""
    b = Builder("columns")
    x = b.input("x", tensor("f32", "B", 6, 7))
    parts = [b.tanh(b.matmul(x, b.weight(f"w{i}", tensor("f32", 7, 5)))) for i in range(4)]
    joined = b.concatenate(*parts, axis=2)
    b.output(b.matmul(joined, b.weight("v", tensor("f32", 20, 3))))
    graph = b.build()
    lowered = Lowered(Stages(graph, resolve(threads=1)), host())
    assert sum(name.startswith("shared.") and "." not in name[7:] for name in definitions(lowered.llvm)) == 1
    weights = weights_of(graph)
    compiled = compile(graph)
    compiled.bind(weights)
    x_value = np.random.default_rng(4).standard_normal((3, 6, 7)).astype("f4")
    arrays = {w.value.name: a for w, a in zip(graph.weights, weights)}
    expected = run(graph, {"x": x_value, **arrays}).outputs[0]
    np.testing.assert_allclose(compiled(x_value), expected, rtol=1e-4, atol=1e-5)
