"""Logistic regression on real digits in plain NumPy; graphc writes the gradient of the loss.

    python examples/numpy_logistic.py

Beside it stands the gradient that one derives on paper. Both train the same model, with the same losses.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one thread for NumPy, before it is loaded

import numpy as np

import graphc
from graphc.datasets import mnist_5k

BATCH, EPOCHS, RATE, DECAY = 50, 8, 0.2, 1e-4

Parameters = dict[str, np.ndarray]


def loss(p: Parameters, x: np.ndarray, labels: np.ndarray) -> Any:
    """The mean cross-entropy of softmax(x @ W + b), and a little weight decay."""
    scores = x @ p["W"] + p["b"]
    scores = scores - np.max(scores, axis=1, keepdims=True)
    log_p = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    return -np.mean(log_p[np.arange(len(labels)), labels]) + DECAY * np.sum(p["W"] ** 2)


def by_hand(p: Parameters, x: np.ndarray, labels: np.ndarray) -> tuple[Any, Parameters]:
    """The same value and gradient, derived on paper."""
    scores = x @ p["W"] + p["b"]
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    d = e / np.sum(e, axis=1, keepdims=True)
    rows = np.arange(len(labels))
    value = -np.mean(np.log(d[rows, labels])) + DECAY * np.sum(p["W"] ** 2)
    d[rows, labels] -= 1
    d /= len(labels)
    return value, {"W": x.T @ d + 2 * DECAY * p["W"], "b": np.sum(d, axis=0)}


value_and_grad = graphc.value_and_grad(loss)


def step_by_hand(p: Parameters, x: np.ndarray, labels: np.ndarray, rate: float) -> Any:
    value, g = by_hand(p, x, labels)
    for name in p:
        p[name] -= rate * g[name]
    return value


@graphc.jit
def step(p: Parameters, x: np.ndarray, labels: np.ndarray, rate: float) -> Any:
    value, g = value_and_grad(p, x, labels)
    for name in p:
        p[name] -= rate * g[name]
    return value


def train(
    step: Callable[..., Any], x: np.ndarray, labels: np.ndarray
) -> tuple[Parameters, list[float], float]:
    """Plain gradient descent: parameters, the mean loss of each epoch, seconds of the fastest one."""
    p = {"W": np.zeros((x.shape[1], 10), x.dtype), "b": np.zeros(10, x.dtype)}
    means, fastest = [], np.inf
    for _ in range(EPOCHS):
        start, total = time.perf_counter(), 0.0
        for i in range(0, len(x), BATCH):
            total += float(step(p, x[i : i + BATCH], labels[i : i + BATCH], RATE))
        fastest = min(fastest, time.perf_counter() - start)
        means.append(total * BATCH / len(x))
    return p, means, fastest


def main() -> None:
    (x, y), (x_test, y_test) = mnist_5k.load_data()
    x, x_test = ((a.reshape(len(a), -1) / 255).astype(np.float32) for a in (x, x_test))
    order = np.random.default_rng(0).permutation(len(x))
    x, labels = x[order], y[order].astype(int)
    hand, plain, plain_seconds = train(step_by_hand, x, labels)
    found, losses, seconds = train(step, x, labels)
    print("epoch   gradient by hand   graphc.value_and_grad")
    for i, (a, b) in enumerate(zip(plain, losses, strict=True)):
        print(f"{i + 1:5d}   {a:16.5f}   {b:21.5f}")
    if not np.allclose(plain, losses, rtol=1e-4):
        raise SystemExit("the losses differ")
    for name, p, took in (("NumPy by hand", hand, plain_seconds), ("graphc", found, seconds)):
        accuracy = np.mean(np.argmax(x_test @ p["W"] + p["b"], axis=1) == y_test)
        print(f"{name:14} {1e3 * took:6.1f} ms an epoch, {accuracy:.3f} of the test digits right")


if __name__ == "__main__":
    main()
