"""F-scores: the harmonic mean of precision and recall, per class or averaged."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.backend import epsilon
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.metrics.metric import Metric
from graphc.variable import Variable

AVERAGES = (None, "micro", "macro", "weighted")
COUNTS = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")


class FBetaScore(Metric):
    """(1 + beta^2) * precision * recall / (beta^2 * precision + recall), of predictions (samples, classes).

    Args:
        average: None for one score per class, "micro" over all predictions, "macro" for the classes' mean,
            "weighted" for their mean by how often each occurs.
        beta: how much more recall counts than precision.
        threshold: what is greater counts as predicted; None takes each sample's greatest.
        name: the name in logs.
        dtype: of the sums.

    >>> m = F1Score(threshold=0.5)
    >>> m.update_state([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])
    >>> m.result().round(4).tolist()
    [0.5, 0.800000011920929, 0.666700005531311]
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype)
        if average not in AVERAGES:
            raise ArgumentError(f"average must be one of {AVERAGES}, not {average!r}.")
        if beta <= 0.0 or (threshold is not None and not 0.0 < threshold <= 1.0):
            raise ArgumentError(f"beta must be positive and 0 < threshold <= 1, got {beta} and {threshold}.")
        self.average, self.beta, self.threshold = average, beta, threshold
        self.sums: list[Variable] = []

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = (ops.cast(ops.convert_to_tensor(y), self.dtype) for y in (y_true, y_pred))
        if y_true.ndim != 2 or y_pred.ndim != 2:
            raise ShapeError(
                f"{self.name} needs targets and predictions of (samples, classes), got {y_true.shape} and "
                f"{y_pred.shape}.\n  fix     give one-hot targets: utils.to_categorical(labels)."
            )
        if not self.sums:
            shape = () if self.average == "micro" else (y_pred.shape[-1],)
            self.sums = [self.add_variable(shape, name=name) for name in COUNTS]
        found = ops.cast(self._found(y_pred), self.dtype)
        parts = (found * y_true, found * (1.0 - y_true), (1.0 - found) * y_true, y_true)
        weights = None
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(ops.convert_to_tensor(sample_weight), self.dtype), (-1, 1))
        for variable, values in zip(self.sums, parts):
            weighted = values if weights is None else values * weights
            axis = None if self.average == "micro" else 0
            variable.assign(variable + ops.sum(weighted, axis=axis))

    def _found(self, y_pred: Any) -> Any:
        """Which classes are predicted; none for a sample whose predictions are zeros."""
        if self.threshold is not None:
            return y_pred > self.threshold
        most = ops.max(y_pred, axis=-1, keepdims=True)
        return ops.logical_and(y_pred >= most, ops.abs(y_pred) > 1e-9)

    def result(self) -> Any:
        if not self.sums:
            return 0.0
        hits, extra, missed, occurring = (v + 0.0 for v in self.sums)
        precision, recall = hits / (hits + extra + epsilon()), hits / (hits + missed + epsilon())
        square = self.beta**2
        score = (1.0 + square) * (precision * recall / (square * precision + recall + epsilon()))
        if self.average == "weighted":
            return ops.sum(score * (occurring / (ops.sum(occurring) + epsilon())))
        return score if self.average is None else ops.mean(score)

    def get_config(self) -> dict[str, Any]:
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return super().get_config() | own


class F1Score(FBetaScore):
    """2 * precision * recall / (precision + recall); see `FBetaScore`."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str = "f1_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name != "beta"}
