"""Another batch size, a short last batch, another rate, seed or step: nothing is compiled again."""

from __future__ import annotations

import numpy as np

import graphc
from graphc import Input, Sequential, layers


def test_compiles():
    model = Sequential([Input((4,)), layers.Dropout(0.5), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = np.ones((50, 4), "f4"), np.arange(50) % 3
    model.fit(x, y, batch_size=16, verbose=0)
    compiles = graphc.stats()["compiles"]
    for size in (1, 2, 7, 50):
        model.fit(x, y, batch_size=size, verbose=0)
    model.optimizer.learning_rate = 0.5
    graphc.set_random_seed(9)
    model.train_on_batch(x[:5], y[:5])
    assert graphc.stats()["compiles"] == compiles
