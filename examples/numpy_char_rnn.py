"""A character RNN with backpropagation through time in plain NumPy, as it is and with `@graphc.jit`.

    python examples/numpy_char_rnn.py

It learns to continue a nursery rhyme. The same function runs plainly and compiled; losses are equal.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one thread for NumPy too, before it is loaded

from collections.abc import Callable
from typing import Any

import numpy as np

import graphc

TEXT = "the north wind doth blow, and we shall have snow, and what will the robin do then, poor thing? " * 4
HIDDEN, STEPS, ROUNDS, RATE = 48, 12, 400, 0.03

Params = dict[str, np.ndarray]


def loss_and_gradients(
    inputs: list[int], targets: list[int], h0: np.ndarray, p: Params
) -> tuple[Any, Params, np.ndarray]:
    """Forward over the characters, backward through time; gradients are clipped to [-5, 5]."""
    size = len(p["by"])
    xs, hs, ps, loss = {}, {-1: h0}, {}, 0.0
    for t in range(len(inputs)):
        xs[t] = np.zeros((size, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(p["Wxh"] @ xs[t] + p["Whh"] @ hs[t - 1] + p["bh"])
        y = p["Why"] @ hs[t] + p["by"]
        ps[t] = np.exp(y - y.max()) / np.exp(y - y.max()).sum()
        loss += -np.log(ps[t][targets[t], 0])
    g = {name: np.zeros_like(w) for name, w in p.items()}
    dh_next = np.zeros_like(h0)
    for t in reversed(range(len(inputs))):
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        g["Why"] += dy @ hs[t].T
        g["by"] += dy
        dh = p["Why"].T @ dy + dh_next
        raw = (1 - hs[t] * hs[t]) * dh
        g["bh"] += raw
        g["Wxh"] += raw @ xs[t].T
        g["Whh"] += raw @ hs[t - 1].T
        dh_next = p["Whh"].T @ raw
    for d in g.values():
        np.clip(d, -5, 5, out=d)
    return loss, g, hs[len(inputs) - 1]


def adagrad(p: Params, g: Params, memory: Params, rate: float) -> None:
    """Update the weights where they are."""
    for name in p:
        memory[name] += g[name] * g[name]
        p[name] -= rate * g[name] / np.sqrt(memory[name] + 1e-8)


def initial(size: int) -> Params:
    """Small random weights."""
    r = np.random.default_rng(0)
    return {
        "Wxh": r.normal(size=(HIDDEN, size)) * 0.05,
        "Whh": r.normal(size=(HIDDEN, HIDDEN)) * 0.05,
        "Why": r.normal(size=(size, HIDDEN)) * 0.05,
        "bh": np.zeros((HIDDEN, 1)),
        "by": np.zeros((size, 1)),
    }


def train(compute: Callable[..., Any], update: Callable[..., None]) -> tuple[list[float], float]:
    """Losses per character, and the seconds of the last hundred rounds."""
    letters = sorted(set(TEXT))
    ids = [letters.index(c) for c in TEXT]
    p, h, losses, start = initial(len(letters)), np.zeros((HIDDEN, 1)), [], 0.0
    memory = {name: np.zeros_like(w) for name, w in p.items()}
    for i in range(ROUNDS):
        if i == ROUNDS - 100:
            start = time.perf_counter()
        at = i * STEPS % (len(ids) - STEPS - 1)
        loss, g, h = compute(ids[at : at + STEPS], ids[at + 1 : at + STEPS + 1], h, p)
        update(p, g, memory, RATE)
        losses.append(float(loss) / STEPS)
    return losses, time.perf_counter() - start


def main() -> None:
    expected, plain = train(loss_and_gradients, adagrad)
    compute = graphc.jit(loss_and_gradients)
    losses, compiled = train(compute, graphc.jit(adagrad))
    for i in (0, 100, 200, 300, ROUNDS - 1):
        print(f"round {i:3d}: loss per character {expected[i]:.6f} plain, {losses[i]:.6f} jit")
    if not np.allclose(expected, losses, rtol=1e-6):
        raise SystemExit("the losses differ")
    print(f"hundred rounds: plain NumPy {plain * 1e3:.0f} ms, graphc.jit {compiled * 1e3:.0f} ms")
    print(compute.explain())


if __name__ == "__main__":
    main()
