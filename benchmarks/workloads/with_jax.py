"""A described network in JAX: a jitted function, and many training steps in one scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from workloads.definition import Build, Ready
from workloads.described import Description, Layer
from workloads.networks import Case

FORM = ("NHWC", "HWIO", "NHWC")
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"linear": lambda x: x, "relu": jax.nn.relu}


def _max_pool(settings: Mapping[str, Any], x: Any) -> Any:
    window, strides = ((1, *settings[k], 1) for k in ("pool_size", "strides"))
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, settings["padding"].upper())


def _convolution(settings: Mapping[str, Any], x: Any, w: Any, b: Any) -> Any:
    y = jax.lax.conv_general_dilated(
        x, w, settings["strides"], settings["padding"].upper(), dimension_numbers=FORM
    )
    return y + b


def _transposed(settings: Mapping[str, Any], x: Any, w: Any, b: Any) -> Any:
    padding, strides = settings["padding"].upper(), settings["strides"]
    return jax.lax.conv_transpose(x, w, strides, padding, dimension_numbers=FORM, transpose_kernel=True) + b


LAYERS: dict[str, Callable[..., Any]] = {
    "Dense": lambda s, x, w, b: x @ w + b,
    "Conv2D": _convolution,
    "Conv2DTranspose": _transposed,
    "MaxPooling2D": _max_pool,
    "GlobalMaxPooling2D": lambda s, x: x.max((1, 2)),
    "Reshape": lambda s, x: x.reshape(-1, *s["target_shape"]),
    "UpSampling2D": lambda s, x: x.repeat(s["size"][0], 1).repeat(s["size"][1], 2),
    "Flatten": lambda s, x: x.reshape(len(x), -1),
}


def forward(layers: list[Layer], weights: list[list[Any]], x: Any) -> Any:
    """The outputs of a chain of layers, without a softmax at its end."""
    for layer, w in zip(layers, weights):
        x = LAYERS[layer.kind](layer.settings, x, *w)
        activation = layer.settings.get("activation", "linear")
        x = x if activation == "softmax" else ACTIVATIONS[activation](x)
    return x


def network(case: Case, folder: Path, scan: int = 0) -> Build:
    """A jitted forward pass, a step, or `scan` steps in one call."""
    given, net = Description(folder), case.network
    layers, x, y = given.layers, jnp.asarray(given.x), jnp.asarray(given.y)

    def fresh() -> list[list[Any]]:
        return [[jnp.asarray(a) for a in given.weights(layer)] for layer in layers]

    def predict(w: Any, x: Any) -> Any:
        scores = forward(layers, w, x)
        return jax.nn.softmax(scores) if layers[-1].settings["activation"] == "softmax" else scores

    def loss_of(w: Any, x: Any, y: Any) -> Any:
        scores = forward(layers, w, x)
        if net.loss == "mse":
            return jnp.mean((scores - y) ** 2)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(scores), y[:, None], 1))

    def update(state: Any, x: Any, y: Any) -> Any:
        w, m, v, t = state
        value, g = jax.value_and_grad(loss_of)(w, x, y)
        if not net.adam:
            return (jax.tree.map(lambda p, q: p - net.rate * q, w, g), m, v, t), value
        t = t + 1
        alpha = net.rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        m = jax.tree.map(lambda a, q: a + 0.1 * (q - a), m, g)
        v = jax.tree.map(lambda b, q: b + 0.001 * (q * q - b), v, g)
        w = jax.tree.map(lambda p, a, b: p - alpha * a / (jnp.sqrt(b) + 1e-7), w, m, v)
        return (w, m, v, t), value

    def many(state: Any, x: Any, y: Any) -> Any:
        return jax.lax.scan(lambda s, _: update(s, x, y), state, None, length=scan)

    if not case.train:
        w, run = fresh(), jax.jit(predict)
        return lambda: Ready(lambda: jax.block_until_ready(run(w, x)))
    jitted = jax.jit(many if scan else update, donate_argnums=0)
    zeros = [jax.tree.map(jnp.zeros_like, fresh()) if net.adam else None for _ in range(2)]
    state = (fresh(), *zeros, jnp.float32(0))

    def step() -> Any:
        nonlocal state
        state, value = jitted(state, x, y)
        return jax.block_until_ready(value)

    return lambda: Ready(step)
