"""Comparisons: bool results. Each is false where an operand is NaN, but not_equal, which is true."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir.inference import classification, comparison
from graphc.ir.opdef import Kind, define
from graphc.ir.samples import ALL, binary, unary

COMPARISONS: dict[str, tuple[Any, ...]] = {
    "equal": ("x == y", np.equal, True),
    "not_equal": ("x != y", np.not_equal, True),
    "less": ("x < y", np.less, False),
    "less_equal": ("x <= y", np.less_equal, False),
    "greater": ("x > y", np.greater, False),
    "greater_equal": ("x >= y", np.greater_equal, False),
}
for _name, (_doc, _function, _commutative) in COMPARISONS.items():
    define(
        _name,
        Kind.ELEMENTWISE,
        _doc,
        infer=comparison,
        evaluate=_function,
        commutative=_commutative,
        samples=binary(-3, 3, ALL, differentiable=False),
    )

CLASSIFICATIONS: dict[str, tuple[Any, ...]] = {
    "isnan": ("Whether x is NaN.", np.isnan, lambda b, x: b.not_equal(x, x)),
    "isinf": ("Whether x is infinite.", np.isinf, lambda b, x: b.equal(abs(x), np.inf)),
    "isfinite": ("Whether x is neither NaN nor infinite.", np.isfinite, lambda b, x: abs(x) < np.inf),
}
for _name, (_doc, _function, _scalar) in CLASSIFICATIONS.items():
    define(
        _name,
        Kind.ELEMENTWISE,
        _doc,
        infer=classification,
        evaluate=_function,
        scalar=_scalar,
        samples=unary(differentiable=False),
    )
