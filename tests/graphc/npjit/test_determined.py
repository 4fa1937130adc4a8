"""Values that known numbers decide are no data: where Python needs them there is no break."""

from collections.abc import Callable

import numpy as np
import pytest

import graphc

X = np.random.default_rng(5).normal(size=(6, 4, 2))


def flattened(x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[0], np.prod(x.shape[1:])) * 2


def in_steps(x: np.ndarray) -> list[np.ndarray]:
    return [x[i : min(i + 4, len(x))].sum(axis=0) for i in np.arange(0, len(x), 4)]


def between(x: np.ndarray) -> float:
    ends = np.cumsum([2, 1, 3])
    return sum(x[a:b].mean() for a, b in zip(np.r_[0, ends], ends))


def padded(x: np.ndarray) -> np.ndarray:
    size = np.array(x.shape) + np.array([2, 0, 2])
    big = np.zeros(size)
    big[1:-1, :, 1:-1] = x
    return big


def counted(x: np.ndarray) -> np.ndarray:
    return np.arange(np.prod(np.array(x.shape))).reshape(x.shape) + x


def along(x: np.ndarray) -> np.ndarray:
    return x.sum(axis=tuple(np.arange(1, x.ndim))) / x.sum(axis=int(np.argmin(x.shape))).size


def listed(x: np.ndarray) -> np.ndarray:
    kept = np.arange(3).tolist()
    kept.append(5)
    return x[kept]


@pytest.mark.parametrize("fn", [flattened, in_steps, between, padded, counted, along, listed])
def test_no_break(fn: Callable[[np.ndarray], object]) -> None:
    fast = graphc.jit(fn)
    for k in (2.0, 3.0, 4.0):
        for made, wanted in zip(np.atleast_1d(fast(X * k)), np.atleast_1d(fn(X * k)), strict=True):
            np.testing.assert_allclose(made, wanted, rtol=1e-12)
            assert np.asarray(made).dtype == np.asarray(wanted).dtype
    assert "break" not in fast.explain()
    assert fast.hits == 2


def test_numbers_that_decide_are_guarded() -> None:
    def parts(x: np.ndarray, every: int) -> list[float]:
        return [x[i : i + every].sum() for i in np.arange(0, len(x), every)]

    fast = graphc.jit(parts)
    x = np.arange(12.0)
    for every in (3, 3, 4, 3, 5):
        assert fast(x, every) == pytest.approx(parts(x, every))
    assert "break" not in fast.explain()


def test_what_data_decide_stays_a_break() -> None:
    def drawn(x: np.ndarray) -> np.ndarray:
        order = np.arange(len(x))
        order[0] = x[0] > 0
        return x[: order[0] + 1]

    fast = graphc.jit(drawn)
    for x in (np.ones(4), -np.ones(4), np.ones(4)):
        np.testing.assert_array_equal(fast(x), drawn(x))
    assert "an index from data" in fast.explain()


def test_a_product_of_sizes_keeps_the_batch_symbolic() -> None:
    def rows(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        flat = x.reshape(-1, np.prod(x.shape[1:]))
        return (flat @ w).reshape(np.prod((len(x), 2)), -1)

    fast = graphc.jit(rows)
    w = np.random.default_rng(0).normal(size=(8, 6))
    for n in (3, 5, 7, 4, 9, 3):
        x = np.random.default_rng(n).normal(size=(n, 4, 2))
        np.testing.assert_allclose(fast(x, w), rows(x, w), rtol=1e-12)
    assert fast.recordings == 2
    assert type(graphc.jit(lambda x: np.prod(x.shape))(np.ones((3, 2)))) is np.int64


def test_limits_of_types_are_constants() -> None:
    def clipped(x: np.ndarray) -> tuple[object, ...]:
        eps = np.finfo(x.dtype).eps
        return np.clip(x, eps, 1 - eps), np.iinfo(np.int16).max + 0.5, np.finfo(float).tiny

    fast = graphc.jit(clipped)
    for dtype in (np.float32, np.float64, np.float32, np.float64):
        x = np.array([0, 0.5, 1], dtype)
        for made, wanted in zip(fast(x), clipped(x), strict=True):
            np.testing.assert_array_equal(made, wanted)
            assert np.asarray(made).dtype == np.asarray(wanted).dtype
    assert "break" not in fast.explain()


def test_sizes_of_lists_and_of_axes() -> None:
    def sizes(xs: list[np.ndarray]) -> tuple[object, ...]:
        total = np.zeros(np.size(xs, 0))
        rows = np.size(xs[0], (0, 1)), np.size(xs[0], None), np.size(xs[0], -1)
        return total, rows, np.shape([[1, 2], [3, xs[0][0, 0]]]), np.ndim(xs), np.size(3)

    fast = graphc.jit(sizes)
    for n in (2, 3, 2, 4):
        xs = [np.ones((n, 3))] * n
        assert repr(fast(xs)) == repr(sizes(xs))
    assert "break" not in fast.explain()
    with pytest.raises(IndexError):
        graphc.jit(lambda x: np.size(x, 5))(np.ones(3))
