"""Networks of dense layers in NumPy, written by hand: predictions, and training steps with SGD or Adam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from workloads.definition import Build, Ready
from workloads.described import Description
from workloads.networks import Case


def network(case: Case, folder: Path) -> Build:
    """The forward pass, or a step."""
    given, net = Description(folder), case.network
    w = [a for layer in given.layers for a in given.weights(layer)]
    x, y, depth = given.x, given.y, len(w) // 2
    m, v, count = [np.zeros_like(p) for p in w], [np.zeros_like(p) for p in w], 0
    rows = np.arange(len(x))

    def predict() -> Any:
        h = x
        for i in range(depth):
            h = h @ w[2 * i] + w[2 * i + 1]
            if i < depth - 1:
                np.maximum(h, 0, out=h)
        return h

    def loss_and_gradient(scores: Any) -> tuple[Any, Any]:
        if net.loss == "mse":
            d = scores - y
            return (d * d).mean(), d * np.float32(2 / len(x))
        e = np.exp(scores - scores.max(1, keepdims=True))
        d = e / e.sum(1, keepdims=True)
        loss = -np.log(d[rows, y]).mean()
        d[rows, y] -= 1
        return loss, d / np.float32(len(x))

    def update(g: list[Any]) -> None:
        nonlocal count
        if not net.adam:
            for p, q in zip(w, g):
                p -= np.float32(net.rate) * q
            return
        count += 1
        alpha = np.float32(net.rate * np.sqrt(1 - 0.999**count) / (1 - 0.9**count))
        for p, q, a, b in zip(w, g, m, v):
            a += np.float32(0.1) * (q - a)
            b += np.float32(0.001) * (q * q - b)
            p -= alpha * a / (np.sqrt(b) + np.float32(1e-7))

    def step() -> Any:
        h = [x]
        for i in range(depth):
            z = h[-1] @ w[2 * i] + w[2 * i + 1]
            h.append(np.maximum(z, 0) if i < depth - 1 else z)
        loss, d = loss_and_gradient(h[-1])
        g: list[Any] = [None] * len(w)
        for i in reversed(range(depth)):
            g[2 * i], g[2 * i + 1] = h[i].T @ d, d.sum(0)
            if i:
                d = (d @ w[2 * i].T) * (h[i] > 0)
        update(g)
        return loss

    return lambda: Ready(step if case.train else predict)
