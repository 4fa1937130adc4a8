"""Scales behind products move into their operands where that is cheaper, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.ir import Builder, Graph, symbol, tensor
from graphc.ir.evaluate import run
from graphc.passes import run as run_passes
from graphc.passes.fold_norm import fold_norm


def normed(rows: object, bias: bool = False, turned: bool = False, shared: bool = False) -> Graph:
    """A product of 3 terms with a scale and a shift per column."""
    b = Builder("f")
    x = b.input("x", tensor("f32", rows, 3))
    k = b.weight("k", tensor("f32", 4, 3) if turned else tensor("f32", 3, 4))
    s, t, c = (b.weight(n, tensor("f32", 4)) for n in "stc")
    y = b.matmul(x, k, transpose_b=turned)
    y = c + y if bias else y
    b.output(b.fma(y, s, t))
    if shared:
        b.output(y)
    return b.build()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_the_operand_is_scaled(bias, turned, arrays_for):
    graph = normed(6 * symbol("B"), bias, turned)
    folded = fold_norm(graph)
    folded.verify()
    ops = [n.op.name for n in folded.nodes]
    assert ops.index("multiply") < len(ops) - 1 - ops[::-1].index("matmul")
    assert ops[-1] == "add"
    arrays = arrays_for(graph, {"B": 2})
    (expected,), (found,) = run(graph, arrays).outputs, run(folded, arrays).outputs
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3])
def test_kernels_of_convolutions_are_scaled(size, arrays_for):
    """Their normalisation has axes of size 1 in front of the channels."""
    b = Builder("f")
    x, k = b.input("x", tensor("f32", "B", 9, 8, 3)), b.weight("k", tensor("f32", size, size, 3, 4))
    padding = ((size // 2, size // 2),) * 2
    y = b.conv(x, k, size=(size, size), strides=(1, 1), padding=padding, dilation=(1, 1)) + b.weight(
        "c", tensor("f32", 4)
    )
    s, t = (b.reshape(b.weight(n, tensor("f32", 4)), shape=(1, 1, 1, 4)) for n in "st")
    b.output(b.fma(y, s, t))
    graph = run_passes(b.build(), "decompose")
    folded = fold_norm(graph)
    folded.verify()
    assert folded.nodes[-1].op.name == "add"
    assert folded.producers[folded.nodes[-1].operands[0]].op.name in ("matmul", "window_product")
    arrays = arrays_for(graph, {"B": 2})
    (expected,), (found,) = run(graph, arrays).outputs, run(folded, arrays).outputs
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_weights_that_change_are_heeded(arrays_for):
    graph = fold_norm(normed(9))
    arrays = arrays_for(graph)
    first = run(graph, arrays).outputs[0]
    second = run(graph, arrays | {"s": arrays["s"] * 2, "t": arrays["t"] * 2}).outputs[0]
    np.testing.assert_allclose(second, first * 2, rtol=1e-6)


@pytest.mark.parametrize(
    "graph",
    [normed(5), normed(symbol("B")), normed(9, shared=True), normed(9, bias=True, shared=True)],
    ids=["few rows", "rows by the batch", "product read twice", "sum read twice"],
)
def test_elsewhere_the_scale_stays(graph):
    assert fold_norm(graph) is graph


def test_a_scale_per_row_stays():
    b = Builder("f")
    x, k = b.input("x", tensor("f32", 9, 3)), b.weight("k", tensor("f32", 3, 4))
    s, t = b.weight("s", tensor("f32", 9, 1)), b.weight("t", tensor("f32", 4))
    b.output(b.fma(b.matmul(x, k), s, t))
    graph = b.build()
    assert fold_norm(graph) is graph
