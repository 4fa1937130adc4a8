"""NumPy, numba, JAX, autograd and torch on the mathematics of `functions.py`."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from workloads.definition import Build, Ready
from workloads.functions import Case, block, block_loss, cross_entropy


def plain(case: Case, folder: Path) -> Build:
    """The function as NumPy runs it."""
    arguments = case.arguments()
    return lambda: Ready(lambda: case.function(*arguments))


def _with(function: Callable[..., Any], module: Any) -> Callable[..., Any]:
    """The same function with another module for `np`."""
    code: Any = function
    return types.FunctionType(code.__code__, {**code.__globals__, "np": module}, code.__name__)


# -- numba ---------------------------------------------------------------------------------------------------
def _mlp_for_numba(x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any, rate: Any) -> Any:
    n = x.shape[0]
    hidden = x @ w1 + b1
    active = np.maximum(hidden, 0)
    scores = active @ w2 + b2
    for i in range(n):
        scores[i] -= np.max(scores[i])
    p = np.exp(scores)
    for i in range(n):
        p[i] /= np.sum(p[i])
    loss = scores[0, 0] * 0
    for i in range(n):
        loss -= np.log(p[i, y[i]])
        p[i, y[i]] -= 1
    p /= n
    gw2, gb2 = active.T @ p, np.sum(p, axis=0)
    dh = p @ w2.T
    dh = np.where(hidden <= 0, 0, dh).astype(x.dtype)
    gw1, gb1 = x.T @ dh, np.sum(dh, axis=0)
    w1 -= rate * gw1
    b1 -= rate * gb1
    w2 -= rate * gw2
    b2 -= rate * gb2
    return loss / n


def _block_for_numba(x: Any, gamma: Any, beta: Any) -> Any:
    y = np.empty_like(x)
    one, half = x.dtype.type(1), x.dtype.type(0.5)
    a, c, epsilon = x.dtype.type(0.7978845608028654), x.dtype.type(0.044715), x.dtype.type(1e-5)
    for i in range(x.shape[0]):
        total = squares = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += x[i, j]
        mean = total / x.dtype.type(x.shape[1])
        for j in range(x.shape[1]):
            squares += (x[i, j] - mean) ** 2
        scale = one / np.sqrt(squares / x.dtype.type(x.shape[1]) + epsilon)
        for j in range(x.shape[1]):
            h = (x[i, j] - mean) * scale * gamma[j] + beta[j]
            y[i, j] = x[i, j] + half * h * (one + np.tanh(a * (h + c * h * h * h)))
    return y


def _numba(function: Callable[..., Any], case: Case, **options: Any) -> Build:
    import numba

    arguments = case.arguments()

    def build() -> Ready:
        f = numba.njit(function, **options)
        return Ready(lambda: f(*arguments))

    return build


def numba_loop(case: Case, folder: Path) -> Build:
    """The loop with what numba does not know written out."""
    return _numba(_mlp_for_numba, case)


def numba_block(case: Case, folder: Path) -> Build:
    """The block as loops, which may sum in any order."""
    return _numba(_block_for_numba, case, fastmath=True)


# -- JAX, autograd -------------------------------------------------------------------------------------------
def _mlp_for_jax(x: Any, y: Any, w1: Any, b1: Any, w2: Any, b2: Any, rate: Any) -> Any:
    import jax.numpy as jnp

    n = x.shape[0]
    hidden = x @ w1 + b1
    active = jnp.maximum(hidden, 0)
    scores = active @ w2 + b2
    scores = scores - jnp.max(scores, axis=1, keepdims=True)
    e = jnp.exp(scores)
    p = e / jnp.sum(e, axis=1, keepdims=True)
    loss = -jnp.sum(jnp.log(p[jnp.arange(n), y])) / n
    d = p.at[jnp.arange(n), y].add(-1) / n
    gw2, gb2 = active.T @ d, jnp.sum(d, axis=0)
    dh = jnp.where(hidden <= 0, 0, d @ w2.T)
    gw1, gb1 = x.T @ dh, jnp.sum(dh, axis=0)
    return (w1 - rate * gw1, b1 - rate * gb1, w2 - rate * gw2, b2 - rate * gb2), loss


def jax_loop(case: Case, folder: Path, scan: int = 0) -> Build:
    """The loop as a function of weights that gives new ones; `scan` steps in a call."""
    import jax

    jax.config.update("jax_enable_x64", case.dtype == "f64")
    x, y, *weights, rate = [a if isinstance(a, float) else jax.numpy.asarray(a) for a in case.arguments()]

    def step(state: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2 = state
        return _mlp_for_jax(x, y, w1, b1, w2, b2, rate)

    def many(state: Any, x: Any, y: Any) -> Any:
        return jax.lax.scan(lambda s, _: step(s, x, y), state, None, length=scan)

    jitted, state = jax.jit(many if scan else step, donate_argnums=0), tuple(weights)

    def call() -> Any:
        nonlocal state
        state, loss = jitted(state, x, y)
        return jax.block_until_ready(loss)

    return lambda: Ready(call)


def jax_function(case: Case, folder: Path) -> Build:
    """The same text with jax.numpy, jitted; arrays are on its device."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", case.dtype == "f64")
    f, arguments = _with(case.function, jnp), jax.tree_util.tree_map(jnp.asarray, case.arguments())
    if case.gradient is not None:
        f = jax.value_and_grad(f, argnums=case.gradient)
    jitted = jax.jit(f)
    return lambda: Ready(lambda: jax.block_until_ready(jitted(*arguments)))


def autograd_function(case: Case, folder: Path) -> Build:
    """The same text with autograd.numpy."""
    import autograd
    import autograd.numpy as anp

    arguments = case.arguments()

    def build() -> Ready:
        f = autograd.value_and_grad(_with(case.function, anp), argnum=case.gradient)
        return Ready(lambda: f(*arguments))

    return build


# -- torch ---------------------------------------------------------------------------------------------------
def _torch_block(x: Any, gamma: Any, beta: Any) -> Any:
    from torch.nn import functional as F

    return x + F.gelu(F.layer_norm(x, x.shape[-1:], gamma, beta, 1e-5), approximate="tanh")


def _torch_block_loss(x: Any, gamma: Any, beta: Any) -> Any:
    return _torch_block(x, gamma, beta).square().sum() / len(x)


def _torch_cross_entropy(z: Any, y: Any) -> Any:
    from torch.nn import functional as F

    return F.cross_entropy(z, y)


IN_TORCH: dict[Callable[..., Any], Callable[..., Any]] = {
    block: _torch_block,
    block_loss: _torch_block_loss,
    cross_entropy: _torch_cross_entropy,
}


def torch_function(case: Case, folder: Path, compiled: bool) -> Build:
    """The same mathematics with torch's own functions, and gradients by autograd."""
    import torch

    from workloads.with_torch import use_threads

    use_threads()
    arguments = [torch.from_numpy(a) for a in case.arguments()]
    asked = (case.gradient,) if isinstance(case.gradient, int) else case.gradient or ()
    for i in asked:
        arguments[i].requires_grad_()

    def build() -> Ready:
        f = torch.compile(IN_TORCH[case.function]) if compiled else IN_TORCH[case.function]

        def forward() -> Any:
            with torch.inference_mode():
                return f(*arguments)

        def value_and_gradient() -> Any:
            value = f(*arguments)
            return value.detach(), torch.autograd.grad(value, [arguments[i] for i in asked])

        return Ready(value_and_gradient if asked else forward)

    return build
