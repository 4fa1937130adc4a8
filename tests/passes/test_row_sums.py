"""Sums of what row loops compute, along the rows first: the same sums, and nothing large in memory."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import passes
from graphc.ir import Builder, Graph, tensor


def centred_squares(axes: tuple[int, ...], keepdims: bool = False) -> Graph:
    b = Builder("squares")
    x = b.input("x", tensor("f64", "A", "B", 3))
    mean = b.sum(x, axes=(2,), keepdims=True) / 3.0
    b.output(b.sum(b.square(x - mean), axes=axes, keepdims=keepdims))
    return b.build()


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2), (1, 2)])
@pytest.mark.parametrize("shape", [(4, 5, 3), (1, 1, 3), (0, 2, 3)])
def test_more_axes_than_the_rows(axes, keepdims, shape):
    before = centred_squares(axes, keepdims)
    after = passes.run(before, "row_sums")
    after.verify()
    assert [n.attrs["axes"] for n in after.nodes if n.op.name == "sum"] == [(2,), (2,), axes]
    x = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(after.evaluate(x=x), before.evaluate(x=x), rtol=1e-14)


@pytest.mark.parametrize("axes", [(2,), (0, 1), (0,)])
def test_others_stay(axes):
    graph = centred_squares(axes)
    assert passes.run(graph, "row_sums") is graph


def test_sums_of_what_needs_no_rows_stay():
    b = Builder("all")
    b.output(b.sum(b.square(b.input("x", tensor("f32", 4, 5))), axes=(0, 1), keepdims=False))
    graph = b.build()
    assert passes.run(graph, "row_sums") is graph


def test_a_loss_behind_a_norm_takes_a_number_for_each_row():
    def loss(x):
        d = x - np.mean(x, axis=1, keepdims=True)
        h = d / np.sqrt(np.mean(d * d, axis=1, keepdims=True) + 1e-5)
        return h, np.sum(np.tanh(h) ** 2)

    x = np.random.default_rng(0).normal(size=(64, 50)).astype("f4")
    f = graphc.compile(loss, graphc.spec((64, 50)))
    assert f.memory().arena < x.nbytes
    np.testing.assert_allclose(f(x)[1], loss(x.astype("f8"))[1], rtol=1e-6)
