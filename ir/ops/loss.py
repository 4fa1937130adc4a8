"""Losses as Keras defines them (`keras/src/backend/jax/nn.py`), before any mean over samples.

`softmax_cross_entropy` and `sigmoid_cross_entropy` take logits and do not clip; the others take
probabilities.
"""

from __future__ import annotations

import numpy as np

from graphc.ir.errors import DTypeError
from graphc.ir.inference import binary_float, require_axis, require_kind, require_nonempty
from graphc.ir.opdef import Kind, Sample, define, op
from graphc.ir.ops.check import failure
from graphc.ir.ops.index import is_class
from graphc.ir.ops.normalize import along
from graphc.ir.relations import same
from graphc.ir.samples import binary

EPSILON = 1e-7


def _infer_dense(scores, target, *, axis):
    require_axis(axis, scores.rank)
    if scores.rank != target.rank:
        raise DTypeError(f"the target {target} must have the shape of {scores}")
    binary_float(scores, target)
    for i, (d, e) in enumerate(zip(scores.shape, target.shape)):
        same(d, e, f"the target {target} and {scores}, axis {i}")
    require_nonempty(scores.shape[axis], scores)
    return scores.with_shape(scores.shape[:axis] + scores.shape[axis + 1 :])


def _infer_sparse(scores, labels):
    require_kind("f", scores)
    require_kind("iu", labels)
    if scores.rank != labels.rank + 1:
        raise DTypeError(f"labels for {scores} have one dimension less, got {labels}")
    for i, (d, e) in enumerate(zip(scores.shape, labels.shape)):
        same(d, e, f"the labels {labels} and {scores}, axis {i}")
    require_nonempty(scores.shape[-1], scores)
    return scores.with_shape(scores.shape[:-1])


def _probabilities(rng, dtype, shape, axis):
    p = rng.uniform(0.05, 1, shape)
    return (p / p.sum(axis=axis, keepdims=True)).astype(dtype)


def _dense(make):
    return tuple(
        Sample(
            lambda rng, dtype, s=shape, a=axis: [make(rng, dtype, s, a), _probabilities(rng, dtype, s, a)],
            {"axis": axis},
        )
        for shape, axis in (((3, 5), 1), ((5, 3), 0), ((2, 3, 33), 2), ((4, 1), 1), ((0, 3), 1), ((7,), 0))
    )


def _sparse(make):
    return tuple(
        Sample(
            lambda rng, dtype, s=shape, t=labels: [
                make(rng, dtype, s, -1),
                rng.integers(0, s[-1], s[:-1]).astype(t),
            ]
        )
        for shape in ((3, 5), (2, 3, 33), (4, 1), (0, 3), (7,))
        for labels in ("i8", "i4")
    )


def _unnormalised(rng, dtype, shape, axis):
    return rng.uniform(0.05, 0.9, shape).astype(dtype)


def _scores(rng, dtype, shape, axis):
    return rng.uniform(-5, 5, shape).astype(dtype)


# -- from logits ----------------------------------------------------------------------------------
@op("softmax_cross_entropy", Kind.COARSE)
class SoftmaxCrossEntropy:
    """-sum(target * log_softmax(logits)) along `axis`."""

    infer = _infer_dense

    def evaluate(logits, target, axis):
        shifted = logits - logits.max(axis=axis, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
        return -(target * log_p).sum(axis=axis)

    def decompose(b, logits, target, axis):
        return -b.sum(target * b.log_softmax(logits, axis=axis), axes=(axis,))

    def vjp(b, logits, target, out, ct, axis):
        ct = b.reshape(ct, shape=(*logits.shape[:axis], 1, *logits.shape[axis + 1 :]))
        total = b.sum(target, **along(axis))
        dx = (b.softmax(logits, axis=axis) * total - target) * ct
        return dx, -ct * b.log_softmax(logits, axis=axis)

    samples = _dense(_scores)


def in_classes(labels, classes):
    """The labels; IndexRangeError names the first that is not a class, and its position."""
    wrong = np.argwhere((labels < 0) | (labels >= classes))
    if len(wrong):
        raise failure(_message(classes), "index", labels, tuple(map(int, wrong[0])))
    return labels


def _message(classes):
    return f"label {{value}} at position {{position}} is not one of {classes} classes (0 to {classes - 1})"


def _checked(b, labels, classes):
    """The labels as i32; the call stops where one is not a class."""
    wide = b.cast(labels, dtype="i64")
    fine = b.logical_and(wide >= 0, wide < classes)
    return b.cast(b.check(wide, fine, message=_message(classes), error="index"), dtype="i32")


def _pick(b, values, labels):
    """For every label, the value at its class.

    A sum of one term, which fuses with other folds over classes.
    """
    chosen = b.select(is_class(b, labels, values.shape[-1]), values, 0)
    return b.sum(chosen, axes=(values.rank - 1,))


@op("sparse_softmax_cross_entropy", Kind.COARSE, can_fail=True)
class SparseSoftmaxCrossEntropy:
    """-log_softmax(logits) at each label's place along the last axis.

    IndexRangeError for a label that is not a class.
    """

    infer = _infer_sparse

    def evaluate(logits, labels):
        shifted = logits - logits.max(axis=-1, keepdims=True)
        place = in_classes(labels, logits.shape[-1]).astype(np.int64)[..., None]
        chosen = np.take_along_axis(shifted, place, -1)[..., 0]
        return np.log(np.exp(shifted).sum(axis=-1)) - chosen

    def decompose(b, logits, labels):
        last = logits.rank - 1
        shifted = logits - b.max(logits, **along(last))
        total = b.sum(b.exp(shifted), axes=(last,))
        return b.log(total) - _pick(b, shifted, _checked(b, labels, logits.shape[-1]))

    def vjp(b, logits, labels, out, ct):
        last = logits.rank - 1
        ct = b.reshape(ct, shape=(*ct.shape, 1))
        p = b.softmax(logits, axis=last)
        # the check is the loss's own, so that equal nodes merge
        classes = logits.shape[-1]
        hit = b.cast(is_class(b, _checked(b, labels, classes), classes), dtype=logits.dtype)
        return (p - hit) * ct, None

    samples = _sparse(_scores)


define(
    "sigmoid_cross_entropy",
    Kind.ELEMENTWISE,
    "-(target * log(p) + (1 - target) * log(1 - p)), p = sigmoid(logits), element by element.",
    infer=binary_float,
    evaluate=lambda x, t: np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x))),
    scalar=lambda b, x, t: b.maximum(x, 0) - x * t + b.log1p(b.exp(-abs(x))),
    vjp=lambda b, x, t, out, ct: (ct * (b.sigmoid(x) - t), -ct * x),
    samples=(
        *binary(-5, 5, right=(0, 1), special=False),
        *binary(-90, 90, right=(0, 1), special=False, differentiable=False),
    ),
)


# -- from probabilities ---------------------------------------------------------------------------
def _clip(b, p):
    return b.minimum(b.maximum(p, EPSILON), 1 - EPSILON)


@op("categorical_cross_entropy", Kind.COARSE)
class CategoricalCrossEntropy:
    """-sum(target * log(q)).

    Along `axis`, where q is p divided by its sum, then clipped to [1e-7, 1 - 1e-7].
    """

    infer = _infer_dense

    def evaluate(p, target, axis):
        q = _clip(np, p / p.sum(axis=axis, keepdims=True))
        return -(target * np.log(q)).sum(axis=axis)

    def decompose(b, p, target, axis):
        q = _clip(b, p / b.sum(p, **along(axis)))
        return -b.sum(target * b.log(q), axes=(axis,))

    def vjp(b, p, target, out, ct, axis):
        ct = b.reshape(ct, shape=(*p.shape[:axis], 1, *p.shape[axis + 1 :]))
        total = b.sum(p, **along(axis))
        q = p / total
        inside = b.logical_and(q > EPSILON, q < 1 - EPSILON)
        dq = b.select(inside, -ct * target / q, 0)
        return (dq - b.sum(dq * q, **along(axis))) / total, -ct * b.log(_clip(b, q))

    samples = _dense(_probabilities)


@op("sparse_categorical_cross_entropy", Kind.COARSE, can_fail=True)
class SparseCategoricalCrossEntropy:
    """-log(p) at each label's place along the last axis, p clipped to [1e-7, 1 - 1e-7].

    IndexRangeError for a label that is not a class.
    """

    infer = _infer_sparse

    def evaluate(p, labels):
        place = in_classes(labels, p.shape[-1]).astype(np.int64)[..., None]
        return -np.log(_clip(np, np.take_along_axis(p, place, -1)))[..., 0]

    def decompose(b, p, labels):
        return -b.log(_clip(b, _pick(b, p, _checked(b, labels, p.shape[-1]))))

    def vjp(b, p, labels, out, ct):
        ct = b.reshape(ct, shape=(*ct.shape, 1))
        inside = b.logical_and(p > EPSILON, p < 1 - EPSILON)
        classes = p.shape[-1]
        hit = b.logical_and(is_class(b, _checked(b, labels, classes), classes), inside)
        return b.select(hit, -ct / p, 0), None

    samples = _sparse(_unnormalised)


@op("binary_cross_entropy", Kind.ELEMENTWISE)
class BinaryCrossEntropy:
    """-(target * log(q) + (1 - target).

    * log(1 - q)), element by element, where q is p clipped to [1e-7, 1 - 1e-7].
    """

    infer = binary_float

    def evaluate(p, target):
        q = _clip(np, p)
        return -(target * np.log(q) + (1 - target) * np.log(1 - q))

    def scalar(b, p, target):
        q = _clip(b, p)
        return -(target * b.log(q) + (1 - target) * b.log(1 - q))

    def vjp(b, p, target, out, ct):
        q = _clip(b, p)
        inside = b.logical_and(p > EPSILON, p < 1 - EPSILON)
        dp = b.select(inside, ct * (q - target) / (q * (1 - q)), 0)
        return dp, ct * (b.log(1 - q) - b.log(q))

    samples = (
        *binary(0.05, 0.95, special=False),
        Sample(
            lambda rng, dtype: [
                np.array([0, 1, 0, 1, 1e-9, 0.5], dtype),
                np.array([0, 1, 1, 0, 1, 1], dtype),
            ],
            differentiable=False,
        ),
    )
