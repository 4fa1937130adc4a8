"""The output's mask weighs the loss: the mean over the valid steps of the batch, not over all."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import Input, Model, layers


def masked(*following):
    x = Input((3,), dtype="int32")
    h = layers.Embedding(5, 1, mask_zero=True, embeddings_initializer="ones")(x)
    for layer in following:
        h = layer(h)
    model = Model(x, h)
    model.compile("sgd", "mse")
    return model


TOKENS = np.array([[1, 2, 0], [3, 0, 0]])
TARGETS = np.array([[1.0, 3.0, 9.0], [2.0, 9.0, 9.0]], "f4")
SQUARES = (TARGETS - 1) ** 2


def test_valid_steps_only():
    loss = masked().evaluate(TOKENS, TARGETS[..., None], batch_size=2, verbose=0)
    assert loss == pytest.approx(SQUARES[TOKENS > 0].mean(), rel=1e-6)


def test_flatten_and_reshape_drop_the_mask():
    for layer in (layers.Flatten(), layers.Reshape((3,))):
        loss = masked(layer).evaluate(TOKENS, TARGETS, batch_size=2, verbose=0)
        assert loss == pytest.approx(SQUARES.mean(), rel=1e-6)
