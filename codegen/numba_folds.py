"""Folds as Python statements: what stands before the loops, in each turn, and after them.

A sum of f32 values runs in f64; a long sum of f64 values is made of partial sums, so that its error does not
grow with its length.
"""

from __future__ import annotations

from graphc.codegen.numba_expressions import expression
from graphc.ir.types import DType

BLOCK = 128  # values in a partial sum

Lines = list[str]


def literal(value: object, dtype: DType) -> str:
    """A typed Python literal.

    >>> from graphc.ir import dtype_of
    >>> literal(float("inf"), dtype_of("f32")), literal(3, dtype_of("i64")), literal(True, dtype_of("bool"))
    ('np.float32(np.inf)', 'np.int64(3)', 'True')
    """
    text = number(value, dtype)
    return text if dtype.kind == "b" else f"np.{dtype.numpy}({text})"


def number(value: object, dtype: DType) -> str:
    """A number as Python text; its type is that of what it is put into."""
    if isinstance(value, float) and value != value:
        return "np.nan"
    if value in (float("inf"), float("-inf")):
        return "np.inf" if value == float("inf") else "-np.inf"
    return str(bool(value) if dtype.kind == "b" else value)


def lowest(dtype: DType) -> str:
    """The value below all others, as Python text."""
    if dtype.kind == "b":
        return "False"
    return literal(float("-inf"), dtype) if dtype.is_floating else literal(_integers(dtype)[0], dtype)


def highest(dtype: DType) -> str:
    """The value above all others, as Python text."""
    if dtype.kind == "b":
        return "True"
    return literal(float("inf"), dtype) if dtype.is_floating else literal(_integers(dtype)[1], dtype)


def _integers(dtype: DType) -> tuple[int, int]:
    low = -(2 ** (dtype.bits - 1)) if dtype.kind == "i" else 0
    return low, low + 2**dtype.bits - 1


def start(kind: str, name: str, dtype: DType, value_type: DType, long: bool) -> Lines:
    """Statements before the loops. `long`: there may be more than a block of values."""
    if kind == "sum" and dtype.is_floating:
        lines = [f"{name} = 0.0"]
        return [*lines, f"{name}_part = 0.0", f"{name}_count = 0"] if _blocked(dtype, long) else lines
    if kind in ("argmax", "argmin"):
        best = lowest(value_type) if kind == "argmax" else highest(value_type)
        return [f"{name} = 0", f"{name}_turn = 0", f"{name}_best = {best}"]
    neutral = {
        "sum": literal(0, dtype),
        "prod": literal(1, dtype),
        "max": lowest(dtype),
        "min": highest(dtype),
        "any": "False",
        "all": "True",
    }
    return [f"{name} = {neutral[kind]}"]


def step(kind: str, name: str, dtype: DType, value: str, value_type: DType, long: bool) -> Lines:
    """Statements in each turn."""
    if kind == "sum" and dtype.is_floating:
        if not _blocked(dtype, long):
            return [f"{name} += {value}"]
        return [
            f"{name}_part += {value}",
            f"{name}_count += 1",
            f"if {name}_count == {BLOCK}:",
            f"    {name} += {name}_part",
            f"    {name}_part = 0.0",
            f"    {name}_count = 0",
        ]
    if kind in ("argmax", "argmin"):
        return [
            f"if {name}_turn == 0 or {_beats(kind, value, f'{name}_best', value_type)}:",
            f"    {name} = {name}_turn",
            f"    {name}_best = {value}",
            f"{name}_turn += 1",
        ]
    op = {
        "sum": "add",
        "prod": "multiply",
        "max": "maximum",
        "min": "minimum",
        "any": "logical_or",
        "all": "logical_and",
    }
    return [f"{name} = {expression(op[kind], dtype, [name, value])}"]


def finish(kind: str, name: str, dtype: DType, long: bool) -> Lines:
    """Statements after the loops."""
    if kind != "sum" or not dtype.is_floating:
        return []
    total = f"{name} + {name}_part" if _blocked(dtype, long) else name
    return [f"{name}_sum = np.{dtype.numpy}({total})"]


def result(kind: str, name: str, dtype: DType) -> str:
    """The name of the fold's result after the loops."""
    return f"{name}_sum" if kind == "sum" and dtype.is_floating else name


def _blocked(dtype: DType, long: bool) -> bool:
    return long and dtype.bits == 64


def _beats(kind: str, new: str, best: str, dtype: DType) -> str:
    if dtype.is_floating:
        return f"beats_{kind[3:]}({new}, {best})"
    return f"{new} {'>' if kind == 'argmax' else '<'} {best}"
