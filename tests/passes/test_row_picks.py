"""One element of each row as a choice by column: the same values and errors, without gathers and scatters."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import passes
from graphc.ir import Builder, Graph, tensor
from graphc.ir.errors import IndexRangeError

COLUMNS = 7


def picked(b: Builder, labels, columns=COLUMNS, step=None, bound=None):
    """Flat indices of labels[i] in row i, checked as the front end does."""
    rows = labels.shape[0]
    bound = columns if bound is None else bound
    inside = b.logical_and(b.greater_equal(labels, -bound), b.less(labels, bound))
    checked = b.check(labels, inside, message="index {value} is out of bounds", error="index")
    wrapped = b.select(b.less(checked, 0), checked + bound, checked)
    return b.iota(shape=(rows,), dtype="i64") * (columns if step is None else step) + wrapped


def gathered(**options) -> Graph:
    b = Builder("gathered")
    x, labels = b.input("x", tensor("f32", "B", COLUMNS)), b.input("labels", tensor("i64", "B"))
    scores = x - b.max(x, axes=(1,), keepdims=True)
    b.output(b.gather(b.reshape(scores, shape=(scores.shape[0] * COLUMNS,)), picked(b, labels, **options)))
    return b.build()


def scattered() -> Graph:
    b = Builder("scattered")
    u, labels = b.input("u", tensor("f32", "B")), b.input("labels", tensor("i64", "B"))
    size = u.shape[0] * COLUMNS
    zeros = b.broadcast(b.constant(0.0, "f32"), shape=(size,))
    flat = b.scatter_add(zeros, picked(b, labels), u)
    b.output(b.reshape(flat, shape=(u.shape[0], COLUMNS)))
    return b.build()


def ops(graph: Graph) -> set[str]:
    return {n.op.name for n in graph.nodes}


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_gathers(rows):
    before = gathered()
    after = passes.run(before, "row_picks, dce")
    after.verify()
    assert "gather" not in ops(after)
    x = np.random.default_rng(0).normal(size=(rows, COLUMNS)).astype("f4")
    x[:1, :3] = np.nan, np.inf, 1
    labels = np.resize([2, 0, -1, 6, -7], rows)
    np.testing.assert_array_equal(after.evaluate(x=x, labels=labels), before.evaluate(x=x, labels=labels))


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_scatters(rows):
    before = scattered()
    after = passes.run(before, "row_picks, dce")
    after.verify()
    assert "scatter_add" not in ops(after)
    u, labels = np.arange(rows, dtype="f4") + 1, np.resize([2, 0, -1, 6, -7], rows)
    u[:1] = np.nan
    np.testing.assert_array_equal(after.evaluate(u=u, labels=labels), before.evaluate(u=u, labels=labels))


@pytest.mark.parametrize("graph", [gathered(), scattered()], ids=lambda g: g.name)
@pytest.mark.parametrize("label", [COLUMNS, -COLUMNS - 1])
def test_numbers_out_of_range_are_still_refused(graph, label):
    after = passes.run(graph, "row_picks, dce")
    first = graph.inputs[0]
    values = {first.name: np.ones((2, COLUMNS)[: first.type.rank], "f4"), "labels": np.array([0, label])}
    with pytest.raises(IndexRangeError):
        after.evaluate(**values)


@pytest.mark.parametrize("options", [{"step": COLUMNS - 1}, {"bound": COLUMNS - 1}], ids=str)
def test_other_indices_stay(options):
    graph = gathered(**options)
    assert passes.run(graph, "row_picks") is graph


def test_what_lies_in_memory_anyway_is_gathered():
    b = Builder("plain")
    x, labels = b.input("x", tensor("f32", "B", COLUMNS)), b.input("labels", tensor("i64", "B"))
    b.output(b.gather(b.reshape(x, shape=(x.shape[0] * COLUMNS,)), picked(b, labels)))
    graph = b.build()
    assert passes.run(graph, "row_picks") is graph


def test_scatters_that_others_read_stay_beside():
    b = Builder("read")
    u, labels = b.input("u", tensor("f32", 5)), b.input("labels", tensor("i64", 5))
    flat = b.scatter_add(b.broadcast(b.constant(0.0, "f32"), shape=(35,)), picked(b, labels), u)
    b.output(flat, b.reshape(flat, shape=(5, COLUMNS)))
    before = b.build()
    after = passes.run(before, "row_picks, dce")
    values = {"u": np.ones(5, "f4"), "labels": np.arange(5)}
    for got, want in zip(after.evaluate(**values), before.evaluate(**values), strict=True):
        np.testing.assert_array_equal(got, want)


def test_cross_entropy_with_its_gradient_is_one_kernel():
    def loss(z, y):
        z = z - np.max(z, axis=1, keepdims=True)
        log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
        return -np.mean(log_p[np.arange(z.shape[0]), y])

    z = np.random.default_rng(0).normal(size=(300, 100)).astype("f4")
    y = np.arange(300) % 100
    differentiated = graphc.value_and_grad(loss)
    step = graphc.compile(
        lambda z, y: differentiated(z, y), graphc.spec((300, 100)), graphc.spec((300,), "int64")
    )
    assert len(step.ir().nodes) == 1
    value, gradient = step(z, y)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(value, -np.log(p[np.arange(300), y]).mean(), rtol=1e-5)
    p[np.arange(300), y] -= 1
    np.testing.assert_allclose(gradient, p / 300, rtol=1e-4, atol=1e-8)
