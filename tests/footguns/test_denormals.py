"""Tiny numbers: graphc keeps denormals, and leaves the thread's floating-point mode alone."""

from __future__ import annotations

import numpy as np

from graphc import Input, Sequential, layers

TINY = np.float32(1e-40)


def test_denormals_survive_here_and_afterwards():
    x = np.full((3, 20), TINY)
    model = Sequential([Input((20,)), layers.Rescaling(0.5)])
    np.testing.assert_array_equal(model(x), x * np.float32(0.5))
    assert float(TINY * np.float32(0.5)) > 0
