"""Exponentials, logarithms, roots and the error function."""

from __future__ import annotations

import math

import numpy as np

from graphc.ir.inference import binary_float, unary_float
from graphc.ir.opdef import Kind, define, op
from graphc.ir.samples import binary, unary

LN2, LN10 = math.log(2), math.log(10)
TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


def per_element(function):
    """A function of Python floats over arrays, computed in double precision."""
    vectorised = np.frompyfunc(function, 1, 1)
    return lambda x: np.asarray(vectorised(x.astype(np.float64))).astype(x.dtype)


def _primitive(name, doc, evaluate, vjp, low, high):
    define(
        name, Kind.ELEMENTWISE, doc, infer=unary_float, evaluate=evaluate, vjp=vjp, samples=unary(low, high)
    )


_primitive("exp", "e to the power x", np.exp, lambda b, x, out, ct: (ct * out,), -5, 5)
_primitive("exp2", "2 to the power x", np.exp2, lambda b, x, out, ct: (ct * out * LN2,), -5, 5)
_primitive("expm1", "exp(x) - 1, exact near 0", np.expm1, lambda b, x, out, ct: (ct * (out + 1),), -2, 3)
_primitive("log", "The natural logarithm.", np.log, lambda b, x, out, ct: (ct / x,), 0.1, 9)
_primitive("log2", "The logarithm to base 2.", np.log2, lambda b, x, out, ct: (ct / (x * LN2),), 0.1, 9)
_primitive("log10", "The logarithm to base 10.", np.log10, lambda b, x, out, ct: (ct / (x * LN10),), 0.1, 9)
_primitive("log1p", "log(1 + x), exact near 0", np.log1p, lambda b, x, out, ct: (ct / (x + 1),), -0.8, 9)
_primitive("sqrt", "The square root.", np.sqrt, lambda b, x, out, ct: (ct * 0.5 / out,), 0.1, 9)
_primitive("cbrt", "The cube root.", np.cbrt, lambda b, x, out, ct: (ct / (3 * out * out),), 0.1, 9)
_primitive(
    "erf",
    "The error function.",
    per_element(math.erf),
    lambda b, x, out, ct: (ct * b.exp(-x * x) * TWO_OVER_ROOT_PI,),
    -3,
    3,
)
_primitive(
    "erfc",
    "1 - erf(x), exact where that is small.",
    per_element(math.erfc),
    lambda b, x, out, ct: (-ct * b.exp(-x * x) * TWO_OVER_ROOT_PI,),
    -3,
    3,
)


@op("rsqrt", Kind.ELEMENTWISE)
class Rsqrt:
    """1 / sqrt(x)"""

    infer = unary_float

    def evaluate(x):
        return np.divide(1, np.sqrt(x), dtype=x.dtype)

    def scalar(b, x):
        return 1 / b.sqrt(x)

    def vjp(b, x, out, ct):
        return (ct * -0.5 * out / x,)

    samples = unary(0.1, 9)


@op("logaddexp", Kind.ELEMENTWISE, commutative=True)
class LogAddExp:
    """log(exp(x) + exp(y)) without overflow."""

    infer = binary_float
    evaluate = np.logaddexp

    def scalar(b, x, y):
        # the difference of two equal infinities is NaN, so that case stands alone
        return b.select(b.equal(x, y), x + LN2, b.maximum(x, y) + b.log1p(b.exp(-abs(x - y))))

    def vjp(b, x, y, out, ct):
        return ct * b.sigmoid(x - y), ct * b.sigmoid(y - x)

    samples = binary(-30, 30)
