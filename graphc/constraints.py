"""Projections of weights after each update: functions of one tensor that give a tensor of its shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.backend import epsilon
from graphc.lookup import Configured, Lookup


class Constraint(Configured):
    """A projection; subclass it and define `__call__(w)`, which returns the new value of the weight."""

    def __call__(self, w: Any) -> Any:
        """The projection of `w`: itself, unless a subclass says otherwise."""
        return w


class MaxNorm(Constraint):
    """Scales each vector along `axis` down to norm `max_value`, if it is longer.

    Args:
        max_value: the largest norm.
        axis: the axis or axes along which norms are taken: 0 for a Dense kernel, [0, 1, 2] for Conv2D's.

    >>> import numpy as np
    >>> MaxNorm(5.0)(np.array([[3.0, 30.0], [4.0, 40.0]])).round(4)
    array([[3., 3.],
           [4., 4.]])
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0.0, self.max_value) / (epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Replaces negative elements by 0.

    >>> import numpy as np
    >>> NonNeg()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __call__(self, w: Any) -> Any:
        return ops.maximum(w, 0.0)


class UnitNorm(Constraint):
    """Scales each vector along `axis` to norm 1; a vector of zeros stays zero.

    >>> import numpy as np
    >>> UnitNorm()(np.array([[3.0], [4.0]])).round(4)
    array([[0.6],
           [0.8]])
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return w / (epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Moves the norm of each vector along `axis` into [min_value, max_value], by the share `rate` of the way.

    Args:
        min_value: the smallest norm.
        max_value: the largest norm.
        rate: 1 reaches the interval at once, less goes that share of the way at each update.
        axis: the axis or axes along which norms are taken.

    >>> import numpy as np
    >>> MinMaxNorm(1.0, 2.0)(np.array([[3.0, 0.3], [4.0, 0.4]])).round(4)
    array([[1.2, 0.6],
           [1.6, 0.8]])
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        wanted = self.rate * ops.clip(norms, self.min_value, self.max_value) + (1.0 - self.rate) * norms
        return w * (wanted / (epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        names = ("min_value", "max_value", "rate", "axis")
        return {name: getattr(self, name) for name in names}


def _norms(w: Any, axis: int | Sequence[int]) -> Any:
    along = axis if isinstance(axis, int) else tuple(axis)
    return ops.sqrt(ops.sum(ops.square(w), axis=along, keepdims=True))


CONSTRAINTS = Lookup(
    "constraint",
    "keras.constraints",
    (MaxNorm, NonNeg, UnitNorm, MinMaxNorm),
    {"maxnorm": MaxNorm, "nonneg": NonNeg, "unitnorm": UnitNorm},
)
get = CONSTRAINTS.get
serialize = CONSTRAINTS.serialize
deserialize = CONSTRAINTS.deserialize
max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
