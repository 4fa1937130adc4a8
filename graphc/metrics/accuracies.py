"""How often predictions are right, as functions that give 1 or 0 per sample.

>>> import numpy as np
>>> binary_accuracy(np.array([1.0, 0.0], "f4"), np.array([0.7, 0.6], "f4")).tolist()
[1.0, 0.0]
"""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.losses.functions import same_rank


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where prediction and label are equal."""
    y_true, y_pred = same_rank(y_true, y_pred)
    return ops.cast(ops.equal(y_true, y_pred), "float32")


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where the prediction lies on the label's side of the threshold."""
    y_true, y_pred = same_rank(y_true, y_pred)
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
