import numpy as np
import pytest

from graphc.codegen.numba_products import product


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1"])
@pytest.mark.parametrize("shape", [(5, 37, 11), (1, 1, 1), (3, 4, 0), (0, 4, 2), (4, 0, 2), (70, 70, 400)])
@pytest.mark.parametrize("turned", [False, True])
def test_product_of_views_with_bias_and_floor(dtype, shape, turned):
    rng = np.random.default_rng(0)
    m, n, k = shape
    a, b = (rng.integers(-9, 9, s).astype(dtype) for s in ((m, k), (k, n)))
    bias, c = rng.integers(-9, 9, n).astype(dtype), np.zeros((m, n), dtype)
    left = (np.ascontiguousarray(a.T).reshape(-1), 0, 1, m) if turned else (a.reshape(-1), 0, k, 1)
    with np.errstate(all="ignore"):
        expected = np.maximum(bias + a @ b, np.array(2, dtype))
    product(left, (b.reshape(-1), 0, n, 1), (c.reshape(-1), 0, n, 1), (bias, 0, 0, 1), (m, n, k), 1, 2)
    np.testing.assert_array_equal(c, expected)


def test_product_onto_itself_with_a_factor_and_an_offset():
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(6, 5)), rng.normal(size=(5, 4)), rng.normal(size=(8, 4))
    expected = c.copy()
    expected[2:] -= 0.5 * (a @ b)
    whole = (c.reshape(-1), 8, 4, 1)
    product((a.reshape(-1), 0, 5, 1), (b.reshape(-1), 0, 4, 1), whole, whole, (6, 4, 5), -0.5, None)
    np.testing.assert_allclose(c, expected, rtol=1e-14)
