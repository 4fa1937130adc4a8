"""Functions that take windows of arrays, by bounds that move from call to call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def batch(d: Arrays, k: int, b: int) -> Any:
    xb, yb = d["x"][k : k + b], d["y"][k : k + b]
    e = np.exp(xb @ d["w"])
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(xb)), yb] -= 1
    d["w"] -= 0.1 * xb.T @ p / max(len(xb), 1)
    return xb.shape, (p * p).sum(), xb, (xb * 2).mean()


def indices(d: Arrays, k: int, b: int) -> Any:
    idx = d["y"][k : k + b]
    return d["x"][idx].sum(axis=0), idx


def columns(d: Arrays, k: int, b: int) -> Any:
    part = d["x"][:, k : k + b]
    return part * 2, part, d["x"][1:5, k : k + b].T, d["x"][..., k : k + b].sum()


def blocks(d: Arrays, k: int, b: int) -> Any:
    x = d["x"]
    block = x[k : k + b, k : k + b]
    return np.tanh(block), x[None, k : k + b, 1].shape, x[k : k + b, None] + 1, x[k : k + b, [0, 2]]


def computed(d: Arrays, k: int, b: int) -> Any:
    z = np.tanh(d["x"]) @ d["w"]
    return z[k : k + b] * 2, (z[k : k + b, 0] ** 2).sum(), z.T[:, k : k + b]


def stepped(d: Arrays, k: int, b: int) -> Any:
    x = d["x"]
    return x[k : k + 2 * b : 2] * 2, x[k + b : k : -1], x[k::-3].sum(), x[k - b : k]


def stores(d: Arrays, k: int, b: int) -> Any:
    x = d["x"]
    x[k : k + b] = 1.5
    x[k : k + b, 1] += x[k : k + b, 0] * 2
    x[k : k + b] *= 2
    return x[k : k + b].sum()


def stores_in_place(d: Arrays, k: int, b: int) -> Any:
    x = d["x"]
    row = x[k : k + b]
    row += np.tanh(d["x"][k : k + b]) + 1
    d["x"][k : k + b] = row * 0.5
    return row


def overlapping(d: Arrays, k: int, b: int) -> Any:
    x = d["x"]
    before = x[k : k + b] * 1
    x[k + 1 : k + 1 + b] = x[k : k + b]
    x[0:2] += 1
    return x.sum(), before


def kept(d: Arrays, k: int, b: int) -> Any:
    x = d["x"]
    part = x[k : k + b]
    x *= 2
    part += 1
    return part.sum(), x[k : k + b].sum(), part


def items(d: Arrays, k: int, b: int) -> Any:
    x, y = d["x"], d["y"]
    x[k] = x[k - 1] + 1
    x[:, k] = x[:, b]
    y[k] += 3
    x[k, 0] = 7
    return x[k].sum(), x[:, k], y[k], x[k, k]


def single_items(d: Arrays, k: int, b: int) -> Any:
    row = np.tanh(d["x"][k]) * 2
    d["x"][k] = row
    d["x"][k] += b
    d["y"][k] = b
    d["y"][k] += 2
    return row.sum(), d["y"][k]


def read_behind(d: Arrays, k: int, b: int) -> Any:
    d["x"][k : k + b] = 2
    total = d["x"].sum()
    d["x"][k : k + b] += 1
    return total


def loop(d: Arrays, k: int, b: int) -> Any:
    total = np.zeros(d["x"].shape[1], d["x"].dtype)
    for j in range(4):
        total = total * 0.5 + d["x"][k + j : k + j + 2].sum(axis=0)
    return total


PROGRAMS: list[Callable[..., Any]] = [
    *(batch, indices, columns, blocks, computed, stepped, stores, stores_in_place, overlapping, kept, items),
    *(single_items, read_behind, loop),
]
