"""Keras, on JAX or on TensorFlow, as its users call it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workloads.definition import Build, Ready
from workloads.described import Description
from workloads.networks import Case


def network(case: Case, folder: Path, backend: str) -> Build:
    """`train_on_batch`, or the compiled model."""
    os.environ |= {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras

    given, net = Description(folder), case.network
    model = net.build(keras)
    model.set_weights(given.model_weights())
    x, y = given.x, given.y
    if not case.train:
        return lambda: Ready(FORWARD[backend](model, x))
    optimizer = keras.optimizers.Adam if net.adam else keras.optimizers.SGD
    loss: Any = "mse"
    if net.loss == "crossentropy":
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=net.logits)
    model.compile(optimizer(net.rate), loss)
    return lambda: Ready(lambda: model.train_on_batch(x, y))


def jax_forward(model: Any, x: Any) -> Callable[[], Any]:
    """The model as a jitted function of its weights."""
    import jax

    weights = [[v.value for v in vs] for vs in (model.trainable_variables, model.non_trainable_variables)]
    call, placed = jax.jit(lambda w, s, x: model.stateless_call(w, s, x)[0]), jax.numpy.asarray(x)
    return lambda: jax.block_until_ready(call(*weights, placed))


def tensorflow_forward(model: Any, x: Any) -> Callable[[], Any]:
    """The model as a graph."""
    import tensorflow as tf

    call, placed = tf.function(lambda x: model(x, training=False)), tf.constant(x)
    return lambda: call(placed).numpy()


FORWARD = {"jax": jax_forward, "tensorflow": tensorflow_forward}
