"""The base class: building, weights, tracking, names, masks, custom layers in all spellings."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import Input, Model, Variable, layers, ops


@pytest.fixture(autouse=True)
def session(monkeypatch):
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")
    graphc.backend.clear_session()


class Linear(layers.Layer):
    """The custom layer of the Keras tutorial."""

    def __init__(self, num_outputs, product=graphc.ops.matmul, **kwargs):
        super().__init__(**kwargs)
        self.num_outputs, self.product = num_outputs, product
        self.builds = 0

    def build(self, input_shape):
        self.builds += 1
        self.kernel = self.add_weight("kernel", shape=[int(input_shape[-1]), self.num_outputs])

    def call(self, inputs):
        return self.product(inputs, self.kernel)


@pytest.mark.parametrize(
    "product", [ops.matmul, np.matmul, lambda a, b: a @ b, np.dot, lambda x, w: np.einsum("bi,ij->bj", x, w)]
)
def test_custom_layer(product):
    layer = Linear(4, product)
    assert not layer.built
    assert layer.weights == []
    x = np.arange(6, dtype="f4").reshape(2, 3)
    y = layer(x)
    assert layer.built
    np.testing.assert_allclose(y, x @ layer.kernel.numpy(), rtol=1e-6)
    assert [v.path for v in layer.trainable_variables] == ["linear/kernel"]
    symbolic = layer(Input((3,)))
    assert symbolic.shape == (None, 4)
    q = Input((3,))
    np.testing.assert_allclose(Model(q, layer(q))(x), y, rtol=1e-6)
    assert layer.builds == 1


def test_add_weight_in_both_spellings():
    layer = layers.Layer()
    named = layer.add_weight("first", shape=[2, 3])
    shaped = layer.add_weight((4,), initializer="ones", name="second", trainable=False)
    both = layer.add_weight("third", (1,), dtype="int64")
    assert [(v.name, v.shape, v.trainable) for v in (named, shaped, both)] == [
        ("first", (2, 3), True),
        ("second", (4,), False),
        ("third", (1,), True),
    ]
    np.testing.assert_array_equal(shaped, np.ones(4))
    assert both.dtype == "int64"
    assert [v.name for v in layer.weights] == ["first", "third", "second"]


def test_layers_in_lists_dicts_and_attributes_are_tracked():
    class Stack(layers.Layer):
        def __init__(self):
            super().__init__()
            self.blocks = []
            for _ in range(2):
                self.blocks.append(layers.Dense(3))
            self.table = {"last": [layers.Dense(1, use_bias=False)]}
            self.scale = Variable(np.float32(2), name="scale")

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return self.table["last"][0](x) * self.scale

    stack = Stack()
    stack(np.ones((2, 3), "f4"))
    assert [v.path for v in stack.weights] == [
        "scale",
        "stack/dense/kernel",
        "stack/dense/bias",
        "stack/dense_1/kernel",
        "stack/dense_1/bias",
        "stack/dense_2/kernel",
    ]
    stack.trainable = False
    assert stack.trainable_weights == []
    assert len(stack.non_trainable_weights) == 6
    assert not stack.blocks[0].trainable


def test_names_count_per_class_and_restart():
    assert [layers.Dense(1).name, layers.Dense(1).name, layers.PReLU().name] == [
        "dense",
        "dense_1",
        "p_re_lu",
    ]
    graphc.backend.clear_session()
    assert layers.Dense(1).name == "dense"


def test_repr_names_shape_dtype_and_layer():
    x = Input((28, 28, 1), name="img")
    y = layers.Flatten()(x)
    assert repr(y) == "<Tensor shape=(None, 784), dtype=float32, created by layer 'flatten'>"
    assert repr(x) == "<Tensor 'img' shape=(None, 28, 28, 1), dtype=float32, created by layer 'img'>"


def test_rebinding_a_name_loses_nothing():
    first = x = Input((3,))
    for _ in range(5):
        x = layers.Dense(3)(x)
    assert len(Model(first, x).layers) == 6


def test_training_of_a_call_wins_over_everything():
    class Tell(layers.Layer):
        def call(self, x, training=None):
            return x + (1.0 if training else 0.0)

    x = Input((1,))
    tell = Tell()
    model = Model(x, [tell(x), tell(x, training=True), tell(x, training=False)])
    zero = np.zeros((1, 1), "f4")
    assert [float(y[0, 0]) for y in model(zero)] == [0, 1, 0]
    assert [float(y[0, 0]) for y in model(zero, training=True)] == [1, 1, 0]


def test_masks_travel_and_stop():
    ids = Input((4,), dtype="int32")
    e = layers.Embedding(9, 3, mask_zero=True)(ids)
    passed = layers.Dropout(0.5)(layers.Dense(2)(layers.Activation("tanh")(e)))
    assert e._mask.shape == passed._mask.shape == (None, 4)
    assert layers.Flatten()(passed)._mask is None
    assert layers.Reshape((8,))(passed)._mask is None
    assert layers.Reshape((4, 2))(passed)._mask is None

    class Valid(layers.Layer):
        def call(self, x, mask=None):
            return ops.sum(ops.cast(mask, "float32"), axis=1)

    model = Model(ids, Valid()(passed))
    assert model(np.array([[1, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]])).tolist() == [2, 1, 0]


def test_merged_masks():
    ids, values = Input((3,), dtype="int32"), Input((3, 2))
    e = layers.Embedding(9, 2, mask_zero=True)(ids)
    masked = layers.Masking()(values)
    model = Model([ids, values], [layers.Add()([e, masked]), layers.Multiply()([e, masked])])
    trace = graphc.trace.Trace("masks")
    with trace:
        from graphc.replay import model_inputs, replay

        outputs = replay(model, model_inputs(model, trace), False)
        graph = trace.finish([y._mask for y in outputs])
    given = {w.value.name: v.array for w, v in zip(graph.weights, trace.variables)}
    k, x = np.array([[1, 0, 0]], "i4"), np.array([[[1, 1], [0, 2], [0, 0]]], "f4")
    either, both = graph.evaluate(**{v.name: a for v, a in zip(graph.inputs, (k, x))}, **given)
    assert either.tolist() == [[True, True, False]]
    assert both.tolist() == [[True, False, False]]


def test_frozen_batch_normalization_runs_in_inference_mode():
    x = np.random.default_rng(0).normal(3, 2, (50, 4)).astype("f4")
    layer = layers.BatchNormalization()
    model = Model(a := Input((4,)), layer(a))
    trained = model(x, training=True)
    np.testing.assert_allclose(trained.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.01 * x.mean(0), rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, 0.99 + 0.01 * x.var(0), rtol=1e-4)
    before = model.get_weights()
    layer.trainable = False
    frozen = model(x, training=True)
    np.testing.assert_array_equal(frozen, model(x))
    for w, b in zip(model.get_weights(), before):
        np.testing.assert_array_equal(w, b)


def test_batch_normalization_called_twice_threads_its_statistics():
    layer = layers.BatchNormalization(momentum=0.5)
    a, b = Input((1,)), Input((1,))
    model = Model([a, b], [layer(a), layer(b)])
    model([np.full((4, 1), 2.0), np.full((4, 1), 8.0)], training=True)
    # Keras 3 runs the calls of one depth from the last output's on: 8 comes first
    assert float(layer.moving_mean[0]) == pytest.approx(0.5 * (0.5 * 0 + 0.5 * 8) + 0.5 * 2)


def test_dropout_draws_anew_each_call_and_again_with_the_seed():
    graphc.set_random_seed(3)
    model = Model(x := Input((1000,)), layers.Dropout(0.25)(x))
    ones = np.ones((2, 1000), "f4")
    first, second = model(ones, training=True), model(ones, training=True)
    assert not np.array_equal(first, second)
    assert set(np.unique(first)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((first == 0).mean() - 0.25) < 0.05
    np.testing.assert_array_equal(model(ones), ones)
    graphc.set_random_seed(3)
    np.testing.assert_array_equal(model(ones, training=True), first)


def test_two_dropouts_of_one_model_differ():
    x = Input((1000,))
    model = Model(x, [layers.Dropout(0.5)(x), layers.Dropout(0.5)(x), layers.Dropout(0.5, seed=1)(x)])
    a, b, c = model(np.ones((1, 1000)), training=True)
    assert not np.array_equal(a, b)
    assert not np.array_equal(b, c)


def test_activity_regularizer_and_add_loss_are_collected():
    class Penalised(layers.Layer):
        def call(self, x):
            self.add_loss(3.0 * ops.sum(x))
            return x

    dense = layers.Dense(2, kernel_initializer="ones", kernel_regularizer="l2", activity_regularizer="l2")
    model = Model(x := Input((2,)), Penalised()(dense(x)))
    from graphc.replay import model_inputs, replay

    trace = graphc.trace.Trace("losses")
    with trace:
        replay(model, model_inputs(model, trace), True)
        assert len(trace.losses) == 2
    assert float(model.losses[0]) == pytest.approx(0.01 * 4)


def test_config_of_a_users_layer_is_captured():
    layer = Linear(7, name="mine")
    config = layer.get_config()
    assert config["num_outputs"] == 7
    assert config["name"] == "mine"
    assert Linear.from_config({**config, "num_outputs": 8}).num_outputs == 8


def test_compute_output_shape():
    assert layers.Dense(5).compute_output_shape((None, 7, 3)) == (None, 7, 5)
    assert layers.Concatenate().compute_output_shape([(None, 2), (None, 3)]) == (None, 5)


def test_declared_output_shape_where_call_cannot_be_traced():
    class Opaque(layers.Layer):
        def call(self, x):
            raise RuntimeError("only on arrays")

        def compute_output_shape(self, input_shape):
            return (input_shape[0], 11)

    assert Opaque()(Input((3,))).shape == (None, 11)


def test_normalization_adapts():
    rng = np.random.default_rng(2)
    data = rng.normal(5, 3, (50, 4))
    layer = layers.Normalization()
    layer.adapt([data[:20], data[20:]])
    np.testing.assert_allclose(layer(data.astype("f4")), (data - data.mean(0)) / data.std(0), atol=1e-5)
    assert [v.name for v in layer.weights] == ["mean", "variance", "count"]
    assert layer.trainable_weights == []
    back = layers.Normalization(mean=data.mean(0), variance=data.var(0), invert=True)
    np.testing.assert_allclose(back(layer(data.astype("f4"))), data, rtol=1e-4)
    whole = layers.Normalization(axis=None)
    whole.adapt(data)
    assert whole(data.astype("f4")).std() == pytest.approx(1, abs=1e-3)
    with pytest.raises(ValueError, match="without elements"):
        layers.Normalization().adapt(np.zeros((0, 3)))
    with pytest.raises(RuntimeError, match="can't adapt"):
        back.adapt(data)


def test_values_set_in_build_stay():
    class Preset(layers.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight("scale", shape=(input_shape[-1],), initializer="ones")
            self.scale.assign(self.scale * 3 + np.log(self.scale))

        def call(self, x):
            return x * self.scale

    x = Input((2,))
    preset = Preset()
    assert Model(x, preset(x))(np.ones((1, 2), "f4")).tolist() == [[3, 3]]
    assert preset.scale.numpy().tolist() == [3, 3]


def test_layers_can_be_imported_by_a_star() -> None:
    names: dict[str, object] = {}
    exec("from graphc.layers import *", names)
    assert {"Input", "Dense", "Conv2D", "concatenate"} <= set(names)
