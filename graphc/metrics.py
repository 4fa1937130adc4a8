"""Metrics: running sums that the compiled step updates, and that are read when somebody looks.

A metric holds `Variable`s; `update_state` is written in graphc's ops, so that inside a compiled step it
becomes part of the graph, and on arrays
it is computed at once:

    >>> from graphc import metrics
    >>> m = metrics.SparseCategoricalAccuracy()
    >>> m.update_state([1, 0], [[0.1, 0.9], [0.2, 0.8]])
    >>> float(m.result())
    0.5
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import losses, ops
from graphc.ir.errors import ArgumentError
from graphc.layers.masks import mask_of
from graphc.lookup import Configured, Lookup, snake_case
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
        self, shape: Sequence[int] = (), name: str = "state", dtype: str | None = None
    ) -> Variable:
        """State of the metric, zero at the start and after `reset_state`."""
        value = np.zeros(tuple(shape), dtype or self.dtype)
        variable = Variable(value, trainable=False, name=name)
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
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))

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
        values, weights = losses.match_ranks(values, weights)
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
        y_pred = ops.convert_to_tensor(y_pred)
        y_true, y_pred = losses.match_ranks(ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype), y_pred)
        super().update_state(ops.square(y_true - y_pred), sample_weight)

    def result(self) -> Any:
        return ops.sqrt(super().result())

    def read(self) -> float:
        return float(np.sqrt(super().read()))


# -- accuracies as functions -------------------------------------------------------------------------
def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where prediction and label are equal."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true, y_pred = losses.match_ranks(ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype), y_pred)
    return ops.cast(ops.equal(y_true, y_pred), "float32")


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where the prediction lies on the label's side of the threshold."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true, y_pred = losses.match_ranks(ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype), y_pred)
    return ops.cast(ops.equal(y_true, ops.cast(y_pred > threshold, y_true.dtype)), "float32")


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the most probable class is that of the one-hot label."""
    best, right = ops.argmax(y_pred, axis=-1), _places(y_true)
    return ops.cast(ops.equal(best, right), "float32")


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the most probable class is the integer label."""
    return ops.cast(ops.equal(_labels(y_true, y_pred), ops.argmax(y_pred, axis=-1)), "float32")


def _places(y_true: Any) -> Any:
    """Where the one of each one-hot label is; labels may be bool."""
    y_true = ops.convert_to_tensor(y_true)
    return ops.argmax(ops.cast(y_true, "uint8") if y_true.dtype == "bool" else y_true, axis=-1)


def _labels(y_true: Any, y_pred: Any) -> Any:
    """Integer labels of the predictions' shape less its last axis."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    return ops.cast(y_true, "int64")


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the one-hot label's class is among the k most probable."""
    return sparse_top_k_categorical_accuracy(_places(y_true), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the integer label is among the k most probable classes.

    A class is among them if fewer than k are more probable, so classes that tie with the k-th count too.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    classes = y_pred.shape[-1]
    chosen = ops.one_hot(_labels(y_true, y_pred), classes, dtype=y_pred.dtype)
    score = ops.sum(ops.where(chosen > 0.5, y_pred, ops.zeros_like(y_pred)), axis=-1, keepdims=True)
    better = ops.sum(ops.cast(y_pred > score, "int64"), axis=-1)
    return ops.cast(better < k, "float32")


def _metric_class(class_name: str, fn: Callable[..., Any], **defaults: Any) -> type[MeanMetricWrapper]:
    """The class of a metric that is the mean of a function."""
    order = [*defaults, "name", "dtype"] if class_name in _ARGUMENTS_FIRST else ["name", "dtype", *defaults]

    def __init__(self: MeanMetricWrapper, *positional: Any, **keywords: Any) -> None:
        given = dict(zip(order, positional)) | keywords
        unknown = sorted(set(given) - set(order))
        if unknown or len(positional) > len(order):
            raise TypeError(
                f"{class_name} takes the arguments {', '.join(order)}; got {positional} {keywords}"
            )
        name, dtype = given.pop("name", None) or snake_case(class_name), given.pop("dtype", None)
        MeanMetricWrapper.__init__(self, fn, name, dtype, **{**defaults, **given})

    return type(
        class_name,
        (MeanMetricWrapper,),
        {"__init__": __init__, "__doc__": fn.__doc__, "__module__": __name__},
    )


_ARGUMENTS_FIRST = ("TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy")

Accuracy = _metric_class("Accuracy", accuracy)
BinaryAccuracy = _metric_class("BinaryAccuracy", binary_accuracy, threshold=0.5)
CategoricalAccuracy = _metric_class("CategoricalAccuracy", categorical_accuracy)
SparseCategoricalAccuracy = _metric_class("SparseCategoricalAccuracy", sparse_categorical_accuracy)
TopKCategoricalAccuracy = _metric_class("TopKCategoricalAccuracy", top_k_categorical_accuracy, k=5)
SparseTopKCategoricalAccuracy = _metric_class(
    "SparseTopKCategoricalAccuracy", sparse_top_k_categorical_accuracy, k=5
)
MeanSquaredError = _metric_class("MeanSquaredError", losses.mean_squared_error)
MeanAbsoluteError = _metric_class("MeanAbsoluteError", losses.mean_absolute_error)
MeanAbsolutePercentageError = _metric_class(
    "MeanAbsolutePercentageError", losses.mean_absolute_percentage_error
)
MeanSquaredLogarithmicError = _metric_class(
    "MeanSquaredLogarithmicError", losses.mean_squared_logarithmic_error
)
LogCoshError = _metric_class("LogCoshError", losses.log_cosh)
Hinge = _metric_class("Hinge", losses.hinge)
SquaredHinge = _metric_class("SquaredHinge", losses.squared_hinge)
CategoricalHinge = _metric_class("CategoricalHinge", losses.categorical_hinge)
Poisson = _metric_class("Poisson", losses.poisson)
KLDivergence = _metric_class("KLDivergence", losses.kl_divergence)
BinaryCrossentropy = _metric_class(
    "BinaryCrossentropy", losses.binary_crossentropy, from_logits=False, label_smoothing=0.0
)
CategoricalCrossentropy = _metric_class(
    "CategoricalCrossentropy",
    losses.categorical_crossentropy,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
)
SparseCategoricalCrossentropy = _metric_class(
    "SparseCategoricalCrossentropy", losses.sparse_categorical_crossentropy, from_logits=False, axis=-1
)

CLASSES: tuple[type[Metric], ...] = (
    Sum,
    Mean,
    RootMeanSquaredError,
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    TopKCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    MeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    LogCoshError,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    Poisson,
    KLDivergence,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
ALIASES: dict[str, type[Metric]] = {
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "MAPE": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "MSLE": MeanSquaredLogarithmicError,
    "rmse": RootMeanSquaredError,
    "RMSE": RootMeanSquaredError,
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "kld": KLDivergence,
    "KLD": KLDivergence,
    "log_cosh": LogCoshError,
    "logcosh": LogCoshError,
}

_LOOKUP = Lookup("metric", "keras.metrics", CLASSES, ALIASES)
serialize, deserialize = _LOOKUP.serialize, _LOOKUP.deserialize


def get(identifier: Any) -> Metric | None:
    """The metric for a name, a config, a function of (y_true, y_pred), or a `Metric`."""
    found = _LOOKUP.get(identifier)
    if found is None or isinstance(found, Metric):
        return found
    if isinstance(found, losses.Loss):
        return MeanMetricWrapper(found.call, found.name)
    return MeanMetricWrapper(found)
