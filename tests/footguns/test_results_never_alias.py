"""What a call returns never shares memory with weights, inputs, or what a later call returns."""

from __future__ import annotations

import numpy as np

import graphc
from graphc import Input, Model, Sequential, layers


def test_an_identity_gives_a_copy():
    x = Input((3,))
    model = Model(x, [x, layers.Identity()(x), layers.Reshape((3, 1))(x)])
    given = np.ones((2, 3), "f4")
    results = model(given)
    for i, y in enumerate(results):
        assert not np.shares_memory(y, given)
        assert not any(np.shares_memory(y, other) for other in results[i + 1 :])
    results[0][...] = 7
    assert given.max() == 1
    np.testing.assert_array_equal(results[1], given)


def test_a_weight_as_a_result_is_a_copy():
    class Table(layers.Layer):
        def build(self, input_shape):
            self.table = self.add_weight("table", shape=[3], initializer="ones")

        def call(self, x):
            return self.table * 1.0 + 0.0 * x

    layer = Table()
    model = Sequential([Input((3,)), layer])
    y = model(np.ones((1, 3), "f4"))
    y[...] = 9
    np.testing.assert_array_equal(layer.table.numpy(), np.ones(3))


def test_a_later_call_leaves_earlier_results():
    model = Sequential([Input((3,)), layers.Dense(4), layers.Dense(2)])
    f = graphc.compile(model)
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal((5, 3)).astype("f4") for _ in range(4)]
    results = [f(x) for x in xs]
    kept = [y.copy() for y in results]
    model.set_weights([w + 1 for w in model.get_weights()])
    f(xs[0])
    for y, before in zip(results, kept, strict=True):
        np.testing.assert_array_equal(y, before)
