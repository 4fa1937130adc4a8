"""Affine maps: against pixels moved by NumPy, and against a sampler of one pixel at a time."""

import math

import numpy as np
import pytest

from graphc.images.affine import affine_matrix, sample
from graphc.ir.errors import ArgumentError

SIZES = [(1, 1), (1, 6), (5, 1), (5, 6), (7, 7)]
# How NumPy's pad calls what lies outside.
PADDING = {"nearest": "edge", "reflect": "symmetric", "wrap": "wrap", "constant": "constant"}


def picture(rows, columns, channels=2):
    return np.random.default_rng(0).normal(size=(rows, columns, channels)).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fill_mode", PADDING)
def test_identity_keeps_every_bit(size, fill_mode):
    image = picture(*size)
    np.testing.assert_array_equal(sample(image, affine_matrix(size), fill_mode), image)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fill_mode", PADDING)
@pytest.mark.parametrize("shift", [(2, -1), (-3, 4), (9, 13)])
def test_whole_shifts_are_padding(size, fill_mode, shift):
    image = picture(*size)
    padded = np.pad(image, ((20, 20), (20, 20), (0, 0)), PADDING[fill_mode])
    expected = padded[20 + shift[0] :, 20 + shift[1] :][: size[0], : size[1]]
    found = sample(image, affine_matrix(size, tx=shift[0], ty=shift[1]), fill_mode)
    np.testing.assert_array_equal(found, expected)


def test_constant_is_cval():
    found = sample(picture(3, 3), affine_matrix((3, 3), tx=1), "constant", 7.5)
    assert (found[2] == 7.5).all()
    assert not (found[:2] == 7.5).any()


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_right_angles_are_exact(quarter):
    image = picture(6, 6)
    found = sample(image, affine_matrix((6, 6), theta=90 * quarter), "constant", np.nan)
    np.testing.assert_array_equal(found, np.rot90(image, -quarter))


def test_zoom_out_by_two():
    image = picture(9, 9)
    found = sample(image, affine_matrix((9, 9), zx=2, zy=2), "constant")
    np.testing.assert_array_equal(found[2:7, 2:7], image[::2, ::2])
    assert (found[:2] == 0).all()


def one_by_one(image, theta, tx, ty, shear, zx, zy):
    """Keras's formula, pixel by pixel, of an image that goes on with the nearest pixel."""
    rows, columns = image.shape[:2]
    theta, shear = math.radians(theta), math.radians(shear)
    result = np.empty(image.shape)
    for r in range(rows):
        for c in range(columns):
            y, x = (r - (rows - 1) / 2) * zx, (c - (columns - 1) / 2) * zy
            y, x = y - math.sin(shear) * x + tx, math.cos(shear) * x + ty
            y, x = math.cos(theta) * y - math.sin(theta) * x, math.sin(theta) * y + math.cos(theta) * x
            y, x = y + (rows - 1) / 2, x + (columns - 1) / 2
            total = 0.0
            for i in (math.floor(y), math.floor(y) + 1):
                for j in (math.floor(x), math.floor(x) + 1):
                    pixel = image[min(max(i, 0), rows - 1), min(max(j, 0), columns - 1)]
                    total = total + pixel * (1 - abs(y - i)) * (1 - abs(x - j))
            result[r, c] = total
    return result


@pytest.mark.parametrize(
    "moves",
    [
        (30, 0, 0, 0, 1, 1),
        (0, 0.5, -1.25, 0, 1, 1),
        (0, 0, 0, 20, 1, 1),
        (0, 0, 0, 0, 0.7, 1.4),
        (-17, 1.5, 0.3, -12, 1.2, 0.9),
    ],
)
@pytest.mark.parametrize("size", [(5, 8), (8, 5), (1, 3)])
def test_formula(moves, size):
    image = picture(*size).astype(np.float64)
    np.testing.assert_allclose(
        sample(image, affine_matrix(size, *moves)), one_by_one(image, *moves), rtol=0, atol=1e-12
    )


def test_element_type_stays_and_nan_stays_where_it_is():
    image = picture(4, 4)
    image[1, 2] = np.nan
    found = sample(image, affine_matrix((4, 4), tx=1))
    assert found.dtype == np.float32
    assert np.argwhere(np.isnan(found[..., 0])).tolist() == [[0, 2]]


def test_unknown_fill_mode():
    with pytest.raises(
        ArgumentError, match="fill_mode must be one of 'nearest', 'reflect', 'wrap', 'constant'"
    ):
        sample(picture(2, 2), np.eye(3), "mirror")
