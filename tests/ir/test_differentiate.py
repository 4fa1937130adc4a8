"""The reverse sweep: paths, sums, symbolic sizes, nested gradients, errors."""

import numpy as np
import pytest

from graphc.ir import Builder, Location, tensor
from graphc.ir.differentiate import expand_gradients, gradients
from graphc.ir.errors import ArgumentError, DTypeError
from graphc.ir.evaluate import run
from graphc.ir.opdef import OPS, Kind, define


def build(make, **types):
    b = Builder("f")
    result = make(b, *(b.input(name, t) for name, t in types.items()))
    b.output(*(result if isinstance(result, (tuple, list)) else (result,)))
    return b.build()


def test_only_nodes_between_targets_and_outputs_get_a_vjp():
    b = Builder("f")
    x, y = b.input("x", tensor("f32", 3)), b.input("y", tensor("f32", 3))
    unused, constant_part = b.exp(x), b.tan(y)
    out = b.sin(x) * constant_part
    before = len(b.nodes)
    dx, dz = gradients(b, list(b.nodes), [out], [b.cos(y)], [x, unused])
    added = [n.op.name for n in b.nodes[before:]]
    assert added == ["cos", "multiply", "multiply", "cos", "multiply"]
    assert dx.type == x.type
    assert dz is None


def test_locations_say_what_they_were_derived_from():
    b = Builder("f")
    x = b.input("x", tensor("f32", 3))
    with b.at(Location("train.py", 8, "hidden")):
        y = b.relu(x)
    gradients(b, list(b.nodes), [y], [y], [x])
    assert str(b.nodes[-1].location) == "train.py:8 'hidden' (vjp of %relu)"


def test_cotangents_of_several_uses_are_summed():
    graph = build(lambda b, x: b.gradient(x * x + x, b.cos(x) * 0 + 1, x, outputs=1), x=tensor("f64", 3))
    np.testing.assert_allclose(graph.evaluate(x=np.array([1.0, 2, 3])), [3, 5, 7])


def test_an_operand_that_stands_twice_gets_its_gradient_once_through_a_formula():
    def make(b, x):
        y = b.clip(x, x - 1, x)
        return b.gradient(y, x * 0 + 1, x, outputs=1)

    np.testing.assert_allclose(build(make, x=tensor("f64", 3)).evaluate(x=np.arange(3.0)), [1, 1, 1])


def test_several_outputs_and_targets_that_are_intermediate():
    def make(b, x):
        h = x * 2
        return b.gradient(b.sin(h), h * h, b.cos(h) * 0 + 1, h * 0 + 1, h, x, outputs=2)

    x = np.array([0.3, 0.7])
    dh, dx = build(make, x=tensor("f64", 2)).evaluate(x=x)
    np.testing.assert_allclose(dh, np.cos(2 * x) + 4 * x)
    np.testing.assert_allclose(dx, 2 * dh)


def test_broadcast_and_sums_with_symbolic_sizes():
    def make(b, x, w, c):
        y = b.mean(b.square(x * w + c), axes=(0, 1))
        return b.gradient(y, b.constant(1.0, "f64"), x, w, c, outputs=1)

    graph = build(make, x=tensor("f64", "B", "D"), w=tensor("f64", "D"), c=tensor("f64", 1, 1))
    rng = np.random.default_rng(0)
    x, w, c = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(1, 1))
    dx, dw, dc = graph.evaluate(x=x, w=w, c=c)
    r = 2 * (x * w + c) / 12
    np.testing.assert_allclose(dx, r * w)
    np.testing.assert_allclose(dw, (r * x).sum(0))
    np.testing.assert_allclose(dc, r.sum(keepdims=True))


def test_gradients_of_gradients():
    def make(b, x):
        one = x * 0 + 1
        first = b.gradient(b.sin(x) * x, one, x, outputs=1)
        return b.gradient(first, one, x, outputs=1)

    x = np.array([0.3, 1.7, -2.0])
    want = 2 * np.cos(x) - x * np.sin(x)
    np.testing.assert_allclose(build(make, x=tensor("f64", 3)).evaluate(x=x), want)


def test_an_independent_target_gets_zeros_and_integers_none():
    graph = build(
        lambda b, x, y: b.gradient(x, x, y, outputs=1), x=tensor("f32", "B"), y=tensor("f32", "B", 2)
    )
    np.testing.assert_array_equal(
        graph.evaluate(x=np.ones(3, "f4"), y=np.ones((3, 2), "f4")), np.zeros((3, 2))
    )
    b = Builder("g")
    i = b.input("i", tensor("i64", 3))
    y = b.cast(i, dtype="f32")
    assert gradients(b, list(b.nodes), [y], [y], [i]) == [None]


def test_stop_gradient_and_rounding_stop():
    def make(b, x):
        y = b.stop_gradient(x) * x + b.round(x)
        return b.gradient(y, x * 0 + 1, x, outputs=1)

    np.testing.assert_allclose(build(make, x=tensor("f64", 2)).evaluate(x=np.array([1.5, -2.0])), [1.5, -2.0])


def test_the_branch_that_is_not_taken_leaks_no_nan():
    def make(b, x):
        y = b.select(x > 0, b.log(b.select(x > 0, x, 1)), 0)
        z = b.power(x, 2.0)
        return b.gradient(y + z, x * 0 + 1, x, outputs=1)

    np.testing.assert_allclose(
        build(make, x=tensor("f64", 3)).evaluate(x=np.array([-1.0, 0, 2])), [-2, 0, 4.5]
    )


@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_share_the_gradient_of_an_extremum(name):
    def make(b, x):
        return b.gradient(b.op(name, x, axes=(0,)), b.constant(1.0, "f64"), x, outputs=1)

    x = np.array([2.0, 2.0, 2.0, 2.0])
    np.testing.assert_array_equal(build(make, x=tensor("f64", "N")).evaluate(x=x), [0.25] * 4)


def test_an_op_without_derivative_on_the_path_is_an_error():
    define("opaque", Kind.ELEMENTWISE, "No vjp.", infer=lambda x: x, evaluate=lambda x: x)
    try:
        b = Builder("f")
        x, y = b.input("x", tensor("f32")), b.input("y", tensor("f32"))
        with b.at(Location("train.py", 3)):
            z = b.opaque(x) * y
        assert gradients(b, list(b.nodes), [z], [z], [y])[0] is not None
        with pytest.raises(DTypeError, match=r"there is no gradient of opaque \(%opaque\)\n  at train.py:3"):
            gradients(b, list(b.nodes), [z], [z], [x])
    finally:
        del OPS["opaque"]


def test_expansion_keeps_names_updates_and_requirements():
    b = Builder("step")
    w = b.weight("w", tensor("f32", 3))
    x = b.input("x", tensor("f32", "B"))
    y = b.input("y", tensor("f32", "C"))
    loss = b.sum(x * y, axes=(0,)) * b.sum(w * w, axes=(0,))
    grad = b.gradient(loss, b.constant(1.0, "f32"), w, outputs=1)
    b.update(w, w - grad)
    b.output(loss)
    graph = b.build()
    expanded = expand_gradients(graph)
    assert [n.op.name for n in expanded.nodes].count("gradient") == 0
    names = [v.name for v in expanded.values()]
    assert len(names) == len(set(names))
    assert {n.results[0].name for n in graph.nodes if n.op.name != "gradient"} <= set(names)
    assert expanded.requirements == graph.requirements
    inputs = {"w": np.ones(3, "f4"), "x": np.ones(2, "f4"), "y": np.ones(2, "f4")}
    np.testing.assert_array_equal(run(graph, inputs).updates["w"], [-3, -3, -3])


def test_gradient_checks_its_operands():
    b = Builder("f")
    x = b.input("x", tensor("f32", 3))
    with pytest.raises(ArgumentError, match="gradient: 2 operands are too few for 1 outputs"):
        b.gradient(x, x, outputs=1)
    with pytest.raises(
        DTypeError, match=r"gradient: the cotangent of an output f32\[3\] has the type f32\[\]"
    ):
        b.gradient(x, b.constant(1.0, "f32"), x, outputs=1)
