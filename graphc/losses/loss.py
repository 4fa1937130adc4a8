"""`Loss`: per-sample values, weighed and reduced to one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc import ops
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.layers.masks import mask_of
from graphc.lookup import Configured, snake_case
from graphc.losses.functions import shape_text

LossFunction = Callable[..., Any]
REDUCTIONS = ("sum", "sum_over_batch_size", "mean", "mean_with_sample_weight", "none", None)


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
        masks = [m for m in (mask_of(y_pred), self.counted(y_true, values)) if m is not None]
        mask = ops.logical_and(*masks) if len(masks) == 2 else masks[0] if masks else None
        return reduce_weighted(values, sample_weight, mask, self.reduction)

    def counted(self, y_true: Any, values: Any) -> Any:
        """Which of the per-sample values the mean runs over; None for all."""
        return None

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
            mask = mask * _ratio(total, ops.sum(mask))
        weights = mask if weights is None else _aligned(weights, mask) * mask
    if weights is not None:
        weights = _aligned(weights, values)
        values = values * weights
    if reduction in ("none", None):
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weights is not None:
        return _ratio(ops.sum(values), ops.sum(ops.broadcast_to(weights, values.shape)))
    return ops.mean(values)


def _ratio(total: Any, count: Any) -> Any:
    """total / count, and 0 where nothing counts: a batch of padding alone has no loss."""
    return ops.where(count == 0, 0.0, total / ops.where(count == 0, 1.0, count))


def _aligned(weights: Any, values: Any) -> Any:
    """Weights with as many axes as the values: a last axis of size 1 dropped, or axes of size 1 added.

    ShapeError for more axes, which would broadcast; a loss that is one number takes any weights.
    """
    if len(weights.shape) == len(values.shape) + 1 and weights.shape[-1] == 1:
        return ops.squeeze(weights, axis=-1)
    if len(weights.shape) > len(values.shape) > 0:
        raise ShapeError(
            f"sample_weight of shape {shape_text(weights)} has more axes than the losses, "
            f"{shape_text(values)}.\n  fix     give one weight for each sample, or each value of the loss."
        )
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

    def counted(self, y_true: Any, values: Any) -> Any:
        ignored = self.arguments.get("ignore_class")
        if ignored is None:
            return None
        return ops.reshape(ops.not_equal(ops.convert_to_tensor(y_true), ignored), values.shape)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self.arguments


_OTHER_NAMES = {"Huber": "huber_loss"}
"""Classes whose objects are not called like their functions."""


def loss_class(class_name: str, fn: LossFunction, **defaults: Any) -> type[LossFunctionWrapper]:
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
        name = given.pop("name", None) or _OTHER_NAMES.get(class_name) or fn.__name__
        given.pop("dtype", None)
        LossFunctionWrapper.__init__(self, fn, reduction, name, **{**defaults, **given})

    return type(
        class_name,
        (LossFunctionWrapper,),
        {"__init__": __init__, "__doc__": fn.__doc__, "__module__": "graphc.losses"},
    )
