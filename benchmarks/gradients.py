"""`value_and_grad` of plain NumPy losses beside autograd and jax.jit on the same code, one thread, one run.

python benchmarks/gradients.py [--only NAME] [--save]      (peers that are not installed are left out)
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from harness import one_thread, report, save, side_by_side

one_thread()

import numpy as np

Made = tuple[Callable[..., Any], tuple[Any, ...], Any]


def mlp(p: Any, x: Any, y: Any) -> Any:
    """Softmax cross-entropy of a network with two hidden layers."""
    h = np.maximum(np.dot(x, p["W1"]) + p["b1"], 0)
    h = np.maximum(np.dot(h, p["W2"]) + p["b2"], 0)
    z = np.dot(h, p["W3"]) + p["b3"]
    z = z - np.max(z, axis=1, keepdims=True)
    log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(np.sum(y * log_p, axis=1))


def norm_gelu_residual(x: Any, gamma: Any, beta: Any) -> Any:
    """Layer normalisation, GELU (tanh), and the sum with the input."""
    mean = np.mean(x, axis=-1, keepdims=True)
    centred = x - mean
    var = np.mean(centred * centred, axis=-1, keepdims=True)
    h = centred / np.sqrt(var + 1e-5) * gamma + beta
    g = 0.5 * h * (1 + np.tanh(0.7978845608028654 * (h + 0.044715 * h * h * h)))
    return np.sum((g + x) ** 2) / x.shape[0]


def cross_entropy(z: Any, y: Any) -> Any:
    """Softmax cross-entropy with integer labels."""
    z = z - np.max(z, axis=1, keepdims=True)
    log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(log_p[np.arange(z.shape[0]), y])


def parameters(widths: tuple[int, ...], kind: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    found = {}
    for i, (a, b) in enumerate(pairwise(widths), 1):
        found[f"W{i}"] = (rng.normal(size=(a, b)) / np.sqrt(a)).astype(kind)
        found[f"b{i}"] = np.zeros(b, kind)
    return found


def network(widths: tuple[int, ...], batch: int, kind: str) -> Made:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(batch, widths[0])).astype(kind)
    y = np.eye(widths[-1], dtype=kind)[rng.integers(0, widths[-1], batch)]
    return mlp, (parameters(widths, kind), x, y), 0


def normalisation() -> Made:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4096, 1024)).astype("f4")
    return norm_gelu_residual, (x, np.ones(1024, "f4"), np.zeros(1024, "f4")), (0, 1, 2)


def labels() -> Made:
    rng = np.random.default_rng(1)
    return cross_entropy, (rng.normal(size=(4096, 1000)).astype("f4"), rng.integers(0, 1000, 4096)), 0


CASES: dict[str, Callable[[], Made]] = {
    "MLP 784-128-64-10, batch 64, f32": lambda: network((784, 128, 64, 10), 64, "f4"),
    "MLP 784-128-64-10, batch 64, f64": lambda: network((784, 128, 64, 10), 64, "f8"),
    "MLP 32-32-32-4, batch 16, f64": lambda: network((32, 32, 32, 4), 16, "f8"),
    "LayerNorm + GELU + residual (4096, 1024) f32": normalisation,
    "softmax cross-entropy (4096, 1000) f32": labels,
}


def with_numpy(fn: Callable[..., Any], module: Any) -> Callable[..., Any]:
    """The same function with another module for `np`."""
    code: Any = fn
    return types.FunctionType(code.__code__, {**code.__globals__, "np": module}, code.__name__)


def graphc_gradient(fn: Callable[..., Any], args: tuple[Any, ...], argnums: Any) -> Callable[[], object]:
    import graphc

    f = graphc.value_and_grad(fn, argnums=argnums)
    for _ in range(12):  # the ways of doing it are tried on the first calls
        f(*args)
    return lambda: f(*args)


def autograd_gradient(fn: Callable[..., Any], args: tuple[Any, ...], argnums: Any) -> Callable[[], object]:
    import autograd
    import autograd.numpy as anp

    f = autograd.value_and_grad(with_numpy(fn, anp), argnum=argnums)
    return lambda: f(*args)


def jax_gradient(fn: Callable[..., Any], args: tuple[Any, ...], argnums: Any) -> Callable[[], object]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    f = jax.jit(jax.value_and_grad(with_numpy(fn, jnp), argnums=argnums))
    placed = jax.tree_util.tree_map(jnp.asarray, args)
    return lambda: jax.block_until_ready(f(*placed))


PEERS = {"graphc": graphc_gradient, "autograd": autograd_gradient, "jax.jit": jax_gradient}


def main() -> None:
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
    results = []
    for title, make in CASES.items():
        if only not in title:
            continue
        fn, args, argnums = make()
        candidates, values = {}, {}
        for name, prepare in PEERS.items():
            try:
                candidates[name] = prepare(fn, args, argnums)
            except ImportError:
                continue
            values[name] = float(candidates[name]()[0])  # type: ignore[index]
        assert np.ptp(list(values.values())) < 1e-3 * abs(values["graphc"]), values
        large = "4096" in title
        results.append(
            report(title, side_by_side(candidates, rounds=5 if large else 30, turns=2 if large else 4))
        )
    if "--save" in sys.argv:
        save("gradients", results)


if __name__ == "__main__":
    main()
