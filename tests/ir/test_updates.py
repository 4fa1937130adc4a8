"""Optimizer updates beside the formulas of the papers, step by step."""

import numpy as np
import pytest

from graphc.ir import OPS, Builder, tensor
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError
from graphc.ir.evaluate import run

W, GRADS = np.array([1.0, -2.0]), [np.array([0.5, -1.0]), np.array([0.1, 0.2]), np.array([-3.0, 0.0])]
LR = 0.1


def train(name, slots, scalars=(), **attrs):
    """The weight after three updates, in f64."""
    weight, state = W, [np.full(2, s) for s in slots]
    for step, grad in enumerate(GRADS):
        arrays = [weight, grad, *state, *(np.array(s(step)) for s in scalars), np.array(LR), np.array(step)]
        b = Builder("f")
        out = b.op(
            name, *(b.input(f"x{i}", tensor(a.dtype, *a.shape)) for i, a in enumerate(arrays)), **attrs
        )
        b.output(*(out if isinstance(out, tuple) else (out,)))
        weight, *state = run(b.build(), {f"x{i}": a for i, a in enumerate(arrays)}).outputs
    return weight


def test_sgd():
    np.testing.assert_allclose(train("sgd", []), W - LR * sum(GRADS))


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_momentum(nesterov):
    w, m = W, 0.0
    for g in GRADS:
        m = 0.9 * m - LR * g
        w = w + 0.9 * m - LR * g if nesterov else w + m
    np.testing.assert_allclose(train("sgd", [0.0], momentum=0.9, nesterov=nesterov), w)


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_adam(amsgrad, decay):
    w, m, v, largest = W, 0.0, 0.0, 0.0
    for t, g in enumerate(GRADS, 1):
        w = w - LR * decay * w
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        largest = np.maximum(largest, v)
        alpha = LR * np.sqrt(1 - 0.99**t) / (1 - 0.9**t)
        w = w - alpha * m / (np.sqrt(largest if amsgrad else v) + 1e-3)
    attrs = {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-3, "amsgrad": amsgrad}
    slots = [0.0] * (2 + amsgrad)
    got = train("adamw", slots, weight_decay=decay, **attrs) if decay else train("adam", slots, **attrs)
    np.testing.assert_allclose(got, w)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_rmsprop_has_epsilon_inside_the_root(centered, momentum):
    w, v, mean, moved = W, 0.0, 0.0, 0.0
    for g in GRADS:
        v, mean = 0.9 * v + 0.1 * g * g, 0.9 * mean + 0.1 * g
        moved = momentum * moved + LR * g / np.sqrt(v - (mean**2 if centered else 0) + 1e-3)
        w = w - moved
    slots = [0.0] * (1 + bool(momentum) + centered)
    np.testing.assert_allclose(train("rmsprop", slots, momentum=momentum, centered=centered, epsilon=1e-3), w)


def test_adagrad():
    w, total = W, 0.1
    for g in GRADS:
        total = total + g * g
        w = w - LR * g / np.sqrt(total + 1e-7)
    np.testing.assert_allclose(train("adagrad", [0.1]), w)


def test_adadelta():
    w, a, d = W, 0.0, 0.0
    for g in GRADS:
        a = 0.95 * a + 0.05 * g * g
        delta = -np.sqrt(d + 1e-7) / np.sqrt(a + 1e-7) * g
        d = 0.95 * d + 0.05 * delta**2
        w = w + LR * delta
    np.testing.assert_allclose(train("adadelta", [0.0, 0.0]), w)


def test_adamax():
    w, m, u = W, 0.0, 0.0
    for t, g in enumerate(GRADS, 1):
        m, u = 0.9 * m + 0.1 * g, np.maximum(0.999 * u, np.abs(g))
        w = w - LR / (1 - 0.9**t) * m / (u + 1e-7)
    np.testing.assert_allclose(train("adamax", [0.0, 0.0]), w)


def test_nadam():
    def mu(t):
        return 0.9 * (1 - 0.5 * 0.96**t)

    products = [np.prod([mu(k) for k in range(1, t + 2)]) for t in range(3)]
    w, m, v = W, 0.0, 0.0
    for t, g in enumerate(GRADS, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        mean = mu(t + 1) * m / (1 - products[t - 1] * mu(t + 1)) + (1 - mu(t)) * g / (1 - products[t - 1])
        w = w - LR * mean / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
    np.testing.assert_allclose(train("nadam", [0.0, 0.0], [lambda step: products[step]]), w)


def test_ftrl():
    w, n, z = W, 0.1, 0.0
    for g in GRADS:
        n2 = n + g * g
        z = z + g + 2 * 0.3 * w - (np.sqrt(n2) - np.sqrt(n)) / LR * w
        n = n2
        w = (np.clip(z, -0.2, 0.2) - z) / (np.sqrt(n) / LR + 2 * (0.4 + 0.5 / (2 * LR)))
    np.testing.assert_allclose(train("ftrl", [0.1, 0.0], l1=0.2, l2=0.4, shrinkage=0.3, beta=0.5), w)


def test_lion():
    w, m = W, 0.0
    for g in GRADS:
        w = w - LR * np.sign(0.9 * m + 0.1 * g)
        m = 0.99 * m + 0.01 * g
    np.testing.assert_allclose(train("lion", [0.0]), w)


def test_operands_are_checked():
    b = Builder("f")
    w, g, other = (b.input(n, tensor("f32", s)) for n, s in (("w", 3), ("g", 3), ("o", 4)))
    lr, step = b.input("lr", tensor("f32")), b.input("step", tensor("i64"))
    with pytest.raises(ArgumentError, match="adam: takes 6 operands with these attributes, got 5"):
        b.adam(w, g, g, lr, step)
    with pytest.raises(
        DTypeError, match=r"sgd: the gradient and slots of a weight f32\[3\] have its type, got f32\[4\]"
    ):
        b.sgd(w, other, lr, step)
    with pytest.raises(ShapeError, match=r"sgd: learning rate and step are scalars, got f32\[3\]"):
        b.sgd(w, g, g, step)
    assert OPS["rmsprop"].defaults == {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False}
