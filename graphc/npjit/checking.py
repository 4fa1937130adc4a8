"""`jit(f, check="nan")`: operation by operation in NumPy, which stops at the first one that gives a NaN.

Slow on purpose: it is for finding the line where numbers go wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir.errors import NumericsError
from graphc.npjit.log import Node, follow, mutate, nodes_in


def refuse_nan(node: Node) -> None:
    """See that the value of a node that has just run holds no NaN.

    Raises
    ------
    NumericsError
        It holds one.
    """
    if node.fn is follow or not _holds_nan(node.value):
        return
    fn: Any = node.args[2] if node.fn is mutate else node.fn
    value = np.asarray(node.value)
    at = ", ".join(map(str, np.argwhere(np.isnan(value))[0])) if value.ndim else ""
    where = f"element [{at}] of {value.dtype}{list(value.shape)}" if at else f"a {value.dtype}"
    operands = sum(_holds_nan(n.value) for n in set(nodes_in([node.args, node.kwargs or {}])))
    cause = "\n  an operand of it holds NaN already" if operands else ""
    raise NumericsError(f"{getattr(fn, '__name__', fn)} gave a NaN: {where}.{cause}\n  at {node.line}")


def _holds_nan(value: Any) -> bool:
    if isinstance(value, float | complex | np.inexact):
        return bool(np.isnan(value))
    return type(value) is np.ndarray and value.dtype.kind in "fc" and bool(np.isnan(value).any())
