"""Metrics of true and false positives and negatives at thresholds: counts, precision, recall, areas under
curves.

Counts are running sums per threshold, as in Keras (`keras/src/metrics/confusion_metrics.py`); a value counts
as positive if it is greater than the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.backend import epsilon
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.losses.functions import same_shape
from graphc.metrics.metric import Metric
from graphc.variable import Variable

NEVER = -1e10
"""The score of a class that is not among the k greatest."""
COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


# -- counting ---------------------------------------------------------------------------------------------
def evenly_spaced(thresholds: Sequence[float]) -> bool:
    """Whether there are at least three thresholds, from 0 to 1 at equal distances."""
    if len(thresholds) < 3:
        return False
    return bool(np.allclose(thresholds, np.linspace(0.0, 1.0, len(thresholds)), atol=epsilon()))


def parsed(thresholds: Any, default: float) -> list[float]:
    """One threshold or several as a list; ArgumentError outside of [0, 1]."""
    found = [default] if thresholds is None else [float(t) for t in np.atleast_1d(thresholds)]
    wrong = [t for t in found if thresholds is not None and not 0.0 <= t <= 1.0]
    if wrong:
        raise ArgumentError(f"thresholds must lie in [0, 1], got {wrong}.")
    return found


def count(
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    sample_weight: Any = None,
    label_weights: Any = None,
    by_label: bool = False,
    even: bool = False,
) -> dict[str, Any]:
    """The weighted sums at each threshold: (thresholds,), or (thresholds, labels) with `by_label`.

    `even` thresholds divide [0, 1] into buckets, by which predictions are counted.
    """
    y_true, y_pred = same_shape(y_true, y_pred)
    weights = _weights(y_pred, sample_weight, label_weights)
    right = ops.where(ops.not_equal(y_true, 0.0), weights, ops.zeros_like(weights))
    wrong = weights - right
    if not by_label:
        right, wrong, y_pred = (ops.reshape(a, (-1, 1)) for a in (right, wrong, y_pred))
    at = np.asarray(thresholds, y_pred.dtype)[:, None, None]
    if even:
        last = len(thresholds) - 1
        bucket = ops.ceil(ops.clip(y_pred, 0.0, 1.0) * float(last)) - 1.0
        if thresholds[0] < 0.0 or thresholds[-1] > 1.0:
            bucket = ops.relu(bucket)
        y_pred, at = bucket, np.arange(last + 1, dtype=at.dtype)[:, None, None] - 0.5
    positive = ops.cast(ops.expand_dims(y_pred, axis=0) > at, right.dtype)
    found: dict[str, Any] = {}
    for name, labels in (("true", right), ("false", wrong)):
        sums = ops.sum(positive * ops.expand_dims(labels, axis=0), axis=1)
        rest = ops.sum(labels, axis=0, keepdims=True) - sums
        other = "false" if name == "true" else "true"
        found |= {f"{name}_positives": sums, f"{other}_negatives": rest}
    return found if by_label else {name: sums[:, 0] for name, sums in found.items()}


def _weights(y_pred: Any, sample_weight: Any, label_weights: Any) -> Any:
    """A weight for each prediction: its sample's times its label's."""
    weights = ops.ones_like(y_pred)
    if sample_weight is not None:
        own = ops.cast(ops.convert_to_tensor(sample_weight), y_pred.dtype)
        if own.ndim < y_pred.ndim:
            own = ops.reshape(own, (*own.shape, *(1,) * (y_pred.ndim - own.ndim)))
        weights = weights * (own if own.ndim == y_pred.ndim else ops.squeeze(own, axis=-1))
    return weights if label_weights is None else weights * ops.convert_to_tensor(label_weights)


def among_greatest(x: Any, k: int) -> Any:
    """`x` where it is among the k greatest along the last axis (of equal ones the first), else `NEVER`."""
    own, other = ops.expand_dims(x, axis=-1), ops.expand_dims(x, axis=-2)
    places = np.arange(x.shape[-1])
    before = ops.logical_and(ops.equal(other, own), places[None, :] < places[:, None])
    rank = ops.sum(ops.cast(ops.logical_or(other > own, before), "int64"), axis=-1)
    return ops.where(rank < k, x, ops.full_like(x, NEVER))


def divide_no_nan(a: Any, b: Any) -> Any:
    """a / b, and 0 where b is 0."""
    zero = ops.equal(b, 0.0)
    return ops.where(zero, ops.zeros_like(b), a / ops.where(zero, ops.ones_like(b), b))


class _Counted(Metric):
    """Sums at thresholds; subclasses name which (`counted`) and what becomes of them (`of_sums`)."""

    counted: tuple[str, ...] = ()

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self.thresholds = parsed(thresholds, 0.5 if top_k is None else NEVER)
        self.sums = [self.add_variable((len(self.thresholds),), name=name) for name in self.counted]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true = ops.convert_to_tensor(y_true)
        y_pred = ops.cast(ops.convert_to_tensor(y_pred), self.dtype)
        if self.top_k is not None:
            y_pred = among_greatest(y_pred, self.top_k)
        if self.class_id is not None:
            if y_pred.ndim < 2:
                raise ShapeError(f"class_id needs predictions of (samples, classes), got {y_pred.shape}.")
            chosen = (..., slice(self.class_id, self.class_id + 1))
            y_true, y_pred = y_true[chosen], y_pred[chosen]
        even = evenly_spaced(self.thresholds)
        found = count(y_true, y_pred, self.thresholds, sample_weight, even=even)
        for name, variable in zip(self.counted, self.sums):
            variable.assign(variable + found[name])

    def result(self) -> Any:
        whole = self.of_sums(*(v + 0.0 for v in self.sums))
        return whole[0] if len(self.thresholds) == 1 else whole

    def of_sums(self, *sums: Any) -> Any:
        """The metric's values at the thresholds."""
        return sums[0]

    def get_config(self) -> dict[str, Any]:
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return super().get_config() | own


class _OneCount(_Counted):
    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(thresholds, None, None, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return Metric.get_config(self) | {"thresholds": self.init_thresholds}


class TruePositives(_OneCount):
    """How many positives are predicted as such."""

    counted = ("true_positives",)


class FalsePositives(_OneCount):
    """How many negatives are predicted as positives."""

    counted = ("false_positives",)


class TrueNegatives(_OneCount):
    """How many negatives are predicted as such."""

    counted = ("true_negatives",)


class FalseNegatives(_OneCount):
    """How many positives are predicted as negatives."""

    counted = ("false_negatives",)


class Precision(_Counted):
    """Which share of the predicted positives are positives; 0 if there are none.

    >>> m = Precision()
    >>> m.update_state([0, 1, 1, 1], [0.7, 0.2, 0.9, 0.8]); round(float(m.result()), 4)
    0.6667
    """

    counted = ("true_positives", "false_positives")

    def of_sums(self, *sums: Any) -> Any:
        return divide_no_nan(sums[0], sums[0] + sums[1])


class Recall(Precision):
    """Which share of the positives are predicted as such; 0 if there are none."""

    counted = ("true_positives", "false_negatives")


class AUC(Metric):
    """The area under the curve of true over false positives ("ROC"), of precision over recall ("PR"), or of
    their gains ("PRGAIN"), summed over thresholds.

    Args:
        num_thresholds: how many, evenly from 0 to 1.
        curve: "ROC", "PR" or "PRGAIN".
        summation_method: "interpolation" (trapezoids; for "PR" the formula of Davis & Goadrich 2006),
            "minoring" or "majoring".
        name: the name in logs.
        dtype: of the sums.
        thresholds: between 0 and 1, instead of even ones.
        multi_label: the mean of one area per label, not the area over all predictions.
        num_labels: how many, if they are known before the first batch.
        label_weights: one per label.
        from_logits: predictions go through a sigmoid first.

    >>> m = AUC(num_thresholds=3)
    >>> m.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]); float(m.result())
    0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name or "auc", dtype)
        self.curve, self.summation_method = _chosen(curve, summation_method)
        if num_thresholds <= 1 and thresholds is None:
            raise ArgumentError(f"num_thresholds must be at least 2, got {num_thresholds}.")
        if num_labels and not multi_label:
            raise ArgumentError("num_labels is for multi_label=True only.")
        inner = np.linspace(0, 1, num_thresholds)[1:-1] if thresholds is None else sorted(thresholds)
        self.init_thresholds = None if thresholds is None else [float(t) for t in inner]
        self.thresholds = [-epsilon(), *map(float, inner), 1.0 + epsilon()]
        self.num_thresholds = len(self.thresholds)
        self.even = thresholds is None or evenly_spaced([0.0, *self.thresholds[1:-1], 1.0])
        self.multi_label, self.num_labels, self.from_logits = multi_label, num_labels, from_logits
        self.label_weights = None if label_weights is None else np.asarray(label_weights, self.dtype)
        self.sums: list[Variable] = []
        if num_labels or not multi_label:
            self._build(num_labels)

    def _build(self, labels: int | None) -> None:
        shape = (self.num_thresholds, labels) if labels else (self.num_thresholds,)
        self.sums = [self.add_variable(shape, name=name) for name in COUNTS]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = ops.cast(ops.convert_to_tensor(y_pred), self.dtype)
        if self.multi_label and y_pred.ndim != 2:
            raise ShapeError(f"multi_label=True needs predictions of (samples, labels), got {y_pred.shape}.")
        if not self.sums:
            self._build(y_pred.shape[1])
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        labels = None if self.multi_label else self.label_weights
        found = count(
            y_true, y_pred, self.thresholds, sample_weight, labels, self.multi_label, even=self.even
        )
        for name, variable in zip(COUNTS, self.sums):
            variable.assign(variable + found[name])

    def result(self) -> Any:
        if not self.sums:
            return ops.convert_to_tensor(np.float32(0.0))
        sums = [v + 0.0 for v in self.sums]
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            areas = _interpolated(*sums)
        else:
            x, y = _CURVES[self.curve](*sums)
            areas = (x[:-1] - x[1:]) * _HEIGHTS[self.summation_method](y[:-1], y[1:])
        by_label = ops.sum(areas, axis=0)
        if not self.multi_label:
            return by_label
        if self.label_weights is None:
            return ops.mean(by_label)
        return divide_no_nan(ops.sum(by_label * self.label_weights), ops.sum(self.label_weights))

    def get_config(self) -> dict[str, Any]:
        weights = self.label_weights
        return super().get_config() | {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if weights is None else weights.tolist(),
            "from_logits": self.from_logits,
            **({"thresholds": self.init_thresholds} if self.init_thresholds is not None else {}),
        }


def _chosen(curve: str, summation: str) -> tuple[str, str]:
    """The names in one spelling; ArgumentError if there is none such."""
    found = str(curve).upper(), str(summation).lower()
    for name, known in zip(found, ({*_CURVES}, {*_HEIGHTS})):
        if name not in known:
            raise ArgumentError(f"AUC has no {name!r}; there are {', '.join(sorted(known))}.")
    return found


def _roc(tp: Any, fp: Any, tn: Any, fn: Any) -> tuple[Any, Any]:
    return divide_no_nan(fp, fp + tn), divide_no_nan(tp, tp + fn)


def _precision_recall(tp: Any, fp: Any, tn: Any, fn: Any) -> tuple[Any, Any]:
    return divide_no_nan(tp, tp + fn), divide_no_nan(tp, tp + fp)


def _gains(tp: Any, fp: Any, tn: Any, fn: Any) -> tuple[Any, Any]:
    """Gains of recall and precision over those of always saying yes (Flach & Kull 2015, eq. 6)."""
    scale, none = divide_no_nan(tp + fn, tn + fp), ops.equal(tp, 0.0)
    recall = ops.where(none, 0.0, 1.0 - scale * divide_no_nan(fn, tp))
    precision = ops.where(none, 1.0, 1.0 - scale * divide_no_nan(fp, tp))
    return ops.maximum(recall, 0.0), precision


_CURVES = {"ROC": _roc, "PR": _precision_recall, "PRGAIN": _gains}
_HEIGHTS = {
    "interpolation": lambda a, b: (a + b) / 2.0,
    "minoring": ops.minimum,
    "majoring": ops.maximum,
}


def _interpolated(tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
    """Areas between thresholds where counts, not ratios, are linear (Davis & Goadrich 2006, section 4)."""
    p = tp + fp
    gained = tp[:-1] - tp[1:]
    slope = divide_no_nan(gained, ops.maximum(p[:-1] - p[1:], 0.0))
    intercept = tp[1:] - slope * p[1:]
    both = ops.logical_and(p[:-1] > 0.0, p[1:] > 0.0)
    ratio = ops.where(both, divide_no_nan(p[:-1], p[1:]), ops.ones_like(gained))
    return divide_no_nan(slope * (gained + intercept * ops.log(ratio)), tp[1:] + fn[1:])
