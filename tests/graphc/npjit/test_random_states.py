"""States of random streams: taken quickly, and put back exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc
from graphc.npjit import random_states

SOURCES = {
    "RandomState": lambda: np.random.RandomState(3),
    "Philox inside": lambda: np.random.RandomState(np.random.Philox(3)),
    **{
        name: lambda name=name: np.random.Generator(getattr(np.random, name)(3))
        for name in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
    },
}


def drawn(source: Any) -> list[Any]:
    integers = getattr(source, "integers", None) or source.randint
    return [source.standard_normal(), *source.standard_normal(3), int(integers(0, 99, dtype=np.int32))]


@pytest.mark.parametrize("known", [True, False], ids=["memory", "by NumPy"])
@pytest.mark.parametrize("name", SOURCES)
def test_streams_go_on_where_they_were(name: str, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not known:
        monkeypatch.setattr(random_states, "is_known", lambda *_: False)
    for before in range(4):
        source = SOURCES[name]()
        for _ in range(before):
            drawn(source)
        state = random_states.random_state(source)
        expected = [drawn(source) for _ in range(200)]
        random_states.restore(source, state)
        assert [drawn(source) for _ in range(200)] == expected


def test_the_common_streams_are_known() -> None:
    assert random_states.is_known(np.random.RandomState, np.random.MT19937)
    assert random_states.is_known(np.random.Generator, np.random.PCG64)


def test_a_call_that_fails_after_its_draws_draws_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def pick(x: np.ndarray, i: int) -> Any:
        noise = np.random.randn(x.size)
        y = x + noise
        return y[np.arange(3) + i] * 2

    f, x = graphc.jit(pick), np.ones(8)
    for i in [0] * 40 + [6, 1]:
        states = []
        for call in (pick, f):
            np.random.seed(i)
            np.random.randn()  # a second number of the pair is left
            try:
                result = call(x, i).tolist()
            except IndexError as e:
                result = str(e)
            states.append((result, np.random.randn(2).tolist()))
        assert states[0] == states[1]
