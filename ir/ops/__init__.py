"""Every operator, by family. Importing this package fills `graphc.ir.opdef.OPS`."""

from graphc.ir.ops import (
    activation,
    arithmetic,
    comparison,
    convert,
    creation,
    exponential,
    fused,
    linear,
    logic,
    reduce,
    rounding,
    shape,
    trigonometric,
)
from graphc.ir.ops.primitives import PRIMITIVES

__all__ = [
    "PRIMITIVES",
    "activation",
    "arithmetic",
    "comparison",
    "convert",
    "creation",
    "exponential",
    "fused",
    "linear",
    "logic",
    "reduce",
    "rounding",
    "shape",
    "trigonometric",
]
