"""Elementwise operations: tables from names to ops of the IR. Operands broadcast as in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc.ops.dispatch import emit, operation
from graphc.ops.promotion import cast, common_dtype, tensor, unify

FLOATING = {
    name: name
    for name in [
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sqrt",
        "rsqrt",
        "cbrt",
        "erf",
        "erfc",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
        "sigmoid",
        "hard_sigmoid",
        "silu",
        "hard_silu",
        "hard_tanh",
        "softplus",
        "softsign",
        "tanh_shrink",
        "mish",
        "log_sigmoid",
        "selu",
        "sparse_plus",
        "sparse_sigmoid",
    ]
} | {
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "swish": "silu",
    "hard_swish": "hard_silu",
    "reciprocal": "reciprocal",
}
"""One operand; integers are computed in `floatx`."""

SAME_TYPE = {
    name: name
    for name in ["negative", "abs", "sign", "square", "floor", "ceil", "round", "trunc", "relu", "relu6"]
} | {
    "absolute": "abs",
    "rint": "round",
    "fix": "trunc",
}
"""One operand; the result has its type."""

TO_BOOL = {name: name for name in ["isnan", "isinf", "isfinite"]}

BINARY = {
    name: name for name in ["add", "subtract", "multiply", "maximum", "minimum", "floor_divide", "remainder"]
} | {
    "mod": "remainder",
    "bitwise_and": "bitwise_and",
    "bitwise_or": "bitwise_or",
    "bitwise_xor": "bitwise_xor",
    "left_shift": "shift_left",
    "right_shift": "shift_right",
    "bitwise_left_shift": "shift_left",
    "bitwise_right_shift": "shift_right",
}
"""Two operands of one type, which the result has."""

BINARY_FLOATING = {
    "divide": "divide",
    "true_divide": "divide",
    "logaddexp": "logaddexp",
    "arctan2": "atan2",
    "atan2": "atan2",
}
COMPARISONS = {
    name: name for name in ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
}
LOGIC = {name: name for name in ["logical_and", "logical_or", "logical_xor"]}
UNCHANGED_INTEGERS = frozenset({"floor", "ceil", "round", "trunc"})


def _document(function: Callable[..., Any], name: str, op: str) -> Callable[..., Any]:
    from graphc.ir.opdef import OPS

    function.__name__ = function.__qualname__ = name
    function.__doc__ = OPS[op].doc if op in OPS else f"`{op}`, element by element."
    return operation(function)


def _floating(name: str, op: str) -> Callable[..., Any]:
    return _document(lambda x: emit(op, *unify(x, floating=True)), name, op)


def _same_type(name: str, op: str) -> Callable[..., Any]:
    def function(x: Any) -> Any:
        x = tensor(x)
        if x.type.dtype.kind == "b" and op != "abs":
            x = cast(x, "int32")
        keeps = op in UNCHANGED_INTEGERS or (op == "abs" and x.type.dtype.kind in "bu")
        return x if keeps and x.type.dtype.kind != "f" else emit(op, x)

    return _document(function, name, op)


def _to_bool(name: str, op: str) -> Callable[..., Any]:
    return _document(lambda x: emit(op, *unify(x, floating=True)), name, op)


def _binary(name: str, op: str, floating: bool = False) -> Callable[..., Any]:
    return _document(lambda x1, x2: emit(op, *unify(x1, x2, floating=floating)), name, op)


def _logic(name: str, op: str) -> Callable[..., Any]:
    return _document(lambda x1, x2: emit(op, truth(x1), truth(x2)), name, op)


def truth(x: Any) -> Any:
    """Whether each element differs from zero."""
    x = tensor(x)
    return x if x.type.dtype.kind == "b" else emit("not_equal", *unify(x, 0))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _floating(name, op) for name, op in FLOATING.items()},
    **{name: _same_type(name, op) for name, op in SAME_TYPE.items()},
    **{name: _to_bool(name, op) for name, op in TO_BOOL.items()},
    **{name: _binary(name, op) for name, op in {**BINARY, **COMPARISONS}.items()},
    **{name: _binary(name, op, floating=True) for name, op in BINARY_FLOATING.items()},
    **{name: _logic(name, op) for name, op in LOGIC.items()},
}


@operation
def power(x1: Any, x2: Any) -> Any:
    """x1 to the power of x2."""
    if isinstance(x2, (int, float)) and not isinstance(x2, bool) and x2 == 2:
        base = cast(tensor(x1), common_dtype((x1, x2)))
        return emit("square", base)
    return emit("power", *unify(x1, x2))


@operation
def positive(x: Any) -> Any:
    """`x` itself."""
    return tensor(x)


@operation
def logical_not(x: Any) -> Any:
    """Whether each element is zero."""
    return emit("logical_not", truth(x))


@operation
def bitwise_not(x: Any) -> Any:
    """Each bit inverted; for bools the same as `logical_not`."""
    x = tensor(x)
    return emit("logical_not" if x.type.dtype.kind == "b" else "bitwise_not", x)


@operation
def clip(x: Any, x_min: Any = None, x_max: Any = None) -> Any:
    """Each element brought into [x_min, x_max]; None leaves that side open."""
    dtype = common_dtype([v for v in (x, x_min, x_max) if v is not None])
    x = cast(tensor(x), dtype)
    if x_min is not None:
        x = emit("maximum", *unify(x, x_min))
    return x if x_max is None else emit("minimum", *unify(x, x_max))


@operation
def where(condition: Any, x1: Any, x2: Any) -> Any:
    """x1 where `condition` holds, else x2; all three broadcast."""
    return emit("select", truth(condition), *unify(x1, x2))


@operation
def stop_gradient(x: Any) -> Any:
    """`x`, through which no gradient flows."""
    return emit("stop_gradient", tensor(x))


@operation
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x where positive, else negative_slope * x."""
    return emit("leaky_relu", *unify(x, floating=True), slope=float(negative_slope))


@operation
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where positive, else alpha * (exp(x) - 1)."""
    return emit("elu", *unify(x, floating=True), alpha=float(alpha))


@operation
def celu(x: Any, alpha: float = 1.0) -> Any:
    """x where positive, else alpha * (exp(x / alpha) - 1)."""
    return emit("celu", *unify(x, floating=True), alpha=float(alpha))


@operation
def gelu(x: Any, approximate: bool = True) -> Any:
    """x times the normal distribution's cumulative function, or its tanh approximation (Hendrycks and Gimpel,
    2016).
    """
    return emit("gelu", *unify(x, floating=True), approximate=bool(approximate))


@operation
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x moved towards zero by `threshold`, zero within it."""
    return emit("soft_shrink", *unify(x, floating=True), threshold=float(threshold))


@operation
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x where |x| > threshold, else zero."""
    return emit("hard_shrink", *unify(x, floating=True), threshold=float(threshold))


@operation
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """x where x > threshold, else default_value."""
    return emit("threshold", *unify(x, floating=True), threshold=float(threshold), value=float(default_value))


@operation
def squareplus(x: Any, b: float = 4.0) -> Any:
    """(x + sqrt(x^2 + b)) / 2."""
    return emit("squareplus", *unify(x, floating=True), b=float(b))
