"""Penalties on weights and outputs that are added to the loss: functions of one tensor that give a scalar."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc import ops
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.lookup import Configured, Lookup

SMALLEST_SQUARED_NORM = 1e-14


class Regularizer(Configured):
    """A penalty; subclass it and define `__call__(x)`, which returns a scalar."""

    def __call__(self, x: Any) -> Any:
        """The penalty of `x`: nothing, unless a subclass says otherwise."""
        return 0.0


class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x ** 2).

    Args:
        l1: factor of the first term, not negative.
        l2: factor of the second term, not negative.

    >>> import numpy as np
    >>> float(L1L2(0.1, 0.01)(np.array([1.0, -2.0])))
    0.35000000000000003
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1, self.l2 = _factor(l1 or 0.0, "l1"), _factor(l2 or 0.0, "l2")

    def __call__(self, x: Any) -> Any:
        terms = []
        if self.l1:
            terms.append(self.l1 * ops.sum(ops.abs(x)))
        if self.l2:
            terms.append(self.l2 * ops.sum(ops.square(x)))
        return sum(terms[1:], terms[0]) if terms else 0.0

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """l1 * sum(|x|).

    >>> import numpy as np
    >>> float(L1(0.5)(np.array([1.0, -2.0])))
    1.5
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        super().__init__(l1=0.01 if l1 is None else l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """l2 * sum(x ** 2).

    >>> import numpy as np
    >>> float(L2(0.5)(np.array([1.0, -2.0])))
    2.5
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        super().__init__(l2=0.01 if l2 is None else l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean |dot product| over pairs of different rows (or columns), each scaled to norm 1.

    Args:
        factor: not negative.
        mode: "rows" or "columns": which vectors of a matrix should be orthogonal.

    >>> import numpy as np
    >>> float(OrthogonalRegularizer(0.5)(np.array([[1.0, 0.0], [1.0, 0.0]])))
    0.5
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ArgumentError(f"mode should be 'rows' or 'columns', not {mode!r}")
        self.factor, self.mode = _factor(factor, "factor"), mode

    def __call__(self, x: Any) -> Any:
        if len(x.shape) != 2:
            raise ShapeError(f"OrthogonalRegularizer takes a matrix, but got shape {tuple(x.shape)}")
        rows = x if self.mode == "rows" else ops.transpose(x)
        count = int(rows.shape[0])
        if count < 2:
            return 0.0
        squared = ops.sum(ops.square(rows), axis=1, keepdims=True)
        # The bound lies inside the root, so that a row of zeros has gradient 0 and not NaN.
        unit = rows / ops.sqrt(ops.maximum(squared, SMALLEST_SQUARED_NORM))
        others = 1.0 - np.eye(count, dtype=np.float32)
        products = ops.abs(ops.matmul(unit, ops.transpose(unit)) * others)
        return self.factor * ops.sum(products) / (count * (count - 1.0))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """The L1L2 penalty with Keras 2's defaults, which the name "l1_l2" means."""
    return L1L2(l1, l2)


def _factor(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise ArgumentError(f"{name} should be a number, not {value!r}")
    if not math.isfinite(value) or value < 0:
        raise ArgumentError(f"{name} should be finite and not negative, not {value!r}")
    return float(value)


REGULARIZERS = Lookup(
    "regularizer", "keras.regularizers", (L1, L2, L1L2, OrthogonalRegularizer), {"l1_l2": l1_l2}
)
get = REGULARIZERS.get
serialize = REGULARIZERS.serialize
deserialize = REGULARIZERS.deserialize
l1, l2, orthogonal_regularizer = L1, L2, OrthogonalRegularizer
