"""Loss and normalisation ops beside formulas written out in NumPy, and their errors."""

import numpy as np
import pytest

from graphc.ir import OPS, Builder, tensor
from graphc.ir.errors import IndexRangeError
from graphc.ir.evaluate import run


def apply(name, *arrays, gradient=False, decompose=False, **attrs):
    b = Builder("f")
    xs = [b.input(f"x{i}", tensor(x.dtype, *x.shape)) for i, x in enumerate(arrays)]
    out = OPS[name].decompose(b, *xs, **attrs) if decompose else b.op(name, *xs, **attrs)
    b.output(b.gradient(out, out * 0 + 1, xs[0], outputs=1) if gradient else out)
    return run(b.build(), {f"x{i}": x for i, x in enumerate(arrays)}).outputs[0]


P = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])


def test_sparse_categorical_clips_and_does_not_renormalise():
    got = apply("sparse_categorical_cross_entropy", P * 0.5, np.array([2, 1]))
    np.testing.assert_allclose(got, [-np.log(0.25), -np.log(1e-7)], rtol=1e-12)
    one = apply("sparse_categorical_cross_entropy", P, np.array([2, 0]))
    np.testing.assert_allclose(one[1], -np.log(1 - 1e-7), rtol=1e-6)


def test_categorical_renormalises_then_clips():
    target = np.array([[0, 0, 1.0], [0, 1, 0]])
    got = apply("categorical_cross_entropy", P * 0.5, target, axis=1)
    np.testing.assert_allclose(got, [-np.log(0.5), -np.log(1e-7)], rtol=1e-12)


def test_binary_clips():
    got = apply("binary_cross_entropy", np.array([0.25, 0, 1]), np.array([1.0, 1, 1]))
    np.testing.assert_allclose(got, [-np.log(0.25), -np.log(1e-7), -np.log(1 - 1e-7)], rtol=1e-6)


def test_gradient_is_zero_where_the_clip_holds():
    np.testing.assert_array_equal(
        apply("binary_cross_entropy", np.array([0.0, 1.0]), np.array([0.0, 1.0]), gradient=True), 0
    )
    got = apply("sparse_categorical_cross_entropy", P, np.array([2, 1]), gradient=True)
    np.testing.assert_allclose(got, [[0, 0, -2], [0, 0, 0]])


def test_logits_forms_do_not_overflow():
    logits = np.array([[1000.0, 0, -1000], [0, 0, 0]])
    got = apply("sparse_softmax_cross_entropy", logits, np.array([2, 1]))
    np.testing.assert_allclose(got, [2000, np.log(3)])
    grad = apply("sparse_softmax_cross_entropy", logits, np.array([2, 1]), gradient=True)
    np.testing.assert_allclose(grad, [[1, 0, -1], [1 / 3, -2 / 3, 1 / 3]])
    np.testing.assert_allclose(
        apply("sigmoid_cross_entropy", np.array([1000.0, -1000]), np.array([1.0, 1])), [0, 1000]
    )


def test_an_impossible_class_costs_nothing_when_it_is_not_the_label():
    logits = np.array([[0.0, -np.inf, 0]])
    for decompose in (False, True):
        got = apply("sparse_softmax_cross_entropy", logits, np.array([0]), decompose=decompose)
        np.testing.assert_allclose(got, [np.log(2)])


@pytest.mark.parametrize("decompose", [False, True])
@pytest.mark.parametrize("name", ["sparse_softmax_cross_entropy", "sparse_categorical_cross_entropy"])
@pytest.mark.parametrize("label", [3, -1])
def test_a_label_out_of_range_is_named(name, label, decompose):
    with pytest.raises(IndexRangeError) as e:
        apply(name, P, np.array([0, label]), decompose=decompose)
    assert str(e.value) == f"label {label} at position 1 is not one of 3 classes (0 to 2)"


def test_softmax_and_its_logarithm():
    x = np.array([[0.0, 1, 2], [1000, 0, -1000]])
    e = np.exp(x[0])
    np.testing.assert_allclose(apply("softmax", x, axis=1), [e / e.sum(), [1, 0, 0]])
    np.testing.assert_allclose(apply("log_softmax", x, axis=1), [np.log(e / e.sum()), [0, -1000, -2000]])


def test_batch_norm_normalises_and_gives_the_statistics():
    x = np.random.default_rng(0).normal(3, 2, (50, 4))
    b = Builder("f")
    v = b.input("x", tensor("f64", "B", 4))
    gamma, beta = b.input("g", tensor("f64", 4)), b.input("b", tensor("f64", 4))
    y, mean, var = b.batch_norm_train(v, gamma, beta, axis=1, epsilon=1e-3)
    b.output(y, mean, var, b.batch_norm(v, gamma, beta, mean, var, axis=1, epsilon=1e-3))
    y, mean, var, again = b.build().evaluate(x=x, g=np.full(4, 2.0), b=np.full(4, 0.5))
    np.testing.assert_allclose(mean, x.mean(0))
    np.testing.assert_allclose(var, x.var(0))
    np.testing.assert_allclose(y, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3) * 2 + 0.5)
    np.testing.assert_allclose(again, y)


def test_gradient_of_batch_norm_through_its_statistics():
    rng = np.random.default_rng(1)
    x, ct = rng.normal(size=(6, 3)), rng.normal(size=3)

    def gradient(results):
        b = Builder("f")
        v, c = b.input("x", tensor("f64", 6, 3)), b.input("c", tensor("f64", 3))
        one = b.broadcast(b.constant(1.0, "f64"), shape=(3,))
        outs = b.batch_norm_train(v, one, one, axis=1, epsilon=1e-3)
        heads = [outs[i] for i in results]
        b.output(b.gradient(*heads, *([c] * len(heads)), v, outputs=len(heads)))
        return b.build().evaluate(x=x, c=ct)

    dmean, dvar = np.broadcast_to(ct / 6, x.shape), 2 * (x - x.mean(0)) * ct / 6
    np.testing.assert_allclose(gradient([1]), dmean)
    np.testing.assert_allclose(gradient([2]), dvar)
    np.testing.assert_allclose(gradient([1, 2]), dmean + dvar)
