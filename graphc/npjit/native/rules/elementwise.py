"""Ufuncs and operators: NumPy's own type resolution says in which element types a loop runs."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.npjit.native.operands import (
    Item,
    Operand,
    Unexpressed,
    common,
    constant,
    expr_as,
    expr_of,
    ir_dtype,
    is_value,
    operand,
    own_dtype,
    reshaped,
    shape_of,
    type_key,
)
from graphc.npjit.native.rules.table import RULES, rule

Formula = Callable[..., Expr]


def _op(name: str) -> Formula:
    return lambda b, *xs: b.op(name, *xs)


def _by_kind(number: str, boolean: str) -> Formula:
    """One op for numbers and one for bools."""
    return lambda b, *xs: b.op(boolean if xs[0].dtype.kind == "b" else number, *xs)


def truth(b: Builder, x: Expr) -> Expr:
    return x if x.dtype.kind == "b" else b.not_equal(x, 0)


def _logical(name: str) -> Formula:
    return lambda b, *xs: b.op(name, *(truth(b, x) for x in xs))


def _compare(name: str) -> Formula:
    def formula(b: Builder, x: Expr, y: Expr) -> Expr:
        if x.dtype != y.dtype:
            raise Unexpressed("a comparison of signed with unsigned integers")
        if x.dtype.kind == "b":
            x, y = (b.cast(v, dtype="u8") for v in (x, y))
        return b.op(name, x, y)

    return formula


def _number(name: str) -> Formula:
    """An op that bools do not have."""

    def formula(b: Builder, *xs: Expr) -> Expr:
        if any(x.dtype.kind == "b" for x in xs):
            raise Unexpressed(f"{name} of bools")
        return b.op(name, *xs)

    return formula


def _rounding(name: str) -> Formula:
    return lambda b, x: b.op(name, x) if x.dtype.kind == "f" else x


def _finite(name: str, of_integers: bool) -> Formula:
    def formula(b: Builder, x: Expr) -> Expr:
        if x.dtype.kind == "f":
            return b.op(name, x)
        return b.broadcast(b.constant(of_integers, "bool"), shape=x.shape)

    return formula


def _same(b: Builder, x: Expr) -> Expr:
    return x


def _picked(compare: str) -> Formula:
    """fmax, fmin: a NaN loses."""

    def formula(b: Builder, x: Expr, y: Expr) -> Expr:
        if x.dtype.kind != "f":
            raise Unexpressed("fmax or fmin of integers")
        both = b.op(compare, x, y)
        return b.select(b.isnan(x), y, b.select(b.isnan(y), x, both))

    return formula


def _scaled(factor: float) -> Formula:
    return lambda b, x: x * b.constant(factor, x.dtype)


FORMULAS: dict[np.ufunc, Formula] = {
    np.add: _by_kind("add", "logical_or"),
    np.subtract: _number("subtract"),
    np.multiply: _by_kind("multiply", "logical_and"),
    np.divide: _op("divide"),
    np.floor_divide: _number("floor_divide"),
    np.remainder: _number("remainder"),
    np.negative: _number("negative"),
    np.positive: _same,
    np.absolute: _by_kind("abs", "stop_gradient"),
    np.fabs: _op("abs"),
    np.sign: _number("sign"),
    np.square: _by_kind("square", "stop_gradient"),
    np.reciprocal: _op("reciprocal"),
    np.maximum: _by_kind("maximum", "logical_or"),
    np.minimum: _by_kind("minimum", "logical_and"),
    np.fmax: _picked("maximum"),
    np.fmin: _picked("minimum"),
    np.logical_and: _logical("logical_and"),
    np.logical_or: _logical("logical_or"),
    np.logical_xor: _logical("logical_xor"),
    np.logical_not: _logical("logical_not"),
    np.bitwise_and: _by_kind("bitwise_and", "logical_and"),
    np.bitwise_or: _by_kind("bitwise_or", "logical_or"),
    np.bitwise_xor: _by_kind("bitwise_xor", "logical_xor"),
    np.invert: _by_kind("bitwise_not", "logical_not"),
    np.isnan: _finite("isnan", False),
    np.isinf: _finite("isinf", False),
    np.isfinite: _finite("isfinite", True),
    np.floor: _rounding("floor"),
    np.ceil: _rounding("ceil"),
    np.trunc: _rounding("trunc"),
    np.rint: _rounding("round"),
    np.deg2rad: _scaled(np.pi / 180),
    np.radians: _scaled(np.pi / 180),
    np.rad2deg: _scaled(180 / np.pi),
    np.degrees: _scaled(180 / np.pi),
    **{
        getattr(np, name): _compare(name)
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    },
    **{
        getattr(np, name): _op(name)
        for name in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "logaddexp")
    },
    **{getattr(np, name): _op(name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{getattr(np, f"arc{name}"): _op(f"a{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    np.arctan2: _op("atan2"),
}

OPERATORS: dict[Any, np.ufunc] = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    operator.truediv: np.divide,
    operator.floordiv: np.floor_divide,
    operator.mod: np.remainder,
    operator.and_: np.bitwise_and,
    operator.or_: np.bitwise_or,
    operator.xor: np.bitwise_xor,
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
    operator.neg: np.negative,
    operator.pos: np.positive,
    operator.invert: np.invert,
    operator.abs: np.absolute,
}
IN_PLACE: dict[Any, np.ufunc | Any] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    operator.ifloordiv: operator.floordiv,
    operator.imod: operator.mod,
    operator.ipow: operator.pow,
    operator.iand: operator.and_,
    operator.ior: operator.or_,
    operator.ixor: operator.xor,
    operator.imatmul: operator.matmul,
}
_FLOATING_ONLY = frozenset(OPERATORS) - {operator.truediv, operator.floordiv, operator.mod}


def loop_types(ufunc: np.ufunc, items: Sequence[Item], dtype: Any = None) -> tuple[np.dtype, ...]:
    """The element types of operands and result in which NumPy computes."""
    try:
        return _resolved(
            ufunc, tuple([type_key(x) for x in items]), None if dtype is None else np.dtype(dtype)
        )
    except TypeError as e:
        raise Unexpressed(str(e)) from None


@functools.lru_cache(1024)
def _resolved(ufunc: np.ufunc, keys: tuple[Any, ...], dtype: np.dtype | None) -> tuple[np.dtype, ...]:
    wanted: dict[str, Any] = {} if dtype is None else {"signature": (*(None for _ in keys), dtype)}
    return ufunc.resolve_dtypes((*keys, None), casting="same_kind", **wanted)


def masked(b: Builder, items: Sequence[Item], result: Expr) -> Any:
    """The result with the mask that its operands have; all others must be single numbers."""
    masks = [x.mask for x in items if type(x) is Operand and x.mask is not None]
    if not masks:
        return result
    if any(m.value is not masks[0].value for m in masks):
        raise Unexpressed("elements under two masks")
    if any(type(x) is Operand and x.mask is None and x.rank for x in items):
        raise Unexpressed("elements under a mask with an array")
    return Operand(result, mask=masks[0])


def call_ufunc(b: Builder, ufunc: np.ufunc, *items: Item, dtype: Any = None) -> Any:
    """A ufunc on values."""
    if not all(is_value(x) for x in items):
        raise Unexpressed(f"np.{ufunc.__name__} of a sequence")
    *types, out = loop_types(ufunc, items, dtype)
    ir_dtype(out)
    result = FORMULAS[ufunc](b, *(expr_as(b, x, t) for x, t in zip(items, types, strict=True)))
    if result.dtype != ir_dtype(out):
        result = b.cast(result, dtype=ir_dtype(out))
    return masked(b, items, result)


def _is_float(x: Item) -> bool:
    """Whether a Python number is a float, or a constant that Python makes one without rounding."""
    return own_dtype(x).kind == "f" or (type(x) is int and abs(x) < 1 << 53)


def _operator(b: Builder, ufunc: np.ufunc, function: Any, *items: Item) -> Any:
    """An operator; between Python numbers it is Python's own."""
    if all((type(x) is Operand and x.weak) or type(x) in (bool, int, float) for x in items):
        divides = function is operator.truediv and type(items[1]) in (int, float) and items[1] != 0
        if not all(map(_is_float, items)) or not (function in _FLOATING_ONLY or divides):
            raise Unexpressed("arithmetic of Python numbers")
    if not any(map(shape_of, items)):
        kind = loop_types(ufunc, items)[-1]
        if kind.kind in "iu" and kind.itemsize < 8:
            raise Unexpressed("small integers, of which NumPy warns where they grow too large")
    return call_ufunc(b, ufunc, *items)


def _ufunc_rule(ufunc: np.ufunc) -> Formula:
    return lambda b, *xs, dtype=None: call_ufunc(b, ufunc, *xs, dtype=dtype)


def _operator_rule(ufunc: np.ufunc, function: Any) -> Formula:
    return lambda b, *xs: _operator(b, ufunc, function, *xs)


for _ufunc in FORMULAS:
    RULES[_ufunc] = _ufunc_rule(_ufunc)
for _function, _ufunc in OPERATORS.items():
    RULES[_function] = _operator_rule(_ufunc, _function)


def _outer_rule(ufunc: np.ufunc) -> Formula:
    def outer(b: Builder, x: Item, y: Item) -> Any:
        left, right = operand(b, x), operand(b, y)
        column = reshaped(b, left.expr, (*left.shape, *(1 for _ in right.shape)))
        return call_ufunc(b, ufunc, Operand(column, left.weak), y)

    return outer


for _ufunc in (np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.equal, np.less):
    RULES["outer", _ufunc] = _outer_rule(_ufunc)


@rule(np.power)
def power(b: Builder, x: Item, y: Item, *, dtype: Any = None) -> Any:
    """A square is a product, as in NumPy; integers have constant exponents from 0 on."""
    if type(y) in (int, float) and y == 2:
        kind = loop_types(np.power, (x, y), dtype)[0]
        value = expr_as(b, x, kind)
        return masked(b, (x,), b.square(value))
    *types, out = loop_types(np.power, (x, y), dtype)
    if out.kind in "iu" and not (isinstance(y, (int, np.integer)) and y >= 0):
        raise Unexpressed("an integer to a power that may be negative")
    base, exponent = (expr_as(b, v, t) for v, t in zip((x, y), types, strict=True))
    if out in (np.float32, np.float64) and np.shape(x) != () == np.shape(y):
        return masked(b, (x, y), _power_of_rows(b, base, exponent, y))
    return masked(b, (x, y), b.power(base, exponent))


def _power_of_rows(b: Builder, base: Any, exponent: Any, y: Item) -> Any:
    """One exponent for all elements: NumPy takes roots if it is a half, which differ for -inf and -0."""
    if type(y) is not Operand:
        return b.sqrt(base) if y == 0.5 else b.power(base, exponent)
    return b.select(b.equal(exponent, 0.5), b.sqrt(base), b.power(base, exponent))


@rule(operator.pow)
def power_operator(b: Builder, x: Item, y: Item) -> Any:
    """`**` of arrays has its own short cuts for constant exponents."""
    if type(x) is not Operand or x.weak:
        if type(y) is not Operand or y.weak:
            raise Unexpressed("arithmetic of Python numbers")
        return power(b, x, y)
    if type(y) in (int, float) and x.dtype.kind == "f" and x.rank:
        if y == 0.5:
            return masked(b, (x,), b.sqrt(x.expr))
        if y == 1:
            return x
        if y == -1:
            return masked(b, (x,), b.reciprocal(x.expr))
    return power(b, x, y)


@rule(np.where)
def where(b: Builder, condition: Item, x: Item, y: Item) -> Any:
    """Both values in their common type, and the condition as bool."""
    dtype = common((x, y))
    test = truth(b, expr_of(b, condition))
    chosen = b.select(test, expr_as(b, x, dtype), expr_as(b, y, dtype))
    return masked(b, (condition, x, y), chosen)


_CLIP: np.ufunc = np._core.umath.clip  # type: ignore[attr-defined]


@rule(np.clip, methods="clip")
def clip(
    b: Builder, a: Item, a_min: Item = None, a_max: Item = None, *, min: Item = None, max: Item = None
) -> Any:
    """Values within bounds, of which one may be missing."""
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if low is None and high is None:
        return operand(b, a)
    if high is None:
        return call_ufunc(b, np.maximum, a, low)
    if low is None:
        return call_ufunc(b, np.minimum, a, high)
    *types, _ = loop_types(_CLIP, (a, low, high))
    if types[0].kind == "b":
        raise Unexpressed("clip of bools")
    values = [expr_as(b, v, t) for v, t in zip((a, low, high), types, strict=True)]
    return masked(b, (a, low, high), b.clip(*values))


@rule(np.round, np.around, methods="round")
def round_to(b: Builder, a: Item, decimals: Item = 0) -> Any:
    """To an even last digit; digits behind the point by NumPy's scaling."""
    x = operand(b, a)
    if type(decimals) is not int or x.dtype.kind != "f" or x.weak:
        raise Unexpressed("this rounding")
    if decimals == 0:
        return masked(b, (a,), b.round(x.expr))
    if decimals < 0:
        raise Unexpressed("rounding before the point")
    scale = b.constant(float(10**decimals), x.expr.dtype)
    return masked(b, (a,), b.round(x.expr * scale) / scale)


@rule(np.nan_to_num)
def nan_to_num(b: Builder, x: Item, copy: bool = True, nan: Item = 0.0) -> Any:
    """NaN becomes a number, infinities the largest and smallest ones."""
    value = expr_of(b, x)
    if value.dtype.kind != "f" or copy is not True or type(nan) not in (int, float):
        raise Unexpressed("nan_to_num of this")
    limits = np.finfo(value.dtype.numpy)
    finite = b.clip(value, float(limits.min), float(limits.max))
    return b.select(b.isnan(value), constant(b, nan, value.dtype.numpy), finite)
