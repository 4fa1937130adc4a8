"""Loops and branches."""

import numpy as np
import pytest

from graphc.ir import OPS, Builder, Expr, parse, tensor
from graphc.ir.differentiate import expand_gradients
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError


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


def gradient_graph(name, operands, attrs, regions, targets):
    """The gradient of the sum of all floating-point results, for some operands."""
    b = Builder("f")
    values = {n: b.input(n, t) for n, t in operands.items()}
    node = b.node(OPS[name], list(values.values()), attrs, regions=regions)
    heads = [Expr(b, r) for r in node.results if r.type.dtype.is_floating]
    ones = [b.cos(h) for h in heads]
    b.output(*(b.sum(b.sin(h), axes=tuple(range(h.rank))) for h in heads))
    found = b.gradient(*heads, *ones, *(values[t] for t in targets), outputs=len(heads))
    b.output(*(found if isinstance(found, tuple) else (found,)))
    return b.build(), len(heads)


def check_gradients(graph, heads, inputs, targets):
    expanded = expand_gradients(graph)
    expanded.verify()
    assert parse(str(expanded)) == expanded
    gradients = graph.evaluate(**inputs)[heads:]
    rng = np.random.default_rng(5)
    for name, gradient in zip(targets, gradients, strict=True):
        direction = rng.normal(size=inputs[name].shape)
        moved = [
            sum(graph.evaluate(**{**inputs, name: inputs[name] + s * direction})[:heads])
            for s in (1e-6, -1e-6)
        ]
        np.testing.assert_allclose(
            np.sum(gradient * direction), (moved[0] - moved[1]) / 2e-6, rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [4, 1, 0])
def test_gradient_of_a_scan(length, reverse):
    types = {"h": tensor("f64", 2), "n": tensor("i64"), "x": tensor("f64", 3), "w": tensor("f64", 3, 2)}

    def step(b, h, n, x, w):
        row = b.matmul(b.reshape(x, shape=(1, 3)), w)
        new = b.tanh(h * 0.5 + b.reshape(row, shape=(2,)))
        return new, n + 1, new * b.cast(n, dtype="f64"), b.sin(h)

    (t,) = tensor("f64", "T").shape
    operands = {**types, "x": tensor("f64", "T", 3)}
    attrs = {"carries": 2, "scanned": 1, "length": t, "reverse": reverse}
    targets = ["h", "x", "w"]
    graph, heads = gradient_graph("scan", operands, attrs, (region(step, **types),), targets)
    rng = np.random.default_rng(1)
    inputs = {
        "h": rng.normal(size=2),
        "x": rng.normal(size=(length, 3)),
        "w": rng.normal(size=(3, 2)),
        "n": np.array(1),
    }
    assert heads == 3
    check_gradients(graph, heads, inputs, targets)


@pytest.mark.parametrize("predicate", [False, True])
def test_gradient_of_a_cond(predicate):
    types = {"x": tensor("f64", 3), "k": tensor("i64"), "y": tensor("f64", 3)}
    first = region(lambda b, x, k, y: (b.sin(x) * y, x), **types)
    second = region(lambda b, x, k, y: (x * b.cast(k, dtype="f64"), y * y), **types)
    graph, heads = gradient_graph("cond", {"p": tensor("bool"), **types}, {}, (first, second), ["x", "y"])
    rng = np.random.default_rng(2)
    inputs = {"p": np.array(predicate), "k": np.array(3), "x": rng.normal(size=3), "y": rng.normal(size=3)}
    check_gradients(graph, heads, inputs, ["x", "y"])


def test_a_while_has_no_gradient():
    types = {"x": tensor("f64")}
    regions = (region(lambda b, x: x < 9, **types), region(lambda b, x: x * 2, **types))
    graph, _ = gradient_graph("while", types, {"carries": 1}, regions, ["x"])
    with pytest.raises(DTypeError, match=r"there is no gradient of while \(%while\)"):
        graph.evaluate(x=1.0)
