"""RMSprop adds epsilon inside the square root, Adam outside, and Adam takes Keras's alpha_t form."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import Input, Sequential, layers, optimizers

EPSILON, RATE = 0.1, 0.5


@pytest.mark.parametrize("name", ["rmsprop", "adam"])
def test_where_epsilon_stands(name):
    gradient, weight = 0.3, 1.0
    dense = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = Sequential([Input((1,)), dense])
    if name == "rmsprop":
        optimizer = optimizers.RMSprop(RATE, rho=0.9, epsilon=EPSILON)
        want = weight - RATE * gradient / np.sqrt(0.1 * gradient**2 + EPSILON)
    else:
        optimizer = optimizers.Adam(RATE, epsilon=EPSILON)
        m, v = 0.1 * gradient, 0.001 * gradient**2
        alpha = RATE * np.sqrt(1 - 0.999) / (1 - 0.9)
        want = weight - alpha * m / (np.sqrt(v) + EPSILON)
    model.compile(optimizer, lambda y, p: p)
    model.train_on_batch(np.full((1, 1), gradient, "f4"), np.zeros((1, 1), "f4"))
    assert float(dense.kernel.numpy().item()) == pytest.approx(want, rel=1e-5)
