"""Arrays of users start anywhere and have any strides; packed panels never write past a result's end."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import Input, Sequential, layers


def at_byte(array, offset):
    """The same values, `offset` bytes after a multiple of 64."""
    memory = np.zeros(array.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    view = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


@pytest.mark.parametrize("width", [1, 15, 16, 17, 33])
def test_any_place_and_any_size(width):
    model = Sequential([Input((width,)), layers.Dense(width + 2, activation="relu"), layers.Dense(1)])
    rng = np.random.default_rng(width)
    k1, b1, k2, b2 = model.get_weights()
    for samples in (1, 3, 17):
        x = rng.standard_normal((samples, width)).astype("f4")
        want = np.maximum(x @ k1 + b1, 0) @ k2 + b2
        for given in (x, at_byte(x, 4), at_byte(x, 36), np.asfortranarray(x), x[::-1][::-1]):
            np.testing.assert_allclose(model(given), want, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(model(x[::-1]), want[::-1], rtol=1e-4, atol=1e-5)


def test_bytes_that_are_no_multiple_of_the_element():
    x = np.arange(12, dtype="f4").reshape(3, 4)
    model = Sequential([Input((4,)), layers.Rescaling(2.0)])
    np.testing.assert_array_equal(model(at_byte(x, 1)), 2 * x)
    big_endian = x.astype(">f4")
    np.testing.assert_array_equal(model(big_endian), 2 * x)
