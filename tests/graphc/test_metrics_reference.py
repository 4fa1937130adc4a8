"""Metrics of counts at thresholds and F-scores against Keras 3 (JAX backend): two batches of each case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import losses, metrics
from graphc.ir.errors import GraphcError

FOLDER = Path(__file__).parents[1] / "oracle"
CASES = json.loads((FOLDER / "algorithms.json").read_text())["metrics"]


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "algorithms.npz") as found:
        return {k.removeprefix("metric|"): found[k] for k in found.files if k.startswith("metric|")}


def made(source: str) -> Any:
    return eval(source, {"metrics": metrics})


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['source'][8:]}/{c['true']}/{c['weight']}")
def test_metrics_match_keras(case: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    metric = made(case["source"])
    parts = [arrays[case[name]] if case[name] else None for name in ("true", "predicted", "weight")]
    for batch in (slice(0, 25), slice(25, None)):
        y_true, y_pred, weight = (a if a is None else a[batch] for a in parts)
        metric.update_state(y_true, y_pred, sample_weight=weight)
    np.testing.assert_allclose(metric.result(), case["result"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("source", sorted({c["source"] for c in CASES}))
def test_they_come_back_from_their_configuration_and_start_again(
    source: str, arrays: dict[str, np.ndarray]
) -> None:
    metric = made(source)
    pair = ("yb", "pb") if "label" not in source and "class" not in source else ("yl", "pl")
    if "F" in source or "top_k" in source or "Cosine" in source:
        pair = ("yc", "pc")
    again = metrics.deserialize(metrics.serialize(metric))
    assert again.get_config() == metric.get_config()
    first = np.asarray(metric(arrays[pair[0]], arrays[pair[1]]))
    np.testing.assert_array_equal(again(arrays[pair[0]], arrays[pair[1]]), first)
    metric.reset_state()
    np.testing.assert_array_equal(metric(arrays[pair[0]], arrays[pair[1]]), first)


def test_nothing_counted_is_zero_not_nan() -> None:
    for name in ("Precision", "Recall", "AUC", "F1Score"):
        assert float(getattr(metrics, name)().result()) == 0.0
    precision = metrics.Precision()
    precision.update_state(np.ones(3, "f4"), np.zeros(3, "f4"))
    assert float(precision.result()) == 0.0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: metrics.Precision(thresholds=1.5), r"thresholds must lie in \[0, 1\], got \[1\.5\]"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds must be at least 2, got 1"),
        (lambda: metrics.AUC(curve="ROCK"), "AUC has no 'ROCK'; there are PR, PRGAIN, ROC"),
        (lambda: metrics.AUC(num_labels=3), "num_labels is for multi_label=True only"),
        (lambda: metrics.F1Score(average="mean"), "average must be one of .*, not 'mean'"),
        (lambda: metrics.F1Score(threshold=2.0), "0 < threshold <= 1"),
        (lambda: metrics.F1Score()(np.ones(4), np.ones(4)), r"one-hot targets: utils\.to_categorical"),
        (lambda: metrics.Precision(class_id=1)(np.ones(4), np.ones(4)), r"\(samples, classes\), got \(4,\)"),
        (lambda: metrics.AUC(multi_label=True)(np.ones(4), np.ones(4)), r"\(samples, labels\), got \(4,\)"),
    ],
)
def test_what_they_refuse(wrong: Any, told: str) -> None:
    with pytest.raises(GraphcError, match=told):
        wrong()


def test_functions_of_keras_are_there_by_name() -> None:
    for name in ("binary_accuracy", "mean_squared_error", "categorical_crossentropy", "huber", "poisson"):
        assert callable(getattr(metrics, name))
    assert metrics.mean_squared_error is losses.mean_squared_error
    assert isinstance(metrics.get("auc"), metrics.AUC)
    assert isinstance(metrics.get("precision"), metrics.Precision)
