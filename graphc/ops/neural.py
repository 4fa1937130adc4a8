"""Operations of neural networks: softmax, normalisation, cross-entropies. Each is one coarse op of the IR."""

from __future__ import annotations

from typing import Any

from graphc.ir.relations import normalize_axis
from graphc.ops.dispatch import emit, operation
from graphc.ops.promotion import tensor, unify
from graphc.ops.reduce import axes_of
from graphc.ops.shape import moveaxis, reshape


def _along(op: str, x: Any, axis: Any) -> Any:
    """A coarse op along one axis, or along several or all taken together."""
    x = unify(x, floating=True)[0]
    if axis is None:
        return reshape(emit(op, reshape(x, (-1,)), axis=0), x.shape)
    if isinstance(axis, (list, tuple)):
        places = [normalize_axis(int(a), x.ndim) for a in axis]
        ends = list(range(x.ndim - len(places), x.ndim))
        moved = moveaxis(x, places, ends)
        flat = reshape(moved, (*moved.shape[: ends[0]], -1))
        return moveaxis(reshape(emit(op, flat, axis=flat.ndim - 1), moved.shape), ends, places)
    return emit(op, x, axis=normalize_axis(int(axis), x.ndim))


@operation
def softmax(x: Any, axis: Any = -1) -> Any:
    """exp(x) / sum(exp(x)) along `axis`, without overflow."""
    return _along("softmax", x, axis)


@operation
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """log(softmax(x)) along `axis`."""
    return _along("log_softmax", x, axis)


@operation
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """-sum(target * log(p)) per sample; p is `output`, renormalised and clipped at 1e-7, or the softmax of
    logits.
    """
    output, target = unify(output, target, floating=True)
    place = normalize_axis(axis, output.ndim)
    op = "softmax_cross_entropy" if from_logits else "categorical_cross_entropy"
    return emit(op, output, target, axis=place)


@operation
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """-log(p[label]) per sample; a label out of range fails when the function runs."""
    output, target = unify(output, floating=True)[0], tensor(target)
    place = normalize_axis(axis, output.ndim)
    labels = target if target.type.dtype.is_integer else promotion_cast(target)
    if labels.ndim == output.ndim and labels.shape[-1] == 1:
        labels = reshape(labels, labels.shape[:-1])
    op = "sparse_softmax_cross_entropy" if from_logits else "sparse_categorical_cross_entropy"
    return emit(op, _last(output, place), labels)


def promotion_cast(labels: Any) -> Any:
    """Labels given as floating-point numbers, as integers; the call fails if one is not whole."""
    from graphc.ops.promotion import cast

    if labels.type.dtype.kind == "f":
        message = "label {value} at position {position} is not a whole number"
        labels = emit(
            "check", labels, emit("equal", emit("floor", labels), labels), message=message, error="value"
        )
    return cast(labels, "int64")


@operation
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """-(t * log(p) + (1 - t) * log(1 - p)) per element; p is clipped at 1e-7, or the sigmoid of logits."""
    output, target = unify(output, target, floating=True)
    return emit("sigmoid_cross_entropy" if from_logits else "binary_cross_entropy", output, target)


def _last(x: Any, axis: int) -> Any:
    return x if axis == x.ndim - 1 else moveaxis(x, axis, -1)


@operation
def layer_normalization(x: Any, gamma: Any, beta: Any, axis: Any = -1, epsilon: float = 1e-3) -> Any:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with statistics along `axis`."""
    x, gamma, beta = unify(x, gamma, beta, floating=True)
    axes = axes_of(x, axis)
    along = axes[0] if len(axes) == 1 else axes
    return emit("layer_norm", x, gamma, beta, axis=along, epsilon=float(epsilon))


@operation
def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any, scale: Any, epsilon: float = 1e-3
) -> Any:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, with statistics per index of `axis`."""
    x, scale, offset, mean, variance = unify(x, scale, offset, mean, variance, floating=True)
    return emit(
        "batch_norm",
        x,
        scale,
        offset,
        mean,
        variance,
        axis=normalize_axis(axis, x.ndim),
        epsilon=float(epsilon),
    )


@operation
def batch_normalization_train(x: Any, axis: int, offset: Any, scale: Any, epsilon: float = 1e-3) -> Any:
    """Normalised by the batch's own statistics: (y, mean, variance), the variance biased."""
    x, scale, offset = unify(x, scale, offset, floating=True)
    return emit(
        "batch_norm_train", x, scale, offset, axis=normalize_axis(axis, x.ndim), epsilon=float(epsilon)
    )
