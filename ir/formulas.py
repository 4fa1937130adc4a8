"""Formulas on arrays: what is written once for a builder's values also runs with NumPy.

>>> import numpy as np
>>> def softsign(b, x):
...     return x / (1 + b.abs(x))
>>> softsign(ARRAYS, np.array([-1.0, 3.0]))
array([-0.5 ,  0.75])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.ir.opdef import get_op
from graphc.ir.types import DType, dtype_of


class Arrays:
    """Stands for a builder: its methods compute at once, each by the op's own `evaluate`."""

    def constant(self, value: float, dtype: DType | str) -> np.ndarray:
        """A number as an array."""
        return np.asarray(value).astype(dtype_of(dtype).numpy)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = get_op(name)

        def compute(*operands: Any, **attrs: Any) -> Any:
            dtypes = [x.dtype for x in operands if isinstance(x, (np.ndarray, np.generic))]
            strong = next((d for d in dtypes if d.kind != "b"), None)
            arrays = [x if hasattr(x, "dtype") else np.asarray(x, strong) for x in operands]
            attrs = {k: dtype_of(v) if k == "dtype" else v for k, v in {**op.defaults, **attrs}.items()}
            return op.evaluate(*arrays, **attrs)

        return compute


ARRAYS = Arrays()


def on_arrays(formula: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """The `evaluate` of an op that its formula defines."""

    def evaluate(*operands: np.ndarray, **attrs: Any) -> np.ndarray:
        return formula(ARRAYS, *operands, **attrs)

    return evaluate
