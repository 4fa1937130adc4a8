"""The seed program of encoder and autoencoder: `x` is rebound at each step, and the models share layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc
import graphc as keras
from graphc import layers

GOLDEN = Path(__file__).parents[1] / "golden" / "summaries"


@pytest.fixture(autouse=True)
def fresh():
    graphc.backend.clear_session()
    graphc.set_random_seed(0)


def program():
    """The program, with only its import lines changed."""
    encoder_input = keras.Input(shape=(28, 28, 1), name="img")
    x = layers.Conv2D(16, 3, activation="relu")(encoder_input)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.MaxPooling2D(3)(x)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.Conv2D(16, 3, activation="relu")(x)
    encoder_output = layers.GlobalMaxPooling2D()(x)
    encoder = keras.Model(encoder_input, encoder_output, name="encoder")
    encoder.summary()

    x = layers.Reshape((4, 4, 1))(encoder_output)
    x = layers.Conv2DTranspose(16, 3, activation="relu")(x)
    x = layers.Conv2DTranspose(32, 3, activation="relu")(x)
    x = layers.UpSampling2D(3)(x)
    x = layers.Conv2DTranspose(16, 3, activation="relu")(x)
    print(x)
    decoder_output = layers.Conv2DTranspose(1, 3, activation="relu")(x)
    autoencoder = keras.Model(encoder_input, decoder_output, name="autoencoder")
    autoencoder.summary()
    return encoder, autoencoder


def test_tables_and_counts(capsys):
    encoder, autoencoder = program()
    printed = capsys.readouterr().out
    told = "<Tensor shape=(None, 26, 26, 16), dtype=float32, created by layer 'conv2d_transpose_2'>\n"
    tables = [(GOLDEN / f"{name}.txt").read_text() for name in ("encoder", "autoencoder")]
    assert printed == f"{tables[0]}{told}{tables[1]}"
    assert (encoder.count_params(), autoencoder.count_params()) == (18_672, 28_241)


def test_it_learns_and_the_encoder_with_it():
    encoder, autoencoder = program()
    images = np.random.default_rng(0).random((24, 28, 28, 1), "f4")
    codes = encoder.predict(images, verbose=0)
    autoencoder.compile(keras.optimizers.Adam(0.01), "mse")
    losses = autoencoder.fit(images, images, batch_size=8, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    assert not np.array_equal(encoder.predict(images, verbose=0), codes)


def small(name):
    """An encoder and a decoder as two models, called one on the other."""
    image = keras.Input((8, 8, 1), name=f"{name}_image")
    code = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    encoder = keras.Model(image, code, name=f"{name}_encoder")
    given = keras.Input((4,), name=f"{name}_code")
    x = layers.Conv2DTranspose(3, 3, activation="relu")(layers.Reshape((2, 2, 1))(given))
    x = layers.UpSampling2D(2)(x)
    decoder = keras.Model(given, layers.Conv2D(1, 1)(x), name=f"{name}_decoder")
    whole = keras.Input((8, 8, 1))
    return encoder, decoder, keras.Model(whole, decoder(encoder(whole)), name=name)


def test_models_called_on_models():
    encoder, decoder, both = small("pair")
    images = np.random.default_rng(1).random((5, 8, 8, 1), "f4")
    expected = decoder.predict(encoder.predict(images, verbose=0), verbose=0)
    np.testing.assert_allclose(both.predict(images, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert [layer.name for layer in both.layers][1:] == ["pair_encoder", "pair_decoder"]
    assert both.count_params() == encoder.count_params() + decoder.count_params()
    both.compile("sgd", "mse")
    before = encoder.get_weights()[0]
    both.train_on_batch(images, images)
    assert not np.array_equal(encoder.get_weights()[0], before)


def test_an_ensemble_is_the_mean_of_its_models():
    models = [small(f"net{i}")[2] for i in range(3)]
    image = keras.Input((8, 8, 1))
    ensemble = keras.Model(image, layers.average([model(image) for model in models]))
    images = np.random.default_rng(2).random((4, 8, 8, 1), "f4")
    expected = np.mean([model.predict(images, verbose=0) for model in models], axis=0)
    np.testing.assert_allclose(ensemble.predict(images, verbose=0), expected, rtol=1e-5, atol=1e-6)
    ensemble.compile("adam", "mse")
    before = [w.copy() for w in ensemble.get_weights()]
    ensemble.train_on_batch(images, images)
    assert sum(not np.array_equal(a, b) for a, b in zip(ensemble.get_weights(), before)) >= 3
