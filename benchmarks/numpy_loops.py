"""Training code in plain NumPy, unchanged, beside NumPy itself, numba and jax on the same code, one thread:
`python benchmarks/numpy_loops.py [--only NAME] [--save]`.

Peers that are not installed, or that cannot do the code as it stands, are left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from harness import one_thread, report, save, side_by_side

one_thread()

import numpy as np


# -- a network with one hidden layer, its backward pass by hand -------------------------------------------
def mlp_step(x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any, rate: float) -> Any:
    n = x.shape[0]
    hidden = x @ w1 + b1
    active = np.maximum(hidden, 0)
    scores = active @ w2 + b2
    scores = scores - np.max(scores, axis=1, keepdims=True)
    e = np.exp(scores)
    p = e / np.sum(e, axis=1, keepdims=True)
    loss = -np.sum(np.log(p[np.arange(n), y])) / n
    d = p.copy()
    d[np.arange(n), y] -= 1
    d /= n
    gw2, gb2 = active.T @ d, np.sum(d, axis=0)
    dh = d @ w2.T
    dh[hidden <= 0] = 0
    gw1, gb1 = x.T @ dh, np.sum(dh, axis=0)
    w1 -= rate * gw1
    b1 -= rate * gb1
    w2 -= rate * gw2
    b2 -= rate * gb2
    return loss


def mlp_for_jax(x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any, rate: Any) -> Any:
    import jax.numpy as jnp

    n = x.shape[0]
    hidden = x @ w1 + b1
    active = jnp.maximum(hidden, 0)
    scores = active @ w2 + b2
    scores = scores - jnp.max(scores, axis=1, keepdims=True)
    e = jnp.exp(scores)
    p = e / jnp.sum(e, axis=1, keepdims=True)
    loss = -jnp.sum(jnp.log(p[jnp.arange(n), y])) / n
    d = p.at[jnp.arange(n), y].add(-1) / n
    gw2, gb2 = active.T @ d, jnp.sum(d, axis=0)
    dh = jnp.where(hidden <= 0, 0, d @ w2.T)
    gw1, gb1 = x.T @ dh, jnp.sum(dh, axis=0)
    return loss, w1 - rate * gw1, b1 - rate * gb1, w2 - rate * gw2, b2 - rate * gb2


def mlp_for_numba(x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any, rate: Any) -> Any:
    n = x.shape[0]
    hidden = x @ w1 + b1
    active = np.maximum(hidden, 0)
    scores = active @ w2 + b2
    for i in range(n):
        scores[i] -= np.max(scores[i])
    p = np.exp(scores)
    for i in range(n):
        p[i] /= np.sum(p[i])
    loss = scores[0, 0] * 0
    for i in range(n):
        loss -= np.log(p[i, y[i]])
        p[i, y[i]] -= 1
    p /= n
    gw2, gb2 = active.T @ p, np.sum(p, axis=0)
    dh = p @ w2.T
    dh = np.where(hidden <= 0, 0, dh).astype(x.dtype)
    gw1, gb1 = x.T @ dh, np.sum(dh, axis=0)
    w1 -= rate * gw1
    b1 -= rate * gb1
    w2 -= rate * gw2
    b2 -= rate * gb2
    return loss / n


def mlp_arguments(dtype: str, batch: int, inputs: int, hidden: int, classes: int) -> list[Any]:
    r = np.random.default_rng(0)
    shapes = ((inputs, hidden), (hidden,), (hidden, classes), (classes,))
    weights = [(r.normal(size=s) * 0.05).astype(dtype) for s in shapes]
    return [r.normal(size=(batch, inputs)).astype(dtype), r.integers(0, classes, batch), *weights, 1e-3]


# -- an LSTM with backpropagation through time ---------------------------------------------------------------
def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def lstm_step(x: Any, target: Any, w: Any, b: Any, wy: Any, rate: float) -> Any:
    steps, batch = x.shape[0], x.shape[1]
    size = wy.shape[0]
    h, c = np.zeros((batch, size)), np.zeros((batch, size))
    kept = []
    loss = 0.0
    for t in range(steps):
        z = np.concatenate([x[t], h], axis=1)
        a = z @ w + b
        i, f = sigmoid(a[:, :size]), sigmoid(a[:, size : 2 * size])
        o, g = sigmoid(a[:, 2 * size : 3 * size]), np.tanh(a[:, 3 * size :])
        before = c
        c = f * before + i * g
        tc = np.tanh(c)
        h = o * tc
        e = h @ wy - target[t]
        loss = loss + np.sum(e * e)
        kept.append((z, i, f, o, g, before, tc, h, e))
    dw, db, dwy = np.zeros_like(w), np.zeros_like(b), np.zeros_like(wy)
    dh_next, dc_next = np.zeros((batch, size)), np.zeros((batch, size))
    for t in reversed(range(steps)):
        z, i, f, o, g, before, tc, h, e = kept[t]
        dy = 2 * e
        dwy += h.T @ dy
        dh = dy @ wy.T + dh_next
        do = dh * tc
        dc = dh * o * (1 - tc * tc) + dc_next
        da = np.concatenate(
            [dc * g * i * (1 - i), dc * before * f * (1 - f), do * o * (1 - o), dc * i * (1 - g * g)], axis=1
        )
        dw += z.T @ da
        db += np.sum(da, axis=0)
        dz = da @ w.T
        dh_next = dz[:, x.shape[2] :]
        dc_next = dc * f
    w -= rate * dw
    b -= rate * db
    wy -= rate * dwy
    return loss


def lstm_arguments(steps: int = 50, batch: int = 1, inputs: int = 32, hidden: int = 64) -> list[Any]:
    r = np.random.default_rng(0)
    w, b = r.normal(size=(inputs + hidden, 4 * hidden)) * 0.05, np.zeros(4 * hidden)
    wy = r.normal(size=(hidden, 8)) * 0.05
    return [r.normal(size=(steps, batch, inputs)), r.normal(size=(steps, batch, 8)), w, b, wy, 1e-4]


# -- element-wise code ---------------------------------------------------------------------------------------
def transformer_block(x: Any, gamma: Any, beta: Any) -> Any:
    mean = np.mean(x, axis=1, keepdims=True)
    centred = x - mean
    var = np.mean(centred * centred, axis=1, keepdims=True)
    y = centred / np.sqrt(var + 1e-5) * gamma + beta
    return x + 0.5 * y * (1 + np.tanh(0.7978845608 * (y + 0.044715 * y * y * y)))


def block_arguments() -> list[Any]:
    r = np.random.default_rng(0)
    return [r.normal(size=s).astype("f4") for s in ((4096, 1024), (1024,), (1024,))]


def cross_entropy(logits: Any, y: Any) -> Any:
    n = logits.shape[0]
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    e = np.exp(shifted)
    total = np.sum(e, axis=1, keepdims=True)
    loss = np.sum(np.log(total[:, 0]) - shifted[np.arange(n), y]) / n
    d = e / total
    d[np.arange(n), y] -= 1
    return loss, d / n


def entropy_arguments() -> list[Any]:
    r = np.random.default_rng(0)
    return [r.normal(size=(4096, 1000)).astype("f4"), r.integers(0, 1000, 4096)]


CASES: dict[str, tuple[Callable[..., Any], Callable[[], list[Any]], dict[str, Callable[..., Any]], int]] = {
    f"MLP 784-128-10, batch 64, {d}": (
        mlp_step,
        lambda d=d: mlp_arguments(d, 64, 784, 128, 10),
        {"numba": mlp_for_numba, "jax": mlp_for_jax},
        100,
    )
    for d in ("float32", "float64")
}
CASES |= {
    f"MLP 20-32-4, batch 16, {d}": (
        mlp_step,
        lambda d=d: mlp_arguments(d, 16, 20, 32, 4),
        {"numba": mlp_for_numba, "jax": mlp_for_jax},
        400,
    )
    for d in ("float32", "float64")
}
CASES["LSTM, 50 steps, hidden 64, batch 1"] = (lstm_step, lstm_arguments, {}, 10)
CASES["LSTM, 50 steps, hidden 64, batch 16"] = (lstm_step, lambda: lstm_arguments(batch=16), {}, 10)
CASES["LayerNorm, GELU, residual (4096, 1024) float32"] = (transformer_block, block_arguments, {}, 5)
CASES["softmax cross-entropy, value and gradient (4096, 1000)"] = (cross_entropy, entropy_arguments, {}, 5)


def with_jax(function: Callable[..., Any], arguments: list[Any]) -> Callable[[], Any]:
    """A jitted call on jax's own arrays, finished when it returns."""
    import jax

    jax.config.update("jax_enable_x64", True)
    compiled = jax.jit(function)
    values = [jax.numpy.asarray(a) for a in arguments]
    return lambda: jax.block_until_ready(compiled(*values))


def with_numba(function: Callable[..., Any], arguments: list[Any]) -> Callable[[], Any]:
    """An njit call."""
    import numba

    compiled = numba.njit(function)
    return lambda: compiled(*arguments)


PEERS = {"jax": with_jax, "numba": with_numba}


def candidates(name: str) -> tuple[dict[str, Callable[[], Any]], dict[str, float]]:
    """Everybody's call, and the seconds of the first call."""
    import graphc

    function, arguments, peers, _ = CASES[name]
    found: dict[str, Callable[[], Any]] = {}
    first: dict[str, float] = {}
    own, plain = arguments(), arguments()
    compiled = graphc.jit(function)
    start = time.perf_counter()
    for _ in range(2):
        compiled(*own)
    first["graphc"] = time.perf_counter() - start
    for _ in range(30):
        compiled(*own)
    found["graphc"] = lambda: compiled(*own)
    found["numpy"] = lambda: function(*plain)
    for peer, theirs in peers.items():
        try:
            made = PEERS[peer](theirs, arguments())
        except ImportError:
            continue
        start = time.perf_counter()
        made()
        first[peer] = time.perf_counter() - start
        found[peer] = made
    return found, first


def main(arguments: list[str]) -> None:
    """Run all cases, or those whose names contain a text."""
    only = arguments[arguments.index("--only") + 1] if "--only" in arguments else ""
    results = []
    for name, (*_, rounds) in CASES.items():
        if only not in name:
            continue
        found, first = candidates(name)
        timings = side_by_side(found, rounds=rounds)
        results.append(report(name, timings) | {"first_call": first})
        print("  first call:", ", ".join(f"{n} {1e3 * s:.0f} ms" for n, s in first.items()))
        print(f"  numpy / graphc: {timings['numpy'].least / timings['graphc'].least:.2f}")
    if "--save" in arguments:
        save("numpy_loops", results)


if __name__ == "__main__":
    main(sys.argv[1:])
