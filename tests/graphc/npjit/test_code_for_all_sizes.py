"""Code for all sizes: NumPy's values at each, and neither sizes nor lengths of loops compile again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from npjit_harness import copy_tree, diff

import graphc
from graphc.npjit.function import Jit
from graphc.npjit.known_sizes import Known

SIZES = (8, 5, 5, 2, 3, 7, 33, 40, 1, 0, 12, 5, 8)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code is taken without measuring, and every length of a loop is recorded when it comes."""
    monkeypatch.setattr(Known, "is_sure", True)
    monkeypatch.setattr(Known, "waits", lambda *_: False)


def rows(n: int, width: int = 4) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, width))


def reshapes(x: np.ndarray) -> Any:
    return x.reshape(-1) * 2, x.reshape(len(x), -1).sum(1), x.reshape(-1, 2).sum(0), x.T.reshape(-1)


def slices(x: np.ndarray) -> Any:
    half = len(x) // 2
    return x[1:] - x[:-1], x[-1] * 2, x[::2].sum(0), x[::-1] + 1, x[half:].sum(0), x[:half] * 2, x[2:-1].sum()


def joins(x: np.ndarray) -> Any:
    wide = np.hstack([x, x * 2])
    return (
        np.concatenate([x, x[:1], wide[:, :4]]),
        np.vstack([wide, wide]),
        np.tile(x, (2, 1)) + 1,
        np.roll(x, 1),
    )


def broadcasts(x: np.ndarray) -> Any:
    z = (x - x.mean(axis=0, keepdims=True)) / (x.std(axis=0, keepdims=True) + 1)
    return z, x[:, None, :] - x[None, :, :], x + np.ones((1, 4)), np.broadcast_to(x.sum(0), x.shape) * z


def squares(x: np.ndarray) -> Any:
    scores = np.tril(x @ x.T) / np.sqrt(x.shape[1])
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (
        e / e.sum(axis=-1, keepdims=True) @ x,
        np.trace(scores),
        np.einsum("ij,kj->ik", x, x),
        np.eye(len(x)) * 2,
    )


def stores(x: np.ndarray) -> Any:
    y, z = np.zeros_like(x), np.zeros((len(x), 6))
    y[1:] = x[:-1]
    y[0] = 1
    z[:, 1:5] = x
    z[:, 0] = np.arange(len(x))
    x[x > 1] = 0
    k = np.argmax(x, axis=1)
    y[np.arange(len(x)), k] += 1
    return y, z, k, len(x) * x.shape[1], x.sum() / len(x)


@pytest.mark.parametrize("f", [reshapes, slices, joins, broadcasts, squares, stores])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_at_every_size(f: Callable[..., Any]) -> None:
    jitted = graphc.jit(f)
    for n in SIZES:
        plain, mine = rows(n), rows(n)
        expected = outcome(f, plain)
        assert diff([expected, plain], [outcome(jitted, mine), mine]) is None, n
    assert "native code is the fastest" in jitted.explain()


def outcome(f: Callable[..., Any], *args: Any) -> Any:
    try:
        return f(*args)
    except (ValueError, IndexError, ZeroDivisionError) as e:
        return type(e).__name__, str(e)


class Net:
    """A layer with a hand-written step."""

    def __init__(self) -> None:
        r = np.random.default_rng(0)
        self.params = {"w": r.normal(size=(4, 5)), "v": r.normal(size=(5, 1))}
        self.seen, self.hidden = 0, np.zeros(0)

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        w, v = self.params["w"], self.params["v"]
        self.hidden = h = np.maximum(x @ w, 0)
        d = 2 * (h @ v - y) / len(x)
        gv, dh = h.T @ d, (d @ v.T) * (h > 0)
        w -= 0.01 * x.T @ dh
        v -= 0.01 * gv
        self.seen += len(x)
        return float(np.mean((h @ v - y) ** 2))


def compiles() -> int:
    return int(graphc.stats()["compiles"])


def test_methods_compile_nothing_for_other_sizes() -> None:
    net, plain = Net(), Net()
    step = graphc.jit(net.step)
    counts = []
    for n in (8, 8, 5, 5, *range(2, 41)):
        x, y = rows(n), rows(n, 1)
        assert diff(plain.step(x, y), step(x, y)) is None
        assert diff(vars(plain), vars(net)) is None
        counts.append(compiles())
    assert counts[3] - counts[0] == 2
    assert counts[-1] == counts[3]
    assert step.recordings == 2


def loss(p: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> Any:
    z = np.tanh(x @ p["w"]) @ p["v"]
    z = z - z.max(axis=1, keepdims=True)
    return -np.mean(z[np.arange(len(y)), y] - np.log(np.exp(z).sum(axis=1)))


def test_gradients_compile_nothing_for_other_sizes() -> None:
    f, counts = graphc.value_and_grad(loss), []
    p = {"w": rows(4, 5), "v": rows(5, 3)}
    for n in (8, 8, 5, 5, *range(2, 41)):
        x, y = rows(n), np.arange(n) % 3
        value, g = f(p, x, y)
        assert np.isclose(value, loss(p, x, y), rtol=1e-12)
        assert np.allclose(g["w"], slope(p, "w", x, y), atol=1e-6)
        counts.append(compiles())
    assert counts[-1] == counts[3]
    assert f.recordings == 2


def slope(p: dict[str, np.ndarray], name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    found = np.zeros_like(p[name])
    for i in np.ndindex(found.shape):
        moved = {k: v.copy() for k, v in p.items()}
        moved[name][i] += 1e-6
        found[i] = (loss(moved, x, y) - loss(p, x, y)) / 1e-6
    return found


def test_sizes_that_were_equal_may_differ_later() -> None:
    def both(x: np.ndarray, y: np.ndarray) -> Any:
        return np.concatenate([x, y * 2]), x.sum(0) * y.sum(0), len(x) * len(y)

    f = graphc.jit(both)
    for n, m in (
        (8, 8),
        (5, 5),
        (5, 5),
        (5, 7),
        (5, 7),
        (9, 4),
        (9, 4),
        (6, 6),
        (3, 2),
        (2, 3),
        (4, 1),
        (11, 30),
    ):
        assert diff(both(rows(n), rows(m)), f(rows(n), rows(m))) is None
    before = f.recordings
    for n in range(2, 12):
        assert diff(both(rows(n), rows(3 * n)), f(rows(n), rows(3 * n))) is None
    assert f.recordings == before


def test_several_sizes_at_once() -> None:
    def product(x: np.ndarray, y: np.ndarray) -> Any:
        return np.tanh(x @ y), (x[:, :, None] * y[None]).sum(axis=1), x.size + y.size, np.outer(x[:, 0], y[0])

    f = graphc.jit(product)
    for n, k, m in ((4, 5, 6), (7, 8, 9), (7, 8, 9), (2, 3, 4), (6, 5, 4), (9, 9, 9), (3, 1, 3), (10, 2, 5)):
        x, y = rows(n, k), rows(k, m)
        assert diff(product(x, y), f(x, y)) is None, (n, k, m)


def test_sizes_that_code_is_not_for_are_done_by_numpy() -> None:
    def pairs(x: np.ndarray) -> Any:
        return x.reshape(-1, 3) * 2, x[4] + x[-2]

    f = graphc.jit(pairs)
    for n in (6, 9, 9, 12, 15, 6):
        assert diff(pairs(rows(n)), f(rows(n))) is None
    for n in (7, 3):
        with pytest.raises((ValueError, IndexError)) as mine:
            f(rows(n))
        with pytest.raises(mine.type) as plain:
            pairs(rows(n))
        assert str(mine.value) == str(plain.value)


def recurrent(xs: np.ndarray, w: np.ndarray, u: np.ndarray) -> Any:
    h, hs, total = np.zeros(w.shape[1]), {}, 0.0
    for t in range(len(xs)):
        h = np.tanh(xs[t] @ w + h @ u)
        hs[t] = h
    dw, d = np.zeros_like(w), np.zeros_like(h)
    for t in reversed(range(len(xs))):
        total += (hs[t] ** 2).sum()
        d = (1 - hs[t] ** 2) * (hs[t] + d @ u.T)
        dw += np.outer(xs[t], d)
    w -= 0.1 * dw
    return total, h


def characters(inputs: list[int], w: np.ndarray, u: np.ndarray) -> Any:
    h, total = np.zeros((len(u), 1)), 0.0
    for i in inputs:
        x = np.zeros((w.shape[1], 1))
        x[i] = 1
        h = np.tanh(w @ x + u @ h)
        total += h[i % 3, 0]
    return total, h


def epochs(x: np.ndarray, y: np.ndarray, count: int) -> Any:
    w = np.zeros(x.shape[1])
    for _ in range(count):
        w = w - 0.1 * x.T @ (1 / (1 + np.exp(-(x @ w))) - y) / len(x)
    return w


CASES: dict[str, tuple[Callable[..., Any], Callable[[int], tuple[Any, ...]]]] = {
    "recurrent": (recurrent, lambda n: (rows(n), rows(4, 3), rows(3, 3))),
    "characters": (characters, lambda n: ([(7 * i) % 5 for i in range(n)], rows(3, 5), rows(3, 3))),
    "epochs": (epochs, lambda n: (rows(6), np.arange(6) % 2.0, n)),
}


@pytest.mark.parametrize("name", CASES)
def test_loops_of_other_lengths_compile_nothing(name: str) -> None:
    f, args = CASES[name]
    jitted, counts = graphc.jit(f), []
    for n in (12, 12, 15, 15, 9, 9, 20, 20, 6, 6, 31, 31, 7, 7, 12, 20):
        plain, mine = copy_tree(args(n)), copy_tree(args(n))
        assert diff([f(*plain), plain], [jitted(*mine), mine]) is None, n
        counts.append(compiles())
    assert counts[3] - counts[0] == 2
    assert counts[-1] == counts[3], jitted.explain()


def test_explain_tells_what_sizes_are_constants_for() -> None:
    f = graphc.jit(lambda x: [x[i] for i in range(len(x))])
    for n in (4, 5):
        f(rows(n))
    assert "code for these sizes alone: Python is steered by 5, which depends on a size" in f.explain()


def test_lengths_wait_until_they_are_worth_a_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    f = graphc.jit(epochs)
    for n in range(10, 40):
        x, y, _ = CASES["epochs"][1](n)
        assert diff(epochs(x, y, n), f(x, y, n)) is None
    assert f.recordings < 8
    for _ in range(4):
        f(x, y, 70)
    assert f.hits


def test_threads_with_sizes_of_their_own() -> None:
    f: Jit = graphc.jit(lambda x, w: np.tanh(x @ w).sum(axis=1) / len(x))
    w, wrong = rows(4, 6), []
    for n in (8, 5, 5):
        f(rows(n), w)

    def work(first: int) -> None:
        for n in range(first, first + 60):
            x = rows(n % 23 + 2)
            if not np.allclose(f(x, w), np.tanh(x @ w).sum(axis=1) / len(x), rtol=1e-12):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
