"""Functions that are made anew for each call: guarded by their code, what they close over is read anew."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from npjit_harness import diff

import graphc


def apply(f: Callable[..., Any], x: np.ndarray) -> Any:
    return f(x) + f(x * 2)


def scaled(rate: Any, bias: Any) -> Callable[..., Any]:
    return lambda x: np.tanh(x) * rate + bias


def test_lambdas_of_one_code_have_one_recording() -> None:
    fast, x = graphc.jit(apply), np.arange(4.0)
    for i in range(20):
        bias = np.full(4, float(i))
        assert diff(apply(scaled(i * 0.1, bias), x), fast(scaled(i * 0.1, bias), x), "reduce") is None
    assert fast.recordings == 2
    assert diff(apply(scaled(2, x), x), fast(scaled(2, x), x), "reduce") is None
    assert diff(apply(lambda z: z - 1, x), fast(lambda z: z - 1, x), "reduce") is None
    assert diff(apply(np.sin, x), fast(np.sin, x), "reduce") is None


def counting(start: int) -> tuple[Callable[..., Any], Callable[[], int]]:
    count = start

    def up(x: np.ndarray) -> Any:
        nonlocal count
        count += 1
        return x * count

    return up, lambda: count


def both(f: Callable[..., Any], g: Callable[..., Any], x: np.ndarray) -> Any:
    return f(x), g(x), f(x) + g(x)


def test_variables_that_are_stored_belong_to_the_function_that_comes() -> None:
    fast, x = graphc.jit(both), np.ones(3)
    for shared in [True, False, True, True, False, False, True, False]:
        found = []
        for run in (both, fast):
            f, of_f = counting(3)
            g, of_g = (f, of_f) if shared else counting(10)
            found.append((run(f, g, x), of_f(), of_g()))
        assert diff(*found, "reduce") is None


def pair(w: np.ndarray, one: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Two functions that share their variable, or do not."""

    def make(v: np.ndarray) -> tuple[Callable[..., Any], Callable[..., Any]]:
        def put(x: np.ndarray) -> Any:
            nonlocal v
            v = v + x
            return v

        return put, lambda x: v * x

    put, get = make(w)
    return (put, get) if one else (put, make(w)[1])


def test_functions_that_share_a_variable_or_not() -> None:
    fast, x = graphc.jit(both), np.ones(3)
    for one in [True, True, True, False, False, False, True, False, True, True]:
        found = [run(*pair(np.arange(3.0), one), x) for run in (both, fast)]
        assert diff(*found, "reduce") is None


def test_a_variable_of_the_function_itself() -> None:
    rate = 2.0

    def step(f: Callable[..., Any], x: np.ndarray) -> Any:
        return f(x) * rate

    def other(rate: float) -> Callable[..., Any]:
        return lambda x: x + rate

    def own() -> Callable[..., Any]:
        return lambda x: x + rate

    fast, x = graphc.jit(step), np.ones(3)
    for f in [own(), own(), own(), other(5.0), other(7.0), own(), other(1.0)]:
        assert diff(step(f, x), fast(f, x), "reduce") is None
    rate = 4.0
    for f in [own(), other(5.0), own()]:
        assert diff(step(f, x), fast(f, x), "reduce") is None


def test_defaults_and_keywords_are_those_of_the_function_that_comes() -> None:
    def with_defaults(a: float, b: np.ndarray) -> Callable[..., Any]:
        return lambda x, a=a, *, b=b: x * a + b

    fast, x = graphc.jit(apply), np.ones(3)
    for i in range(6):
        f = with_defaults(float(i), np.full(3, i * 2.0))
        if i == 4:
            f.__defaults__ = (7.0,)
        assert diff(apply(f, x), fast(f, x), "reduce") is None
    assert fast.recordings == 2
    f = with_defaults(1.0, x)
    f.__defaults__ = None
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        fast(f, x)


class Net:
    def __init__(self, act: Callable[..., Any]) -> None:
        self.act, self.acts = act, [scaled(2.0, 1.0), act]


def through(net: Net, x: np.ndarray) -> Any:
    for act in net.acts:
        x = act(x)
    return net.act(x), net.act is net.acts[1], net.acts[0] is net.act


def test_functions_in_objects_and_lists() -> None:
    fast, x = graphc.jit(through), np.ones(3)
    for i in range(8):
        net = Net(scaled(float(i), x * i))
        if i == 5:
            net.acts[1] = scaled(1.0, 2.0)
        if i == 6:
            net.acts[0] = net.act
        assert diff(through(net, x), fast(net, x), "reduce") is None
    assert fast.recordings <= 4


def test_gradients_of_functions_made_for_each_call() -> None:
    def loss(w: np.ndarray, f: Callable[..., Any]) -> Any:
        return (f(w) ** 2).sum()

    fast, w = graphc.value_and_grad(loss), np.arange(3.0)
    for i in range(6):
        value, gradient = fast(w, scaled(float(i), w * 1.0))
        inner = np.tanh(w) * i + w
        np.testing.assert_allclose(value, (inner**2).sum())
        np.testing.assert_allclose(gradient, 2 * inner * i * (1 - np.tanh(w) ** 2), atol=1e-12)
    assert fast.recordings == 2


class Part:
    """Knows the whole that it belongs to, and does not keep it."""

    def __init__(self, whole: Any) -> None:
        self.whole = weakref.ref(whole)

    def step(self, x: np.ndarray) -> Any:
        whole = self.whole()
        if whole is None:
            return x
        whole.count += 1
        return x * whole.rate + weakref.ref(whole)().count


class Whole:
    def __init__(self, rate: float) -> None:
        self.rate, self.count = rate, 0


def test_weak_references_are_no_breaks() -> None:
    wholes = [Whole(2.0), Whole(3.0)]
    parts, fast, x = [Part(w) for w in wholes], graphc.jit(Part.step), np.ones(3)
    for i in range(8):
        wholes[i % 2].rate += 1
        expected = x * wholes[i % 2].rate + wholes[i % 2].count + 1
        assert diff(expected, fast(parts[i % 2], x), "reduce") is None
    assert [w.count for w in wholes] == [4, 4]
    assert fast.recordings == 1
    alone = Part(Whole(1.0))
    assert alone.whole() is None
    assert fast(alone, x) is x
