"""Elementwise work and folds behind a reshaped product move to the product, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphc import passes
from graphc.ir import Builder, Expr, Graph, Value, tensor
from graphc.ir.evaluate import run
from graphc.passes.epilogues import epilogues

CONV = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


def images(b: Builder) -> Expr:
    """A product with a row per pixel, as images."""
    x, w = b.input("x", tensor("f32", "B", 5, 4, 6)), b.weight("w", tensor("f32", 6, 7))
    rows = b.reshape(x, shape=(x.shape[0] * 20, 6))
    return b.reshape(b.matmul(rows, w), shape=(x.shape[0], 5, 4, 7))


def norm(b: Builder, x: Expr, train: bool = False, name: str = "") -> Expr:
    names = ("gamma", "beta") if train else ("gamma", "beta", "mean", "var")
    weights = [b.weight(name + n, tensor("f32", x.shape[-1])) for n in names]
    weights[-1] = b.exp(weights[-1])
    return b.batch_norm_train(x, *weights, axis=3)[0] if train else b.batch_norm(x, *weights, axis=3)


def other(b: Builder) -> Expr:
    return b.input("z", tensor("f32", "B", 5, 4, 7))


def inference_norm(b: Builder) -> Expr:
    return b.relu(norm(b, images(b)))


def training_norm(b: Builder) -> Expr:
    return b.relu(norm(b, images(b), train=True))


def residual(b: Builder) -> Expr:
    return b.relu(norm(b, images(b)) + other(b))


def gated(b: Builder) -> Expr:
    """A mask of another value, made where it is read."""
    return b.select(b.greater(other(b), 0.0), images(b), 0.0)


def chained(b: Builder) -> Expr:
    """Several steps on another value, which only this one reads."""
    return images(b) * (b.abs(other(b)) + b.broadcast(b.constant(2.0, "f32"), shape=(5, 4, 7)))


def per_image(b: Builder) -> Expr:
    """An operand with a number per image and channel is no row: the product stays alone."""
    return images(b) * b.input("s", tensor("f32", "B", 1, 1, 7))


def two_products(b: Builder) -> Expr:
    y = images(b)
    w = b.weight("w2", tensor("f32", 7, 7))
    z = b.matmul(b.reshape(y, shape=(y.shape[0] * 20, 7)), w)
    return b.relu(b.reshape(z, shape=y.shape) + y)


def pooled_gate(b: Builder) -> Expr:
    """A product per image, as images of one pixel, beside one per pixel."""
    y = images(b)
    means = b.mean(y, axes=(1, 2))
    gate = b.reshape(b.matmul(means, b.weight("g", tensor("f32", 7, 7))), shape=(y.shape[0], 1, 1, 7))
    return y * b.sigmoid(gate)


def sums(b: Builder) -> Expr:
    y = images(b)
    return b.sum(y, axes=(0, 1, 2)) + b.reshape(b.max(y, axes=(0, 1, 2), keepdims=True), shape=(7,))


def views_only(b: Builder) -> Expr:
    """A slice is read by the loops that need it, so what adds it stays with it."""
    joined = b.concatenate(other(b), other_too(b), axis=3)
    size = joined.shape[0]
    return images(b) + b.slice(joined, start=(0, 0, 0, 3), stop=(size, 5, 4, 10), step=(1, 1, 1, 1))


def other_too(b: Builder) -> Expr:
    return b.input("u", tensor("f32", "B", 5, 4, 7))


def checked(b: Builder) -> Expr:
    """A check tells positions in the images."""
    y = images(b)
    return b.check(y, b.less(y, 1e30), message="too large at {position}", error="value")


MOVED: tuple[Callable[[Builder], Expr], ...] = (
    *(inference_norm, training_norm, residual, gated, chained, two_products, sums),
)
KEPT: tuple[Callable[[Builder], Expr], ...] = (per_image, views_only, checked, pooled_gate)


def graph_of(make: Callable[[Builder], Expr]) -> Graph:
    b = Builder(make.__name__)
    b.output(make(b))
    return passes.run(b.build(), "decompose, fold, simplify")


@pytest.mark.parametrize("make", [*MOVED, *KEPT], ids=lambda f: f.__name__)
def test_values_stay(make, arrays_for):
    before = graph_of(make)
    after = epilogues(before)
    after.verify()
    arrays = arrays_for(before)
    for x, y in zip(run(before, arrays).outputs, run(after, arrays).outputs, strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-6, atol=2e-6)


def elements(graph: Graph) -> set[int]:
    """The ranks of arithmetic on whole images or matrices, but for terms of sums: statistics go through each
    image.
    """
    kinds = ("add", "subtract", "multiply", "relu", "select", "square")
    users, terms = graph.users, set[Value]()
    for n in reversed(graph.nodes):
        readers = users.get(n.result, ())
        if readers and all(m.op.name == "sum" or m.result in terms for m in readers):
            terms.add(n.result)
    found = [n.result.type for n in graph.nodes if n.op.name in kinds and n.result not in terms]
    return {t.rank for t in found if not isinstance(t.size, int)}


@pytest.mark.parametrize("make", MOVED, ids=lambda f: f.__name__)
def test_work_is_on_the_matrix(make):
    after = passes.run(epilogues(graph_of(make)), "cse, dce")
    assert elements(after) <= {2}


@pytest.mark.parametrize("make", KEPT[:3], ids=lambda f: f.__name__)
def test_what_is_no_epilogue_stays(make):
    before = graph_of(make)
    assert str(passes.run(epilogues(before), "dce")) == str(passes.run(before, "dce"))


def test_without_products_the_graph_is_the_same_object():
    b = Builder("f")
    b.output(b.relu(other(b)))
    graph = b.build()
    assert epilogues(graph) is graph


def block(b: Builder, x: Expr, size: int, channels: int, name: str) -> Expr:
    """Convolution, normalisation, relu."""
    kernel = b.weight(name, tensor("f32", size, size, x.shape[-1], channels))
    attrs = {**CONV, "padding": ((size // 2, size // 2),) * 2}
    return b.relu(norm(b, b.conv(x, kernel, size=(size, size), **attrs), name=name))


def test_blocks_of_resnet_and_inception_are_products_with_epilogues(arrays_for):
    """Nothing but the concatenation is left beside the products."""
    b = Builder("blocks")
    x = b.input("x", tensor("f32", "B", 6, 6, 16))
    y = block(b, block(b, x, 1, 17, "a"), 3, 16, "b")
    x = b.relu(y + block(b, x, 1, 16, "c"))
    x = b.concatenate(block(b, x, 1, 18, "d"), block(b, block(b, x, 1, 17, "e"), 3, 19, "f"), axis=3)
    b.output(x)
    graph = b.build()
    final = passes.run(graph)
    kernels = [n for n in final.nodes if n.op.name == "kernel"]
    for kernel in kernels:
        ops = {n.op.name for n in kernel.regions[0].nodes}
        assert ops & {"matmul", "window_product"} or ops <= {"concatenate", "constant"}
    assert sum(k.attrs["strategy"] == "contract" for k in kernels) == 6
    arrays = arrays_for(graph)
    (expected,), (found,) = run(graph, arrays).outputs, run(final, arrays).outputs
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)
