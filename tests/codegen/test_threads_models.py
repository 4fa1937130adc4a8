"""Whole models on one, two and three threads: training and prediction give the same bits."""

import numpy as np
import pytest

import graphc
from graphc import layers
from graphc.codegen.target import host
from graphc.codegen.team import members
from graphc.npjit.choice import Choice

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


def branched():
    """A block like those of InceptionV3: branches of convolutions and a pool, normalised without a scale."""

    def conv(x, channels, size):
        x = layers.Conv2D(channels, size, padding="same", use_bias=False)(x)
        return layers.Activation("relu")(layers.BatchNormalization(scale=False)(x))

    image = layers.Input((12, 12, 2))
    x = conv(image, 8, 3)
    tall = conv(conv(x, 4, (1, 7)), 6, (7, 1))
    pool = conv(layers.AveragePooling2D(3, strides=1, padding="same")(x), 5, 1)
    x = layers.Concatenate()([conv(x, 6, 1), tall, conv(x, 4, 5), pool])
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D(3, strides=2)(x))
    return graphc.Model(image, layers.Dense(5, activation="softmax")(x))


def recurrent():
    return [
        layers.Input((9, 6)),
        layers.LSTM(20, return_sequences=True),
        layers.LSTM(12, dropout=0.2),
        layers.Dense(5, activation="softmax"),
    ]


CASES = {
    "perceptron": (perceptron, "sgd", "sparse_categorical_crossentropy"),
    "perceptron adam": (perceptron, "adam", "sparse_categorical_crossentropy"),
    "convolutional": (convolutional, "rmsprop", "sparse_categorical_crossentropy"),
    "autoencoder": (autoencoder, "adadelta", "binary_crossentropy"),
    "normalised": (normalised, "adamw", "sparse_categorical_crossentropy"),
    "branched": (branched, "sgd", "sparse_categorical_crossentropy"),
    "recurrent": (recurrent, "adam", "sparse_categorical_crossentropy"),
}


def trained(case, threads, monkeypatch):
    """Losses, metrics, weights and predictions after some steps, the last with a smaller batch."""
    monkeypatch.setenv("GRAPHC_THREADS", str(threads))
    make, optimizer, loss = CASES[case]
    graphc.utils.set_random_seed(7)
    made = make()
    model = made if isinstance(made, graphc.Model) else graphc.Sequential(made)
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


@pytest.mark.parametrize("case", ["perceptron", "autoencoder", "branched", "recurrent"])
def test_twenty_runs_have_the_same_bits(case, monkeypatch):
    alone = [x.tobytes() for x in trained(case, 1, monkeypatch)]
    for _ in range(20):
        assert alone == [x.tobytes() for x in trained(case, 2, monkeypatch)]


def softmax_step(x, y, w, b, rate):
    scores = np.maximum(x @ w + b, 0) @ w.T / 100
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(y)), y]).mean()
    p[np.arange(len(y)), y] -= 1
    w -= rate * (x.T @ np.tanh(p @ w))
    b -= rate * p.mean()
    return loss, p.std(axis=0), np.cumsum(p, axis=0)


def statistics(x, y, w, b, rate):
    rows = x[y] * rate
    centred = rows - rows.mean(axis=0)
    return (
        centred,
        (centred**2).sum(),
        centred.max(axis=1),
        np.einsum("ij,ik->jk", centred, rows),
        w.sum() + b,
    )


INIT = Choice.__init__


def only_native(self, fast, plain, settle, _=False):
    """Native code without measuring other ways."""
    INIT(self, fast, plain, settle, is_sure=True)


@pytest.mark.parametrize("function", [softmax_step, statistics])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_functions_have_the_same_bits_on_any_number_of_threads(function, dtype, monkeypatch):
    monkeypatch.setattr(Choice, "__init__", only_native)

    def results(threads, runs):
        rng = np.random.default_rng(0)
        x, w = rng.random((70, 30)).astype(dtype), rng.random((30, 40)).astype(dtype)
        b, y = np.zeros(40, dtype), rng.integers(0, 30, 70)
        f = graphc.jit(function, threads=threads)
        found = [(*f(x, y, w, b, 0.1), w.copy(), b.copy()) for _ in range(runs)]
        assert "native code is the fastest" in f.explain()
        return [np.asarray(a).tobytes() for each in found for a in each]

    alone = results(1, 20)
    assert alone == results(2, 20)
    assert alone == results(3, 20)
