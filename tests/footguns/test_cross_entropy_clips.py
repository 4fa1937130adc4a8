"""Cross-entropy on probabilities clips at 1e-7, and renormalises the categorical form; logits are taken as
logits only if the user says so."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import Input, Sequential, layers, losses


def test_probabilities_of_zero_and_one():
    one_hot, p = np.array([[0.0, 1.0]], "f4"), np.array([[1.0, 0.0]], "f4")
    bound = -np.log(np.float32(1e-7))
    assert float(losses.categorical_crossentropy(one_hot, p)[0]) == pytest.approx(bound, rel=1e-5)
    assert float(losses.sparse_categorical_crossentropy(np.array([1]), p)[0]) == pytest.approx(
        bound, rel=1e-5
    )
    assert float(losses.binary_crossentropy(one_hot, p)[0]) == pytest.approx(bound, rel=1e-2)


def test_the_categorical_form_renormalises():
    p = np.array([[2.0, 6.0]], "f4")
    value = losses.categorical_crossentropy(np.array([[0.0, 1.0]], "f4"), p)
    assert float(value[0]) == pytest.approx(-np.log(0.75), rel=1e-5)


def test_a_saturated_softmax_keeps_the_clip():
    model = Sequential([Input((2,)), layers.Activation("softmax")])
    x, y = np.array([[0.0, 200.0]], "f4"), np.array([0])
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert model.evaluate(x, y, verbose=0) == pytest.approx(-np.log(np.float32(1e-7)), rel=1e-5)
    model = Sequential([Input((2,)), layers.Activation("linear")])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(200.0, rel=1e-6)
