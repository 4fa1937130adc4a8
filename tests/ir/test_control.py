"""Loops and branches."""

import numpy as np
import pytest

from graphc.ir import OPS, Builder, tensor
from graphc.ir.errors import ArgumentError, ShapeError


def region(make, **types):
    b = Builder("body")
    result = make(b, *(b.input(name, t) for name, t in types.items()))
    b.output(*(result if isinstance(result, tuple) else (result,)))
    return b.build()


def build(name, operands, attrs, regions):
    b = Builder("f")
    values = [b.input(n, t) for n, t in operands.items()]
    node = b.node(OPS[name], values, attrs, regions=regions)
    b.output(*node.results)
    return b.build()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [5, 1, 0])
def test_scan_carries_and_stacks(length, reverse):
    body = region(lambda b, h, x, w: (h * w + x, h), h=tensor("f64", 2), x=tensor("f64", 2), w=tensor("f64"))
    operands = {"h": tensor("f64", 2), "x": tensor("f64", "T", 2), "w": tensor("f64")}
    (t,) = tensor("f64", "T").shape
    attrs = {"carries": 1, "scanned": 1, "length": t, "reverse": reverse}
    graph = build("scan", operands, attrs, (body,))
    assert str(graph.outputs[1].type) == "f64[T, 2]"
    xs = np.random.default_rng(0).normal(size=(length, 2))
    h, seen = np.ones(2), [None] * length
    last, rows = graph.evaluate(h=h, x=xs, w=0.5)
    for i in reversed(range(length)) if reverse else range(length):
        seen[i], h = h, h * 0.5 + xs[i]
    np.testing.assert_allclose(last, h)
    np.testing.assert_allclose(rows, np.array(seen, np.float64).reshape(length, 2))


def test_while_runs_until_the_condition_fails():
    types = {"i": tensor("i64"), "x": tensor("f32", 2), "n": tensor("i64")}
    condition = region(lambda b, i, x, n: i < n, **types)
    body = region(lambda b, i, x, n: (i + 1, x * 2), **types)
    graph = build("while", types, {"carries": 2}, (condition, body))
    count, x = graph.evaluate(i=0, x=np.ones(2, "f4"), n=4)
    assert count == 4
    np.testing.assert_array_equal(x, [16, 16])
    np.testing.assert_array_equal(graph.evaluate(i=9, x=np.ones(2, "f4"), n=4)[1], [1, 1])


def test_cond_takes_one_branch():
    branches = tuple(region(make, x=tensor("f32", 2)) for make in (lambda b, x: x + 1, lambda b, x: x * 10))
    graph = build("cond", {"p": tensor("bool"), "x": tensor("f32", 2)}, {}, branches)
    x = np.ones(2, "f4")
    np.testing.assert_array_equal(graph.evaluate(p=True, x=x), [2, 2])
    np.testing.assert_array_equal(graph.evaluate(p=False, x=x), [10, 10])


def test_regions_that_do_not_fit():
    x = {"x": tensor("f32", 2)}
    same = region(lambda b, x: x * 1, **x)
    total = region(lambda b, x: b.sum(x, axes=(0,)), **x)
    with pytest.raises(ArgumentError, match="cond: the branches give different types"):
        build("cond", {"p": tensor("bool"), **x}, {}, (same, total))
    with pytest.raises(ShapeError, match=r"cond: the predicate is a scalar, got bool\[2\]"):
        build("cond", {"p": tensor("bool", 2), **x}, {}, (same, same))
    with pytest.raises(ArgumentError, match=r"while: the region carries \(f32\[2\],\) on as \(f32\[\],\)"):
        build("while", x, {"carries": 1}, (region(lambda b, x: b.all(x > 0, axes=(0,)), **x), total))
