"""Whole models on one, two and three threads: training and prediction give the same bits."""

import numpy as np
import pytest

import graphc
from graphc import layers
from graphc.codegen.target import host
from graphc.codegen.team import members

pytestmark = [
    pytest.mark.skipif(members(2, host()) == 1, reason="no team on this system"),
    pytest.mark.usefixtures("divide_everything"),
]


def perceptron():
    return [
        layers.Input((30,)),
        layers.Dense(130, activation="relu"),
        layers.Dropout(0.3),
        layers.BatchNormalization(),
        layers.Dense(5, activation="softmax"),
    ]


def convolutional():
    return [
        layers.Input((12, 12, 2)),
        layers.Conv2D(20, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Conv2D(7, 3, strides=2, padding="same", activation="gelu"),
        layers.Flatten(),
        layers.Dense(5, activation="softmax"),
    ]


def autoencoder():
    return [
        layers.Input((12, 12, 2)),
        layers.Conv2D(6, 3, activation="relu", padding="same"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(6, 3, activation="relu", padding="same"),
        layers.UpSampling2D(2),
        layers.Conv2D(2, 3, activation="sigmoid", padding="same"),
    ]


def normalised():
    return [
        layers.Input((9, 16)),
        layers.Dense(24),
        layers.LayerNormalization(),
        layers.DepthwiseConv1D(3, padding="same"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(5, activation="softmax"),
    ]


CASES = {
    "perceptron": (perceptron, "sgd", "sparse_categorical_crossentropy"),
    "perceptron adam": (perceptron, "adam", "sparse_categorical_crossentropy"),
    "convolutional": (convolutional, "rmsprop", "sparse_categorical_crossentropy"),
    "autoencoder": (autoencoder, "adadelta", "binary_crossentropy"),
    "normalised": (normalised, "adamw", "sparse_categorical_crossentropy"),
}


def trained(case, threads, monkeypatch):
    """Losses, metrics, weights and predictions after some steps, the last with a smaller batch."""
    monkeypatch.setenv("GRAPHC_THREADS", str(threads))
    make, optimizer, loss = CASES[case]
    graphc.utils.set_random_seed(7)
    model = graphc.Sequential(make())
    rng = np.random.default_rng(0)
    x = rng.random((45, *model.input_shape[1:])).astype(np.float32)
    y = x if make is autoencoder else rng.integers(0, 5, 45)
    model.compile(optimizer=optimizer, loss=loss, metrics=[] if y is x else ["accuracy"])
    history = model.fit(x, y, batch_size=16, epochs=2, verbose=0).history
    return [*(np.array(v) for v in history.values()), *model.get_weights(), model.predict(x, verbose=0)]


@pytest.mark.parametrize("case", CASES)
def test_training_has_the_same_bits_on_any_number_of_threads(case, monkeypatch):
    alone = trained(case, 1, monkeypatch)
    for threads in (2, 3):
        found = trained(case, threads, monkeypatch)
        assert [a.tobytes() for a in alone] == [x.tobytes() for x in found]


def test_twenty_runs_have_the_same_bits(monkeypatch):
    alone = [x.tobytes() for x in trained("perceptron", 1, monkeypatch)]
    for _ in range(20):
        assert alone == [x.tobytes() for x in trained("perceptron", 2, monkeypatch)]
