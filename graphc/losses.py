"""Loss functions, by name, as functions of (y_true, y_pred), and as objects, with Keras's meaning.

A function gives one value per sample; a `Loss` object reduces them to a number. Both work on symbolic tensors
(they become part
of the compiled step) and on arrays (they are computed at once):

    >>> import numpy as np
    >>> from graphc import losses
    >>> y, p = np.array([[0.0], [1.0]], "f4"), np.array([[0.5], [0.5]], "f4")
    >>> float(losses.MeanSquaredError()(y, p))
    0.25
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc import ops
from graphc.backend import epsilon
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.layers.masks import mask_of
from graphc.lookup import Configured, Lookup, snake_case

LossFunction = Callable[..., Any]
REDUCTIONS = ("sum", "sum_over_batch_size", "mean", "mean_with_sample_weight", "none", None)


# -- functions -------------------------------------------------------------------------------------
def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Targets in the predictions' element type, and of the same rank."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    y_true, y_pred = match_ranks(y_true, y_pred)
    require_same_sizes(y_true, y_pred)
    return y_true, y_pred


def require_same_sizes(y_true: Any, y_pred: Any) -> None:
    """ShapeError if the two would broadcast, which would give a loss that nobody means."""
    differ = any(
        isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(y_true.shape, y_pred.shape)
    )
    if differ or (y_true.ndim != y_pred.ndim and y_true.ndim and y_pred.ndim):
        raise ShapeError(
            f"the targets' shape {_shown(y_true)} is not that of the predictions, {_shown(y_pred)}.\n"
            "  fix     give targets of the predictions' shape, or change the last layer."
        )


def _shown(x: Any) -> str:
    """The shape as models show it: None where a size is not known."""
    return str(tuple(d if isinstance(d, int) else None for d in x.shape))


def match_ranks(x: Any, y: Any) -> tuple[Any, Any]:
    """A last axis of size 1 that only one of two has: a single axis of the other gets it, or it goes."""
    if len(x.shape) == len(y.shape) + 1:
        y, x = match_ranks(y, x)
    elif len(y.shape) == len(x.shape) + 1 and y.shape[-1] == 1:
        if len(x.shape) == 1:
            x = ops.expand_dims(x, axis=-1)
        else:
            y = ops.squeeze(y, axis=-1)
    return x, y


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """mean((y_true - y_pred)^2) over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """mean(|y_true - y_pred|) over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 * mean(|(y_true - y_pred) / max(|y_true|, epsilon)|) over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    relative = ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), epsilon()))
    return 100.0 * ops.mean(relative, axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """mean((log(y_true + 1) - log(y_pred + 1))^2), both clipped to at least epsilon."""
    y_true, y_pred = _pair(y_true, y_pred)
    logs = [ops.log(ops.maximum(y, epsilon()) + 1.0) for y in (y_pred, y_true)]
    return ops.mean(ops.square(logs[0] - logs[1]), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Quadratic up to `delta`, linear beyond (Huber 1964)."""
    y_true, y_pred = _pair(y_true, y_pred)
    error = ops.abs(y_pred - y_true)
    piecewise = ops.where(error <= delta, 0.5 * ops.square(error), delta * error - 0.5 * delta * delta)
    return ops.mean(piecewise, axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """mean(log(cosh(y_pred - y_true))), without overflow."""
    y_true, y_pred = _pair(y_true, y_pred)
    d = y_pred - y_true
    return ops.mean(d + ops.softplus(-2.0 * d) - 0.6931471805599453, axis=-1)


def _signed(y_true: Any) -> Any:
    """Labels 0/1 as -1/1, if there are no others."""
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    return ops.where(binary, 2.0 * y_true - 1.0, y_true)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true * y_pred, 0)); labels are -1/1, or 0/1, which is converted."""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.maximum(1.0 - _signed(y_true) * y_pred, 0.0), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true * y_pred, 0)^2)."""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(1.0 - _signed(y_true) * y_pred, 0.0)), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(best wrong score - right score + 1, 0)."""
    y_true, y_pred = _pair(y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """mean(y_pred - y_true * log(y_pred + epsilon))."""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + epsilon()), axis=-1)


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """sum(y_true * log(y_true / y_pred)), both clipped to [epsilon, 1]."""
    y_true, y_pred = _pair(y_true, y_pred)
    y_true, y_pred = ops.clip(y_true, epsilon(), 1.0), ops.clip(y_pred, epsilon(), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """-cos of the angle between the two along `axis`."""
    y_true, y_pred = _pair(y_true, y_pred)
    return -ops.sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=axis)


def _unit(x: Any, axis: int) -> Any:
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, 1e-12))


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Mean over `axis` of -(t log p + (1 - t) log(1 - p)), p clipped to [1e-7, 1 - 1e-7]."""
    y_true, y_pred = _pair(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """-sum(t log p) for one-hot targets t; probabilities are renormalised and clipped at 1e-7."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    if tuple(y_true.shape[1:]) != tuple(y_pred.shape[1:]):
        raise ArgumentError(
            "categorical_crossentropy needs one-hot targets of the predictions' shape "
            f"{_shown(y_pred)}, got {_shown(y_true)}.\n"
            "  fix     for integer labels, use sparse_categorical_crossentropy."
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_pred.shape[axis]
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """-log p[label] for integer labels; a label outside 0 .. classes-1 is an error (`ignore_class` apart)."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    if len(y_true.shape) != len(y_pred.shape) - 1:
        raise ShapeError(
            "sparse_categorical_crossentropy needs one label for each prediction of shape "
            f"{_shown(y_pred)}, got targets of shape {_shown(y_true)}.\n"
            "  fix     use categorical_crossentropy for one-hot targets, or give their argmax."
        )
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    valid = ops.not_equal(y_true, ignore_class)
    labels = ops.where(valid, y_true, ops.zeros_like(y_true))
    values = ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=from_logits, axis=axis)
    return ops.where(valid, values, ops.zeros_like(values))


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Cross-entropy weighed by (1 - p_t)^gamma (Lin et al. 2017, eq. 4)."""
    y_true, y_pred = _pair(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    entropy = ops.binary_crossentropy(y_true, y_pred, from_logits=False)
    p_t = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    focal = ops.power(1.0 - p_t, gamma) * entropy
    if apply_class_balancing:
        focal = (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * focal
    return ops.mean(focal, axis=axis)


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """1 - 2 * sum(t * p) / (sum(t) + sum(p)), over all or over `axis` (Milletari et al. 2016)."""
    y_true, y_pred = _pair(y_true, y_pred)
    both = 2.0 * ops.sum(y_true * y_pred, axis=axis)
    return 1.0 - both / (ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + epsilon())


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    """1 - hits / (hits + alpha * missed + beta * extra) (Salehi et al. 2017, with Keras's weights: alpha for
    what is missed).
    """
    y_true, y_pred = _pair(y_true, y_pred)
    hits = ops.sum(y_true * y_pred, axis=axis)
    missed = ops.sum((1.0 - y_pred) * y_true, axis=axis)
    extra = ops.sum(y_pred * (1.0 - y_true), axis=axis)
    return 1.0 - hits / (hits + missed * alpha + extra * beta + epsilon())


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """-sum(alpha * (1 - p)^gamma * t * log p), p renormalised and clipped (Lin et al. 2017, eq. 5)."""
    y_true, y_pred = _pair(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_pred.shape[axis]
    p = ops.softmax(y_pred, axis=axis) if from_logits else y_pred
    p = ops.clip(p / ops.sum(p, axis=axis, keepdims=True), epsilon(), 1.0 - epsilon())
    return ops.sum(-y_true * ops.log(p) * ops.power(1.0 - p, gamma) * alpha, axis=axis)


# -- objects ---------------------------------------------------------------------------------------
class Loss(Configured):
    """Reduces the per-sample values of `call(y_true, y_pred)` to one number.

    `reduction`: "sum_over_batch_size" (= "mean": sum / number of values), "sum", "mean_with_sample_weight"
    (sum / sum of weights) or
    None. Subclass and define `call` for a loss of your own.
    """

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size") -> None:
        if reduction not in REDUCTIONS:
            known = ", ".join(repr(r) for r in REDUCTIONS)
            raise ArgumentError(f"there is no reduction {reduction!r}; there are {known}")
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Per-sample values; to be defined by subclasses."""
        raise ArgumentError(f"the loss {type(self).__name__} does not define call(y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        values = self.call(y_true, y_pred)
        return reduce_weighted(values, sample_weight, mask_of(y_pred), self.reduction)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}


def reduce_weighted(values: Any, sample_weight: Any, mask: Any, reduction: str | None) -> Any:
    """Weigh per-sample values by sample weights and by the output's mask, then reduce.

    A mask makes the mean run over valid steps; sample weights scale the values but do not divide the mean by
    their sum.
    """
    weights = None if sample_weight is None else ops.cast(ops.convert_to_tensor(sample_weight), values.dtype)
    if mask is not None:
        mask = ops.cast(mask, values.dtype)
        if reduction in ("mean", "sum_over_batch_size"):
            total = ops.cast(ops.size(mask), values.dtype)
            mask = mask * (total / ops.sum(mask))
        weights = mask if weights is None else _aligned(weights, mask) * mask
    if weights is not None:
        weights = _aligned(weights, values)
        values = values * weights
    if reduction in ("none", None):
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weights is not None:
        return ops.sum(values) / ops.sum(ops.broadcast_to(weights, values.shape))
    return ops.mean(values)


def _aligned(weights: Any, values: Any) -> Any:
    """Weights with as many axes as the values: a last axis of size 1 dropped, or axes of size 1 added."""
    if len(weights.shape) == len(values.shape) + 1 and weights.shape[-1] == 1:
        return ops.squeeze(weights, axis=-1)
    while len(weights.shape) < len(values.shape):
        weights = ops.expand_dims(weights, axis=-1)
    return weights


class LossFunctionWrapper(Loss):
    """A loss object around a function of (y_true, y_pred, **arguments)."""

    def __init__(
        self,
        fn: LossFunction,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction)
        self.fn, self.arguments = fn, arguments

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.fn(y_true, y_pred, **self.arguments)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self.arguments


def _loss_class(class_name: str, fn: LossFunction, **defaults: Any) -> type[LossFunctionWrapper]:
    """The class of a loss function; `defaults` are the constructor's arguments that go to the function."""
    order = [*defaults, "reduction", "name"]

    def __init__(self: LossFunctionWrapper, *positional: Any, **keywords: Any) -> None:
        if len(positional) > len(order):
            raise TypeError(f"{class_name} takes at most {len(order)} arguments: {', '.join(order)}")
        given = dict(zip(order, positional)) | keywords
        unknown = sorted(set(given) - set(order) - {"dtype"})
        if unknown:
            raise TypeError(f"{class_name} has no argument {unknown[0]!r}; it takes {', '.join(order)}")
        reduction = given.pop("reduction", "sum_over_batch_size")
        name = given.pop("name", None) or fn.__name__
        given.pop("dtype", None)
        LossFunctionWrapper.__init__(self, fn, reduction, name, **{**defaults, **given})

    return type(
        class_name,
        (LossFunctionWrapper,),
        {"__init__": __init__, "__doc__": fn.__doc__, "__module__": __name__},
    )


MeanSquaredError = _loss_class("MeanSquaredError", mean_squared_error)
MeanAbsoluteError = _loss_class("MeanAbsoluteError", mean_absolute_error)
MeanAbsolutePercentageError = _loss_class("MeanAbsolutePercentageError", mean_absolute_percentage_error)
MeanSquaredLogarithmicError = _loss_class("MeanSquaredLogarithmicError", mean_squared_logarithmic_error)
Huber = _loss_class("Huber", huber, delta=1.0)
LogCosh = _loss_class("LogCosh", log_cosh)
Hinge = _loss_class("Hinge", hinge)
SquaredHinge = _loss_class("SquaredHinge", squared_hinge)
CategoricalHinge = _loss_class("CategoricalHinge", categorical_hinge)
Poisson = _loss_class("Poisson", poisson)
KLDivergence = _loss_class("KLDivergence", kl_divergence)
CosineSimilarity = _loss_class("CosineSimilarity", cosine_similarity, axis=-1)
BinaryCrossentropy = _loss_class(
    "BinaryCrossentropy", binary_crossentropy, from_logits=False, label_smoothing=0.0, axis=-1
)
CategoricalCrossentropy = _loss_class(
    "CategoricalCrossentropy", categorical_crossentropy, from_logits=False, label_smoothing=0.0, axis=-1
)
SparseCategoricalCrossentropy = _loss_class(
    "SparseCategoricalCrossentropy",
    sparse_categorical_crossentropy,
    from_logits=False,
    ignore_class=None,
    axis=-1,
)
BinaryFocalCrossentropy = _loss_class(
    "BinaryFocalCrossentropy",
    binary_focal_crossentropy,
    apply_class_balancing=False,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
)
CategoricalFocalCrossentropy = _loss_class(
    "CategoricalFocalCrossentropy",
    categorical_focal_crossentropy,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
)
Dice = _loss_class("Dice", dice, axis=None)
Tversky = _loss_class("Tversky", tversky, alpha=0.5, beta=0.5, axis=None)

CLASSES: tuple[type[LossFunctionWrapper], ...] = (
    MeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Huber,
    LogCosh,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    Poisson,
    KLDivergence,
    CosineSimilarity,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    Dice,
    Tversky,
)
ALIASES: dict[str, type[LossFunctionWrapper]] = {
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "MAPE": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "MSLE": MeanSquaredLogarithmicError,
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "kld": KLDivergence,
    "KLD": KLDivergence,
    "kullback_leibler_divergence": KLDivergence,
    "logcosh": LogCosh,
}
mse = mean_squared_error
mae = mean_absolute_error
mape = mean_absolute_percentage_error
msle = mean_squared_logarithmic_error

_LOOKUP = Lookup("loss", "keras.losses", CLASSES, ALIASES)
get, serialize, deserialize = _LOOKUP.get, _LOOKUP.serialize, _LOOKUP.deserialize
