"""Training steps of dense networks beside NumPy, torch, torch.compile, jax.jit and jax scan, one thread, one
run.

    python benchmarks/training.py            (peers that are not installed are left out)
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from harness import one_thread, report, save, side_by_side, threads

one_thread()

import numpy as np

WIDTHS = (784, 512, 256, 10)
TINY = (32, 64, 64, 1)
RATE = 1e-5  # small: a net that has learnt its batch multiplies denormals, which is several times slower
SCAN = 20


def initial(widths: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        v.astype("f4")
        for a, b in pairwise(widths)
        for v in (rng.standard_normal((a, b)) / np.sqrt(a), np.zeros(b))
    ]


def data(widths: tuple[int, ...], batch: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((batch, widths[0])).astype("f4")
    y = rng.integers(0, 10, batch) if widths[-1] == 10 else rng.standard_normal((batch, 1)).astype("f4")
    return x, y


def graphc_step(widths: tuple[int, ...], batch: int) -> dict[str, Callable[[], object]]:
    import graphc
    from graphc.layers import Dense

    classify = widths[-1] == 10
    layers = [
        graphc.Input((widths[0],)),
        *(Dense(w, activation="relu") for w in widths[1:-1]),
        Dense(widths[-1]),
    ]
    model = graphc.Sequential(layers)
    if classify:
        model.compile(
            graphc.optimizers.SGD(RATE), graphc.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
    else:
        model.compile(graphc.optimizers.Adam(RATE), "mse")
    model.set_weights(initial(widths))
    x, y = data(widths, batch)
    step = graphc.compile(model, step="train")
    ready = step.model.make_batch(x, y)
    return {
        "graphc": lambda: step.run(ready),
        "graphc step": lambda: step(x, y),
        "graphc train_on_batch": lambda: model.train_on_batch(x, y),
    }


def numpy_step(widths: tuple[int, ...], batch: int) -> dict[str, Callable[[], object]]:
    w, (x, y) = initial(widths), data(widths, batch)
    depth, classify = len(widths) - 1, widths[-1] == 10
    m, v, count = [np.zeros_like(p) for p in w], [np.zeros_like(p) for p in w], [0]
    rows = np.arange(batch)

    def step() -> object:
        h = [x]
        for i in range(depth):
            z = h[-1] @ w[2 * i] + w[2 * i + 1]
            h.append(np.maximum(z, 0) if i < depth - 1 else z)
        if classify:
            e = np.exp(h[-1] - h[-1].max(1, keepdims=True))
            d = e / e.sum(1, keepdims=True)
            loss = -np.log(d[rows, y]).mean()
            d[rows, y] -= 1
            d /= np.float32(batch)
        else:
            d = h[-1] - y
            loss = (d * d).mean()
            d = d * np.float32(2 / batch)
        g = [None] * len(w)
        for i in reversed(range(depth)):
            g[2 * i], g[2 * i + 1] = h[i].T @ d, d.sum(0)
            if i:
                d = (d @ w[2 * i].T) * (h[i] > 0)
        if classify:
            for p, q in zip(w, g):
                p -= np.float32(RATE) * q
            return loss
        count[0] += 1
        alpha = np.float32(RATE * np.sqrt(1 - 0.999 ** count[0]) / (1 - 0.9 ** count[0]))
        for p, q, a, b in zip(w, g, m, v):
            a += np.float32(0.1) * (q - a)
            b += np.float32(0.001) * (q * q - b)
            p -= alpha * a / (np.sqrt(b) + np.float32(1e-7))
        return loss

    return {"NumPy": step}


def torch_step(widths: tuple[int, ...], batch: int) -> dict[str, Callable[[], object]]:
    import torch

    torch.set_num_threads(threads())
    x, y = (torch.from_numpy(a) for a in data(widths, batch))
    classify = widths[-1] == 10

    def make(compiled: bool) -> Callable[[], object]:
        parts: list[torch.nn.Module] = []
        for a, b in pairwise(widths):
            parts += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        net = torch.nn.Sequential(*parts[:-1])
        with torch.no_grad():
            for p, q in zip(net.parameters(), initial(widths)):
                p.copy_(torch.from_numpy(np.ascontiguousarray(q.T)))
        run = torch.compile(net) if compiled else net
        optimizer = (
            torch.optim.SGD(net.parameters(), lr=RATE)
            if classify
            else torch.optim.Adam(net.parameters(), lr=RATE)
        )
        loss_of = torch.nn.functional.cross_entropy if classify else torch.nn.functional.mse_loss

        def step() -> object:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(run(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    found = {"torch": make(False)}
    try:
        compiled = make(True)
        compiled()
        found["torch.compile"] = compiled
    except Exception as e:
        print("torch.compile left out:", str(e).splitlines()[0])
    return found


def jax_step(widths: tuple[int, ...], batch: int) -> dict[str, Callable[[], object]]:
    import jax
    import jax.numpy as jnp

    x, y = (jnp.asarray(a) for a in data(widths, batch))
    depth, classify = len(widths) - 1, widths[-1] == 10

    def loss_of(w, x, y):
        h = x
        for i in range(depth):
            h = h @ w[2 * i] + w[2 * i + 1]
            h = jax.nn.relu(h) if i < depth - 1 else h
        if classify:
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(h), y[:, None], 1))
        return jnp.mean((h - y) ** 2)

    def update(state, x, y):
        w, m, v, t = state
        value, g = jax.value_and_grad(loss_of)(w, x, y)
        if classify:
            return ([p - RATE * q for p, q in zip(w, g)], m, v, t), value
        t = t + 1
        alpha = RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        m = [a + 0.1 * (q - a) for a, q in zip(m, g)]
        v = [b + 0.001 * (q * q - b) for b, q in zip(v, g)]
        return ([p - alpha * a / (jnp.sqrt(b) + 1e-7) for p, a, b in zip(w, m, v)], m, v, t), value

    def start():
        w = [jnp.asarray(p) for p in initial(widths)]
        return (w, [jnp.zeros_like(p) for p in w], [jnp.zeros_like(p) for p in w], jnp.float32(0))

    jitted = jax.jit(update, donate_argnums=0)
    scan = jax.jit(
        lambda s, x, y: jax.lax.scan(lambda c, _: update(c, x, y), s, None, length=SCAN), donate_argnums=0
    )
    state = {"jit": start(), "scan": start()}

    def run_jit() -> object:
        state["jit"], value = jitted(state["jit"], x, y)
        return value.block_until_ready()

    def run_scan() -> object:
        state["scan"], value = scan(state["scan"], x, y)
        return value.block_until_ready()

    return {"jax.jit": run_jit, f"jax scan ({SCAN} steps)": run_scan}


def keras_step(widths: tuple[int, ...], batch: int) -> dict[str, Callable[[], object]]:
    import os

    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    layers = [keras.layers.Dense(w, activation="relu") for w in widths[1:-1]]
    model = keras.Sequential([keras.Input((widths[0],)), *layers, keras.layers.Dense(widths[-1])])
    model.compile(keras.optimizers.Adam(RATE), "mse")
    x, y = data(widths, batch)
    return {"Keras train_on_batch": lambda: model.train_on_batch(x, y)}


def measure(title: str, widths: tuple[int, ...], batch: int) -> dict[str, object]:
    from peak import peak_probe

    candidates: dict[str, Callable[[], object]] = {}
    makers = [graphc_step, numpy_step, torch_step, jax_step] + [keras_step] * (widths is TINY)
    for make in makers:
        try:
            candidates |= make(widths, batch)
        except ImportError as e:
            print(f"left out: {e}")
    probe, probe_flops = peak_probe("f32")
    timings = side_by_side(candidates | {"peak": probe})
    peak = probe_flops / timings.pop("peak").least
    for name in [n for n in timings if n.startswith("jax scan")]:
        t = timings[name]
        timings[name] = type(t)(name, t.least / SCAN, t.median / SCAN)
    inner = sum(a * b for a, b in pairwise(widths))
    flops = 2 * batch * (3 * inner - widths[0] * widths[1])
    return report(title, timings, flops, peak)


if __name__ == "__main__":
    save(
        "training",
        [
            measure("MLP 784-512-256-10, SGD, batch 128", WIDTHS, 128),
            measure("MLP 784-512-256-10, SGD, batch 32", WIDTHS, 32),
            measure("tiny MLP 32-64-64-1, Adam, batch 32", TINY, 32),
        ],
    )
