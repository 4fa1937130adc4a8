"""Circular and hyperbolic functions and their inverses. Angles are in radians."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir.inference import binary_float, unary_float
from graphc.ir.opdef import Kind, define
from graphc.ir.samples import binary, unary

# name: (meaning, function, the factor of the cotangent, range of samples)
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "sin": ("The sine.", np.sin, lambda b, x, out: b.cos(x), -9, 9),
    "cos": ("The cosine.", np.cos, lambda b, x, out: -b.sin(x), -9, 9),
    "tan": ("The tangent.", np.tan, lambda b, x, out: 1 + out * out, -1.2, 1.2),
    "asin": ("The inverse sine.", np.arcsin, lambda b, x, out: b.rsqrt(1 - x * x), -0.9, 0.9),
    "acos": ("The inverse cosine.", np.arccos, lambda b, x, out: -b.rsqrt(1 - x * x), -0.9, 0.9),
    "atan": ("The inverse tangent.", np.arctan, lambda b, x, out: 1 / (1 + x * x), -5, 5),
    "sinh": ("The hyperbolic sine.", np.sinh, lambda b, x, out: b.cosh(x), -3, 3),
    "cosh": ("The hyperbolic cosine.", np.cosh, lambda b, x, out: b.sinh(x), -3, 3),
    "tanh": ("The hyperbolic tangent.", np.tanh, lambda b, x, out: 1 - out * out, -3, 3),
    "asinh": ("The inverse hyperbolic sine.", np.arcsinh, lambda b, x, out: b.rsqrt(x * x + 1), -5, 5),
    "acosh": ("The inverse hyperbolic cosine.", np.arccosh, lambda b, x, out: b.rsqrt(x * x - 1), 1.2, 9),
    "atanh": ("The inverse hyperbolic tangent.", np.arctanh, lambda b, x, out: 1 / (1 - x * x), -0.9, 0.9),
}


def _times(factor):
    return lambda b, x, out, ct: (ct * factor(b, x, out),)


for _name, (_doc, _function, _factor, _low, _high) in FUNCTIONS.items():
    define(
        _name,
        Kind.ELEMENTWISE,
        _doc,
        infer=unary_float,
        evaluate=_function,
        vjp=_times(_factor),
        samples=unary(_low, _high),
    )


def _atan2_vjp(b, y, x, out, ct):
    scale = ct / (x * x + y * y)
    return scale * x, -scale * y


define(
    "atan2",
    Kind.ELEMENTWISE,
    "atan2(y, x): the angle of the point (x, y), from -pi to pi.",
    infer=binary_float,
    evaluate=np.arctan2,
    vjp=_atan2_vjp,
    samples=binary(-3, 3, kinks=(0,)),
)
