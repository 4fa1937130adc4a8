"""What Keras 3 does where several features meet: masks, dicts of tensors, models within models, stored calls.

Numbers are Keras 3.15's or follow from the formula beside them.
"""

import json

import numpy as np
import pytest

from graphc import Input, Model, Sequential, layers, losses, metrics
from graphc.ir.errors import ArgumentError, DTypeError
from graphc.models import model_from_json

P = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2]], "f4")


# -- losses ---------------------------------------------------------------------------------------
def test_the_mean_runs_over_labels_that_are_not_ignored():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=1)
    mean = -(np.log(0.5) + np.log(0.6)) / 2
    assert loss(np.array([2, 1, 0]), P) == pytest.approx(mean, rel=1e-6)
    assert loss(np.array([[2], [1], [0]]), P) == pytest.approx(mean, rel=1e-6)
    weighted = loss(np.array([2, 1, 0]), P, sample_weight=np.array([1.0, 5.0, 3.0], "f4"))
    assert weighted == pytest.approx(-(np.log(0.5) + 3 * np.log(0.6)) / 2, rel=1e-6)


def test_ignored_labels_count_for_nothing_in_a_step():
    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax", kernel_initializer="zeros")])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(ignore_class=1))
    assert model.evaluate(np.ones((3, 4)), np.array([1, 2, 0]), verbose=0) == pytest.approx(np.log(3), 1e-6)


def test_where_nothing_counts_the_loss_is_0():
    assert losses.SparseCategoricalCrossentropy(ignore_class=1)(np.array([1, 1, 1]), P) == 0.0
    weighted = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    assert weighted(P, P + 1, sample_weight=np.zeros(3, "f4")) == 0.0


def test_a_batch_of_padding_alone_leaves_the_weights_as_they_are():
    model = Sequential([Input((4, 2)), layers.Masking(), layers.LSTM(3, return_sequences=True)])
    model.compile("sgd", "mse", metrics=["mae"])
    before = model.get_weights()
    assert model.train_on_batch(np.zeros((2, 4, 2), "f4"), np.ones((2, 4, 3), "f4")) == [0.0, 0.0]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def MeanGap(y_true, y_pred):
    return y_true - y_pred


def test_names_in_the_logs():
    model = Sequential([Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[MeanGap, lambda t, p: t * p, metrics.LogCoshError()])
    logs = model.evaluate(np.ones((2, 2)), np.ones((2, 1)), verbose=0, return_dict=True)
    assert set(logs) == {"loss", "mean_gap", "lambda", "logcosh"}
    assert losses.Huber().name == "huber_loss"


# -- masks ----------------------------------------------------------------------------------------
IDS = np.array([[1, 0, 2], [0, 0, 3]], "i4")
OTHER = np.array([[1, 1, 0], [0, 2, 0]], "i4")


def kept(build):
    """Which steps a mean over time takes: the embedding is 1 at valid steps and at padding alike."""
    a, b = Input((3,), dtype="int32"), Input((3,), dtype="int32")
    embed = layers.Embedding(5, 1, mask_zero=True, weights=[np.arange(5.0, dtype="f4")[:, None]])
    model = Model([a, b], layers.GlobalAveragePooling1D()(build(embed, a, b)))
    return model([IDS, OTHER])


def test_concatenated_features_are_valid_where_one_of_them_is():
    got = kept(lambda embed, a, b: layers.Concatenate()([embed(a), embed(b)]))
    assert np.allclose(got, [[1.0, 2 / 3], [1.5, 1.0]])


def test_einsum_dense_drops_the_mask():
    dense = layers.EinsumDense("abc,cd->abd", (None, 1), kernel_initializer="ones")
    assert np.allclose(kept(lambda embed, a, b: dense(embed(a))), [[1.0], [1.0]])


# -- normalisation, element types -----------------------------------------------------------------
def test_layer_normalization_takes_axes_in_any_order():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("f4")
    given = Input((4, 5, 3))
    model = Model(given, layers.LayerNormalization(axis=(-1, -2))(given))
    gamma = np.random.default_rng(1).normal(size=(5, 3)).astype("f4")
    model.set_weights([gamma, np.zeros_like(gamma)])
    scale = np.sqrt(x.var((2, 3), keepdims=True) + 1e-3)
    assert np.allclose(model(x), (x - x.mean((2, 3), keepdims=True)) / scale * gamma, atol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_float16", "bfloat16", np.float16])
def test_half_precision_is_refused_where_it_is_asked_for(dtype):
    with pytest.raises(DTypeError, match=r"float16.*\n.*created at(.|\n)*fix     leave dtype out"):
        layers.Dense(3, dtype=dtype)


# -- dicts of tensors -----------------------------------------------------------------------------
def test_dicts_of_tensors_are_fed_and_logged_by_their_keys():
    a, b = Input((3,), name="a"), Input((2,), name="b")
    both = layers.Concatenate()([a, b])
    ends = {"u": layers.Dense(2, name="p")(both), "v": layers.Dense(1, name="q")(both)}
    model = Model({"second": b, "first": a}, ends)
    model.compile("sgd", {"u": "mse", "v": "mae"}, metrics={"v": ["mse"]}, loss_weights={"u": 2.0})
    x = {"first": np.ones((4, 3), "f4"), "second": np.zeros((4, 2), "f4")}
    out = model.predict(x, verbose=0)
    logs = model.evaluate(x, {"u": out["u"] + 1, "v": out["v"] + 2}, verbose=0, return_dict=True)
    assert logs == pytest.approx({"loss": 4.0, "u_loss": 1.0, "v_loss": 2.0, "v_mse": 4.0})


class TwoHeads(Model):
    def __init__(self):
        super().__init__()
        self.one, self.two = layers.Dense(1), layers.Dense(2)

    def call(self, inputs):
        return {"one": self.one(inputs), "two": self.two(inputs)}


def test_a_subclassed_model_may_give_a_dict():
    model, x = TwoHeads(), np.ones((4, 3), "f4")
    model(x)
    model.compile("sgd", {"one": "mse", "two": "mae"}, metrics={"one": ["mae"]})
    history = model.fit(x, {"one": np.ones((4, 1)), "two": np.ones((4, 2))}, verbose=0).history
    assert set(history) == {"loss", "one_loss", "two_loss", "one_mae"}


# -- models within models -------------------------------------------------------------------------
class Small(Model):
    def __init__(self, **kwargs):
        x = Input((3,))
        super().__init__(inputs=x, outputs=layers.Dense(2, kernel_initializer="ones")(x), **kwargs)


def test_a_subclass_may_be_made_from_tensors():
    model = Small(name="small")
    assert np.allclose(model(np.ones((1, 3), "f4")), 3.0)
    outer = Input((3,))
    assert np.allclose(Model(outer, model(outer))(np.ones((1, 3), "f4")), 3.0)
    assert np.allclose(Small.from_config(model.get_config())(np.ones((1, 3), "f4")), 3.0)


def test_outputs_that_are_calls_of_a_model_are_numbered_as_in_keras():
    inner_in, x = Input((3,)), Input((3,), name="x")
    inner = Model(inner_in, layers.Dense(3, name="d")(inner_in), name="inner")
    first = inner(x)
    model = Model(x, [inner(first), first])
    config = json.loads(model.to_json())["config"]
    assert config["output_layers"] == [["inner", 2, 0], ["inner", 1, 0]]  # as Keras 3 writes it
    again, data = model_from_json(model.to_json()), np.eye(3, dtype="f4")
    again.set_weights(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(again(data), model(data)))


def test_an_embedding_is_read_with_the_quantisation_that_keras_notes():
    layer = layers.Embedding(4, 2)
    assert layers.Embedding.from_config(layer.get_config() | {"quantization_config": None}).output_dim == 2
    with pytest.raises(ArgumentError, match="can't be quantised"):
        layers.Embedding(4, 2, quantization_config={"mode": "int8"})


# -- epochs of some steps -------------------------------------------------------------------------
def test_validation_of_some_steps_sees_the_same_samples_each_epoch():
    model = Sequential([Input((1,)), layers.Dense(1, kernel_initializer="zeros", trainable=False)])
    model.compile("sgd", "mse")
    x, y = np.ones((6, 1), "f4"), np.arange(6.0, dtype="f4")[:, None]
    history = model.fit(
        x, y, epochs=2, verbose=0, validation_data=(x, y), validation_batch_size=2, validation_steps=2
    ).history
    assert history["val_loss"] == [3.5, 3.5]  # (0 + 1 + 4 + 9) / 4


# -- time steps, metrics of one's own, last axes of size 1 ----------------------------------------
def test_batch_normalization_in_time_distributed_learns_from_each_step():
    x = np.random.default_rng(0).normal(size=(3, 2, 4)).astype("f4")
    given = Input((2, 4))
    model = Model(given, layers.TimeDistributed(layers.BatchNormalization(momentum=0.5))(given))
    y = model(x, training=True)
    mean, var = x.mean(0), x.var(0)  # of each step alone
    assert np.allclose(y, (x - mean) / np.sqrt(var + 1e-3), atol=1e-5)
    assert np.allclose(model.get_weights()[2], mean[0] / 4 + mean[1] / 2, atol=1e-6)
    assert np.allclose(model.get_weights()[3], 1 / 4 + var[0] / 4 + var[1] / 2, atol=1e-6)
    frozen = layers.TimeDistributed(layers.BatchNormalization(), trainable=False)
    frozen.layer.trainable = False
    assert np.allclose(Model(given, frozen(given))(x, training=True), x / np.sqrt(1 + 1e-3), atol=1e-5)


class Errors(metrics.Metric):
    def __init__(self, name="errors"):
        super().__init__(name=name)
        self.total = self.add_weight("total", initializer="zeros")
        self.seen = self.add_weight(shape=(2,), initializer="ones", name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(np.abs(y_true - y_pred).sum())

    def result(self):
        return self.total


def test_a_metric_of_ones_own_with_weights_as_keras_spells_them():
    model = Sequential([Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse", metrics=[Errors()])
    assert Errors().seen.numpy().tolist() == [1.0, 1.0]
    logs = model.evaluate(np.ones((5, 2)), np.full((5, 1), 2.0), verbose=0, return_dict=True)
    assert logs == {"loss": 4.0, "errors": 10.0}


def test_a_last_axis_of_size_1_may_be_left_out_or_too_many():
    model = Sequential([Input((1,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    x = np.arange(4.0)
    assert model.predict(x, verbose=0).shape == model(x).shape == (4, 1)
    assert model.evaluate(x, x, verbose=0) == 0.0
    wide = Sequential([Input((3,)), layers.Dense(1)])
    assert wide.predict(np.ones((2, 3, 1)), verbose=0).shape == wide(np.ones((2, 3, 1))).shape == (2, 1)
