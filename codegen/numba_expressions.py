"""Each primitive op as a Python expression that Numba compiles to NumPy's meaning: a table.

`{0}`, `{1}`, ... stand for the operands, `{dtype}` for NumPy's name of the result's type, `{bits}` its width.
"""

from __future__ import annotations

from graphc.ir.errors import CompileError
from graphc.ir.types import DType

_CALLS = {
    "exp": "np.exp",
    # NumPy's log2 and exp2 fail in a Numba function that has them in both precisions
    "exp2": "math.exp2",
    "expm1": "np.expm1",
    "log": "np.log",
    "log2": "math.log2",
    "log10": "np.log10",
    "log1p": "np.log1p",
    "sqrt": "np.sqrt",
    "cbrt": "np.cbrt",
    "erf": "math.erf",
    "erfc": "math.erfc",
    "logaddexp": "np.logaddexp",
    "sin": "np.sin",
    "cos": "np.cos",
    "tan": "np.tan",
    "asin": "np.arcsin",
    "acos": "np.arccos",
    "atan": "np.arctan",
    "atan2": "np.arctan2",
    "sinh": "np.sinh",
    "cosh": "np.cosh",
    "tanh": "np.tanh",
    "asinh": "np.arcsinh",
    "acosh": "np.arccosh",
    "atanh": "np.arctanh",
    "floor": "np.floor",
    "ceil": "np.ceil",
    "round": "np.rint",
    "trunc": "np.trunc",
}

FLOAT = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "floor_divide": "float_quotient({0}, {1})",
    "remainder": "float_rest({0}, {1})",
    "power": "np.power({0}, {1})",
    "negative": "-{0}",
    "abs": "abs({0})",
    "sign": "np.sign({0})",
    "reciprocal": "np.{dtype}(1) / {0}",
    "square": "{0} * {0}",
    "rsqrt": "np.{dtype}(1) / np.sqrt({0})",
    "fma": "{0} * {1} + {2}",
    "maximum": "greater({0}, {1})",
    "minimum": "smaller({0}, {1})",
    "clip": "smaller(greater({0}, {1}), {2})",
    **{op: f"{name}({{0}})" for op, name in _CALLS.items()},
    "sigmoid": "1.0 / (1.0 + np.exp(-{0}))",
    "softplus": "np.logaddexp({0}, 0.0)",
    "atan2": "np.arctan2({0}, {1})",
    "logaddexp": "np.logaddexp({0}, {1})",
}

INTEGER = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "floor_divide": "quotient({0}, {1})",
    "remainder": "rest({0}, {1})",
    "power": "integer_power({0}, {1})",
    "negative": "-{0}",
    "abs": "abs({0})",
    "sign": "({0} > 0) - ({0} < 0)",
    "square": "{0} * {0}",
    "fma": "{0} * {1} + {2}",
    "maximum": "max({0}, {1})",
    "minimum": "min({0}, {1})",
    "clip": "min(max({0}, {1}), {2})",
    "bitwise_and": "{0} & {1}",
    "bitwise_or": "{0} | {1}",
    "bitwise_xor": "{0} ^ {1}",
    "bitwise_not": "~{0}",
    "shift_left": "shifted_left({0}, {1}, {bits})",
    "shift_right": "shifted_right({0}, {1}, {bits})",
    "floor": "{0}",
    "ceil": "{0}",
    "round": "{0}",
    "trunc": "{0}",
}

UNSIGNED = INTEGER | {
    "floor_divide": "unsigned_quotient({0}, {1})",
    "remainder": "unsigned_rest({0}, {1})",
    "abs": "{0}",
    "sign": "{0} > 0",
}

# of any operands, with a bool as result; and what bools themselves can do
BOOLEAN = {
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "logical_and": "bool({0}) and bool({1})",
    "logical_or": "bool({0}) or bool({1})",
    "logical_xor": "bool({0}) != bool({1})",
    "logical_not": "not {0}",
    "bitwise_and": "{0} and {1}",
    "bitwise_or": "{0} or {1}",
    "bitwise_xor": "{0} != {1}",
    "bitwise_not": "not {0}",
    "maximum": "{0} or {1}",
    "minimum": "{0} and {1}",
    "add": "{0} or {1}",
    "multiply": "{0} and {1}",
    "isnan": "np.isnan({0})",
    "isinf": "np.isinf({0})",
    "isfinite": "np.isfinite({0})",
}

# functions of which Numba computes the f32 form in f64
_WIDE = {*_CALLS, "floor_divide", "remainder", "atan2", "logaddexp", "power", "sign", "sigmoid", "softplus"}
CUSTOM: dict[str, str] = {}
"""Users' scalar functions: the op's name and the function's in generated source; they take and give f64."""

_TABLES = {"f": FLOAT, "i": INTEGER, "u": UNSIGNED, "b": BOOLEAN}


def expression(op: str, dtype: DType, args: list[str]) -> str:
    """The expression for an op with a result of the type `dtype`, of operands that are names.

    Raises
    ------
    CompileError
        An op that the tables do not have.

    >>> from graphc.ir import dtype_of
    >>> expression("add", dtype_of("i32"), ["a", "b"])
    'np.int32(a + b)'
    >>> expression("select", dtype_of("f32"), ["c", "a", "b"])
    'a if c else b'
    """
    if op == "select":
        return "{1} if {0} else {2}".format(*args)
    if op == "cast":
        return f"{args[0]} != 0" if dtype.kind == "b" else f"np.{dtype.numpy}({args[0]})"
    if op in ("index_divide", "index_remainder"):
        return f"{args[0]} {'//' if op == 'index_divide' else '%'} {args[1]}"
    if op in CUSTOM:
        return f"np.{dtype.numpy}({CUSTOM[op]}({', '.join(args)}))"
    form = _TABLES[dtype.kind].get(op)
    if form is None:
        raise CompileError(f'backend="numba" has no expression for the op {op!r} on {dtype}.')
    text = form.format(*args, dtype=dtype.numpy, bits=dtype.bits)
    # Numba computes narrow integers in 64 bits, and some functions of f32 in f64
    exact = dtype.kind == "b" or dtype.name == "f64" or (dtype.kind == "f" and op not in _WIDE)
    return text if exact else f"np.{dtype.numpy}({text})"
