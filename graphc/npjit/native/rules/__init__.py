"""What NumPy's functions are in the IR. `table` has all rules by function; a file per family makes them."""

from graphc.npjit.native.rules import creation, elementwise, indexing, products, reductions, shapes
from graphc.npjit.native.rules.table import RULES, Rule, apply

__all__ = [
    "RULES",
    "Rule",
    "apply",
    "creation",
    "elementwise",
    "indexing",
    "products",
    "reductions",
    "shapes",
]
