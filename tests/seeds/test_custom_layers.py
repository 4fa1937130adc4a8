"""The seed program on layers of one's own: dense, made of layers, and a residual block as a model."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import Input, Model, layers, ops


@pytest.fixture(autouse=True)
def fresh():
    graphc.backend.clear_session()
    graphc.set_random_seed(0)


class MyDenseLayer(layers.Layer):
    """The layer of the tutorial, whose product is one of several spellings."""

    def __init__(self, num_outputs, product=graphc.ops.matmul):
        super().__init__()
        self.num_outputs = num_outputs
        self.product = product

    def build(self, input_shape):
        self.kernel = self.add_weight("kernel", shape=[int(input_shape[-1]), self.num_outputs])

    def call(self, inputs):
        return self.product(inputs, self.kernel)


@pytest.mark.parametrize("product", [graphc.ops.matmul, np.matmul, lambda a, b: a @ b, graphc.matmul])
def test_my_dense_layer(product):
    layer = MyDenseLayer(10, product)
    assert not layer.built
    y = layer(np.ones((10, 5), "f4"))
    assert layer.built
    assert [(v.name, v.shape) for v in layer.variables] == [("kernel", (5, 10))]
    assert [v.name for v in layer.trainable_variables] == ["kernel"]
    np.testing.assert_allclose(y, np.ones((10, 5)) @ layer.kernel.numpy(), rtol=1e-5)
    x = Input((5,))
    model = Model(x, layer(x))
    np.testing.assert_allclose(model(np.ones((10, 5), "f4")), y, rtol=1e-5)
    model.compile("sgd", "mse")
    before = layer.kernel.numpy()
    model.train_on_batch(np.ones((4, 5), "f4"), np.zeros((4, 10), "f4"))
    assert not np.array_equal(layer.kernel.numpy(), before)


class Mixer(layers.Layer):
    """Layers as attributes, in a list, and in a dict."""

    def __init__(self, units):
        super().__init__()
        self.first = MyDenseLayer(units)
        self.steps = [layers.Dense(units, activation="tanh"), layers.LayerNormalization()]
        self.gates = {"open": layers.Dense(units, activation="sigmoid")}

    def call(self, inputs):
        x = h = self.first(inputs)
        for step in self.steps:
            h = step(h)
        return h * self.gates["open"](x)


def test_layers_made_of_layers():
    layer = Mixer(4)
    assert layer.variables == []
    x = np.random.default_rng(0).standard_normal((6, 3), "f4")
    y = layer(x)
    assert [v.name for v in layer.trainable_variables] == [
        "kernel",
        "kernel",
        "bias",
        "gamma",
        "beta",
        "kernel",
        "bias",
    ]
    a = x @ layer.first.kernel.numpy()
    dense, gate = layer.steps[0].get_weights(), layer.gates["open"].get_weights()
    h = np.tanh(a @ dense[0] + dense[1])
    h = (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(y, h / (1 + np.exp(-(a @ gate[0] + gate[1]))), rtol=1e-4, atol=1e-5)
    layer.trainable = False
    assert layer.trainable_variables == []
    assert len(layer.variables) == 7


class ResidualBlock(Model):
    """Two branches: dense layers with batch normalization, and the input itself."""

    def __init__(self, units):
        super().__init__(name="block")
        self.dense1 = layers.Dense(units[0])
        self.norm1 = layers.BatchNormalization()
        self.dense2 = layers.Dense(units[1])
        self.norm2 = layers.BatchNormalization()

    def call(self, inputs, training=False):
        x = self.norm1(self.dense1(inputs), training=training)
        x = ops.relu(x)
        x = self.norm2(self.dense2(x), training=training)
        x += inputs
        return ops.relu(x)


def test_residual_block_as_a_model():
    block = ResidualBlock([4, 3])
    assert not block.built
    x = np.random.default_rng(0).standard_normal((64, 3)).astype("f4")
    y = block(x)
    assert block.built
    assert [layer.name for layer in block.layers] == [
        "dense",
        "batch_normalization",
        "dense_1",
        "batch_normalization_1",
    ]
    assert (len(block.variables), len(block.trainable_variables)) == (12, 8)
    k1, b1, k2, b2 = (v.numpy() for i in (0, 2) for v in block.layers[i].weights)
    h = np.maximum((x @ k1 + b1) / np.sqrt(1 + 1e-3), 0)
    np.testing.assert_allclose(y, np.maximum((h @ k2 + b2) / np.sqrt(1 + 1e-3) + x, 0), rtol=1e-4, atol=1e-5)

    assert np.all(block.norm1.moving_mean.numpy() == 0)
    block(x, training=True)
    np.testing.assert_allclose(
        block.norm1.moving_mean.numpy(), 0.01 * (x @ k1 + b1).mean(0), rtol=1e-3, atol=1e-6
    )
    np.testing.assert_array_equal(block(x, training=False), block(x))

    block.compile(graphc.optimizers.Adam(0.03), "mse")
    history = block.fit(x, 2 * np.maximum(x, 0), epochs=15, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]


def test_blocks_in_a_functional_model_and_a_sequential():
    x = Input((3,))
    functional = Model(x, layers.Dense(1)(ResidualBlock([4, 3])(x)))
    sequential = graphc.Sequential([ResidualBlock([4, 3]), layers.Dense(1)])
    sequential.build((None, 3))
    sequential.set_weights(functional.get_weights())
    values = np.random.default_rng(1).standard_normal((5, 3)).astype("f4")
    np.testing.assert_array_equal(sequential(values), functional(values))
    assert functional.count_params() == sequential.count_params() == 63
