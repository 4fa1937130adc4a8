"""Workloads on plain NumPy code: a training loop, and losses with their gradients, unchanged under graphc.

Beside them the same mathematics as users of other libraries write it (`with_functions.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from workloads.definition import OURS, WARM, Candidate, Figure, Workload


# -- a network with one hidden layer, its backward pass by hand ----------------------------------------------
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


def lstm_arguments() -> list[Any]:
    steps, batch, inputs, hidden = 50, 16, 32, 64
    r = np.random.default_rng(0)
    w, b = r.normal(size=(inputs + hidden, 4 * hidden)) * 0.05, np.zeros(4 * hidden)
    wy = r.normal(size=(hidden, 8)) * 0.05
    return [r.normal(size=(steps, batch, inputs)), r.normal(size=(steps, batch, 8)), w, b, wy, 1e-4]


# -- element-wise code on large arrays -----------------------------------------------------------------------
def block(x: Any, gamma: Any, beta: Any) -> Any:
    """Layer normalisation, GELU (tanh), and the sum with the input."""
    mean = np.mean(x, axis=-1, keepdims=True)
    centred = x - mean
    var = np.mean(centred * centred, axis=-1, keepdims=True)
    h = centred / np.sqrt(var + 1e-5) * gamma + beta
    return x + 0.5 * h * (1 + np.tanh(0.7978845608028654 * (h + 0.044715 * h * h * h)))


def block_loss(x: Any, gamma: Any, beta: Any) -> Any:
    mean = np.mean(x, axis=-1, keepdims=True)
    centred = x - mean
    var = np.mean(centred * centred, axis=-1, keepdims=True)
    h = centred / np.sqrt(var + 1e-5) * gamma + beta
    g = 0.5 * h * (1 + np.tanh(0.7978845608028654 * (h + 0.044715 * h * h * h)))
    return np.sum((g + x) ** 2) / x.shape[0]


def block_arguments() -> list[Any]:
    r = np.random.default_rng(0)
    return [r.normal(size=(4096, 1024)).astype("f4"), np.ones(1024, "f4"), np.zeros(1024, "f4")]


def cross_entropy(z: Any, y: Any) -> Any:
    """Softmax cross-entropy with integer labels."""
    z = z - np.max(z, axis=1, keepdims=True)
    log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(log_p[np.arange(z.shape[0]), y])


def cross_entropy_arguments() -> list[Any]:
    r = np.random.default_rng(0)
    return [r.normal(size=(4096, 1000)).astype("f4"), r.integers(0, 1000, 4096)]


# -- the loss of a network with two hidden layers, without a backward pass -----------------------------------
def mlp_loss(p: Any, x: Any, y: Any) -> Any:
    h = np.maximum(np.dot(x, p["W1"]) + p["b1"], 0)
    h = np.maximum(np.dot(h, p["W2"]) + p["b2"], 0)
    z = np.dot(h, p["W3"]) + p["b3"]
    z = z - np.max(z, axis=1, keepdims=True)
    log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(np.sum(y * log_p, axis=1))


def mlp_loss_arguments(dtype: str, batch: int, widths: tuple[int, ...]) -> list[Any]:
    r = np.random.default_rng(0)
    parameters = {}
    for i, (a, b) in enumerate(pairwise(widths), 1):
        parameters[f"W{i}"] = (r.normal(size=(a, b)) / np.sqrt(a)).astype(dtype)
        parameters[f"b{i}"] = np.zeros(b, dtype)
    y = np.eye(widths[-1], dtype=dtype)[r.integers(0, widths[-1], batch)]
    return [parameters, r.normal(size=(batch, widths[0])).astype(dtype), y]


@dataclass(frozen=True)
class Case:
    """A function with what it is given; `gradient`: by which arguments, if its gradient is wanted as well."""

    function: Callable[..., Any]
    arguments: Callable[[], list[Any]]
    gradient: int | tuple[int, ...] | None = None
    dtype: str = "f32"


SCAN = 20
LOOP = (
    Candidate(OURS, "with_graphc:function", ("graphc",), settle=30),
    Candidate("NumPy", "with_functions:plain", ("numpy",)),
    Candidate("numba", "with_functions:numba_loop", ("numba",)),
    Candidate("jax.jit", "with_functions:jax_loop", ("jax",)),
    Candidate("jax scan", "with_functions:jax_loop", ("jax",), {"scan": SCAN}, steps=SCAN),
)
TORCH = tuple(
    Candidate(name, "with_functions:torch_function", ("torch",), {"compiled": name == "torch.compile"})
    for name in ("torch", "torch.compile")
)
FORWARD = (
    *LOOP[:2],
    Candidate("numba", "with_functions:numba_block", ("numba",)),
    Candidate("jax.jit", "with_functions:jax_function", ("jax",)),
    *TORCH,
)
GRADIENT = (
    LOOP[0],
    Candidate("autograd", "with_functions:autograd_function", ("autograd",)),
    Candidate("jax.jit", "with_functions:jax_function", ("jax",)),
    *TORCH,
)


COMPILE = (
    Figure(0.5, 0.5, "compile", "compile time", beside=("numba",)),
    Figure(1.0, 1.0, "compile", "compile time", beside=("jax.jit",)),
    Figure(0.2, 0.2, "compile", "compile time, warm cache", WARM, ("jax.jit",)),
)


def loop(dtype: str) -> Workload:
    case = Case(mlp_step, lambda: mlp_arguments(_numpy(dtype), 64, 784, 128, 10), dtype=dtype)
    title = f"NumPy loop, {dtype}: 784-128-10, batch 64"
    warm = Candidate(WARM, "with_graphc:function", ("graphc",), timed=False)
    figures = (Figure(0.95, 0.9), *COMPILE)
    return Workload(
        f"loop-{dtype}", title, "NumPy", case, (LOOP[0], warm, *LOOP[1:]), figures, answer="losses"
    )


def small_loop(dtype: str) -> Workload:
    case = Case(mlp_step, lambda: mlp_arguments(_numpy(dtype), 16, 20, 32, 4), dtype=dtype)
    title = f"NumPy loop, {dtype}: 20-32-4, batch 16"
    figures = (Figure(0.2, 0.2, what="beside NumPy", beside=("NumPy",)),)
    return Workload(f"small-{dtype}", title, "NumPy", case, LOOP, figures, answer="losses")


def mlp_gradient(dtype: str) -> Workload:
    case = Case(mlp_loss, lambda: mlp_loss_arguments(_numpy(dtype), 64, (784, 128, 64, 10)), 0, dtype)
    title = f"MLP 784-128-64-10, batch 64, {dtype}: value and gradient"
    figures = (Figure(0.2, 0.2, what="beside autograd", beside=("autograd",)),)
    return Workload(f"mlp-gradient-{dtype}", title, "NumPy", case, GRADIENT[:3], figures)


def _numpy(dtype: str) -> str:
    return f"f{int(dtype[1:]) // 8}"


WORKLOADS = (
    loop("f32"),
    loop("f64"),
    small_loop("f32"),
    small_loop("f64"),
    mlp_gradient("f32"),
    mlp_gradient("f64"),
    Workload(
        "lstm",
        "NumPy LSTM, f64: 50 steps, batch 16",
        "NumPy",
        Case(lstm_step, lstm_arguments, dtype="f64"),
        LOOP[:2],
        (Figure(0.33, 0.33, what="beside NumPy", beside=("NumPy",)),),
        answer="losses",
    ),
    Workload(
        "block",
        "LayerNorm + GELU + residual (4096, 1024)",
        "NumPy",
        Case(block, block_arguments),
        FORWARD,
        (Figure(0.8, 0.7),),
    ),
    Workload(
        "block-gradient",
        "LayerNorm + GELU + residual (4096, 1024), value and gradient",
        "NumPy",
        Case(block_loss, block_arguments, (0, 1, 2)),
        GRADIENT,
        (Figure(0.4, 0.3),),
        tolerance=1e-3,
    ),
    Workload(
        "crossentropy",
        "softmax cross-entropy (4096, 1000), value and gradient",
        "NumPy",
        Case(cross_entropy, cross_entropy_arguments, 0),
        GRADIENT,
        (Figure(0.5, 0.4),),
    ),
)
