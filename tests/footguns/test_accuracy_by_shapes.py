""" "accuracy" is the binary, categorical or sparse one, by the shapes of output and target."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import Input, Sequential, layers


@pytest.mark.parametrize(
    ("predicted", "target", "loss", "want"),
    [
        ([[0.4], [0.6], [0.9], [0.2]], [[0], [1], [0], [0]], "binary_crossentropy", 0.75),
        ([[0.6, 0.4], [0.2, 0.8]], [[1, 0], [1, 0]], "categorical_crossentropy", 0.5),
        ([[0.6, 0.4], [0.2, 0.8]], [0, 1], "sparse_categorical_crossentropy", 1.0),
        ([[0.6, 0.4], [0.2, 0.8]], [[1], [1]], "sparse_categorical_crossentropy", 0.5),
    ],
)
def test_which_accuracy(predicted, target, loss, want):
    x = np.array(predicted, "f4")
    model = Sequential([Input(x.shape[1:]), layers.Identity()])
    model.compile("sgd", loss, ["accuracy"])
    logs = model.evaluate(x, np.array(target), verbose=0, return_dict=True)
    assert logs["accuracy"] == pytest.approx(want)
