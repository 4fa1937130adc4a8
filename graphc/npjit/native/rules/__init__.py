"""What NumPy's functions are in the IR. `table` has all rules by function; a file per family makes them."""

from graphc.npjit.native.rules import (
    conversion,
    creation,
    elementwise,
    indexing,
    joining,
    products,
    reductions,
    shapes,
)
from graphc.npjit.native.rules.table import RULES, Rule, apply

__all__ = [
    "RULES",
    "Rule",
    "apply",
    "conversion",
    "creation",
    "elementwise",
    "indexing",
    "joining",
    "products",
    "reductions",
    "shapes",
]
