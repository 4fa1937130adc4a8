"""`graphc.op`: operations of the user's own, fused and differentiated like those of `graphc.ops`.

A scalar function is traced: its body becomes ordinary nodes. One that can't be traced (branches or loops on
values, `math.*`) is compiled by Numba and inlined into kernels; a function of whole arrays runs in NumPy
between kernels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from graphc.ir.errors import ArgumentError, TraceError
from graphc.ir.opdef import OpDef
from graphc.ops.dispatch import OPERATIONS, emit, operation
from graphc.trace import Trace

Function = Callable[..., Any]


def op(
    function: Function | None = None, *, infer: Function | None = None, vjp: Function | None = None
) -> Any:
    """Decorator: makes a Python function an operation of tensors and arrays.

    Without `infer`, the function is one of scalars, applied to each element; operands broadcast, and Python
    numbers in it are weak (f32 stays f32). With `infer(*types)`, which gives (shape, dtype) of the result, it
    is a NumPy function of whole arrays.

    `vjp(*operands, out, ct)` gives the cotangent of each operand. A scalar function that is traced needs
    none; one that can't be traced, and a function of arrays, has no gradient without it (DTypeError).

    >>> import numpy as np
    >>> @op
    ... def softsign(x):
    ...     return x / (1 + abs(x))
    >>> softsign(np.array([-1.0, 3.0], "f4"))
    array([-0.5 ,  0.75], dtype=float32)
    """
    if function is None:
        return functools.partial(op, infer=infer, vjp=vjp)
    if not callable(function):
        raise ArgumentError(f"op takes a function, not {function!r}")
    body = _array_body(function, infer, vjp) if infer is not None else _scalar_body(function, vjp)
    body.__name__ = _fresh(function.__name__)
    dispatch = operation(body)
    return functools.update_wrapper(dispatch, function)


def _fresh(name: str) -> str:
    unique, count = f"custom.{name}", 2
    while unique in OPERATIONS:
        unique, count = f"custom.{name}.{count}", count + 1
    return unique


def _scalar_body(function: Function, vjp: Function | None) -> Function:
    compiled: list[OpDef] = []

    def body(*operands: Any) -> Any:
        if vjp is None and not compiled:
            try:
                return function(*operands)
            except TraceError:
                pass  # its body asks for values: Numba's turn
        if not compiled:
            from graphc.codegen.custom import scalar_op

            compiled.append(scalar_op(function, None if vjp is None else _traced_vjp(vjp)))
        return emit(compiled[0].name, *operands)

    return body


def _traced_vjp(vjp: Function) -> Function:
    """The user's formula on tensors as an op's `vjp` on a builder's expressions."""

    def on_builder(b: Any, *operands: Any, out: Any, ct: Any) -> tuple[Any, ...]:
        trace = Trace("vjp")
        trace.root = b
        with trace:
            given = vjp(*map(trace.tensor, operands), out=trace.tensor(out), ct=trace.tensor(ct))
        given = given if isinstance(given, tuple) else (given,)
        return tuple(None if g is None else trace.expr(g) for g in given)

    return on_builder


def _array_body(function: Function, infer: Function, vjp: Function | None) -> Function:
    compiled: list[OpDef] = []

    def body(*operands: Any) -> Any:
        if not compiled:
            from graphc.codegen.custom import array_op

            compiled.append(array_op(function, infer, vjp))
        return emit(compiled[0].name, *operands)

    return body
