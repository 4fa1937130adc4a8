"""Reductions. `axis` is None (all axes), an int, or several; negative axes count from the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc.ir.relations import normalize_axis
from graphc.ops.dispatch import emit, operation
from graphc.ops.elementwise import truth
from graphc.ops.promotion import cast, tensor, unify


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    """The reduced axes, sorted and not negative; ShapeError for one that `x` does not have."""
    if axis is None:
        return tuple(range(x.ndim))
    several = axis if isinstance(axis, (list, tuple)) else (axis,)
    return tuple(sorted({normalize_axis(int(a), x.ndim) for a in several}))


def _reduction(name: str, op: str, prepare: Callable[[Any], Any], doc: str) -> Callable[..., Any]:
    def function(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        x = prepare(x)
        return emit(op, x, axes=axes_of(x, axis), keepdims=bool(keepdims))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return operation(function)


def _numeric(x: Any) -> Any:
    x = tensor(x)
    return cast(x, "int32") if x.type.dtype.kind == "b" else x


def _float(x: Any) -> Any:
    return unify(x, floating=True)[0]


TABLE: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "sum": ("sum", _numeric, "The sum over `axis`; bools count as 0 and 1."),
    "prod": ("prod", _numeric, "The product over `axis`."),
    "mean": ("mean", _float, "The mean over `axis`; integers in `floatx`."),
    "max": ("max", tensor, "The largest element over `axis`; NaN if there is one."),
    "min": ("min", tensor, "The smallest element over `axis`; NaN if there is one."),
    "any": ("any", truth, "Whether any element over `axis` is not zero."),
    "all": ("all", truth, "Whether all elements over `axis` are not zero."),
}
FUNCTIONS = {name: _reduction(name, *entry) for name, entry in TABLE.items()}
FUNCTIONS["amax"], FUNCTIONS["amin"] = FUNCTIONS["max"], FUNCTIONS["min"]


def _position(name: str) -> Callable[..., Any]:
    def function(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        from graphc.ops.shape import reshape

        x = tensor(x)
        if axis is None:
            flat = emit(name, reshape(x, (-1,)), axis=0, keepdims=False)
            return reshape(flat, (1,) * x.ndim) if keepdims else flat
        return emit(name, x, axis=normalize_axis(int(axis), x.ndim), keepdims=bool(keepdims))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The position of the first {name[3:]}imum along `axis`, or among all elements."
    return operation(function)


FUNCTIONS |= {name: _position(name) for name in ("argmax", "argmin")}


@operation
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The variance over `axis`: the mean squared distance from the mean."""
    x = _float(x)
    centred = x - FUNCTIONS["mean"](x, axis, True)
    return FUNCTIONS["mean"](emit("square", centred), axis, keepdims)


@operation
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The square root of `var`."""
    return emit("sqrt", var(x, axis, keepdims))


@operation
def count_nonzero(x: Any, axis: Any = None) -> Any:
    """How many elements over `axis` are not zero."""
    return FUNCTIONS["sum"](truth(x), axis)


@operation
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over `axis`, without overflow."""
    x = _float(x)
    top = FUNCTIONS["max"](x, axis, True)
    top = emit("stop_gradient", emit("select", emit("isfinite", top), *unify(top, 0.0)))
    total = emit("log", FUNCTIONS["sum"](emit("exp", x - top), axis, True)) + top
    if keepdims:
        return total
    from graphc.ops.shape import squeeze

    return squeeze(total, axes_of(x, axis))


@operation
def cumsum(x: Any, axis: int | None = None) -> Any:
    """Running sums along `axis`, or over all elements."""
    from graphc.ops.shape import reshape

    x = _numeric(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    return emit("cumsum", x, axis=normalize_axis(int(axis), x.ndim), reverse=False, exclusive=False)


@operation
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The Euclidean norm over `axis` (ord None or 2), the sum of absolute values (1), or the largest of them
    (inf).
    """
    from graphc.ir.errors import ArgumentError

    x = _float(x)
    if ord in (None, 2, "fro", "euclidean"):
        return emit("sqrt", FUNCTIONS["sum"](emit("square", x), axis, keepdims))
    if ord == 1:
        return FUNCTIONS["sum"](emit("abs", x), axis, keepdims)
    if ord == float("inf"):
        return FUNCTIONS["max"](emit("abs", x), axis, keepdims)
    raise ArgumentError(f"norm of order {ord!r}: there are None, 1, 2 and inf")
