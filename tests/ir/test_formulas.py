"""Formulas that run on arrays and on a builder's values alike."""

import numpy as np
import pytest

from graphc.ir.errors import ArgumentError
from graphc.ir.formulas import ARRAYS, on_arrays


def test_numbers_are_weak_and_attributes_have_their_defaults():
    x = np.array([1.0, -2.0], np.float32)
    assert ARRAYS.select(x > 0, 1, x).dtype == np.float32
    assert ARRAYS.power(2.0, x).dtype == np.float32
    assert ARRAYS.constant(3, "u8").dtype == np.uint8
    np.testing.assert_array_equal(ARRAYS.cast(x, dtype="i32"), [1, -2])
    np.testing.assert_array_equal(ARRAYS.matmul(np.eye(2), np.eye(2) * 2, transpose_b=True), np.eye(2) * 2)


def test_on_arrays_makes_an_evaluator():
    np.testing.assert_array_equal(
        on_arrays(lambda b, x, k: b.maximum(x, 0) * k)(np.array([-1.0, 2]), k=3), [0, 6]
    )


def test_an_unknown_op_is_named():
    with pytest.raises(ArgumentError, match="there is no op 'reluu'; did you mean relu"):
        ARRAYS.reluu(np.ones(2))
