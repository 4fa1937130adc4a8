"""Predictions of dense networks with the weights of `training.py`, for `race.py`: each function gives calls
that return the outputs for one batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import threads
from training import data, initial

Calls = dict[str, Callable[[], object]]


def graphc_predict(widths: tuple[int, ...], batch: int) -> Calls:
    import graphc
    from graphc.layers import Dense

    layers = [Dense(w, activation="relu") for w in widths[1:-1]]
    model = graphc.Sequential([graphc.Input((widths[0],)), *layers, Dense(widths[-1])])
    model.set_weights(initial(widths))
    forward, (x, _) = graphc.compile(model), data(widths, batch)
    return {"graphc": lambda: forward(x)}


def numpy_predict(widths: tuple[int, ...], batch: int) -> Calls:
    w, (x, _) = initial(widths), data(widths, batch)

    def predict() -> object:
        h = x
        for i in range(0, len(w), 2):
            h = h @ w[i] + w[i + 1]
            if i + 2 < len(w):
                np.maximum(h, 0, out=h)
        return h

    return {"NumPy": predict}


def torch_predict(widths: tuple[int, ...], batch: int) -> Calls:
    import torch

    torch.set_num_threads(threads())
    x, w = torch.from_numpy(data(widths, batch)[0]), initial(widths)
    parts: list[Any] = []
    for i in range(0, len(w), 2):
        layer = torch.nn.Linear(*w[i].shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(w[i].T)))
            layer.bias.copy_(torch.from_numpy(w[i + 1]))
        parts += [layer, torch.nn.ReLU()]
    net = torch.nn.Sequential(*parts[:-1]).eval()

    def call(run: Any) -> Callable[[], object]:
        def predict() -> object:
            with torch.inference_mode():
                return run(x)

        return predict

    return {"torch": call(net), "torch.compile": call(torch.compile(net))}


def jax_predict(widths: tuple[int, ...], batch: int) -> Calls:
    import jax
    import jax.numpy as jnp

    w, x = [jnp.asarray(p) for p in initial(widths)], jnp.asarray(data(widths, batch)[0])

    @jax.jit
    def predict(w: Any, x: Any) -> Any:
        for i in range(0, len(w), 2):
            x = x @ w[i] + w[i + 1]
            x = jax.nn.relu(x) if i + 2 < len(w) else x
        return x

    return {"jax.jit": lambda: predict(w, x).block_until_ready()}
