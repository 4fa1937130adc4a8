"""Arithmetic on numbers. Integers wrap around; dividing them by zero gives 0, as in NumPy."""

from __future__ import annotations

import numpy as np

from graphc.ir.inference import (
    binary_float,
    binary_number,
    ternary_float,
    ternary_number,
    unary_float,
    unary_number,
)
from graphc.ir.opdef import Kind, Sample, define, op
from graphc.ir.samples import COMMON, FLOATS, INTEGERS, NUMBERS, arrays, binary, unary

ELEMENTWISE = Kind.ELEMENTWISE


def _halves(b, ct, at_left, at_tie):
    """The parts of a cotangent for the winner and the loser of a comparison; a tie shares it."""
    half = b.select(at_tie, ct * 0.5, 0)
    return b.select(at_left, ct, half), b.select(b.logical_or(at_left, at_tie), half, ct)


def _extremum_vjp(is_left):
    def vjp(b, x, y, out, ct):
        return _halves(b, ct, is_left(b, x, y), b.equal(x, y))

    return vjp


define(
    "add",
    ELEMENTWISE,
    "x + y",
    infer=binary_number,
    evaluate=np.add,
    commutative=True,
    vjp=lambda b, x, y, out, ct: (ct, ct),
    samples=binary(-100, 100, NUMBERS),
)
define(
    "subtract",
    ELEMENTWISE,
    "x - y",
    infer=binary_number,
    evaluate=np.subtract,
    vjp=lambda b, x, y, out, ct: (ct, -ct),
    samples=binary(-100, 100, NUMBERS),
)
define(
    "multiply",
    ELEMENTWISE,
    "x * y",
    infer=binary_number,
    evaluate=np.multiply,
    commutative=True,
    vjp=lambda b, x, y, out, ct: (ct * y, ct * x),
    samples=binary(-20, 20, NUMBERS),
)
define(
    "divide",
    ELEMENTWISE,
    "x / y",
    infer=binary_float,
    evaluate=np.divide,
    vjp=lambda b, x, y, out, ct: (ct / y, -(ct / y) * out),
    samples=binary(-3, 3, kinks=(0,)),
)
define(
    "negative",
    ELEMENTWISE,
    "-x; unsigned integers wrap around",
    infer=unary_number,
    evaluate=np.negative,
    vjp=lambda b, x, out, ct: (-ct,),
    samples=unary(-100, 100, NUMBERS),
)
define(
    "abs",
    ELEMENTWISE,
    "The absolute value. The gradient at 0 is 1, as in JAX, whose numbers Keras's reference results have.",
    infer=unary_number,
    evaluate=np.abs,
    vjp=lambda b, x, out, ct: (ct * b.select(b.equal(x, 0), 1, b.sign(x)),),
    samples=unary(-100, 100, NUMBERS, kinks=(0,)),
)
define(
    "maximum",
    ELEMENTWISE,
    "The larger operand; NaN if either is NaN. At a tie both get half of the gradient.",
    infer=binary_number,
    evaluate=np.maximum,
    commutative=True,
    vjp=_extremum_vjp(lambda b, x, y: x > y),
    samples=binary(-100, 100, NUMBERS),
)
define(
    "minimum",
    ELEMENTWISE,
    "The smaller operand; NaN if either is NaN. At a tie both get half of the gradient.",
    infer=binary_number,
    evaluate=np.minimum,
    commutative=True,
    vjp=_extremum_vjp(lambda b, x, y: x < y),
    samples=binary(-100, 100, NUMBERS),
)


@op("floor_divide", ELEMENTWISE)
class FloorDivide:
    """The quotient rounded down. Integers by zero give 0; floats follow NumPy's floor_divide."""

    infer = binary_number
    evaluate = np.floor_divide

    def vjp(b, x, y, out, ct):
        return None, None

    samples = binary(-100, 100, NUMBERS, kinks=(0,), differentiable=False)


@op("remainder", ELEMENTWISE)
class Remainder:
    """x - floor(x / y) * y, with the sign of y. Integers by zero give 0.

    The gradient takes the quotient as constant.
    """

    infer = binary_number
    evaluate = np.remainder

    def vjp(b, x, y, out, ct):
        return ct, -ct * b.floor_divide(x, y)

    samples = (
        *binary(-100, 100, INTEGERS),
        *binary(-3, 3, differentiable=False),
        Sample(lambda rng, dtype: [np.array([5.3, -5.3, 0.7], dtype), np.array([2.0, 2.0, -2.0], dtype)]),
    )


@op("power", ELEMENTWISE)
class Power:
    """x to the power y. An integer to a negative power is the quotient 1 / x**-y, truncated; 0 if x is 0."""

    infer = binary_number

    def evaluate(x, y):
        if x.dtype.kind != "i":
            return np.power(x, y)
        inverse = np.where(x == 1, 1, np.where(x == -1, 1 - 2 * (y & 1), 0)).astype(x.dtype)
        return np.where(y < 0, inverse, np.power(x, np.maximum(y, 0)))

    def vjp(b, x, y, out, ct):
        base = b.select(b.equal(y, 0), 0, ct * y * b.power(x, y - 1))
        positive = b.select(x > 0, x, 1)
        return base, b.select(x > 0, ct * out * b.log(positive), 0)

    samples = (
        *binary(0.1, 3, right=(-3, 3)),
        *binary(-3, 3, INTEGERS, right=(0, 5)),
        *binary(-3, 3, ("i32", "i64"), right=(-3, 5)),
        Sample(
            lambda rng, dtype: [np.array([-2.0, -1.5, 3.0], dtype), np.array([3.0, 2.0, 0.0], dtype)],
            differentiable=False,
        ),
    )


@op("fma", ELEMENTWISE)
class Fma:
    """x * y + z, rounded once where the machine can."""

    infer = ternary_float

    def evaluate(x, y, z):
        wide = np.longdouble if x.dtype == np.float64 else np.float64
        return (x.astype(wide) * y + z).astype(x.dtype)

    def vjp(b, x, y, z, out, ct):
        return ct * y, ct * x, ct

    samples = (
        Sample(arrays((3, 7), (7,), (3, 1))),
        Sample(arrays((), (5,), ())),
        Sample(arrays((0,), (0,), ())),
    )


@op("sign", ELEMENTWISE)
class Sign:
    """-1, 0 or 1; NaN for NaN."""

    infer = unary_number
    evaluate = np.sign

    def scalar(b, x):
        positive = b.select(x > 0, b.constant(1, x.dtype), b.select(b.equal(x, 0), b.constant(0, x.dtype), x))
        return positive if x.dtype.kind == "u" else b.select(x < 0, b.constant(-1, x.dtype), positive)

    def vjp(b, x, out, ct):
        return (None,)

    samples = unary(-5, 5, NUMBERS, differentiable=False)


@op("reciprocal", ELEMENTWISE)
class Reciprocal:
    """1 / x"""

    infer = unary_float

    def evaluate(x):
        return np.divide(1, x, dtype=x.dtype)

    def scalar(b, x):
        return 1 / x

    def vjp(b, x, out, ct):
        return (-ct * out * out,)

    samples = unary(0.3, 3)


@op("square", ELEMENTWISE)
class Square:
    """x * x"""

    infer = unary_number
    evaluate = np.square

    def scalar(b, x):
        return x * x

    def vjp(b, x, out, ct):
        return (ct * x * 2,)

    samples = unary(-10, 10, NUMBERS)


@op("clip", ELEMENTWISE)
class Clip:
    """min(max(x, low), high): high wins where low > high, NaN in any operand gives NaN."""

    infer = ternary_number

    def evaluate(x, low, high):
        return np.minimum(np.maximum(x, low), high)

    def scalar(b, x, low, high):
        return b.minimum(b.maximum(x, low), high)

    samples = (
        Sample(
            lambda rng, dtype: [
                rng.uniform(-3, 3, (4, 9)).astype(dtype),
                np.array(-1.03125, dtype),
                np.array(1.53125, dtype),
            ],
            dtypes=FLOATS,
        ),
        Sample(arrays((4, 1), (9,), (), low=0, high=50), dtypes=COMMON, differentiable=False),
        Sample(
            lambda rng, dtype: [
                np.array([np.nan, 1, 2], dtype),
                np.array([0, np.nan, 3], dtype),
                np.array(1, dtype),
            ],
            differentiable=False,
        ),
    )
