"""Values of other types: casts, NumPy's scalar classes, Python's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.npjit.native.operands import Item, Operand, Unexpressed, expr_as, expr_of, ir_dtype, operand
from graphc.npjit.native.rules.elementwise import masked, truth
from graphc.npjit.native.rules.table import RULES, rule

Formula = Callable[..., Expr]


@rule(methods="astype")
def astype(
    b: Builder,
    a: Item,
    dtype: Any,
    order: str = "K",
    casting: str = "unsafe",
    subok: bool = True,
    copy: bool = True,
) -> Any:
    """Another element type; bools are tests for not being zero."""
    return cast(b, a, dtype)


def cast(b: Builder, a: Item, dtype: Any) -> Any:
    """`a` in an element type, by NumPy's unsafe rules."""
    x = operand(b, a)
    wanted = ir_dtype(np.dtype(dtype))
    return masked(b, (a,), x.expr if x.expr.dtype == wanted else b.cast(x.expr, dtype=wanted))


def _scalar_class(cls: Any) -> Formula:
    return lambda b, x: cast(b, x, cls)


for _name in [
    "bool",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]:
    RULES[getattr(np, _name)] = _scalar_class(getattr(np, _name))


@rule(float)
def to_float(b: Builder, x: Item) -> Operand:
    """A Python float."""
    return Operand(expr_as(b, operand(b, x), np.float64), weak=True)


@rule(int)
def to_int(b: Builder, x: Item) -> Operand:
    """A Python int of an integer; floats may be NaN, which Python refuses."""
    value = operand(b, x)
    if value.dtype.kind not in "ib" or value.rank:
        raise Unexpressed("int() of this")
    return Operand(expr_as(b, value, np.int64), weak=True)


@rule(bool)
def to_bool(b: Builder, x: Item) -> Operand:
    """A Python bool."""
    return Operand(truth(b, expr_of(b, x)), weak=True)


@rule(methods="item")
def item(b: Builder, a: Item) -> Operand:
    """The only element, as a Python number."""
    x = expr_of(b, a)
    if x.dtype.name == "u64":
        raise Unexpressed("an unsigned number of 64 bits as a Python int")
    wanted = {"f": "f64", "b": "bool"}.get(x.dtype.kind, "i64")
    number = b.reshape(x, shape=()) if x.rank else x
    return Operand(number if number.dtype.name == wanted else b.cast(number, dtype=wanted), weak=True)
