"""A two-layer network with a hand-written backward pass in plain NumPy, as it is and with `graphc.jit`.

    python examples/numpy_two_layer.py

The class is ordinary NumPy code. `graphc.jit(net.step)` gives the same losses and the same weights, faster.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one thread for NumPy too, before it is loaded

from collections.abc import Callable

import numpy as np

import graphc
from graphc.datasets import mnist_5k

BATCH, EPOCHS, RATE = 64, 8, 0.1


class TwoLayerNet:
    """784 pixels -> 128 hidden values -> 10 digits."""

    def __init__(self, seed: int) -> None:
        r = np.random.default_rng(seed)
        self.params = {
            "W1": r.normal(0, 0.05, (784, 128)).astype(np.float32),
            "b1": np.zeros(128, np.float32),
            "W2": r.normal(0, 0.05, (128, 10)).astype(np.float32),
            "b2": np.zeros(10, np.float32),
        }

    def predict(self, x: np.ndarray) -> np.ndarray:
        p = self.params
        self.h = np.maximum(x @ p["W1"] + p["b1"], 0)
        scores = self.h @ p["W2"] + p["b2"]
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def gradient(self, x: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        d = probabilities.copy()
        d[np.arange(len(x)), labels] -= 1
        d /= len(x)
        dh = d @ self.params["W2"].T
        dh[self.h <= 0] = 0
        return {"W2": self.h.T @ d, "b2": d.sum(axis=0), "W1": x.T @ dh, "b1": dh.sum(axis=0)}

    def step(self, x: np.ndarray, labels: np.ndarray, rate: float) -> float:
        p = self.predict(x)
        loss = -np.log(p[np.arange(len(x)), labels] + 1e-7).mean()
        for name, g in self.gradient(x, p, labels).items():
            self.params[name] -= rate * g
        return loss


def train(step: Callable[..., float], x: np.ndarray, labels: np.ndarray) -> tuple[list[float], float]:
    """The mean losses of the epochs, and the seconds of the last epoch."""
    order, losses, seconds = np.random.default_rng(1), [], 0.0
    for _ in range(EPOCHS):
        start, indices = time.perf_counter(), order.permutation(len(x))
        total = [
            float(step(x[i], labels[i], RATE))
            for i in (indices[s : s + BATCH] for s in range(0, len(x), BATCH))
        ]
        seconds = time.perf_counter() - start
        losses.append(sum(total) / len(total))
    return losses, seconds


def main() -> None:
    (x, labels), _ = mnist_5k.load_data()
    x = x.reshape(-1, 784).astype(np.float32) / 255
    labels = labels.astype(np.int64)

    plain, compiled = TwoLayerNet(0), TwoLayerNet(0)
    expected, plain_seconds = train(plain.step, x, labels)
    jitted = graphc.jit(compiled.step)
    losses, seconds = train(jitted, x, labels)

    print("epoch   plain loss   jit loss")
    for i, (a, b) in enumerate(zip(expected, losses, strict=True)):
        print(f"{i + 1:5d}   {a:10.5f}   {b:8.5f}")
    if not np.allclose(expected, losses, rtol=1e-3):
        raise SystemExit("the losses differ")
    print(f"last epoch: plain NumPy {plain_seconds * 1e3:.1f} ms, graphc.jit {seconds * 1e3:.1f} ms")
    print(jitted.explain())


if __name__ == "__main__":
    main()
