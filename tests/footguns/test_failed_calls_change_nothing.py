"""A step that fails changes nothing: no weight, slot, moving statistic, metric, or random counter."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import Input, Sequential, layers


def everything(model):
    tracked = [*model.variables, *model.optimizer.variables]
    return [v.numpy() for v in tracked]


def test_after_a_failure_training_goes_on_as_if_nothing_was():
    x, y = np.random.default_rng(0).standard_normal((12, 4)).astype("f4"), np.arange(12) % 3
    bad = y.copy()
    bad[-1] = 3
    results = []
    for fails in (False, True):
        graphc.backend.clear_session()
        graphc.set_random_seed(3)
        model = Sequential(
            [Input((4,)), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(3, "softmax")]
        )
        model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        model.train_on_batch(x, y)
        if fails:
            before = everything(model)
            with pytest.raises(IndexError, match="label 3 at position 11"):
                model.train_on_batch(x, bad)
            for a, b in zip(everything(model), before, strict=True):
                np.testing.assert_array_equal(a, b)
        results.append([*model.train_on_batch(x, y), *everything(model)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
