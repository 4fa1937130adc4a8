"""Calls of the standard library that recorded code goes through without a break."""

import itertools

import numpy as np
import pytest

import graphc


class Scaled:
    def __init__(self, w: np.ndarray) -> None:
        self.w, self.steps = w, 0

    def fit(self, x: np.ndarray) -> np.ndarray:
        self.steps += 1
        self.w = self.w * x.sum()
        return self.w

    @property
    def doubled(self) -> np.ndarray:
        return self.w * 2


class Weighted(Scaled):
    def __init__(self, w: np.ndarray, k: float) -> None:
        super(Weighted, self).__init__(w)  # noqa: UP008
        self.k = k

    def fit(self, x: np.ndarray) -> np.ndarray:
        return super(Weighted, self).fit(x * self.k) + super(Weighted, self).doubled  # noqa: UP008


class Skipping(Weighted):
    def fit(self, x: np.ndarray) -> np.ndarray:
        return super(Weighted, self).fit(x) * Weighted.fit(self, x)


@pytest.mark.parametrize("cls", [Weighted, Skipping])
def test_super_with_its_arguments(cls: type[Weighted]) -> None:
    fast = graphc.jit(cls.fit)
    plain, mine = cls(np.ones(3), 2.0), cls(np.ones(3), 2.0)
    for i in range(4):
        x = np.arange(3.0) + i
        np.testing.assert_allclose(fast(mine, x), plain.fit(x), rtol=1e-14)
        np.testing.assert_allclose(mine.w, plain.w, rtol=1e-14)
        assert mine.steps == plain.steps
    assert fast.recordings == 1


def test_an_object_whose_class_calls_super_is_made_in_the_call() -> None:
    fast = graphc.jit(lambda x: Weighted(x, 3.0).fit(x))
    for i in range(3):
        x = np.ones(3) * i
        np.testing.assert_allclose(fast(x), Weighted(x, 3.0).fit(x))
    assert "break" not in fast.explain()


def test_combinations_with_replacement() -> None:
    def features(x: np.ndarray) -> np.ndarray:
        chosen = [c for d in range(3) for c in itertools.combinations_with_replacement(range(x.shape[1]), d)]
        out = np.empty((len(x), len(chosen)))
        for i, c in enumerate(chosen):
            out[:, i] = np.prod(x[:, c], axis=1)
        return out

    fast = graphc.jit(features)
    for k in range(3):
        x = np.random.default_rng(k).normal(size=(5, 3))
        np.testing.assert_allclose(fast(x), features(x), rtol=1e-14)
    assert "break" not in fast.explain()
