"""`utils.to_categorical` and `utils.normalize`."""

import numpy as np
import pytest

from graphc import utils
from graphc.ir.errors import ArgumentError, DTypeError


@pytest.mark.parametrize(
    ("x", "classes", "shape"),
    [
        ([0, 1, 2, 1], None, (4, 3)),
        ([[0], [1]], 4, (2, 4)),
        ([[0, 1], [2, 0]], None, (2, 2, 3)),
        (np.array([2.0, 0.0]), 3, (2, 3)),
        (np.array(1, np.uint8), 2, (2,)),
        (np.zeros((0,), int), 5, (0, 5)),
        ([True, False], None, (2, 2)),
    ],
)
def test_to_categorical(x, classes, shape):
    rows = utils.to_categorical(x, classes)
    assert rows.shape == shape
    np.testing.assert_array_equal(rows.sum(-1), np.ones(shape[:-1]))
    np.testing.assert_array_equal(rows.argmax(-1).reshape(np.shape(x)), np.asarray(x))


@pytest.mark.parametrize(
    ("x", "classes", "error", "message"),
    [
        ([0, 3], 3, ArgumentError, "class numbers go from 0 to 3, outside 0 to 2"),
        ([-1, 0], None, ArgumentError, "class numbers go from -1 to 0, outside 0 to 0"),
        ([0.5], None, DTypeError, "class numbers are whole, but x holds float64"),
        ([np.nan], 2, DTypeError, "class numbers are whole"),
        (["a"], None, DTypeError, "class numbers are whole, but x holds <U1"),
        ([], None, ArgumentError, "x is empty: give num_classes"),
    ],
)
def test_to_categorical_errors(x, classes, error, message):
    with pytest.raises(error, match=message):
        utils.to_categorical(x, classes)


def test_normalize():
    x = np.array([[3.0, 0.0], [4.0, 0.0]])
    np.testing.assert_allclose(utils.normalize(x, axis=0), [[0.6, 0.0], [0.8, 0.0]])
    np.testing.assert_allclose(utils.normalize(x, order=1), [[1.0, 0.0], [1.0, 0.0]])
    assert utils.normalize(x.astype(np.float32)).dtype == np.float32
