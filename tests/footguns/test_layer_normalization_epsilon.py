"""LayerNormalization's epsilon is 1e-3: a row of small differences shows it."""

from __future__ import annotations

import numpy as np

from graphc import layers


def test_epsilon():
    x = np.array([[0.0, 0.02], [5.0, 5.0]], "f4")
    want = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(layers.LayerNormalization()(x), want, rtol=1e-5, atol=1e-6)
