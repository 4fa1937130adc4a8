"""Windows whose bounds move from call to call: one recording for many of them, right for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from npjit_harness import copy_tree, diff
from npjit_windows import PROGRAMS

import graphc
from graphc.npjit.choice import Choice
from graphc.npjit.known_sizes import Known

STARTS = [0, 3, 6, 10, -3, -12, -40, 40, 1, 5]


def data(dtype: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(12, 12)) * 3).astype(dtype)
    return {"x": x, "y": rng.integers(0, 4, 12), "w": rng.normal(size=(12, 4)).astype(np.float32)}


def outcome(f: Callable[..., Any], args: Any) -> Any:
    try:
        return f(*args)
    except Exception as e:
        return type(e), str(e)


@pytest.fixture(params=["native", "flat"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Calls are done natively, or by NumPy, without measuring."""
    if request.param == "native":
        monkeypatch.setattr(Known, "is_sure", True)
        monkeypatch.setattr(Choice, "_contenders", lambda self, times: [*self.ways][:1])
    else:
        monkeypatch.setattr(Choice, "__call__", lambda self, args, kwargs: self.fast.flat(args, kwargs))
    return str(request.param)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("f", PROGRAMS)
def test_moving_windows_are_those_of_python(f: Callable[..., Any], dtype: Any, way: str) -> None:
    fast, kept = graphc.jit(f), []
    for b in (3, 2):
        for start in STARTS:
            plain, compiled = data(dtype), data(dtype)
            expected, got = outcome(f, (plain, start, b)), outcome(fast, (compiled, start, b))
            assert diff(expected, got, "reduce") is None, (start, b)
            assert diff(plain, compiled, "reduce") is None, (start, b)
            kept.append((got, copy_tree(got)))
    for got, before in kept:
        assert diff(before, got, "reduce") is None


class Loader:
    """Gives batches one after the other."""

    def __init__(self, x: np.ndarray, size: int) -> None:
        self.x, self.size, self.pos, self.epochs = x, size, 0, 0
        self.order = np.random.default_rng(0).permutation(len(x))
        self.seen = np.zeros(len(x))

    def step(self, w: np.ndarray) -> Any:
        if self.pos >= len(self.x):
            self.pos, self.epochs = 0, self.epochs + 1
        batch = self.x[self.order[self.pos : self.pos + self.size]]
        self.seen[self.pos : self.pos + self.size] += batch[:, 0]
        self.pos += self.size
        w -= 0.01 * batch.mean(axis=0)
        return np.tanh(batch @ w).sum()


def test_an_epoch_has_a_recording_and_one_for_what_is_left_over() -> None:
    x = np.random.default_rng(1).normal(size=(50, 4))
    plain, compiled = Loader(x, 8), Loader(x, 8)
    w, v = np.ones(4), np.ones(4)
    step = graphc.jit(Loader.step)
    for _ in range(5 * 7):
        assert diff(plain.step(w), step(compiled, v), "reduce") is None
        assert diff(vars(plain), vars(compiled), "reduce") is None
    assert step.recordings <= 5  # first, moving, short, and around the end of an epoch


def test_batches_by_number_have_one_program() -> None:
    x, w = np.random.default_rng(1).normal(size=(64, 4)), np.ones(4)

    @graphc.jit
    def step(x: np.ndarray, w: np.ndarray, i: int, size: int) -> Any:
        part = x[i * size : (i + 1) * size]
        return np.tanh(part @ w).sum(), part.max(axis=0)

    for i in [*range(8), *range(8)]:
        assert diff(step.fn(x, w, i, 8), step(x, w, i, 8), "reduce") is None
    assert step.recordings == 2
    assert diff(step.fn(x, w, np.int32(3), 8), step(x, w, np.int32(3), 8), "reduce") is None
    assert diff(step.fn(x, w, True, 8), step(x, w, True, 8), "reduce") is None
    with pytest.raises(TypeError, match="slice indices must be integers"):
        step(x, w, 1.0, 8)
    with pytest.raises(TypeError, match="slice indices must be integers"):
        step(x, w, np.float64(2), 8)
    assert step.recordings <= 6


def test_a_slice_that_does_not_move_is_a_constant() -> None:
    @graphc.jit
    def gates(z: np.ndarray, h: int) -> Any:
        return np.tanh(z[:, :h]) * z[:, h : 2 * h]

    for h in (4, 4, 5, 5):
        z = np.ones((3, 2 * h))
        assert diff(gates.fn(z, h), gates(z, h), "reduce") is None
    assert gates.recordings == 2
    assert "range" not in gates.fast[2,][0].fast.flat.text


def test_a_buffer_is_not_copied_for_a_window() -> None:
    @graphc.jit
    def push(buffer: np.ndarray, losses: np.ndarray, x: np.ndarray, k: int) -> Any:
        buffer[k : k + 2] = np.tanh(x)
        losses[k] = x.sum()
        losses[k] *= 2
        return losses[k]

    plain, compiled = [(np.zeros((10, 3)), np.zeros(10)) for _ in range(2)]
    for k in (0, 2, 4, -1, -4, 9):
        x = np.full((1, 3), float(k))
        assert diff(push.fn(*plain, x, k), push(*compiled, x, k), "reduce") is None
        assert diff(plain, compiled, "reduce") is None
    assert push.recordings <= 5
    stores = [line for line in push.fast[4,][-2].fast.flat.text.splitlines() if "copyto(" in line]
    assert len(stores) == 2
    assert all("copyto(w" in line for line in stores)
    with pytest.raises(IndexError):
        push(*compiled, np.ones((1, 3)), 10)


def loss(w: np.ndarray, x: np.ndarray, k: int, b: int) -> Any:
    part = w[k : k + b]
    return (np.tanh(part * x[k : k + b]) ** 2).sum() + (w[k + 1 : k + b] * part[1:] ** 2).sum()


def stored(w: np.ndarray, x: np.ndarray, k: int, b: int) -> Any:
    z = np.zeros_like(w)
    z[k : k + b] = w[k : k + b] ** 2
    z[k : k + b] *= x[k : k + b]
    z[k + 1 : k + 1 + b] += w[k : k + b][: len(z[k + 1 : k + 1 + b])]
    return (z * z).sum() + z[k] * w[k]


@pytest.mark.parametrize("f", [loss, stored])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_through_moving_windows(f: Callable[..., Any], dtype: Any, way: str) -> None:
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(2, 12)).astype(dtype)
    first = graphc.value_and_grad(f, argnums=(0, 1))
    second = graphc.grad(lambda w, x, k, b: (graphc.grad(f)(w, x, k, b) ** 2).sum())
    tolerance = {"rtol": 1e-3, "atol": 1e-3} if dtype == np.float32 else {"rtol": 1e-6, "atol": 1e-7}
    for k in (0, 3, 6, 2, 10, 1, -3):
        fresh = graphc.value_and_grad(f, argnums=(0, 1))(w, x, k, 3)
        assert diff(fresh, first(w, x, k, 3), "reduce") is None
        again = graphc.grad(lambda w, x, k, b: (graphc.grad(f)(w, x, k, b) ** 2).sum())(w, x, k, 3)
        assert diff(again, second(w, x, k, 3), "reduce") is None
        if dtype == np.float64:
            graphc.check_grads(lambda w, x, k=k: f(w, x, k, 3), (w, x))
        value = first(w, x, k, 3)[0]
        np.testing.assert_allclose(value, f(w, x, k, 3), **tolerance)
    assert max(first.recordings, second.recordings) <= 4  # at first, moving, at the end, from the end


def listed(batches: list[Any], names: tuple[str, ...], k: int) -> Any:
    x, y = batches[k]
    x[0] += 1
    return np.tanh(x).sum(), x * y, names[k], [b[0].sum() for b in batches], batches[k - 1][0]


def put(batches: list[Any], names: tuple[str, ...], k: int) -> Any:
    first = batches[k]
    batches[k] = (first[0] * 2, first[1])
    batches[0][0][0] = 5
    return batches[k][0].sum(), batches[1][0] + 1


@pytest.mark.parametrize("f", [listed, put])
def test_elements_of_lists_by_numbers_that_move(f: Callable[..., Any], way: str) -> None:
    fast = graphc.jit(f)
    plain, compiled = [[(np.full(3, i + 1.0), i) for i in range(5)] for _ in range(2)]
    names = ("a", "a", "b", "a", "b")
    for k in [0, 1, 2, 3, 4, -1, 0, 3, 3, 2, 5, -6, 1]:
        args = [outcome(g, (d, names, k)) for g, d in ((f, plain), (fast, compiled))]
        assert diff(*args, "reduce") is None
        assert diff(plain, compiled, "reduce") is None


def test_batches_in_a_list_share_a_recording() -> None:
    @graphc.jit
    def step(batches: list[np.ndarray], w: np.ndarray, k: int) -> Any:
        x = batches[k]
        w -= 0.1 * x.mean(axis=0)
        return (x @ w).sum()

    batches = [*np.random.default_rng(0).normal(size=(12, 5, 3))]
    w, v = np.ones(3), np.ones(3)
    for k in range(12):
        assert diff(step.fn(batches, w, k), step(batches, v, k), "reduce") is None
    assert step.recordings == 2
    assert diff(w, v, "reduce") is None
