"""Elementwise activations, as in Keras 3 (`keras/src/activations/activations.py`).

Where one has a kink, the gradient there is a subgradient.
"""

from __future__ import annotations

import math

import numpy as np

from graphc.ir.inference import unary_float, unary_number
from graphc.ir.opdef import Kind, define, op
from graphc.ir.ops.exponential import per_element
from graphc.ir.samples import COMMON, unary

ELEMENTWISE = Kind.ELEMENTWISE
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
ROOT_HALF, ROOT_TWO_OVER_PI = math.sqrt(0.5), math.sqrt(2 / math.pi)
ROOT_TWO_PI = math.sqrt(2 * math.pi)

_erf = per_element(math.erf)


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@op("relu", ELEMENTWISE)
class Relu:
    """max(x, 0). The gradient at 0 is 0."""

    infer = unary_number

    def evaluate(x):
        return np.maximum(x, 0)

    def scalar(b, x):
        return b.maximum(x, 0)

    def vjp(b, x, out, ct):
        # by the result: the operand need not be kept
        return (b.select(out > 0, ct, 0),)

    samples = unary(-3, 3, COMMON, kinks=(0,))


@op("relu6", ELEMENTWISE)
class Relu6:
    """min(max(x, 0), 6). The gradient at 0 and 6 is 0."""

    infer = unary_float

    def evaluate(x):
        return np.minimum(np.maximum(x, 0), 6)

    def scalar(b, x):
        return b.minimum(b.maximum(x, 0), 6)

    def vjp(b, x, out, ct):
        return (b.select(b.logical_and(out > 0, out < 6), ct, 0),)

    samples = unary(-3, 9, kinks=(0, 6))


@op("leaky_relu", ELEMENTWISE)
class LeakyRelu:
    """x where x > 0, else slope * x."""

    def infer(x, *, slope=0.2):
        return unary_float(x)

    def evaluate(x, slope):
        return np.where(x > 0, x, x * slope)

    def scalar(b, x, slope):
        return b.select(x > 0, x, x * slope)

    def vjp(b, x, out, ct, slope):
        return (b.select(x > 0, ct, ct * slope),)

    samples = (*unary(kinks=(0,)), *unary(kinks=(0,), slope=0.01))


@op("elu", ELEMENTWISE)
class Elu:
    """x where x > 0, else alpha * (exp(x) - 1)."""

    def infer(x, *, alpha=1.0):
        return unary_float(x)

    def evaluate(x, alpha):
        return np.where(x > 0, x, np.expm1(np.minimum(x, 0)) * alpha)

    def scalar(b, x, alpha):
        return b.select(x > 0, x, b.expm1(b.minimum(x, 0)) * alpha)

    def vjp(b, x, out, ct, alpha):
        return (b.select(x > 0, ct, ct * (out + alpha)),)

    samples = (*unary(kinks=(0,)), *unary(kinks=(0,), alpha=0.5))


@op("selu", ELEMENTWISE)
class Selu:
    """scale * elu(x, alpha) with Klambauer et al.'s constants (2017, section 2)."""

    infer = unary_float

    def evaluate(x):
        return np.where(x > 0, x, np.expm1(np.minimum(x, 0)) * SELU_ALPHA) * SELU_SCALE

    def scalar(b, x):
        return b.select(x > 0, x, b.expm1(b.minimum(x, 0)) * SELU_ALPHA) * SELU_SCALE

    def vjp(b, x, out, ct):
        return (b.select(x > 0, ct * SELU_SCALE, ct * (out + SELU_ALPHA * SELU_SCALE)),)

    samples = unary(kinks=(0,))


@op("celu", ELEMENTWISE)
class Celu:
    """max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)"""

    def infer(x, *, alpha=1.0):
        return unary_float(x)

    def evaluate(x, alpha):
        return np.maximum(x, 0) + np.expm1(np.minimum(x, 0) / alpha) * alpha

    def scalar(b, x, alpha):
        return b.maximum(x, 0) + b.expm1(b.minimum(x, 0) / alpha) * alpha

    def vjp(b, x, out, ct, alpha):
        return (b.select(x > 0, ct, ct * b.exp(b.minimum(x, 0) / alpha)),)

    samples = (*unary(kinks=(0,)), *unary(kinks=(0,), alpha=0.5))


@op("gelu", ELEMENTWISE)
class Gelu:
    """x times the normal distribution function of x.

    `approximate` takes the tanh form (Hendrycks, Gimpel 2016, section 2).
    """

    def infer(x, *, approximate=False):
        return unary_float(x)

    def evaluate(x, approximate):
        if approximate:
            return x * 0.5 * (1 + np.tanh((x + x * x * x * 0.044715) * ROOT_TWO_OVER_PI))
        return x * 0.5 * (1 + _erf(x * ROOT_HALF))

    def scalar(b, x, approximate):
        if approximate:
            return x * 0.5 * (1 + b.tanh((x + x * x * x * 0.044715) * ROOT_TWO_OVER_PI))
        return x * 0.5 * (1 + b.erf(x * ROOT_HALF))

    def vjp(b, x, out, ct, approximate):
        if approximate:
            t = b.tanh((x + x * x * x * 0.044715) * ROOT_TWO_OVER_PI)
            inner = (1 + x * x * (3 * 0.044715)) * ROOT_TWO_OVER_PI
            return (ct * ((1 + t) * 0.5 + x * 0.5 * (1 - t * t) * inner),)
        return (ct * ((1 + b.erf(x * ROOT_HALF)) * 0.5 + x * b.exp(x * x * -0.5) * (1 / ROOT_TWO_PI)),)

    samples = (*unary(), *unary(approximate=True))


define(
    "sigmoid",
    ELEMENTWISE,
    "1 / (1 + exp(-x)), without overflow",
    infer=unary_float,
    evaluate=_sigmoid,
    vjp=lambda b, x, out, ct: (ct * out * (1 - out),),
    samples=(*unary(), *unary(-90, 90, differentiable=False)),
)


@op("hard_sigmoid", ELEMENTWISE)
class HardSigmoid:
    """relu6(x + 3) / 6"""

    infer = unary_float

    def evaluate(x):
        return np.minimum(np.maximum(x + 3, 0), 6) / 6

    def scalar(b, x):
        return b.minimum(b.maximum(x + 3, 0), 6) / 6

    def vjp(b, x, out, ct):
        return (b.select(b.logical_and(x > -3, x < 3), ct / 6, 0),)

    samples = unary(-5, 5, kinks=(-3, 3))


@op("silu", ELEMENTWISE)
class Silu:
    """x * sigmoid(x), also called swish"""

    infer = unary_float

    def evaluate(x):
        return x * _sigmoid(x)

    def scalar(b, x):
        return x * b.sigmoid(x)

    def vjp(b, x, out, ct):
        s = b.sigmoid(x)
        return (ct * (s + x * s * (1 - s)),)

    samples = unary()


@op("hard_silu", ELEMENTWISE)
class HardSilu:
    """x * relu6(x + 3) / 6"""

    infer = unary_float

    def evaluate(x):
        return x * (np.minimum(np.maximum(x + 3, 0), 6) / 6)

    def scalar(b, x):
        return x * (b.minimum(b.maximum(x + 3, 0), 6) / 6)

    def vjp(b, x, out, ct):
        return (b.select(x >= 3, ct, b.select(x > -3, ct * (x * 2 + 3) / 6, 0)),)

    samples = unary(-5, 5, kinks=(-3, 3))


@op("hard_tanh", ELEMENTWISE)
class HardTanh:
    """min(max(x, -1), 1)"""

    infer = unary_float

    def evaluate(x):
        return np.minimum(np.maximum(x, -1), 1)

    def scalar(b, x):
        return b.minimum(b.maximum(x, -1), 1)

    def vjp(b, x, out, ct):
        return (b.select(abs(x) < 1, ct, 0),)

    samples = unary(kinks=(-1, 1))


@op("softplus", ELEMENTWISE)
class Softplus:
    """log(1 + exp(x)), without overflow"""

    infer = unary_float
    evaluate = _softplus

    def scalar(b, x):
        return b.maximum(x, 0) + b.log1p(b.exp(-abs(x)))

    def vjp(b, x, out, ct):
        return (ct * b.sigmoid(x),)

    samples = (*unary(), *unary(-90, 90, differentiable=False))


@op("softsign", ELEMENTWISE)
class Softsign:
    """x / (1 + abs(x))"""

    infer = unary_float

    def evaluate(x):
        return x / (1 + np.abs(x))

    def scalar(b, x):
        return x / (1 + abs(x))

    def vjp(b, x, out, ct):
        d = 1 + abs(x)
        return (ct / (d * d),)

    samples = unary()


@op("tanh_shrink", ELEMENTWISE)
class TanhShrink:
    """x - tanh(x)"""

    infer = unary_float

    def evaluate(x):
        return x - np.tanh(x)

    def scalar(b, x):
        return x - b.tanh(x)

    def vjp(b, x, out, ct):
        t = b.tanh(x)
        return (ct * t * t,)

    samples = unary()


@op("soft_shrink", ELEMENTWISE)
class SoftShrink:
    """x moved towards 0 by threshold, 0 where it is nearer."""

    def infer(x, *, threshold=0.5):
        return unary_float(x)

    def evaluate(x, threshold):
        return np.where(x > threshold, x - threshold, np.where(x < -threshold, x + threshold, 0))

    def scalar(b, x, threshold):
        return b.select(x > threshold, x - threshold, b.select(x < -threshold, x + threshold, 0))

    def vjp(b, x, out, ct, threshold):
        return (b.select(abs(x) > threshold, ct, 0),)

    samples = unary(kinks=(-0.5, 0.5))


@op("hard_shrink", ELEMENTWISE)
class HardShrink:
    """x where abs(x) > threshold, else 0."""

    def infer(x, *, threshold=0.5):
        return unary_float(x)

    def evaluate(x, threshold):
        return np.where(np.abs(x) > threshold, x, 0)

    def scalar(b, x, threshold):
        return b.select(abs(x) > threshold, x, 0)

    def vjp(b, x, out, ct, threshold):
        return (b.select(abs(x) > threshold, ct, 0),)

    samples = unary(kinks=(-0.5, 0.5))


@op("threshold", ELEMENTWISE)
class Threshold:
    """x where x > threshold, else value."""

    def infer(x, *, threshold, value):
        return unary_float(x)

    def evaluate(x, threshold, value):
        return np.where(x > threshold, x, x.dtype.type(value))

    def scalar(b, x, threshold, value):
        return b.select(x > threshold, x, value)

    def vjp(b, x, out, ct, threshold, value):
        return (b.select(x > threshold, ct, 0),)

    samples = unary(kinks=(0.5,), threshold=0.5, value=-2.0)


@op("mish", ELEMENTWISE)
class Mish:
    """x * tanh(softplus(x))"""

    infer = unary_float

    def evaluate(x):
        return x * np.tanh(_softplus(x))

    def scalar(b, x):
        return x * b.tanh(b.softplus(x))

    def vjp(b, x, out, ct):
        t = b.tanh(b.softplus(x))
        return (ct * (t + x * (1 - t * t) * b.sigmoid(x)),)

    samples = unary()


@op("log_sigmoid", ELEMENTWISE)
class LogSigmoid:
    """log(sigmoid(x)) = -softplus(-x)"""

    infer = unary_float

    def evaluate(x):
        return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))

    def scalar(b, x):
        return b.minimum(x, 0) - b.log1p(b.exp(-abs(x)))

    def vjp(b, x, out, ct):
        return (ct * b.sigmoid(-x),)

    samples = (*unary(), *unary(-90, 90, differentiable=False))


@op("squareplus", ELEMENTWISE)
class Squareplus:
    """(x + sqrt(x * x + b)) / 2"""

    def infer(x, *, b=4.0):
        return unary_float(x)

    def evaluate(x, b):
        return (x + np.sqrt(x * x + b)) / 2

    def scalar(builder, x, b):
        return (x + builder.sqrt(x * x + b)) / 2

    def vjp(builder, x, out, ct, b):
        return (ct * (1 + x * builder.rsqrt(x * x + b)) * 0.5,)

    samples = (*unary(), *unary(b=1.0))


@op("sparse_plus", ELEMENTWISE)
class SparsePlus:
    """0 for x <= -1, (x + 1)**2 / 4 between, x for x >= 1."""

    infer = unary_float

    def evaluate(x):
        return np.where(x <= -1, 0, np.where(x < 1, (x + 1) * (x + 1) / 4, x))

    def scalar(b, x):
        return b.select(x <= -1, 0, b.select(x < 1, (x + 1) * (x + 1) / 4, x))

    def vjp(b, x, out, ct):
        return (b.select(x <= -1, 0, b.select(x < 1, ct * (x + 1) * 0.5, ct)),)

    samples = unary(kinks=(-1, 1))


@op("sparse_sigmoid", ELEMENTWISE)
class SparseSigmoid:
    """min(max((x + 1) / 2, 0), 1)"""

    infer = unary_float

    def evaluate(x):
        return np.minimum(np.maximum((x + 1) * 0.5, 0), 1).astype(x.dtype)

    def scalar(b, x):
        return b.minimum(b.maximum((x + 1) * 0.5, 0), 1)

    def vjp(b, x, out, ct):
        return (b.select(abs(x) < 1, ct * 0.5, 0),)

    samples = unary(kinks=(-1, 1))
