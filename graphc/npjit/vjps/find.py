"""Which rules a recorded operation has: of NumPy functions, operators, array methods, attributes,
conversions.

Array methods are those of the NumPy function of the same name, `METHODS` says where names or arguments
differ.
"""

from __future__ import annotations

import importlib
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy

from graphc.npjit.attributes import as_form
from graphc.npjit.values import IN_PLACE, OPERATORS
from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.table import RULES, ZERO, Rules, function

FAMILIES = [
    *("elementwise", "choosing", "reductions", "shapes", "joining", "indexing", "ordering", "running"),
    *("products", "einsum", "linalg", "decompositions", "creation", "composites", "norms", "statistics"),
    "ufunc_methods",
]
for _family in FAMILIES:
    importlib.import_module(f"graphc.npjit.vjps.{_family}")

UFUNCS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "matmul": "matmul",
    "lshift": "left_shift",
    "rshift": "right_shift",
    "and_": "bitwise_and",
    "or_": "bitwise_or",
    "xor": "bitwise_xor",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
    "neg": "negative",
    "pos": "positive",
    "abs": "absolute",
    "invert": "invert",
}
IN_PLACE_OF = {fn: function(UFUNCS[name]) for name, fn in IN_PLACE.items()}
"""The ufunc that an in-place operator applies."""

IDENTITY = Rules("identity", (lambda ct, out, x, *rest, **options: np.reshape(ct, np.shape(x)),), keeps=True)
NOTHING = Rules("zero", ())


def _transpose_axes(args: list[Any]) -> list[Any]:
    axes = args[1] if len(args) == 2 and isinstance(args[1], (tuple, list)) else tuple(args[1:]) or None
    return [args[0], None if axes == (None,) else axes]


def _reshape_size(args: list[Any]) -> list[Any]:
    return [args[0], args[1] if len(args) == 2 else tuple(args[1:])]


class Method(NamedTuple):
    """The NumPy function that does the same, and how the arguments are to be placed for it."""

    name: str
    place: Callable[[list[Any]], list[Any]] = list


METHODS = {
    "transpose": Method("transpose", _transpose_axes),
    "reshape": Method("reshape", _reshape_size),
    "flatten": Method("ravel"),
    "conj": Method("conjugate"),
    "compress": Method("ndarray.compress"),
    "view": Method("ndarray.view"),
    "T": Method("transpose"),
    "mT": Method("matrix_transpose"),
    "item": Method("", list),
    "tolist": Method("", list),
}
DRAWS = frozenset(["normal", "uniform", "laplace", "logistic", "gumbel", "exponential", "rayleigh"])
MATH = {
    **{
        name: name
        for name in [
            "exp",
            "expm1",
            "log1p",
            "log2",
            "log10",
            "sqrt",
            "cbrt",
            "sin",
            "cos",
            "tan",
            "sinh",
            "cosh",
            "tanh",
        ]
    },
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "atan2": "arctan2",
    "fabs": "fabs",
    "pow": "power",
    "copysign": "copysign",
    "hypot": "hypot",
    "degrees": "degrees",
    "radians": "radians",
}
LOG = Rules(
    "log",
    (
        lambda ct, out, x, base=math.e: ct / (x * np.log(base)),
        lambda ct, out, x, base=math.e: -ct * out / (base * np.log(base)),
    ),
    elementwise=True,
    singular=True,
    keeps=True,
)
SLOPE_OF_ERF = 2 / math.sqrt(math.pi)
ERF = Rules("erf", (lambda ct, out, x: ct * (SLOPE_OF_ERF * np.exp(-x * x)),), keeps=True)
ERFC = Rules("erfc", (lambda ct, out, x: -ct * (SLOPE_OF_ERF * np.exp(-x * x)),), keeps=True)


def _item_key(x: Any, given: list[Any]) -> Any:
    """The index of the element that `x.item(*given)` is: one number counts elements row by row."""
    if len(given) > 1 or isinstance(given[0], tuple):
        return given[0] if isinstance(given[0], tuple) else tuple(given)
    shape = tuple(int(n) for n in np.shape(x))
    return tuple(map(int, numpy.unravel_index(int(given[0]) % math.prod(shape), shape)))


class Found(NamedTuple):
    """Rules, and the arguments in the form they take; the first `skipped` arguments of the call are not
    among them."""

    rules: Rules
    args: list[Any]
    kwargs: dict[str, Any]
    skipped: int = 0


def rules_of(fn: Any) -> Rules | None:
    """The rules of a function; None where there are none.

    >>> rules_of(operator.add).name, rules_of(numpy.floor).name, rules_of(print)
    ('add', 'zero', None)
    """
    try:
        found = RULES.get(fn)
        if found is not None:
            return found
        return NOTHING if fn in ZERO or fn in CONSTANT else None
    except TypeError:  # no hash
        return None


CONSTANT = frozenset([int, bool, len, operator.contains])


def _register() -> None:
    for name, ufunc in UFUNCS.items():
        fn, same = getattr(operator, name), function(ufunc)
        if same in RULES:
            RULES[fn] = RULES[same]
        else:
            ZERO.add(fn)
    for name, same in MATH.items():
        if hasattr(math, name):
            RULES[getattr(math, name)] = RULES[function(same)]
    RULES.update({math.log: LOG, math.erf: ERF, math.erfc: ERFC})
    ZERO.add(round)
    RULES[as_form] = IDENTITY
    for kind in (float, numpy.float16, numpy.float32, numpy.float64, numpy.longdouble):
        RULES[kind] = IDENTITY
    ZERO.update(
        t for t in vars(numpy).values() if isinstance(t, type) and issubclass(t, numpy.integer | numpy.bool_)
    )


_register()
assert OPERATORS.keys() <= UFUNCS.keys()


def find(fn: Any, args: Sequence[Any], kwargs: dict[str, Any] | None) -> Found | None:
    """The rules of one call, with its arguments placed as the rules take them; None where there are none."""
    placed, skipped = list(args), 0
    if getattr(fn, "is_method", False) or getattr(fn, "is_attribute", False):
        name = fn.__name__
        if name in DRAWS:
            rules, placed, skipped = rules_of(function(f"random.{name}")), placed[1:], 1
        elif name == "item":
            rules = IDENTITY
            if len(placed) > 1:
                rules, placed = RULES[operator.getitem], [placed[0], _item_key(placed[0], placed[1:])]
        else:
            method = METHODS.get(name, Method(name))
            rules, placed = rules_of(function(method.name)), method.place(placed)
    else:
        rules = rules_of(fn)
    if rules is None:
        return None
    if rules is NOTHING or rules is IDENTITY:
        return Found(rules, placed, dict(kwargs or {}), skipped)
    bound, rest = rules.bind(placed, kwargs or {})
    return Found(rules, bound, rest, skipped)
