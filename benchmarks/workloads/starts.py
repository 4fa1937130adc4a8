"""From the start of a process to its first training step of the digit model, 784-512-256-10 with Adam, cross
entropy and accuracy, 128 samples: what each process imports, builds and compiles.

Byte code is there, as in an installed package. "graphc" finds an empty cache, and compiles even its products;
"warm cache" and "cached" come after a process that took the same step.
"""

from __future__ import annotations

from workloads.definition import OURS, WARM, Candidate, Figure, Workload

DATA = """
import numpy as np
rng = np.random.default_rng(0)
x, y = rng.standard_normal((128, 784)).astype("f4"), rng.integers(0, 10, 128)
sizes = [784, 512, 256, 10]
weights = []
for m, n in zip(sizes, sizes[1:]):
    weights += [rng.standard_normal((m, n)).astype("f4") / np.float32(m) ** 0.5, np.zeros(n, "f4")]
"""

GRAPHC = """
import graphc
from graphc.layers import Dense
layers = [Dense(512, activation="relu"), Dense(256, activation="relu"), Dense(10, activation="softmax")]
model = graphc.Sequential([graphc.Input((784,)), *layers])
model.set_weights(weights)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
loss, accuracy = model.train_on_batch(x, y)
"""

JAX = """
import jax, jax.numpy as jnp

def loss_of(p, x, y):
    h = jax.nn.relu(x @ p[0] + p[1])
    h = jax.nn.relu(h @ p[2] + p[3]) @ p[4] + p[5]
    picked = jnp.take_along_axis(jax.nn.log_softmax(h), y[:, None], 1)
    return -jnp.mean(picked), jnp.mean(jnp.argmax(h, 1) == y)

def update(state, x, y):
    p, m, v, t = state
    result, g = jax.value_and_grad(loss_of, has_aux=True)(p, x, y)
    t = t + 1
    rate = 0.001 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    m = [a + 0.1 * (b - a) for a, b in zip(m, g)]
    v = [a + 0.001 * (b * b - a) for a, b in zip(v, g)]
    p = [w - rate * a / (jnp.sqrt(b) + 1e-7) for w, a, b in zip(p, m, v)]
    return (p, m, v, t), result

weights = [jnp.asarray(w) for w in weights]
step = jax.jit(update, donate_argnums=0)
zeros = [jnp.zeros_like(w) for w in weights]
state, (loss, accuracy) = step((weights, zeros, [jnp.zeros_like(w) for w in weights], jnp.float32(0)), x, y)
"""

TORCH = """
import torch
from torch import nn
model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
with torch.no_grad():
    for p, w in zip(model.parameters(), weights):
        p.copy_(torch.from_numpy(w.T))
optimizer = torch.optim.Adam(model.parameters())
x, y = torch.from_numpy(x), torch.from_numpy(y)
logits = model(x)
loss = nn.functional.cross_entropy(logits, y)
loss.backward()
optimizer.step()
accuracy = float((logits.argmax(1) == y).double().mean())
loss = loss.detach()
"""

CACHED = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def script(name: str, text: str, package: str, **options: object) -> Candidate:
    """A candidate: `cache` is the variable of its cache's folder, emptied before each run if `fresh`."""
    return Candidate(name, f"{DATA}{text}\nprint(float(loss))\n", (package,), options)


WORKLOADS = (
    Workload(
        "start",
        "process to its first step (digits)",
        "start",
        None,
        (
            script(OURS, GRAPHC, "graphc", cache="GRAPHC_CACHE_DIR", fresh=True),
            script(WARM, GRAPHC, "graphc", cache="GRAPHC_CACHE_DIR"),
            script("jax.jit", JAX, "jax"),
            script("jax.jit, cached", JAX, "jax", cache="JAX_COMPILATION_CACHE_DIR", environment=CACHED),
            script("torch", TORCH, "torch"),
        ),
        (
            Figure(0.8, 0.8, "least", "empty cache", beside=("jax.jit",)),
            Figure(0.4, 0.4, "least", "second process", WARM, ("jax.jit, cached",)),
        ),
        process=True,
        seconds=12.0,
    ),
)
