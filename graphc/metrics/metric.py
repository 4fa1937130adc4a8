"""What metrics are, and the two on which most are built: the sum and the mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import initializers, ops
from graphc.ir.errors import ArgumentError
from graphc.layers.masks import mask_of
from graphc.lookup import Configured, snake_case
from graphc.losses.functions import match_ranks, same_rank
from graphc.trace import active
from graphc.variable import Variable


class Metric(Configured):
    """Subclass it with `update_state(y_true, y_pred, sample_weight=None)` and `result()`; make state by
    `add_variable`.
    """

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)
        self.dtype = dtype or "float32"
        self.variables: list[Variable] = []

    def add_variable(
        self,
        shape: Sequence[int] | str = (),
        initializer: Any = "zeros",
        dtype: str | None = None,
        aggregation: Any = None,
        name: str | None = None,
    ) -> Variable:
        """State of the metric, zero after `reset_state`. A name may come first, as in Keras 2; `aggregation`
        is taken as Keras takes it.
        """
        if isinstance(shape, str):
            name, shape = shape, ()
        made = initializers.get(initializer or "zeros")(tuple(shape), dtype or self.dtype)
        variable = Variable(np.array(made), trainable=False, name=name or "state")
        self.variables.append(variable)
        return variable

    add_weight = add_variable

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch to the sums; to be defined by subclasses."""
        raise ArgumentError(f"the metric {type(self).__name__} does not define update_state()")

    def result(self) -> Any:
        """The metric's value so far; to be defined by subclasses."""
        raise ArgumentError(f"the metric {type(self).__name__} does not define result()")

    def reset_state(self) -> None:
        """Start again from nothing."""
        traced = active() is not None
        for variable in self.variables:
            if traced:
                variable.assign(np.zeros(variable.shape, variable.dtype))
            else:
                variable.array.fill(0)
                variable.changed()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


class Sum(Metric):
    """The (weighted) sum of values."""

    def __init__(self, name: str = "sum", dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_variable(name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, _ = samplewise(values, sample_weight, self.dtype, ops.sum)
        self.total.assign(self.total + ops.sum(values))

    def result(self) -> Any:
        return self.total + 0.0


class Mean(Metric):
    """The (weighted) mean of values; 0 before the first."""

    def __init__(self, name: str = "mean", dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_variable(name="total")
        self.count = self.add_variable(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, weights = samplewise(values, sample_weight, self.dtype, ops.mean)
        if weights is not None:
            count = ops.sum(weights)
        else:
            count = ops.cast(values.shape[0] if len(values.shape) else 1, self.dtype)
        self.total.assign(self.total + ops.sum(values))
        self.count.assign(self.count + count)

    def result(self) -> Any:
        return ops.where(self.count > 0, self.total / ops.maximum(self.count, 1e-30), 0.0)

    def read(self) -> float:
        """The mean as a Python number, at the least cost: what the training loop shows."""
        count = self.count.array.item()
        return self.total.array.item() / count if count else 0.0


def samplewise(values: Any, sample_weight: Any, dtype: str, reduce: Callable[..., Any]) -> tuple[Any, Any]:
    """One value per sample, weighted, and one weight per sample (None without weights)."""
    values = ops.cast(ops.convert_to_tensor(values), dtype)
    weights = None if sample_weight is None else ops.cast(ops.convert_to_tensor(sample_weight), dtype)
    if weights is not None:
        values, weights = match_ranks(values, weights)
        rank = len(weights.shape)
        if len(values.shape) > rank:
            values = reduce(values, axis=tuple(range(rank, len(values.shape))))
        weights = ops.broadcast_to(weights, values.shape)
        values = values * weights
        if rank > 1:
            weights = reduce(weights, axis=tuple(range(1, rank)))
    if len(values.shape) > 1:
        values = reduce(values, axis=tuple(range(1, len(values.shape))))
    return values, weights


class MeanMetricWrapper(Mean):
    """The mean of `fn(y_true, y_pred, **arguments)` over samples; an output's mask counts as weights."""

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: str | None = None, **arguments: Any
    ) -> None:
        super().__init__(name or str(getattr(fn, "__name__", "mean_metric")), dtype)
        self.fn, self.arguments = fn, arguments

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        mask = mask_of(y_pred)
        values = self.fn(y_true, y_pred, **self.arguments)
        if mask is not None:
            mask = ops.cast(mask, self.dtype)
            if sample_weight is None:
                sample_weight = mask
            else:
                weights = ops.cast(ops.convert_to_tensor(sample_weight), self.dtype)
                while len(weights.shape) < len(mask.shape):
                    weights = ops.expand_dims(weights, axis=-1)
                sample_weight = weights * mask
        super().update_state(values, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self.arguments


class RootMeanSquaredError(Mean):
    """sqrt(mean((y_true - y_pred)^2))."""

    def __init__(self, name: str = "root_mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        y_true, y_pred = same_rank(y_true, y_pred)
        super().update_state(ops.square(y_true - y_pred), sample_weight)

    def result(self) -> Any:
        return ops.sqrt(super().result())

    def read(self) -> float:
        return float(np.sqrt(super().read()))
