"""Loss functions of (y_true, y_pred): one value per sample, of symbolic tensors or of arrays."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.backend import epsilon
from graphc.ir.errors import ArgumentError, ShapeError


def same_rank(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Targets and predictions as tensors of the predictions' element type and of one rank."""
    y_pred = ops.convert_to_tensor(y_pred)
    return match_ranks(ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype), y_pred)


def same_shape(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """`same_rank`; ShapeError if the two would broadcast, which would give a loss that nobody means."""
    y_true, y_pred = same_rank(y_true, y_pred)
    differ = any(
        isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(y_true.shape, y_pred.shape)
    )
    if differ or (y_true.ndim != y_pred.ndim and y_true.ndim and y_pred.ndim):
        raise ShapeError(
            f"the targets' shape {shape_text(y_true)} is not that of the predictions, {shape_text(y_pred)}.\n"
            "  fix     give targets of the predictions' shape, or change the last layer."
        )
    return y_true, y_pred


def shape_text(x: Any) -> str:
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
    """mean((y_true - y_pred)^2) over the last axis.

    >>> import numpy as np
    >>> mean_squared_error(np.array([[0.0, 1.0]]), np.array([[1.0, 4.0]]))
    array([5.])
    """
    y_true, y_pred = same_shape(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """mean(|y_true - y_pred|) over the last axis.

    >>> import numpy as np
    >>> mean_absolute_error(np.array([[0.0, 1.0]]), np.array([[1.0, 4.0]]))
    array([2.])
    """
    y_true, y_pred = same_shape(y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 * mean(|(y_true - y_pred) / max(|y_true|, epsilon)|) over the last axis."""
    y_true, y_pred = same_shape(y_true, y_pred)
    relative = ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), epsilon()))
    return 100.0 * ops.mean(relative, axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """mean((log(y_true + 1) - log(y_pred + 1))^2), both clipped to at least epsilon."""
    y_true, y_pred = same_shape(y_true, y_pred)
    logs = [ops.log(ops.maximum(y, epsilon()) + 1.0) for y in (y_pred, y_true)]
    return ops.mean(ops.square(logs[0] - logs[1]), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Quadratic up to `delta`, linear beyond (Huber 1964)."""
    y_true, y_pred = same_shape(y_true, y_pred)
    error = ops.abs(y_pred - y_true)
    piecewise = ops.where(error <= delta, 0.5 * ops.square(error), delta * error - 0.5 * delta * delta)
    return ops.mean(piecewise, axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """mean(log(cosh(y_pred - y_true))), without overflow."""
    y_true, y_pred = same_shape(y_true, y_pred)
    d = y_pred - y_true
    return ops.mean(d + ops.softplus(-2.0 * d) - 0.6931471805599453, axis=-1)


def _signed(y_true: Any) -> Any:
    """Labels 0/1 as -1/1, if there are no others."""
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    return ops.where(binary, 2.0 * y_true - 1.0, y_true)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true * y_pred, 0)); labels are -1/1, or 0/1, which is converted."""
    y_true, y_pred = same_shape(y_true, y_pred)
    return ops.mean(ops.maximum(1.0 - _signed(y_true) * y_pred, 0.0), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true * y_pred, 0)^2)."""
    y_true, y_pred = same_shape(y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(1.0 - _signed(y_true) * y_pred, 0.0)), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(best wrong score - right score + 1, 0)."""
    y_true, y_pred = same_shape(y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """mean(y_pred - y_true * log(y_pred + epsilon))."""
    y_true, y_pred = same_shape(y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + epsilon()), axis=-1)


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """sum(y_true * log(y_true / y_pred)), both clipped to [epsilon, 1]."""
    y_true, y_pred = same_shape(y_true, y_pred)
    y_true, y_pred = ops.clip(y_true, epsilon(), 1.0), ops.clip(y_pred, epsilon(), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """-cos of the angle between the two along `axis`."""
    y_true, y_pred = same_shape(y_true, y_pred)
    return -ops.sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=axis)


def _unit(x: Any, axis: int) -> Any:
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, 1e-12))


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Mean over `axis` of -(t log p + (1 - t) log(1 - p)), p clipped to [1e-7, 1 - 1e-7].

    >>> import numpy as np
    >>> binary_crossentropy(np.array([[1, 0]]), np.array([[0.5, 0.5]])).round(4)
    array([0.6931])
    """
    y_true, y_pred = same_shape(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """-sum(t log p) for one-hot targets t; probabilities are renormalised and clipped at 1e-7.

    >>> import numpy as np
    >>> categorical_crossentropy(np.array([[0, 1, 0]]), np.array([[0.5, 0.25, 0.25]])).round(4)
    array([1.3863])
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    if tuple(y_true.shape[1:]) != tuple(y_pred.shape[1:]):
        raise ArgumentError(
            "categorical_crossentropy needs one-hot targets of the predictions' shape "
            f"{shape_text(y_pred)}, got {shape_text(y_true)}.\n"
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
    """-log p[label] for integer labels; a label outside 0 .. classes-1 is an error (`ignore_class` apart).

    >>> import numpy as np
    >>> sparse_categorical_crossentropy(np.array([1]), np.array([[0.5, 0.25, 0.25]])).round(4)
    array([1.3863])
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    if len(y_true.shape) != len(y_pred.shape) - 1:
        raise ShapeError(
            "sparse_categorical_crossentropy needs one label for each prediction of shape "
            f"{shape_text(y_pred)}, got targets of shape {shape_text(y_true)}.\n"
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
    y_true, y_pred = same_shape(y_true, y_pred)
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
    y_true, y_pred = same_shape(y_true, y_pred)
    both = 2.0 * ops.sum(y_true * y_pred, axis=axis)
    return 1.0 - both / (ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + epsilon())


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    """1 - hits / (hits + alpha * missed + beta * extra) (Salehi et al. 2017, with Keras's weights: alpha for
    what is missed).
    """
    y_true, y_pred = same_shape(y_true, y_pred)
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
    y_true, y_pred = same_shape(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_pred.shape[axis]
    p = ops.softmax(y_pred, axis=axis) if from_logits else y_pred
    p = ops.clip(p / ops.sum(p, axis=axis, keepdims=True), epsilon(), 1.0 - epsilon())
    return ops.sum(-y_true * ops.log(p) * ops.power(1.0 - p, gamma) * alpha, axis=axis)
