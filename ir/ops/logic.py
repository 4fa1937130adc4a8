"""Logic on bools, and bitwise operations and shifts on integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir.inference import binary_bits, binary_bool, binary_integer, unary_bits, unary_bool
from graphc.ir.opdef import Kind, define
from graphc.ir.samples import INTEGERS, binary, unary

BITS = (*INTEGERS, "bool")

BITWISE: dict[str, tuple[Any, ...]] = {
    "bitwise_and": ("Bits that both operands have; on bools, logical and.", np.bitwise_and),
    "bitwise_or": ("Bits that either operand has; on bools, logical or.", np.bitwise_or),
    "bitwise_xor": ("Bits that exactly one operand has; on bools, exclusive or.", np.bitwise_xor),
}
for _name, (_doc, _function) in BITWISE.items():
    define(
        _name,
        Kind.ELEMENTWISE,
        _doc,
        infer=binary_bits,
        evaluate=_function,
        commutative=True,
        samples=binary(-100, 100, BITS, differentiable=False),
    )
define(
    "bitwise_not",
    Kind.ELEMENTWISE,
    "All bits inverted; on bools, logical not.",
    infer=unary_bits,
    evaluate=np.bitwise_not,
    samples=unary(-100, 100, BITS, differentiable=False),
)

LOGICAL: dict[str, tuple[Any, ...]] = {
    "logical_and": ("x and y, on bools", np.logical_and, lambda b, x, y: b.bitwise_and(x, y)),
    "logical_or": ("x or y, on bools", np.logical_or, lambda b, x, y: b.bitwise_or(x, y)),
    "logical_xor": ("exactly one of x and y, on bools", np.logical_xor, lambda b, x, y: b.bitwise_xor(x, y)),
}
for _name, (_doc, _function, _scalar) in LOGICAL.items():
    define(
        _name,
        Kind.ELEMENTWISE,
        _doc,
        infer=binary_bool,
        evaluate=_function,
        scalar=_scalar,
        commutative=True,
        samples=binary(dtypes=("bool",), differentiable=False),
    )
define(
    "logical_not",
    Kind.ELEMENTWISE,
    "not x, on bools",
    infer=unary_bool,
    evaluate=np.logical_not,
    scalar=lambda b, x: b.bitwise_not(x),
    samples=unary(dtypes=("bool",), differentiable=False),
)

SHIFTS: dict[str, tuple[Any, ...]] = {
    "shift_left": (
        "x * 2**y, wrapped around; 0 where y is negative or not below the number of bits.",
        np.left_shift,
    ),
    "shift_right": (
        "x / 2**y rounded down; 0 (-1 for negative x) where y is negative or not below the number of bits.",
        np.right_shift,
    ),
}
for _name, (_doc, _function) in SHIFTS.items():
    define(
        _name,
        Kind.ELEMENTWISE,
        _doc,
        infer=binary_integer,
        evaluate=_function,
        samples=(
            *binary(-100, 100, INTEGERS, right=(0, 7), differentiable=False),
            *binary(-100, 100, INTEGERS, right=(-9, 70), differentiable=False),
        ),
    )
