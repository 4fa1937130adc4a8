"""Gradients of layers, in both modes, against finite differences in float64; and what `vjp` gives for odd
inputs.
"""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import Input, Model, Sequential, layers

ONE = {
    "dense": (lambda: layers.Dense(3, activation="tanh"), (4, 5)),
    "batch norm": (lambda: layers.BatchNormalization(), (6, 5)),
    "batch norm of images": (lambda: layers.BatchNormalization(axis=1, scale=False), (3, 4, 2, 2)),
    "masked batch norm": (lambda: Sequential([layers.Masking(), layers.BatchNormalization()]), (3, 4, 2)),
    "layer norm": (lambda: layers.LayerNormalization(), (4, 5)),
    "rms norm": (lambda: layers.LayerNormalization(rms_scaling=True), (4, 5)),
    "group norm": (lambda: layers.GroupNormalization(2), (3, 5, 4)),
    "unit norm": (lambda: layers.UnitNormalization(), (4, 5)),
    "prelu": (lambda: layers.PReLU("uniform", shared_axes=[1]), (4, 5, 2)),
    "leaky": (lambda: layers.LeakyReLU(), (4, 5)),
    "relu": (lambda: layers.ReLU(0.9, 0.1, 0.2), (4, 5)),
    "elu": (lambda: layers.ELU(0.7), (4, 5)),
    "softmax": (lambda: layers.Softmax(axis=[1, 2]), (3, 2, 4)),
    "sparsemax": (lambda: layers.Activation("sparsemax"), (4, 5)),
    "permute": (lambda: layers.Permute((2, 1)), (3, 2, 4)),
    "repeat": (lambda: layers.RepeatVector(3), (4, 5)),
    "time distributed": (lambda: layers.TimeDistributed(layers.Dense(2)), (3, 2, 4)),
    "rescaling": (lambda: layers.Rescaling([1.0, 2.0], [0.5, 0.25]), (4, 2)),
    "lambda": (lambda: layers.Lambda(lambda x: np.exp(x) * x[:, :1]), (4, 5)),
}
TWO = {
    "add": (lambda: layers.Add(), (3, 4), (3, 4)),
    "subtract": (lambda: layers.Subtract(), (3, 4), (3, 1)),
    "multiply": (lambda: layers.Multiply(), (3, 2, 4), (3, 1, 4)),
    "average": (lambda: layers.Average(), (3, 4), (3, 4)),
    "maximum": (lambda: layers.Maximum(), (3, 4), (3, 4)),
    "concatenate": (lambda: layers.Concatenate(1), (3, 2, 4), (3, 1, 4)),
    "dot": (lambda: layers.Dot(1), (3, 4), (3, 4)),
    "cosine": (lambda: layers.Dot((2, 1), normalize=True), (3, 2, 4), (3, 4, 2)),
}
CASES = {
    **{k: (make, [shape]) for k, (make, shape) in ONE.items()},
    **{k: (c[0], list(c[1:])) for k, c in TWO.items()},
}


@pytest.fixture(autouse=True)
def double(monkeypatch):
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")
    graphc.backend.clear_session()
    graphc.backend.set_floatx("float64")
    graphc.set_random_seed(1)
    yield
    graphc.backend.set_floatx("float32")


def difference(value, arrays, step=1e-6):
    """Central differences of a scalar function with respect to arrays, which are changed in place."""
    found = []
    for array in arrays:
        gradient = np.zeros_like(array)
        for i in np.ndindex(array.shape):
            kept = array[i]
            ends = []
            for moved in (kept + step, kept - step):
                array[i] = moved
                ends.append(value())
            array[i] = kept
            gradient[i] = (ends[0] - ends[1]) / (2 * step)
        found.append(gradient)
    return found


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("training", [False, True])
def test_gradients(name, training):
    make, shapes = CASES[name]
    rng = np.random.default_rng(3)
    xs = [rng.normal(size=s) for s in shapes]
    if name == "masked batch norm":
        xs[0][0, 2:] = 0
    inputs = [Input(s[1:]) for s in shapes]
    layer = make()
    model = Model(inputs, layer(inputs[0] if len(inputs) == 1 else inputs))
    state = model.get_weights()
    ct = rng.normal(size=model(xs, training=training).shape)

    def value():
        result = float((model(xs, training=training) * ct).sum())
        for v, kept in zip(model.non_trainable_weights, frozen):
            v.assign(kept)
        return result

    model.set_weights(state)
    frozen = [v.numpy() for v in model.non_trainable_weights]
    dx, dw = graphc.vjp(model, training=training)(xs, ct)
    model.set_weights(state)
    moved = xs if name != "masked batch norm" else []
    for got, wanted in zip(
        [*dx[: len(moved)], *dw], difference(value, [*moved, *(v.array for v in model.trainable_weights)])
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


def test_vjp_of_several_inputs_and_outputs():
    ids, x = Input((2,), dtype="int32"), Input((3,))
    table = layers.Embedding(5, 2)
    model = Model([ids, x], [layers.Flatten()(table(ids)), x * 2.0])
    cts = [np.ones((4, 4)), np.ones((4, 3))]
    dx, dw = graphc.vjp(model)([np.array([[1, 1]] * 4), np.zeros((4, 3))], cts)
    assert dx[0] is None
    np.testing.assert_array_equal(dx[1], np.full((4, 3), 2.0))
    np.testing.assert_array_equal(dw[0], [[0, 0], [8, 8], [0, 0], [0, 0], [0, 0]])
    with pytest.raises(ValueError, match=r"the cotangent of 'flatten' must have its shape \(None, 4\)"):
        graphc.vjp(model)([np.array([[1, 1]]), np.zeros((1, 3))], [np.ones((1, 3)), np.ones((1, 3))])


def test_vjp_of_a_model_that_is_not_built_and_of_an_empty_batch():
    model = Sequential([layers.Dense(2), layers.Dense(1)])
    dx, dw = graphc.vjp(model)(np.ones((4, 3)), np.ones((4, 1)))
    assert dx[0].shape == (4, 3)
    assert [g.shape for g in dw] == [v.shape for v in model.trainable_weights]
    dx, dw = graphc.vjp(model)(np.ones((0, 3)), np.ones((0, 1)))
    assert dx[0].shape == (0, 3)
    assert all(not g.any() for g in dw)


def test_gradients_follow_frozen_layers():
    model = Sequential([Input((3,)), layers.Dense(2), layers.Dense(1)])
    f = graphc.vjp(model)
    assert len(f(np.ones((4, 3)), np.ones((4, 1)))[1]) == 4
    model.layers[0].trainable = False
    assert [g.shape for g in f(np.ones((4, 3)), np.ones((4, 1)))[1]] == [(2, 1), (1,)]
