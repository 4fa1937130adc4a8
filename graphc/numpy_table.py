"""Which operation stands for which NumPy function, for tensors and variables that NumPy's functions are
called on.

`FUNCTIONS` maps functions and ufuncs of NumPy to functions of `graphc.ops`; arguments are passed on by
position and name, with NumPy's other names for them renamed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import ops
from graphc.ir.errors import TraceError
from graphc.ir.locations import caller
from graphc.structure import transform
from graphc.tensor import Tensor
from graphc.variable import Variable

SAME_NAME = [
    "abs",
    "absolute",
    "add",
    "all",
    "amax",
    "amin",
    "any",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argmax",
    "argmin",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "broadcast_to",
    "cbrt",
    "ceil",
    "clip",
    "concatenate",
    "conj",
    "cos",
    "cosh",
    "count_nonzero",
    "cumsum",
    "divide",
    "dot",
    "einsum",
    "equal",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "fix",
    "flip",
    "floor",
    "floor_divide",
    "full_like",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mod",
    "moveaxis",
    "multiply",
    "negative",
    "not_equal",
    "ones_like",
    "outer",
    "pad",
    "positive",
    "power",
    "prod",
    "reciprocal",
    "remainder",
    "repeat",
    "reshape",
    "rint",
    "roll",
    "round",
    "sign",
    "sin",
    "sinh",
    "split",
    "square",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "tan",
    "tanh",
    "tensordot",
    "tile",
    "transpose",
    "true_divide",
    "trunc",
    "unstack",
    "var",
    "where",
    "zeros_like",
    "ndim",
    "shape",
    "size",
    "left_shift",
    "right_shift",
]
OTHER_NAME = {
    "around": "round",
    "invert": "bitwise_not",
    "bitwise_not": "bitwise_not",
    "fabs": "absolute",
    "linalg.norm": "norm",
}


def _find(name: str) -> Any:
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    _find(theirs): ops.OPERATIONS[ours]
    for theirs, ours in {**{n: n for n in SAME_NAME}, **OTHER_NAME}.items()
    if _find(theirs) is not None and ours in ops.OPERATIONS
}

REDUCTIONS = {
    np.add: "sum",
    np.multiply: "prod",
    np.maximum: "max",
    np.minimum: "min",
    np.logical_and: "all",
    np.logical_or: "any",
}


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A ufunc on tensors or variables."""
    from graphc.trace import active

    if active() is None and not any(isinstance(x, Tensor) for x in inputs):
        plain = [x.array if isinstance(x, Variable) else x for x in inputs]
        return getattr(ufunc, method)(*plain, **kwargs)
    if method == "reduce" and ufunc in REDUCTIONS:
        axis = kwargs.pop("axis", 0)
        return ops.OPERATIONS[REDUCTIONS[ufunc]](*inputs, axis=axis, **_plain(kwargs, ufunc.__name__))
    if method != "__call__" or ufunc not in FUNCTIONS:
        raise _unknown(f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}"))
    return FUNCTIONS[ufunc](*inputs, **_plain(kwargs, ufunc.__name__))


def call_function(function: Any, args: Any, kwargs: Any) -> Any:
    """A function of NumPy on tensors or variables."""
    from graphc.trace import active

    if active() is None and not _has_tensor((args, kwargs)):
        plain = transform(lambda x: x.array if isinstance(x, Variable) else x, (args, kwargs))
        return function(*plain[0], **plain[1])
    if function not in FUNCTIONS:
        raise _unknown(f"np.{getattr(function, '__name__', function)}")
    return FUNCTIONS[function](*args, **_plain(kwargs, function.__name__))


def _has_tensor(value: Any) -> bool:
    from graphc.structure import leaves

    return any(isinstance(leaf, Tensor) for leaf in leaves(value))


def _plain(kwargs: dict[str, Any], name: str) -> dict[str, Any]:
    """NumPy's keyword arguments by the names that operations have."""
    kept: dict[str, Any] = {}
    for key, value in kwargs.items():
        if value is None or value is np._NoValue or (key == "where" and value is True):
            continue
        if key in ("out", "where", "casting", "order", "subok", "initial"):
            raise _unknown(f"np.{name} with {key}=")
        kept[
            {"a_min": "x_min", "a_max": "x_max", "shape": "newshape" if name == "reshape" else "shape"}.get(
                key, key
            )
        ] = value
    return kept


def _unknown(what: str) -> TraceError:
    return TraceError(
        f"{what} is not possible on a symbolic tensor.\n"
        "  fix     write it with other functions of NumPy or graphc.ops, or as an operation: @graphc.op.\n"
        f"  at {caller()}"
    )
