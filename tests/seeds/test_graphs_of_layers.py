"""The seed program on layers as a graph: shared layers, branches, gates, several inputs and outputs."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import Input, Model, Sequential, layers
from graphc.models import model_from_json


@pytest.fixture(autouse=True)
def fresh():
    graphc.backend.clear_session()
    graphc.set_random_seed(0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def gated():
    """Two inputs through one shared layer; a gate made of one opens the other; two outputs."""
    left, right = Input((6,), name="left"), Input((6,), name="right")
    shared = layers.Dense(8, activation="tanh", name="shared")
    a, b = shared(left), shared(right)
    gate = layers.Dense(8, activation="sigmoid", name="gate")(a)
    joined = layers.Concatenate(name="joined")([layers.Multiply(name="opened")([gate, b]), a])
    total = layers.Dense(1, name="total")(joined)
    kind = layers.Dense(3, activation="softmax", name="kind")(joined)
    return Model([left, right], [total, kind], name="gated")


def test_shared_layers_train_together(rng):
    left, right = Input((4,)), Input((4,))
    shared = layers.Dense(2, use_bias=False)
    model = Model([left, right], layers.Subtract()([shared(left), shared(right)]))
    assert len(model.trainable_weights) == 1
    model.compile(graphc.optimizers.SGD(0.1), "mse")
    a, b, y = (rng.standard_normal(s).astype("f4") for s in ((5, 4), (5, 4), (5, 2)))
    kernel = shared.kernel.numpy()
    model.train_on_batch([a, b], y)
    error = (a - b) @ kernel - y
    want = kernel - 0.1 * 2 / error.size * (a - b).T @ error
    np.testing.assert_allclose(shared.kernel.numpy(), want, rtol=1e-4, atol=1e-6)


def test_several_inputs_and_outputs_with_a_loss_each(rng):
    model = gated()
    model.compile(
        "adam",
        {"total": "mse", "kind": "sparse_categorical_crossentropy"},
        metrics={"kind": ["accuracy"]},
        loss_weights={"total": 0.5, "kind": 2.0},
    )
    left, right = rng.standard_normal((2, 96, 6)).astype("f4")
    total = (left * right).sum(1, keepdims=True)
    kind = np.argmax(left[:, :3], axis=1)
    inputs, targets = {"left": left, "right": right}, {"total": total, "kind": kind}
    history = model.fit(inputs, targets, epochs=20, verbose=0).history
    assert set(history) == {"loss", "total_loss", "kind_loss", "kind_accuracy"}
    np.testing.assert_allclose(
        history["loss"], 0.5 * np.array(history["total_loss"]) + 2 * np.array(history["kind_loss"]), rtol=1e-5
    )
    assert history["kind_loss"][-1] < 0.9 * history["kind_loss"][0]
    assert history["total_loss"][-1] < history["total_loss"][0]
    found = model.predict([left, right], verbose=0)
    assert [p.shape for p in found] == [(96, 1), (96, 3)]
    np.testing.assert_allclose(found[1].sum(1), 1, rtol=1e-5)


def test_branches_and_one_layer_on_several_inputs(rng):
    inputs = [Input((3,)) for _ in range(3)]
    shared = layers.Dense(3, name="shared")
    branches = [shared(x) for x in inputs]
    model = Model(inputs, layers.Add()([*branches, layers.Maximum()(branches)]))
    xs = [rng.standard_normal((4, 3)).astype("f4") for _ in inputs]
    k, b = shared.get_weights()
    ys = [x @ k + b for x in xs]
    np.testing.assert_allclose(model(xs), sum(ys) + np.maximum.reduce(ys), rtol=1e-5, atol=1e-6)
    assert model.count_params() == 12


def test_a_disconnected_graph_names_the_broken_place():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    y = layers.Dense(2, name="head")(layers.Multiply(name="gate")([a, b]))
    with pytest.raises(ValueError, match="the graph is disconnected") as caught:
        Model(a, y)
    told = str(caught.value)
    assert "missing  <Tensor 'b' shape=(None, 3), dtype=float32, created by layer 'b'>, made at " in told
    assert "taken    by 'gate', called at " in told
    assert told.count("test_graphs_of_layers.py:") == 2


def test_sequential_and_functional_spellings_are_one_network(rng):
    x = Input((5,))
    h = layers.Dense(7, activation="relu")(x)
    functional = Model(x, layers.Dense(2)(h))
    sequential = Sequential([layers.Dense(7, activation="relu", input_shape=(5,)), layers.Dense(2)])
    sequential.set_weights(functional.get_weights())
    values, target = rng.standard_normal((32, 5)).astype("f4"), rng.standard_normal((32, 2)).astype("f4")
    losses = []
    for model in (functional, sequential):
        model.compile("adam", "mse")
        losses.append(model.fit(values, target, epochs=3, shuffle=False, verbose=0).history["loss"])
    assert losses[0] == losses[1]
    for a, b in zip(functional.get_weights(), sequential.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_and_architecture_come_back(tmp_path, rng):
    model = gated()
    model.save_weights(tmp_path / "gated.npz")
    again = model_from_json(model.to_json())
    left, right = rng.standard_normal((2, 4, 6)).astype("f4")
    assert not np.array_equal(again([left, right])[0], model([left, right])[0])
    again.load_weights(tmp_path / "gated.npz")
    for a, b in zip(again([left, right]), model([left, right]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.to_json() == model.to_json()
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


def test_flexible_sizes(rng):
    x = Input((None, 4))
    y = layers.Dense(3)(x)
    model = Model(x, [y, layers.Activation("softmax")(y)])
    model(np.zeros((1, 2, 4), "f4"))
    compiles = graphc.stats()["compiles"]
    k, b = model.get_weights()
    for samples, length in ((2, 5), (1, 1), (7, 3), (3, 0)):
        values = rng.standard_normal((samples, length, 4)).astype("f4")
        linear, soft = model(values)
        np.testing.assert_allclose(linear, values @ k + b, rtol=1e-4, atol=1e-6)
        assert soft.shape == (samples, length, 3)
        np.testing.assert_allclose(soft.sum(-1), np.ones((samples, length)), rtol=1e-5)
    assert graphc.stats()["compiles"] == compiles
