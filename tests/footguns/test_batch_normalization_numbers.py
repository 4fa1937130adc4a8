"""BatchNormalization: momentum 0.99, epsilon 1e-3, and the biased variance in both of its uses."""

from __future__ import annotations

import numpy as np

from graphc import layers


def test_numbers():
    x = np.random.default_rng(0).standard_normal((5, 2)).astype("f4")
    norm = layers.BatchNormalization()
    y = norm(x, training=True)
    np.testing.assert_allclose(y, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.moving_mean.numpy(), 0.01 * x.mean(0), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(norm.moving_variance.numpy(), 0.99 + 0.01 * x.var(0), rtol=1e-5)
