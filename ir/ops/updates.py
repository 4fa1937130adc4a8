"""The optimizers' updates, with the formulas of Keras 3 (`keras/src/optimizers/*.py`).

An update takes the weight, its gradient, the optimizer's slots, the learning rate, and the number of updates
made before (an i64[]), and gives the new weight and the new slots. The formulas are written once, for NumPy
arrays and for nodes alike: `b` is the builder or `formulas.ARRAYS`, `t` the number of this update, counted
from 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir.errors import ArgumentError, DTypeError, ShapeError
from graphc.ir.formulas import ARRAYS
from graphc.ir.inference import require_kind, with_attributes
from graphc.ir.opdef import Kind, Sample, define
from graphc.ir.samples import FLOATS, values


def sgd(b, w, g, *rest, momentum, nesterov):
    if not momentum:
        lr, _ = rest
        return (w - g * lr,)
    m, lr, _ = rest
    m = m * momentum - g * lr
    return w + (m * momentum - g * lr if nesterov else m), m


def adam(b, w, g, m, v, *rest, beta_1, beta_2, epsilon, amsgrad):
    *largest, lr, t = rest
    alpha = lr * b.sqrt(1 - b.power(beta_2, t)) / (1 - b.power(beta_1, t))
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    largest = [b.maximum(h, v) for h in largest]
    return w - m * alpha / (b.sqrt(largest[0] if amsgrad else v) + epsilon), m, v, *largest


def adamw(b, w, g, *rest, weight_decay, **attrs):
    return adam(b, w - w * weight_decay * rest[-2], g, *rest, **attrs)


def rmsprop(b, w, g, v, *rest, rho, momentum, epsilon, centered):
    *slots, lr, _ = rest
    v = v * rho + g * g * (1 - rho)
    spread, new = v + epsilon, []
    if centered:
        mean = slots[-1] * rho + g * (1 - rho)
        spread, new = v - mean * mean + epsilon, [mean]
    step = g * lr / b.sqrt(spread)
    if momentum:
        step = slots[0] * momentum + step
        new = [step, *new]
    return w - step, v, *new


def adagrad(b, w, g, total, lr, _, epsilon):
    total = total + g * g
    return w - g * lr / b.sqrt(total + epsilon), total


def adadelta(b, w, g, grads, deltas, lr, _, rho, epsilon):
    grads = grads * rho + g * g * (1 - rho)
    delta = b.sqrt(deltas + epsilon) * g / b.sqrt(grads + epsilon)
    return w - delta * lr, grads, deltas * rho + delta * delta * (1 - rho)


def adamax(b, w, g, m, u, lr, t, beta_1, beta_2, epsilon):
    m = m + (g - m) * (1 - beta_1)
    u = b.maximum(u * beta_2, b.abs(g))
    return w - m * lr / ((1 - b.power(beta_1, t)) * (u + epsilon)), m, u


def nadam(b, w, g, m, v, product, lr, t, beta_1, beta_2, epsilon):
    now = (1 - b.power(0.96, t) * 0.5) * beta_1
    after = (1 - b.power(0.96, t + 1) * 0.5) * beta_1
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    mean = m * (after / (1 - product * after)) + g * ((1 - now) / (1 - product))
    return w - mean * lr / (b.sqrt(v / (1 - b.power(beta_2, t))) + epsilon), m, v


def ftrl(b, w, g, total, linear, lr, _, power, l1, l2, shrinkage, beta):
    new = total + g * g
    before, after = b.power(total, -power), b.power(new, -power)
    linear = linear + (g + w * (2 * shrinkage)) - (after - before) / lr * w
    curvature = after / lr + (l2 + beta / (lr * 2)) * 2
    return (b.clip(linear, -l1, l1) - linear) / curvature, new, linear


def lion(b, w, g, m, lr, _, beta_1, beta_2):
    return w - b.sign(m * beta_1 + g * (1 - beta_1)) * lr, m * beta_2 + g * (1 - beta_2)


BETAS = {"beta_1": 0.9, "beta_2": 0.999}
ADAM = {**BETAS, "epsilon": 1e-7, "amsgrad": False}
RMSPROP = {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False}
FTRL = {"power": -0.5, "l1": 0.0, "l2": 0.0, "shrinkage": 0.0, "beta": 0.0}


def _adam_slots(a):
    return 3 if a["amsgrad"] else 2


# name: (formula, default attributes, how many slots there are, how many further scalar operands, meaning)
UPDATES: dict[str, tuple[Any, ...]] = {
    "sgd": (
        sgd,
        {"momentum": 0.0, "nesterov": False},
        lambda a: int(a["momentum"] != 0),
        0,
        "Gradient descent. Slot: the momentum, if there is one.",
    ),
    "adam": (
        adam,
        ADAM,
        _adam_slots,
        0,
        "Adam (Kingma, Ba 2015, section 2's alpha_t form). Slots: m, v, and the largest v for amsgrad.",
    ),
    "adamw": (
        adamw,
        {"weight_decay": 0.004, **ADAM},
        _adam_slots,
        0,
        "Adam with decoupled weight decay (Loshchilov, Hutter 2019). Slots as adam's.",
    ),
    "rmsprop": (
        rmsprop,
        RMSPROP,
        lambda a: 1 + (a["momentum"] != 0) + bool(a["centered"]),
        0,
        "RMSprop, epsilon inside the square root. Slots: mean square, momentum if any, mean if centered.",
    ),
    "adagrad": (
        adagrad,
        {"epsilon": 1e-7},
        lambda a: 1,
        0,
        "Adagrad (Duchi et al. 2011). Slot: the sum of squares.",
    ),
    "adadelta": (
        adadelta,
        {"rho": 0.95, "epsilon": 1e-7},
        lambda a: 2,
        0,
        "Adadelta (Zeiler 2012, algorithm 1). Slots: mean squares of gradients and of steps.",
    ),
    "adamax": (
        adamax,
        {**BETAS, "epsilon": 1e-7},
        lambda a: 2,
        0,
        "Adamax (Kingma, Ba 2015, algorithm 2). Slots: m, u.",
    ),
    "nadam": (
        nadam,
        {**BETAS, "epsilon": 1e-7},
        lambda a: 2,
        1,
        "Nesterov's Adam (Dozat 2016). Slots: m, v; then a scalar, the product of momenta up to this step.",
    ),
    "ftrl": (
        ftrl,
        FTRL,
        lambda a: 2,
        0,
        "Follow the regularised leader (McMahan et al. 2013, algorithm 1). Slots: sum of squares, linear.",
    ),
    "lion": (
        lion,
        {"beta_1": 0.9, "beta_2": 0.99},
        lambda a: 1,
        0,
        "Lion (Chen et al. 2023, algorithm 2). Slot: the momentum.",
    ),
}


def _infer(defaults, slots, scalars):
    def infer(weight, grad, *rest, **attrs):
        expected = slots(attrs) + scalars + 2
        if len(rest) != expected:
            raise ArgumentError(f"takes {expected + 2} operands with these attributes, got {len(rest) + 2}")
        *state, rate, step = rest
        require_kind("f", weight, rate)
        require_kind("iu", step)
        for t in (grad, *state[: slots(attrs)]):
            if t != weight:
                raise DTypeError(f"the gradient and slots of a weight {weight} have its type, got {t}")
        for t in (*state[slots(attrs) :], rate, step):
            if t.rank:
                raise ShapeError(f"learning rate and step are scalars, got {t}")
        return (weight,) * (1 + slots(attrs))

    return with_attributes(infer, defaults)


def _with_scalars(formula, b, operands, attrs, dtype):
    """The formula with learning rate and step in the weight's element type, the step counted from 1."""
    *tensors, rate, step = operands
    t = b.cast(step + 1, dtype=dtype)
    return formula(b, *tensors, b.cast(rate, dtype=dtype), t, **attrs)


def _evaluate(formula):
    def evaluate(weight, *rest, **attrs):
        results = _with_scalars(formula, ARRAYS, (weight, *rest), attrs, weight.dtype)
        return tuple(np.asarray(x, weight.dtype) for x in results)

    return evaluate


def _decompose(formula):
    return lambda b, weight, *rest, **attrs: _with_scalars(formula, b, (weight, *rest), attrs, weight.dtype)


def _samples(slots, scalars, variants):
    def make(count, shape):
        def arrays(rng, dtype):
            tensors = [values(rng, dtype, shape) for _ in range(2)]
            state = [values(rng, dtype, shape, 0.5, 2) for _ in range(count)]
            return [
                *tensors,
                *state,
                *(np.array(0.7, dtype) for _ in range(scalars)),
                np.array(0.01, dtype),
                np.array(3),
            ]

        return arrays

    return tuple(
        Sample(make(slots(attrs), shape), attrs, FLOATS, False)
        for attrs in variants
        for shape in ((3, 7), (33,), (0,), ())
    )


VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "sgd": ({"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}),
    "adam": ({"amsgrad": True},),
    "adamw": ({"amsgrad": True},),
    "rmsprop": ({"momentum": 0.5}, {"centered": True}, {"momentum": 0.5, "centered": True}),
    "ftrl": ({"l1": 0.1, "l2": 0.2, "shrinkage": 0.1, "beta": 0.3},),
}

for _name, (_formula, _defaults, _slots, _scalars, _doc) in UPDATES.items():
    define(
        _name,
        Kind.COARSE,
        _doc,
        infer=_infer(_defaults, _slots, _scalars),
        evaluate=_evaluate(_formula),
        decompose=_decompose(_formula),
        samples=_samples(_slots, _scalars, [{**_defaults, **v} for v in ({}, *VARIANTS.get(_name, ()))]),
    )
