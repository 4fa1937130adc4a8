"""The seed program on InceptionV3 without its top: a new classifier, the base frozen or not, a generator."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.applications import InceptionV3
from graphc.engine.training import Model
from graphc.layers import Dense, GlobalAveragePooling2D

CLASSES = 3


@pytest.fixture(scope="module")
def program():
    """The program up to its model, with only its import lines changed."""
    graphc.backend.clear_session()
    graphc.set_random_seed(0)
    base = InceptionV3(include_top=False, input_shape=(75, 75, 3), weights=None)
    x = base.output
    x = GlobalAveragePooling2D()(x)
    out = Dense(CLASSES, activation="softmax")(x)
    return base, Model(base.input, out)


def images(batches):
    """A generator of batches of images with one-hot labels."""
    rng = np.random.default_rng(0)
    while True:
        for _ in range(batches):
            labels = rng.integers(CLASSES, size=2)
            yield rng.random((2, 75, 75, 3), "f4"), np.eye(CLASSES, dtype="f4")[labels]


def test_counts_with_the_base_free_and_frozen(program):
    base, model = program
    assert Model is graphc.models.Model
    assert isinstance(model, Model)
    assert len(base.layers) == 311
    assert base.count_params() == 21_802_784
    assert sum(w.size for w in base.trainable_weights) == 21_768_352
    assert model.count_params() == 21_802_784 + 2048 * CLASSES + CLASSES
    for layer in base.layers:
        layer.trainable = False
    assert [w.shape for w in model.trainable_weights] == [(2048, CLASSES), (CLASSES,)]
    for layer in base.layers:
        layer.trainable = True
    assert sum(w.size for w in model.trainable_weights) == 21_768_352 + 2048 * CLASSES + CLASSES


def test_fit_on_a_generator_trains_only_what_is_free(program):
    base, model = program
    for layer in base.layers:
        layer.trainable = False
    before = [w.copy() for w in model.get_weights()]
    model.compile("rmsprop", "categorical_crossentropy", ["accuracy"])
    history = model.fit(images(2), steps_per_epoch=2, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    changed = [not np.array_equal(a, b) for a, b in zip(model.get_weights(), before)]
    assert changed == [False] * (len(changed) - 2) + [True, True]
