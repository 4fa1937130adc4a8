"""What NumPy warns of for some values only is warned of in native calls too."""

from __future__ import annotations

import platform
import warnings
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.npjit.alarms import Alarm, raised

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="flags of x86")

GOOD = np.linspace(1, 2, 96).reshape(12, 8)
KINDS: dict[str, tuple[Any, float]] = {
    "overflow": (lambda x: 1 / (1 + np.exp(x)), 1000.0),
    "divide": (lambda x: (1 / x).sum(axis=0), 0.0),
    "invalid": (lambda x: np.sqrt(x) + x, -1.0),
    "product": (lambda x: x * x, 1e200),
    "log": (lambda x: -np.log(x).mean(), 0.0),
    "cast": (lambda x: (x * 2).astype(np.float32), 1e300),
    "difference": (lambda x: x - x.max(), np.inf),
    "ignored": (lambda x: np.maximum(x, 0) + x, np.nan),
    "silent": (lambda x: np.exp(-x), 1000.0),
}


def heard(f: Any, *args: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        f(*args)
    return [str(w.message) for w in found]


@pytest.mark.parametrize("kind", KINDS)
def test_warns_as_numpy(kind: str) -> None:
    f, bad = KINDS[kind]
    jitted, other = graphc.jit(f), GOOD.copy()
    other[2, 3] = bad
    for values in (GOOD, GOOD, other, GOOD, GOOD, GOOD, GOOD, other, GOOD, other):
        assert heard(jitted, values) == heard(f, values)
    assert jitted.recordings == 1


def test_draws_are_not_made_twice() -> None:
    def noise(x: np.ndarray) -> np.ndarray:
        return np.exp(x * 1000 + np.random.rand(8))

    jitted = graphc.jit(noise)
    for scale in (0.1, 0.1, 1.0, 0.1):
        np.random.seed(3)
        expected = heard(noise, GOOD * scale), np.random.rand()
        np.random.seed(3)
        assert (heard(jitted, GOOD * scale), np.random.rand()) == expected


def test_what_was_written_in_place_is_warned_of_from_the_next_call_on() -> None:
    def step(w: np.ndarray, x: np.ndarray) -> None:
        w -= 0.1 * np.exp(x)

    jitted, w = graphc.jit(step), np.zeros((12, 8))
    for _ in range(2):
        jitted(w, GOOD)
    assert any(heard(jitted, np.zeros((12, 8)), GOOD * 1000) for _ in range(2))
    assert heard(jitted, w, GOOD * 1000)


def test_as_an_error() -> None:
    f = KINDS["overflow"][0]
    jitted = graphc.jit(f)
    for _ in range(3):
        jitted(GOOD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="overflow encountered in exp"):
            jitted(GOOD * 1000)


def test_false_alarms_get_rare() -> None:
    calls = []
    alarm = Alarm(lambda args, kwargs: calls.append(args))
    assert not any(alarm.warns((), {}) for _ in range(100))
    assert len(calls) == 3


def test_flags_are_taken_down() -> None:
    ask = raised()
    assert ask is not None
    ask()
    assert not ask()


def test_small_integers_that_grow_too_large() -> None:
    def total(x: np.ndarray) -> Any:
        return x.sum(dtype=np.int8) + np.int8(100), x + x[0]

    jitted = graphc.jit(total)
    for last in (1, 1, 30, 2, 30, 30):
        x = np.array([1, 2, last], np.int8)
        assert heard(jitted, x) == heard(total, x)


def test_out_by_position() -> None:
    def rectified(x: np.ndarray) -> np.ndarray:
        y = x * 2
        return np.maximum(y, 0, y)

    jitted = graphc.jit(rectified)
    for _ in range(4):
        with pytest.warns(DeprecationWarning, match="positional"):
            np.testing.assert_array_equal(jitted(GOOD - 1.5), np.maximum(GOOD * 2 - 3, 0))
