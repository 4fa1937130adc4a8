"""Folds along axes, with NumPy's accumulator types: small integers are summed in int64 or uint64."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Dim, Size
from graphc.npjit.native.operands import (
    Item,
    Operand,
    Unexpressed,
    axes_of,
    axis_of,
    expr_as,
    expr_of,
    ir_dtype,
    operand,
    reshaped,
    shape_of,
    size_of,
)
from graphc.npjit.native.rules.table import RULES, rule
from graphc.npjit.native.symbols import reaches
from graphc.npjit.vjps.calls import sum_to

Axis = Any


def _accumulator(x: Expr, dtype: Any) -> np.dtype:
    """The type in which NumPy adds and multiplies."""
    if dtype is not None:
        return np.dtype(dtype)
    if x.dtype.kind in "bi":
        return np.dtype(np.int64)
    return np.dtype(np.uint64) if x.dtype.kind == "u" else x.dtype.numpy


def _flag(x: Any) -> bool:
    if not isinstance(x, (bool, np.bool_, int)):
        raise Unexpressed("keepdims that is no constant")
    return bool(x)


def _value(b: Builder, a: Item) -> tuple[Operand, Expr]:
    x = operand(b, a)
    if x.weak:
        raise Unexpressed("a reduction of a Python number")
    return x, x.expr


def _where_masked(b: Builder, x: Operand, neutral: float) -> Expr:
    """The elements, with a neutral one where the mask is false."""
    if x.mask is None:
        return x.expr
    fill = b.constant(neutral, x.expr.dtype)
    return b.select(_mask_of(b, x), x.expr, fill)


def _mask_of(b: Builder, x: Operand) -> Expr:
    assert x.mask is not None
    return reshaped(b, x.mask, (*x.mask.shape, *(1 for _ in range(x.rank - x.mask.rank))))


def _all_of(x: Operand, axis: Axis, keepdims: Any) -> None:
    if x.mask is not None and (axis is not None or keepdims or x.mask.rank != x.rank):
        raise Unexpressed("a reduction of elements under a mask along an axis")


def _fold(name: str, neutral: int) -> Any:
    def fold(b: Builder, a: Item, axis: Axis = None, dtype: Any = None, *, keepdims: Any = False) -> Expr:
        x, _ = _value(b, a)
        _all_of(x, axis, keepdims)
        value = _where_masked(b, x, neutral)
        axes, wanted = axes_of(axis, value.rank), _accumulator(value, dtype)
        if name == "sum" and value.dtype.kind == "b" and wanted == np.int64 and _few(value, axes):
            return b.cast(b.sum(b.cast(value, dtype="i32"), axes=axes, keepdims=_flag(keepdims)), dtype="i64")
        value = expr_as(b, Operand(value), wanted)
        if value.dtype.kind == "b":
            raise Unexpressed("a bool accumulator")
        return b.op(name, value, axes=axes, keepdims=_flag(keepdims))

    return fold


def _few(x: Expr, axes: tuple[int, ...]) -> bool:
    """Whether elements are surely so few that 32 bits count them, of which a register has twice as many."""
    count = size_of([x.shape[a] for a in axes])
    return isinstance(count, int) and count < 1 << 31


total, product_of = _fold("sum", 0), _fold("prod", 1)
rule(np.sum, methods="sum")(total)
rule(np.prod, methods="prod")(product_of)


def _extremum(name: str) -> Any:
    def fold(b: Builder, a: Item, axis: Axis = None, *, keepdims: Any = False) -> Expr:
        x, value = _value(b, a)
        if x.mask is not None:
            raise Unexpressed("the extremum of elements under a mask")
        axes = axes_of(axis, value.rank)
        if any(value.shape[i] == 0 for i in axes):
            raise Unexpressed("the extremum of nothing")
        if value.dtype.kind == "b":
            return b.op("any" if name == "max" else "all", value, axes=axes, keepdims=_flag(keepdims))
        return b.op(name, value, axes=axes, keepdims=_flag(keepdims))

    return fold


maximum_of, minimum_of = _extremum("max"), _extremum("min")
rule(np.max, np.amax, methods="max")(maximum_of)
rule(np.min, np.amin, methods="min")(minimum_of)


def _test(name: str) -> Any:
    def fold(b: Builder, a: Item, axis: Axis = None, *, keepdims: Any = False) -> Expr:
        x, _ = _value(b, a)
        _all_of(x, axis, keepdims)
        value = _where_masked(b, x, name == "all")
        if value.dtype.kind != "b":
            value = b.not_equal(value, 0)
        return b.op(name, value, axes=axes_of(axis, value.rank), keepdims=_flag(keepdims))

    return fold


rule(np.any, methods="any")(_test("any"))
rule(np.all, methods="all")(_test("all"))


@rule(np.count_nonzero)
def count_nonzero(b: Builder, a: Item, axis: Axis = None, *, keepdims: Any = False) -> Expr:
    """How many elements are not 0. Along no axis it is a Python int."""
    _, value = _value(b, a)
    found = value if value.dtype.kind == "b" else b.not_equal(value, 0)
    return b.sum(b.cast(found, dtype="i64"), axes=axes_of(axis, value.rank), keepdims=_flag(keepdims))


def _count(b: Builder, x: Operand, axes: tuple[int, ...]) -> Dim | Expr:
    """The number of elements that are folded."""
    if x.mask is not None:
        return b.sum(b.cast(_mask_of(b, x), dtype="f64"), axes=tuple(range(x.rank)), keepdims=False)
    return size_of([x.shape[i] for i in axes])


def _divided(b: Builder, value: Expr, count: Dim | Expr) -> Expr:
    if not isinstance(count, Expr):
        return value / _number(b, count, value)
    return value / (count if count.dtype == value.dtype else b.cast(count, dtype=value.dtype))


def _number(b: Builder, size: Any, like: Expr) -> Expr:
    """A number of elements in the element type of a value."""
    return b.constant(size if isinstance(size, Size) else float(size), like.dtype)


@rule(np.mean, methods="mean")
def mean(b: Builder, a: Item, axis: Axis = None, dtype: Any = None, *, keepdims: Any = False) -> Expr:
    """The sum in the element type (float64 for integers) by the number of elements."""
    x, value = _value(b, a)
    _all_of(x, axis, keepdims)
    axes = axes_of(axis, value.rank)
    wanted = np.dtype(dtype) if dtype is not None else value.dtype.numpy
    if wanted.kind != "f":
        if dtype is not None:
            raise Unexpressed("a mean of integers in their own type")
        wanted = np.dtype(np.float64)
    _some(_count(b, x, axes))
    value = expr_as(b, Operand(_where_masked(b, x, 0)), wanted)
    return _divided(b, b.sum(value, axes=axes, keepdims=_flag(keepdims)), _count(b, x, axes))


@rule(np.var, methods="var")
def var(
    b: Builder, a: Item, axis: Axis = None, dtype: Any = None, *, ddof: Item = 0, keepdims: Any = False
) -> Expr:
    """The mean of squared differences from the mean, over n - ddof."""
    x, value = _value(b, a)
    if x.mask is not None or type(ddof) not in (int, float):
        raise Unexpressed("this variance")
    axes = axes_of(axis, value.rank)
    wanted = np.dtype(dtype) if dtype is not None else value.dtype.numpy
    value = expr_as(b, Operand(value), wanted if wanted.kind == "f" else np.float64)
    count = _count(b, x, axes)
    assert not isinstance(count, Expr)
    middle = _divided(b, b.sum(value, axes=axes, keepdims=True), count)
    squares = b.square(value - middle)
    left = _some(count if ddof == 0 else _less(b, count, ddof))
    return b.sum(squares, axes=axes, keepdims=_flag(keepdims)) / _number(b, left, value)


def _some(count: Any) -> Any:
    """A number of elements, which is not 0: NumPy warns of means of nothing."""
    if isinstance(count, int) and count <= 0:
        raise Unexpressed("a mean of nothing")
    return count


def _less(b: Builder, count: Dim, by: Any) -> Any:
    """A number of elements less some, but not below 0."""
    if isinstance(count, int):
        return max(count - by, 0)
    if type(by) is not int:
        raise Unexpressed("a fraction of a size")
    return count - by if reaches(b, count, by) else 0


@rule(np.std, methods="std")
def std(
    b: Builder, a: Item, axis: Axis = None, dtype: Any = None, *, ddof: Item = 0, keepdims: Any = False
) -> Expr:
    """The root of the variance."""
    return b.sqrt(var(b, a, axis, dtype, ddof=ddof, keepdims=keepdims))


@rule(np.average)
def average(b: Builder, a: Item, axis: Axis = None, weights: Item = None, *, keepdims: Any = False) -> Expr:
    """The mean, or the sum of products with the weights by the sum of the weights."""
    if weights is None:
        return mean(b, a, axis, keepdims=keepdims)
    x, w = _value(b, a)[1], _value(b, weights)[1]
    dtype = np.result_type(x.dtype.numpy, w.dtype.numpy, *([np.float64] if x.dtype.kind != "f" else []))
    if x.shape != w.shape:
        if axis is None or not isinstance(axis, int) or w.rank != 1:
            raise Unexpressed("weights of another shape")
        place = axis_of(axis, x.rank)
        w = reshaped(b, w, [d if i == place else 1 for i, d in enumerate(x.shape)])
    x, w = (expr_as(b, Operand(v), dtype) for v in (x, w))
    axes = axes_of(axis, x.rank)
    whole = b.broadcast(w, shape=x.shape) if w.shape != x.shape else w
    scale = b.sum(whole, axes=axes, keepdims=_flag(keepdims))
    return b.sum(x * w, axes=axes, keepdims=_flag(keepdims)) / scale


def _position(name: str) -> Any:
    def fold(b: Builder, a: Item, axis: Axis = None, *, keepdims: Any = False) -> Expr:
        x, value = _value(b, a)
        if x.mask is not None or value.dtype.kind == "b":
            raise Unexpressed("the position of an extremum of this")
        if axis is None:
            if keepdims:
                raise Unexpressed("the position in all axes with keepdims")
            value = reshaped(b, value, (size_of(value.shape),))
        place = axis_of(0 if axis is None else axis, value.rank)
        if value.shape[place] == 0:
            raise Unexpressed("the position in nothing")
        return b.op(name, value, axis=place, keepdims=_flag(keepdims))

    return fold


rule(np.argmax, methods="argmax")(_position("argmax"))
rule(np.argmin, methods="argmin")(_position("argmin"))


@rule(np.cumsum, methods="cumsum")
def cumsum(b: Builder, a: Item, axis: Axis = None, dtype: Any = None) -> Expr:
    """Sums so far; of the flattened array where there is no axis."""
    _, value = _value(b, a)
    value = expr_as(b, Operand(value), _accumulator(value, dtype))
    if value.dtype.kind == "b":
        raise Unexpressed("a bool accumulator")
    if axis is None:
        value = reshaped(b, value, (size_of(value.shape),))
    return b.cumsum(value, axis=axis_of(0 if axis is None else axis, value.rank))


@rule(("accumulate", np.add))
def accumulated(b: Builder, a: Item, axis: Axis = 0, dtype: Any = None) -> Expr:
    """`np.add.accumulate`: sums so far, along the first axis where none is given."""
    return cumsum(b, a, axis, dtype)


@rule(np.ptp)
def ptp(b: Builder, a: Item, axis: Axis = None, *, keepdims: Any = False) -> Expr:
    """The largest minus the smallest element."""
    if expr_of(b, a).dtype.kind == "b":
        raise Unexpressed("the range of bools")
    return maximum_of(b, a, axis, keepdims=keepdims) - minimum_of(b, a, axis, keepdims=keepdims)


@rule(sum_to)
def summed_to(b: Builder, g: Item, x: Item) -> Expr:
    """What gradient rules sum over the axes along which x was repeated."""
    value, shape = _value(b, g)[1], shape_of(x)
    if value.dtype.kind != "f":
        raise Unexpressed("a cotangent that is no float")
    lead = value.rank - len(shape)
    ones = (i + lead for i, n in enumerate(shape) if n == 1 and value.shape[i + lead] != 1)
    return reshaped(b, b.sum(value, axes=(*range(lead), *ones), keepdims=True), shape)


@rule(np.linalg.norm)
def norm(b: Builder, x: Item, ord: Any = None, axis: Axis = None, keepdims: Any = False) -> Expr:
    """Vector norms of order 1, 2 and infinity, and Frobenius's."""
    value = _value(b, x)[1]
    value = value if value.dtype.kind == "f" else b.cast(value, dtype=ir_dtype(np.float64))
    axes = axes_of(axis, value.rank)
    if ord == 2 and len(axes) == 1 and type(ord) in (int, float):
        ord = None
    if ord is None or (ord == "fro" and len(axes) == 2):
        return b.sqrt(b.sum(b.square(value), axes=axes, keepdims=_flag(keepdims)))
    if len(axes) != 1 or type(ord) not in (int, float):
        raise Unexpressed(f"a norm of order {ord}")
    if ord == 1:
        return b.sum(abs(value), axes=axes, keepdims=_flag(keepdims))
    if ord in (np.inf, -np.inf) and value.shape[axes[0]] != 0:
        return b.op("max" if ord > 0 else "min", abs(value), axes=axes, keepdims=_flag(keepdims))
    raise Unexpressed(f"a norm of order {ord}")


def _ufunc_reduce(fold: Any) -> Any:
    """`np.add.reduce`: along the first axis where none is given."""

    def reduce(b: Builder, a: Item, axis: Axis = 0, dtype: Any = None, *, keepdims: Any = False) -> Expr:
        extra = {} if dtype is None else {"dtype": dtype}
        return fold(b, a, axis, keepdims=keepdims, **extra)

    return reduce


for _ufunc, _made in (
    (np.add, total),
    (np.multiply, product_of),
    (np.maximum, maximum_of),
    (np.minimum, minimum_of),
):
    RULES["reduce", _ufunc] = _ufunc_reduce(_made)
