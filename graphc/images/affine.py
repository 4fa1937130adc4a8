"""Affine maps of images: rotation, shift, shear and zoom in one, sampled bilinearly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphc.images.pillow import choice

# Closer to a pixel than this is on it: what cosines of right angles leave over must not blend pixels.
SNAP = 1e-9


def affine_matrix(
    size: tuple[int, int],
    theta: float = 0.0,
    tx: float = 0.0,
    ty: float = 0.0,
    shear: float = 0.0,
    zx: float = 1.0,
    zy: float = 1.0,
) -> np.ndarray:
    """From the (row, column, 1) of a pixel of the result to the place in the image that it shows, 3 x 3.

    The product of rotation, shift, shear and zoom, in this order, around the middle: the convention of
    Keras's `apply_affine_transform`.

    Args:
        size: (rows, columns).
        theta: degrees of rotation.
        tx, ty: rows and columns of shift.
        shear: degrees of shear.
        zx, zy: zoom of rows and columns; more than 1 shows more of what is around, smaller.

    >>> affine_matrix((5, 5), tx=2).tolist()
    [[1.0, 0.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    turn, slant = np.deg2rad(theta), np.deg2rad(shear)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    sheared = np.array([[1, -np.sin(slant), 0], [0, np.cos(slant), 0], [0, 0, 1]])
    matrix = rotation @ _shift(tx, ty) @ sheared @ np.diag([zx, zy, 1.0])
    row, column = (size[0] - 1) / 2, (size[1] - 1) / 2
    return _shift(row, column) @ matrix @ _shift(-row, -column)


def _shift(rows: float, columns: float) -> np.ndarray:
    return np.array([[1, 0, rows], [0, 1, columns], [0, 0, 1.0]])


def sample(
    image: np.ndarray, matrix: np.ndarray, fill_mode: str = "nearest", cval: float = 0.0
) -> np.ndarray:
    """The image seen through an affine map: each pixel is blended of the four around its place.

    Args:
        image: floats of shape (rows, columns, channels).
        matrix: of `affine_matrix`.
        fill_mode: what lies outside: "nearest" aaaa|abcd|dddd, "reflect" dcba|abcd|dcba, "wrap"
            abcd|abcd|abcd, "constant" `cval`.
        cval: the value outside for "constant".

    Raises:
        ArgumentError: an unknown fill mode.

    >>> image = np.arange(4.0).reshape(4, 1, 1)
    >>> sample(image, affine_matrix((4, 1), tx=0.5))[:, 0, 0].tolist()
    [0.5, 1.5, 2.5, 3.0]
    """
    inside = FILL_MODES[choice(fill_mode, FILL_MODES, "fill_mode")]
    rows, columns = image.shape[:2]
    r, c = np.ogrid[:rows, :columns]
    places = [_snapped(m[0] * r + m[1] * c + m[2]) for m in matrix[:2]]
    (top, bottom, down), (left, right, across) = (
        _around(place, size, inside, image.dtype) for place, size in zip(places, (rows, columns))
    )
    # Rows of one long list of pixels: `take` gathers them in half the time of indexing by two arrays.
    pixels = image.reshape(rows * columns, -1)
    top, bottom = top * columns, bottom * columns
    upper = _blended(pixels.take(top + left, 0), pixels.take(top + right, 0), across)
    lower = _blended(pixels.take(bottom + left, 0), pixels.take(bottom + right, 0), across)
    result = _blended(upper, lower, down)
    if fill_mode == "constant":
        outside = (places[0] < 0) | (places[0] > rows - 1) | (places[1] < 0) | (places[1] > columns - 1)
        result[outside] = cval
    return result


def _blended(first: np.ndarray, second: np.ndarray, far: np.ndarray) -> np.ndarray:
    """From the first to the second, `far` of the way; both arrays are used up."""
    first *= 1 - far
    second *= far
    first += second
    return first


def _snapped(place: np.ndarray) -> np.ndarray:
    whole = np.round(place)
    return np.where(np.abs(place - whole) < SNAP, whole, place)


Inside = Callable[[np.ndarray, int], np.ndarray]


def _around(
    place: np.ndarray, size: int, inside: Inside, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels before and after each place along one axis, and how far it is from the one to the other."""
    before = np.floor(place)
    # On a pixel both are the same, so that a neighbour which is NaN does not reach it.
    after = np.ceil(place)
    far = (place - before).astype(dtype)[..., None]
    return inside(before.astype(np.int64), size), inside(after.astype(np.int64), size), far


def _nearest(index: np.ndarray, size: int) -> np.ndarray:
    return np.clip(index, 0, size - 1)


def _reflect(index: np.ndarray, size: int) -> np.ndarray:
    index = index % (2 * size)
    return np.minimum(index, 2 * size - 1 - index)


def _wrap(index: np.ndarray, size: int) -> np.ndarray:
    return index % size


FILL_MODES: dict[str, Inside] = {
    "nearest": _nearest,
    "reflect": _reflect,
    "wrap": _wrap,
    "constant": _nearest,
}
