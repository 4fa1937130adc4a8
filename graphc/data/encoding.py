"""Small changes of arrays before training: classes as rows of zeros and a one, vectors of norm one."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir.errors import ArgumentError, DTypeError


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Class numbers as rows with a one at the class and zeros elsewhere.

    Args:
        x: whole numbers from 0, of any shape; a last axis of size 1 is left out.
        num_classes: the length of a row; the largest class and one when None.

    Returns:
        A float64 array of the shape of `x` and a further axis for the classes.

    Raises:
        DTypeError: `x` is not numbers, or not whole ones.
        ArgumentError: a class is negative or not below `num_classes`; `x` is empty and `num_classes` None.

    >>> to_categorical([0, 2]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    given = np.asarray(x)
    if given.size == 0 and num_classes is None:
        raise ArgumentError("x is empty: give num_classes")
    if given.dtype.kind not in "biuf" or not np.array_equal(given, np.floor(given)):
        raise DTypeError(f"class numbers are whole, but x holds {given.dtype} elements that are not")
    if given.ndim > 1 and given.shape[-1] == 1:
        given = given[..., 0]
    labels = given.astype(np.int64)
    classes = int(labels.max()) + 1 if num_classes is None else num_classes
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ArgumentError(
            f"class numbers go from {labels.min()} to {labels.max()}, outside 0 to {classes - 1}"
        )
    rows = np.zeros((*labels.shape, classes))
    np.put_along_axis(rows, labels[..., None], 1.0, axis=-1)
    return rows


def normalize(x: Any, axis: int = -1, order: float = 2) -> np.ndarray:
    """The vectors along `axis`, each divided by its norm; vectors of norm 0 stay.

    Args:
        x: an array.
        axis: along which the vectors lie.
        order: of the norm, as for `numpy.linalg.norm`.

    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    norm = np.linalg.norm(x, ord=order, axis=axis, keepdims=True)
    return x / np.where(norm == 0, 1, norm)
