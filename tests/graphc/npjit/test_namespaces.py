"""`vars(x)` and `x.__dict__` are read without a break; written in one way and read in the other, with one."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc


class Layer:
    def __init__(self) -> None:
        self.w, self.b, self.count, self.names = np.ones((3, 3)), np.zeros(3), 0, ("w", "b")

    def weights(self) -> Iterator[np.ndarray]:
        for name in self.names:
            yield self.__dict__[name]

    def total(self) -> Any:
        return sum(v.sum() for v in vars(self).values() if isinstance(v, np.ndarray))


def descend(layer: Layer, g: float) -> Any:
    for p in layer.weights():
        p -= g
    return layer.w.sum()


def summed(layer: Layer, g: float) -> Any:
    return layer.total() * g


def rebound_before(layer: Layer, g: float) -> Any:
    layer.w = layer.w + g
    return layer.total() + layer.__dict__["w"].sum()


def rebound_after(layer: Layer, g: float) -> Any:
    before = layer.__dict__["w"].sum()
    layer.w = layer.w + g
    return before + layer.__dict__["w"].sum() + layer.w.sum()


def stored_as_an_item(layer: Layer, g: float) -> Any:
    layer.__dict__["w"] = layer.__dict__["w"] * g
    return layer.w.sum()


def both_ways(layer: Layer, g: float) -> Any:
    own = layer.__dict__
    own["count"] = own["count"] + 1
    layer.count += 1
    layer.extra = g * 2  # type: ignore[attr-defined]
    return own["count"] * g + own["extra"] + layer.total()


@pytest.mark.parametrize(
    ("fn", "reads_only"),
    [
        (descend, True),
        (summed, True),
        (rebound_before, False),
        (rebound_after, False),
        (stored_as_an_item, False),
        (both_ways, False),
    ],
)
def test_attributes_as_a_dict(fn: Callable[[Layer, float], Any], reads_only: bool) -> None:
    fast = graphc.jit(fn)
    plain, mine = Layer(), Layer()
    for i in range(4):
        assert fast(mine, i + 1.0) == fn(plain, i + 1.0)
        assert list(vars(mine)) == list(vars(plain))
        assert mine.count == plain.count
        np.testing.assert_array_equal(mine.w, plain.w)
        np.testing.assert_array_equal(mine.b, plain.b)
    assert ("attributes as a dict" not in fast.explain()) == reads_only
