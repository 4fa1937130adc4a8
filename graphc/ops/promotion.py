"""Which element type an operation computes in.

Tensors and variables decide: a floating one wins over integers, whose type never widens it (as in JAX: i64
and f32 give f32). Python numbers, NumPy scalars and arrays that are constants of a layer's `call` are weak:
they take the tensors' type where their values fit it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.backend import floatx
from graphc.ir.dims import Size
from graphc.ir.errors import ArgumentError
from graphc.ir.types import DType, dtype_of
from graphc.tensor import Tensor
from graphc.trace import active
from graphc.variable import Variable

RANK = {"b": 0, "u": 1, "i": 1, "f": 2}
WEAK = {"b": "bool", "u": "int32", "i": "int32"}


def tensor(x: Any, dtype: Any = None) -> Tensor:
    """`x` as a tensor of the active trace; numbers and arrays become constants (Python floats of the type
    `floatx`).
    """
    trace = active()
    assert trace is not None, "an operation's body runs in a trace only"
    if isinstance(x, Variable):
        x = trace.read(x)
    if isinstance(x, Tensor):
        trace.expr(x)
        return x if dtype is None else cast(x, dtype)
    if isinstance(x, Size):
        return trace.op("constant", value=x, dtype=dtype_of(dtype or "int64"))
    if isinstance(x, (list, tuple)) and any(isinstance(item, (Tensor, Variable, list, tuple)) for item in x):
        return tensor(_stack([tensor(item) for item in x]), dtype)
    array = np.asarray(x)
    if dtype is None and not isinstance(x, (np.ndarray, np.generic)):
        dtype = {"f": floatx(), "i": "int32"}.get(array.dtype.kind, array.dtype)
    return trace.constant(_fitting(array, dtype_of(dtype or array.dtype)))


def _stack(items: list[Tensor]) -> Tensor:
    from graphc.ops.shape import stack

    return stack(unify(*items))


def cast(x: Tensor, dtype: Any) -> Tensor:
    """`x` in another element type; itself if it has it."""
    wanted = dtype_of(dtype)
    if x.type.dtype == wanted:
        return x
    assert x.trace is not None
    return x.trace.op("cast", x, dtype=wanted)


def promote(left: DType, right: DType) -> DType:
    """The type of an operation on tensors of two types."""
    if RANK[left.kind] != RANK[right.kind]:
        return left if RANK[left.kind] > RANK[right.kind] else right
    common = np.promote_types(left.numpy, right.numpy)
    return dtype_of("int64" if common.kind == "f" and left.kind != "f" else common)


def common_dtype(operands: Sequence[Any], floating: bool = False) -> DType:
    """The type that operands of an elementwise operation are brought to."""
    strong = [x.type.dtype for x in operands if isinstance(x, (Tensor, Variable))]
    weak = [np.asarray(x) for x in operands if not isinstance(x, (Tensor, Variable))]
    chosen: DType | None = None
    for dtype in strong:
        chosen = dtype if chosen is None else promote(chosen, dtype)
    for array in weak:
        chosen = _with_weak(chosen, array)
    assert chosen is not None, "an operation has at least one operand"
    return chosen if chosen.kind == "f" or not floating else dtype_of(floatx())


def _with_weak(chosen: DType | None, array: np.ndarray) -> DType:
    if array.dtype.kind == "f":
        return chosen if chosen is not None and chosen.kind == "f" else dtype_of(floatx())
    if chosen is None or RANK[chosen.kind] < RANK[array.dtype.kind]:
        return dtype_of(WEAK[array.dtype.kind])
    return chosen


def unify(*operands: Any, floating: bool = False) -> list[Any]:
    """The operands in their common type. Python numbers become constants of it."""
    dtype = common_dtype(operands, floating)
    return [_as(x, dtype) for x in operands]


def _as(x: Any, dtype: DType) -> Tensor:
    if isinstance(x, (Tensor, Variable)):
        return cast(tensor(x), dtype)
    trace = active()
    assert trace is not None
    return trace.constant(_fitting(np.asarray(x), dtype))


def _fitting(array: np.ndarray, dtype: DType) -> np.ndarray:
    """`array` in the type, which must hold its integers."""
    if array.dtype.kind in "iu" and dtype.is_integer and array.size:
        bounds = np.iinfo(dtype.numpy)
        if int(array.min()) < bounds.min or int(array.max()) > bounds.max:
            raise ArgumentError(f"the constant {array} does not fit the element type {dtype.numpy}")
    return array.astype(dtype.numpy)
