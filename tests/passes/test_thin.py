"""Products of one column or one term become loops, with the same result."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.ir import Builder, Graph, tensor
from graphc.ir.evaluate import run
from graphc.passes.thin import thin


def product(
    shapes: tuple[tuple[object, ...], tuple[object, ...]],
    ta: bool = False,
    tb: bool = False,
    dtype: str = "f64",
) -> Graph:
    b = Builder("f")
    x, y = (b.input(name, tensor(dtype, *shape)) for name, shape in zip("xy", shapes))
    b.output(b.matmul(x, y, transpose_a=ta, transpose_b=tb))
    return b.build()


COLUMNS = [
    ((("M", 5), (5, 1)), False, False),
    ((("M", 5), (1, 5)), False, True),
    (((5, "M"), (5, 1)), True, False),
    ((("M", 7), (1, "M")), True, True),
    (((3, "M", 5), (5, 1)), False, False),
    (((2, 5, 4), (3, 1, 5, 1)), True, False),
]
TERMS = [
    ((("M", 1), (1, 4)), False, False),
    ((("M", 1), (4, 1)), False, True),
    (((1, "M"), (1, 4)), True, False),
    (((2, "M", 1), (3, 1, 4, 1)), False, True),
]


@pytest.mark.parametrize("size", [0, 1, 33])
@pytest.mark.parametrize(("shapes", "ta", "tb"), COLUMNS + TERMS)
def test_the_result_is_that_of_the_product(shapes, ta, tb, size, arrays_for):
    graph = product(shapes, ta, tb)
    thinned = thin(graph)
    thinned.verify()
    assert "matmul" not in [n.op.name for n in thinned.nodes]
    arrays = arrays_for(graph, {"M": size})
    (expected,), (found,) = run(graph, arrays).outputs, run(thinned, arrays).outputs
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(compile(graph)(*arrays.values()), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shapes", [(("M", 5), (5, 2)), (("M", "K"), ("K", "N"))])
def test_other_products_stay(shapes):
    graph = product(shapes)
    assert thin(graph) is graph


def test_products_of_integers_stay():
    graph = product((("M", 5), (5, 1)), dtype="i64")
    assert thin(graph) is graph


def test_the_head_of_a_network_joins_what_is_before_and_behind():
    """One column, its bias and the loss, and what is computed from its gradient."""
    b = Builder("f")
    x, w = b.input("x", tensor("f32", "B", 64)), b.weight("w", tensor("f32", 64, 1))
    y = b.matmul(b.tanh(x), w)
    b.output(y * y)
    (kernel,) = compile(b.build()).ir().nodes
    assert kernel.attrs["strategy"] == "reduce"
