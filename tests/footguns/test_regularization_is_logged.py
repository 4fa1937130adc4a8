"""Regularisation losses are part of the logged loss, and of evaluate's."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import Input, Sequential, layers, optimizers


def test_the_penalty_is_part_of_the_logged_loss():
    dense = layers.Dense(2, kernel_regularizer="l2", activity_regularizer="l1", use_bias=False)
    model = Sequential([Input((3,)), dense])
    model.compile(optimizers.SGD(0.0), "mse")
    x = np.random.default_rng(0).standard_normal((8, 3)).astype("f4")
    y = x @ dense.kernel.numpy()
    penalty = 0.01 * (dense.kernel.numpy() ** 2).sum()
    activity = 0.01 * np.abs(y).sum() / 8
    want = (y**2).mean() + penalty + activity
    zeros = np.zeros((8, 2), "f4")
    logged = model.fit(x, zeros, batch_size=8, verbose=0).history["loss"][0]
    assert logged == pytest.approx(want, rel=1e-4)
    assert model.evaluate(x, zeros, batch_size=8, verbose=0) == pytest.approx(logged, rel=1e-5)
    uneven = model.evaluate(x, zeros, batch_size=5, verbose=0)
    parts = [0.01 * np.abs(part).sum() / len(part) for part in (y[:5], y[5:])]
    assert uneven == pytest.approx((y**2).mean() + penalty + np.average(parts, weights=[5, 3]), rel=1e-4)
