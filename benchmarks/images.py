"""Convolutional training steps and inference beside torch, torch.compile and jax.jit, one thread, one run.

python benchmarks/images.py
"""

from __future__ import annotations

from collections.abc import Callable

from harness import one_thread, report, save, side_by_side

one_thread()

import numpy as np

RATE = 1e-5  # small: a net that has learnt its batch multiplies denormals, which is several times slower
Candidates = dict[str, Callable[[], object]]

CNN = (("conv", 32), ("conv", 64), ("pool", 2), ("flatten", 0), ("dense", 128), ("dense", 10))
"""The classifier of 28x28 digits: 3x3 convolutions with relu, max pooling, two dense layers."""


def batch_of(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((size, 28, 28, 1)).astype("f4"), rng.integers(0, 10, size)


def graphc_cnn(batch: int) -> Candidates:
    import graphc
    from graphc.layers import Conv2D, Dense, Flatten, MaxPooling2D

    layers = [graphc.Input((28, 28, 1))]
    for kind, n in CNN:
        if kind == "conv":
            layers.append(Conv2D(n, 3, activation="relu"))
        elif kind == "pool":
            layers.append(MaxPooling2D(n))
        elif kind == "flatten":
            layers.append(Flatten())
        else:
            layers.append(Dense(n, activation="relu" if n > 10 else None))
    model = graphc.Sequential(layers)
    model.compile(graphc.optimizers.SGD(RATE), graphc.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = batch_of(batch)
    step, ready = graphc.compile(model, step="train"), model.make_batch(x, y)
    predict = graphc.compile(model)
    return {"graphc train": lambda: step.run(ready), "graphc infer": lambda: predict(x)}


def torch_cnn(batch: int) -> Candidates:
    import torch
    from torch import nn

    torch.set_num_threads(1)
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 12 * 12, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )
    x, y = batch_of(batch)
    tx, ty = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))), torch.from_numpy(y)
    found: Candidates = {}
    for name, run in (("torch", net), ("torch.compile", torch.compile(net))):
        optimizer = torch.optim.SGD(net.parameters(), lr=RATE)

        def step(run: object = run, optimizer: object = optimizer) -> object:
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(run(tx), ty)
            loss.backward()
            optimizer.step()
            return loss

        def infer(run: object = run) -> object:
            with torch.no_grad():
                return run(tx)

        try:
            step()
            found |= {f"{name} train": step, f"{name} infer": infer}
        except Exception as e:
            print(f"{name} left out:", str(e).splitlines()[0])
    return found


def jax_cnn(batch: int) -> Candidates:
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    shapes = [(3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (9216, 128), (128,), (128, 10), (10,)]
    weights = [jnp.asarray((rng.standard_normal(s) * 0.05).astype("f4")) for s in shapes]
    x, y = (jnp.asarray(a) for a in batch_of(batch))

    def forward(w, x):
        for i in (0, 2):
            form = ("NHWC", "HWIO", "NHWC")
            x = jax.lax.conv_general_dilated(x, w[i], (1, 1), "VALID", dimension_numbers=form)
            x = jax.nn.relu(x + w[i + 1])
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        x = x.reshape(len(x), -1)
        return jax.nn.relu(x @ w[4] + w[5]) @ w[6] + w[7]

    def loss(w, x, y):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(forward(w, x)), y[:, None], 1))

    def update(w, x, y):
        value, g = jax.value_and_grad(loss)(w, x, y)
        return [p - RATE * q for p, q in zip(w, g)], value

    jitted, run = jax.jit(update, donate_argnums=0), jax.jit(forward)
    state = {"w": weights}

    def step() -> object:
        state["w"], value = jitted(state["w"], x, y)
        return value.block_until_ready()

    return {"jax.jit train": step, "jax.jit infer": lambda: run(state["w"], x).block_until_ready()}


def measure(batch: int, what: str) -> dict[str, object]:
    from peak import peak_probe

    candidates: Candidates = {}
    for make in (graphc_cnn, torch_cnn, jax_cnn):
        try:
            candidates |= make(batch)
        except ImportError as e:
            print(f"left out: {e}")
    chosen = {n.removesuffix(f" {what}"): f for n, f in candidates.items() if n.endswith(what)}
    probe, probe_flops = peak_probe("f32")
    timings = side_by_side(chosen | {"peak": probe}, rounds=12, turns=2)
    peak = probe_flops / timings.pop("peak").least
    forward = 26 * 26 * 9 * 32 + 24 * 24 * 9 * 32 * 64 + 9216 * 128 + 1280
    flops = 2.0 * batch * forward * (3 if what == "train" else 1)
    return report(f"CNN 28x28 conv32-conv64-pool-dense128, {what}, batch {batch}", timings, flops, peak)


if __name__ == "__main__":
    save("images", [measure(64, "train"), measure(64, "infer"), measure(1, "infer")])
