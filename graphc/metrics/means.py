"""The metrics that are means of a function over samples: a table of classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc import losses
from graphc.lookup import snake_case
from graphc.metrics import accuracies
from graphc.metrics.metric import MeanMetricWrapper


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
        usual = _OTHER_NAMES.get(class_name) or snake_case(class_name)
        name, dtype = given.pop("name", None) or usual, given.pop("dtype", None)
        MeanMetricWrapper.__init__(self, fn, name, dtype, **{**defaults, **given})

    return type(
        class_name,
        (MeanMetricWrapper,),
        {"__init__": __init__, "__doc__": _without_example(fn), "__module__": __name__},
    )


def _without_example(fn: Callable[..., Any]) -> str:
    """What a function's docstring says, without its example, which calls the function and not the metric."""
    return (fn.__doc__ or "").partition(">>>")[0].rstrip()


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine of the angle between target and prediction along `axis`."""
    return -losses.cosine_similarity(y_true, y_pred, axis=axis)


_OTHER_NAMES = {"LogCoshError": "logcosh"}
"""Classes whose name in the logs is not theirs in snake case."""

_ARGUMENTS_FIRST = ("TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy")

Accuracy = _metric_class("Accuracy", accuracies.accuracy)
BinaryAccuracy = _metric_class("BinaryAccuracy", accuracies.binary_accuracy, threshold=0.5)
CategoricalAccuracy = _metric_class("CategoricalAccuracy", accuracies.categorical_accuracy)
SparseCategoricalAccuracy = _metric_class("SparseCategoricalAccuracy", accuracies.sparse_categorical_accuracy)
TopKCategoricalAccuracy = _metric_class("TopKCategoricalAccuracy", accuracies.top_k_categorical_accuracy, k=5)
SparseTopKCategoricalAccuracy = _metric_class(
    "SparseTopKCategoricalAccuracy", accuracies.sparse_top_k_categorical_accuracy, k=5
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
    "SparseCategoricalCrossentropy",
    losses.sparse_categorical_crossentropy,
    from_logits=False,
    ignore_class=None,
    axis=-1,
)
CosineSimilarity = _metric_class("CosineSimilarity", _cosine, axis=-1)
