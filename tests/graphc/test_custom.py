"""Operations of the user's own: traced, compiled by Numba, or opaque; values, gradients, errors."""

import math

import numpy as np
import pytest

import graphc
from graphc import Input, Model
from graphc.ir.errors import DTypeError

X = np.array([[-2.0, -0.5], [0.25, 3.0]], "f4")


def model_of(function):
    x = Input((2,))
    return Model(x, function(x))


def gradient(function, x=X):
    dx, _ = graphc.vjp(model_of(function))(x, np.ones_like(x))
    return dx[0]


def test_a_formula_is_traced_and_differentiated():
    @graphc.op
    def softsign(x):
        return x / (1 + abs(x))

    expected = X / (1 + np.abs(X))
    np.testing.assert_allclose(softsign(X), expected, rtol=1e-6)
    got = graphc.compile(model_of(softsign))(X)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient(softsign), 1 / (1 + np.abs(X)) ** 2, rtol=1e-5)


def test_a_body_with_branches_and_math_is_compiled_by_numba():
    @graphc.op
    def bent(x):
        if x > 0:
            return math.log1p(x)
        return x / 2

    expected = np.where(X > 0, np.log1p(np.maximum(X, 0)), X / 2)
    np.testing.assert_allclose(bent(X), expected, rtol=1e-6)
    f = graphc.compile(model_of(bent))
    np.testing.assert_allclose(f(X), expected, rtol=1e-6)
    with pytest.raises(DTypeError) as caught:
        gradient(bent)
    assert str(caught.value).startswith(
        "the operation 'bent' has no gradient: its body can't be traced.\n"
        "  fix     give one, with @graphc.op(vjp=...), or write it without branches, loops and math.*."
    )


def test_a_compiled_body_with_a_gradient_of_its_own():
    @graphc.op(vjp=lambda x, out, ct: ct * np.where(x > 0, 1 / (1 + x), 0.5))
    def bent(x):
        return math.log1p(x) if x > 0 else x / 2

    expected = np.where(X > 0, 1 / (1 + np.maximum(X, 0)), 0.5)
    np.testing.assert_allclose(gradient(bent), expected, rtol=1e-5)


def test_a_function_of_arrays_runs_between_kernels():
    @graphc.op(infer=lambda x: (x.shape, x.dtype), vjp=lambda x, out, ct: np.flip(ct, 1) * 3)
    def turned(x):
        return np.flip(x, 1) * 3

    np.testing.assert_array_equal(turned(X), np.flip(X, 1) * 3)
    f = graphc.compile(model_of(lambda x: turned(x * 2) + 1))
    np.testing.assert_array_equal(f(X), np.flip(X, 1) * 6 + 1)
    np.testing.assert_array_equal(gradient(lambda x: turned(x * 2)), np.full((2, 2), 6, "f4"))
