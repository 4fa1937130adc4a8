"""Elementwise activations, as in Keras 3 (`keras/src/activations`). At a kink any subgradient holds."""

from __future__ import annotations

import math

import numpy as np

from graphc.ir.formulas import on_arrays
from graphc.ir.inference import unary_float, unary_number, with_attributes
from graphc.ir.opdef import Kind, define
from graphc.ir.samples import COMMON, FLOATS, unary

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
ROOT_HALF, ROOT_TWO_OVER_PI, ROOT_TWO_PI = math.sqrt(0.5), math.sqrt(2 / math.pi), math.sqrt(2 * math.pi)


def _activation(
    name, doc, scalar, vjp, *, low=-3, high=3, kinks=(), dtypes=FLOATS, wide=False, variants=(), attrs=None
):
    """Define one: `attrs` are its attributes with their defaults, `variants` further values to test."""
    attrs = attrs or {}
    samples = [s for v in ({}, *variants) for s in unary(low, high, dtypes, kinks, **{**attrs, **v})]
    define(
        name,
        Kind.ELEMENTWISE,
        doc,
        infer=with_attributes(unary_float if dtypes is FLOATS else unary_number, attrs),
        evaluate=on_arrays(scalar),
        scalar=scalar,
        vjp=vjp,
        samples=(*samples, *(unary(-90, 90, differentiable=False) if wide else ())),
    )


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


define(
    "sigmoid",
    Kind.ELEMENTWISE,
    "1 / (1 + exp(-x)), without overflow",
    infer=unary_float,
    evaluate=_sigmoid,
    vjp=lambda b, x, out, ct: (ct * out * (1 - out),),
    samples=(*unary(), *unary(-90, 90, differentiable=False)),
)
_activation(
    "relu",
    "max(x, 0). The gradient at 0 is 0.",
    lambda b, x: b.maximum(x, 0),
    # by the result: the operand need not be kept
    lambda b, x, out, ct: (b.select(out > 0, ct, 0),),
    dtypes=COMMON,
    kinks=(0,),
)
_activation(
    "relu6",
    "min(max(x, 0), 6). The gradient at 0 and 6 is 0.",
    lambda b, x: b.minimum(b.maximum(x, 0), 6),
    lambda b, x, out, ct: (b.select(b.logical_and(out > 0, out < 6), ct, 0),),
    high=9,
    kinks=(0, 6),
)
_activation(
    "leaky_relu",
    "x where x > 0, else slope * x.",
    lambda b, x, slope: b.select(x > 0, x, x * slope),
    lambda b, x, out, ct, slope: (b.select(x > 0, ct, ct * slope),),
    kinks=(0,),
    attrs={"slope": 0.2},
    variants=({"slope": 0.01},),
)
_activation(
    "elu",
    "x where x > 0, else alpha * (exp(x) - 1).",
    lambda b, x, alpha: b.select(x > 0, x, b.expm1(b.minimum(x, 0)) * alpha),
    lambda b, x, out, ct, alpha: (b.select(x > 0, ct, ct * (out + alpha)),),
    kinks=(0,),
    attrs={"alpha": 1.0},
    variants=({"alpha": 0.5},),
)
_activation(
    "selu",
    "scale * elu(x, alpha) with Klambauer et al.'s constants (2017, section 2).",
    lambda b, x: b.select(x > 0, x, b.expm1(b.minimum(x, 0)) * SELU_ALPHA) * SELU_SCALE,
    lambda b, x, out, ct: (b.select(x > 0, ct * SELU_SCALE, ct * (out + SELU_ALPHA * SELU_SCALE)),),
    kinks=(0,),
)
_activation(
    "celu",
    "max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)",
    lambda b, x, alpha: b.maximum(x, 0) + b.expm1(b.minimum(x, 0) / alpha) * alpha,
    lambda b, x, out, ct, alpha: (b.select(x > 0, ct, ct * b.exp(b.minimum(x, 0) / alpha)),),
    kinks=(0,),
    attrs={"alpha": 1.0},
    variants=({"alpha": 0.5},),
)


def _gelu_tanh(b, x):
    return b.tanh((x + x * x * x * 0.044715) * ROOT_TWO_OVER_PI)


def _gelu(b, x, approximate):
    return x * 0.5 * (1 + (_gelu_tanh(b, x) if approximate else b.erf(x * ROOT_HALF)))


def _gelu_vjp(b, x, out, ct, approximate):
    if approximate:
        t = _gelu_tanh(b, x)
        inner = (1 + x * x * (3 * 0.044715)) * ROOT_TWO_OVER_PI
        return (ct * ((1 + t) * 0.5 + x * 0.5 * (1 - t * t) * inner),)
    density = b.exp(x * x * -0.5) * (1 / ROOT_TWO_PI)
    return (ct * ((1 + b.erf(x * ROOT_HALF)) * 0.5 + x * density),)


def _silu_vjp(b, x, out, ct):
    s = b.sigmoid(x)
    return (ct * (s + x * s * (1 - s)),)


def _softsign_vjp(b, x, out, ct):
    d = 1 + b.abs(x)
    return (ct / (d * d),)


def _tanh_shrink_vjp(b, x, out, ct):
    t = b.tanh(x)
    return (ct * t * t,)


def _mish_vjp(b, x, out, ct):
    t = b.tanh(b.softplus(x))
    return (ct * (t + x * (1 - t * t) * b.sigmoid(x)),)


_activation(
    "gelu",
    "x times the normal distribution function of x (Hendrycks, Gimpel 2016); `approximate`: their tanh form.",
    _gelu,
    _gelu_vjp,
    attrs={"approximate": False},
    variants=({"approximate": True},),
)
_activation(
    "hard_sigmoid",
    "relu6(x + 3) / 6",
    lambda b, x: b.minimum(b.maximum(x + 3, 0), 6) / 6,
    lambda b, x, out, ct: (b.select(b.abs(x) < 3, ct / 6, 0),),
    low=-5,
    high=5,
    kinks=(-3, 3),
)
_activation(
    "silu",
    "x * sigmoid(x), also called swish",
    lambda b, x: x * b.sigmoid(x),
    _silu_vjp,
)
_activation(
    "hard_silu",
    "x * relu6(x + 3) / 6",
    lambda b, x: x * (b.minimum(b.maximum(x + 3, 0), 6) / 6),
    lambda b, x, out, ct: (b.select(x >= 3, ct, b.select(x > -3, ct * (x * 2 + 3) / 6, 0)),),
    low=-5,
    high=5,
    kinks=(-3, 3),
)
_activation(
    "hard_tanh",
    "min(max(x, -1), 1)",
    lambda b, x: b.minimum(b.maximum(x, -1), 1),
    lambda b, x, out, ct: (b.select(b.abs(x) < 1, ct, 0),),
    kinks=(-1, 1),
)
_activation(
    "softplus",
    "log(1 + exp(x)), without overflow",
    lambda b, x: b.maximum(x, 0) + b.log1p(b.exp(-b.abs(x))),
    lambda b, x, out, ct: (ct * b.sigmoid(x),),
    wide=True,
)
_activation(
    "softsign",
    "x / (1 + abs(x))",
    lambda b, x: x / (1 + b.abs(x)),
    _softsign_vjp,
)
_activation(
    "tanh_shrink",
    "x - tanh(x)",
    lambda b, x: x - b.tanh(x),
    _tanh_shrink_vjp,
)
_activation(
    "soft_shrink",
    "x moved towards 0 by threshold, 0 where it is nearer.",
    lambda b, x, threshold: b.select(
        x > threshold, x - threshold, b.select(x < -threshold, x + threshold, 0)
    ),
    lambda b, x, out, ct, threshold: (b.select(b.abs(x) > threshold, ct, 0),),
    kinks=(-0.5, 0.5),
    attrs={"threshold": 0.5},
)
_activation(
    "hard_shrink",
    "x where abs(x) > threshold, else 0.",
    lambda b, x, threshold: b.select(b.abs(x) > threshold, x, 0),
    lambda b, x, out, ct, threshold: (b.select(b.abs(x) > threshold, ct, 0),),
    kinks=(-0.5, 0.5),
    attrs={"threshold": 0.5},
)
_activation(
    "threshold",
    "x where x > threshold, else value.",
    lambda b, x, threshold, value: b.select(x > threshold, x, value),
    lambda b, x, out, ct, threshold, value: (b.select(x > threshold, ct, 0),),
    kinks=(0.5,),
    attrs={"threshold": 0.5, "value": 0.0},
    variants=({"value": -2.0},),
)
_activation(
    "mish",
    "x * tanh(softplus(x))",
    lambda b, x: x * b.tanh(b.softplus(x)),
    _mish_vjp,
)
_activation(
    "log_sigmoid",
    "log(sigmoid(x)) = -softplus(-x)",
    lambda b, x: b.minimum(x, 0) - b.log1p(b.exp(-b.abs(x))),
    lambda b, x, out, ct: (ct * b.sigmoid(-x),),
    wide=True,
)
_activation(
    "squareplus",
    "(x + sqrt(x * x + b)) / 2",
    lambda builder, x, b: (x + builder.sqrt(x * x + b)) / 2,
    lambda builder, x, out, ct, b: (ct * (1 + x * builder.rsqrt(x * x + b)) * 0.5,),
    attrs={"b": 4.0},
    variants=({"b": 1.0},),
)
_activation(
    "sparse_plus",
    "0 for x <= -1, (x + 1)**2 / 4 between, x for x >= 1.",
    lambda b, x: b.select(x <= -1, 0, b.select(x < 1, (x + 1) * (x + 1) / 4, x)),
    lambda b, x, out, ct: (b.select(x <= -1, 0, b.select(x < 1, ct * (x + 1) * 0.5, ct)),),
    kinks=(-1, 1),
)
_activation(
    "sparse_sigmoid",
    "min(max((x + 1) / 2, 0), 1)",
    lambda b, x: b.minimum(b.maximum((x + 1) * 0.5, 0), 1),
    lambda b, x, out, ct: (b.select(b.abs(x) < 1, ct * 0.5, 0),),
    kinks=(-1, 1),
)
