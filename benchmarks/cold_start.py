"""From the start of a process to the first training step of the digit model, beside JAX and torch:
`python benchmarks/cold_start.py [rounds]`.

Each process imports what it needs, builds 784-512-256-10 with Adam, cross entropy and accuracy, takes one
step of 128 samples, and ends. What counts is the CPU time (user + system) of the process, the least of all
rounds, in turns. Byte code is there, as in an installed package: each candidate runs once before it is
measured.

graphc, empty cache    nothing is compiled yet, not even the library of products
graphc, warm cache     another process has taken the step before
jax, jax cached        without and with its compilation cache on disk
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness import Timing, report, save

DATA = """
import numpy as np
rng = np.random.default_rng(0)
x, y = rng.standard_normal((128, 784)).astype("f4"), rng.integers(0, 10, 128)
"""

GRAPHC = """
import graphc
from graphc.layers import Dense
layers = [Dense(512, activation="relu"), Dense(256, activation="relu"), Dense(10, activation="softmax")]
model = graphc.Sequential([graphc.Input((784,)), *layers])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.train_on_batch(x, y)
"""

JAX = """
import jax, jax.numpy as jnp
sizes = [784, 512, 256, 10]
weights = []
for m, n in zip(sizes, sizes[1:]):
    weights += [jnp.asarray(rng.standard_normal((m, n)).astype("f4") / np.sqrt(m)), jnp.zeros(n)]

def loss(p, x, y):
    h = jax.nn.relu(x @ p[0] + p[1])
    h = jax.nn.relu(h @ p[2] + p[3]) @ p[4] + p[5]
    picked = jnp.take_along_axis(jax.nn.log_softmax(h), y[:, None], 1)
    return -jnp.mean(picked), jnp.mean(jnp.argmax(h, 1) == y)

def update(state, x, y):
    p, m, v, t = state
    result, g = jax.value_and_grad(loss, has_aux=True)(p, x, y)
    t = t + 1
    rate = 0.001 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    m = [a + 0.1 * (b - a) for a, b in zip(m, g)]
    v = [a + 0.001 * (b * b - a) for a, b in zip(v, g)]
    p = [w - rate * a / (jnp.sqrt(b) + 1e-7) for w, a, b in zip(p, m, v)]
    return (p, m, v, t), result

zeros = [jnp.zeros_like(w) for w in weights]
step = jax.jit(update, donate_argnums=0)
state, result = step((weights, zeros, [jnp.zeros_like(w) for w in weights], jnp.float32(0)), x, y)
jax.block_until_ready(result)
"""

TORCH = """
import torch
from torch import nn
model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
optimizer = torch.optim.Adam(model.parameters())
x, y = torch.from_numpy(x), torch.from_numpy(y)
logits = model(x)
nn.functional.cross_entropy(logits, y).backward()
optimizer.step()
float((logits.argmax(1) == y).double().mean())
"""


@dataclass(frozen=True)
class Candidate:
    """A script, and what its environment needs; `fresh` empties its cache before every run."""

    script: str
    cache: str = ""
    fresh: bool = False
    extra: dict[str, str] = field(default_factory=dict)


def candidates() -> dict[str, Candidate]:
    """Ours, and the peers that are installed."""
    found = {
        "graphc, empty cache": Candidate(GRAPHC, "GRAPHC_CACHE_DIR", fresh=True),
        "graphc, warm cache": Candidate(GRAPHC, "GRAPHC_CACHE_DIR"),
    }
    if importlib.util.find_spec("jax"):
        always = {
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        found["jax"] = Candidate(JAX)
        found["jax cached"] = Candidate(JAX, "JAX_COMPILATION_CACHE_DIR", extra=always)
    if importlib.util.find_spec("torch"):
        found["torch"] = Candidate(TORCH)
    return found


def runner(candidate: Candidate, folder: Path) -> Callable[[], float]:
    """A function that runs the process once and gives its CPU seconds."""
    cache = folder / "cache"
    environment = os.environ | candidate.extra | {"PYTHONPYCACHEPREFIX": str(folder / "code")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if candidate.cache:
        environment[candidate.cache] = str(cache)

    def run() -> float:
        if candidate.fresh:
            shutil.rmtree(cache, ignore_errors=True)
        process = subprocess.Popen([sys.executable, "-c", DATA + candidate.script], env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"a process ended with {process.returncode}")
        return usage.ru_utime + usage.ru_stime

    return run


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for number, (name, candidate) in enumerate(candidates().items()):
            runs[name] = runner(candidate, Path(folder) / str(number))
            runs[name]()
        for _ in range(rounds):
            for name, run in runs.items():
                seconds.setdefault(name, []).append(run())
    timings = {name: Timing(name, min(s), sorted(s)[len(s) // 2]) for name, s in seconds.items()}
    save("cold_start", [report("process start to first training step (digits)", timings)])


if __name__ == "__main__":
    main()
