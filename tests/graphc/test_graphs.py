"""Graphs of convolutional layers: sizes that are not known, parts of models, clones, freezing, tables."""

from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc import Input, Model, Sequential, applications, layers
from graphc.ir.errors import ArgumentError, ShapeError, StructureError
from graphc.models import clone_model

GOLDEN = Path(__file__).parents[1] / "golden" / "summaries"


@pytest.fixture(autouse=True)
def fresh():
    graphc.backend.clear_session()
    graphc.set_random_seed(0)


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def features(name="base", size=8):
    x = Input((size, size, 3), name="image")
    h = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    h = layers.BatchNormalization(name="norm")(h)
    return Model(x, layers.GlobalAveragePooling2D(name="mean")(h), name=name)


def counts(model):
    return tuple(
        sum(w.size for w in ws)
        for ws in (model.weights, model.trainable_weights, model.non_trainable_weights)
    )


# -- the recorded tables, from models -------------------------------------------------------------
def autoencoder():
    encoder_input = Input(shape=(28, 28, 1), name="img")
    x = layers.Conv2D(16, 3, activation="relu")(encoder_input)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.MaxPooling2D(3)(x)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.Conv2D(16, 3, activation="relu")(x)
    encoder_output = layers.GlobalMaxPooling2D()(x)
    encoder = Model(encoder_input, encoder_output, name="encoder")
    x = layers.Reshape((4, 4, 1))(encoder_output)
    x = layers.Conv2DTranspose(16, 3, activation="relu")(x)
    x = layers.Conv2DTranspose(32, 3, activation="relu")(x)
    x = layers.UpSampling2D(3)(x)
    x = layers.Conv2DTranspose(16, 3, activation="relu")(x)
    decoder_output = layers.Conv2DTranspose(1, 3, activation="relu")(x)
    return {"encoder": encoder, "autoencoder": Model(encoder_input, decoder_output, name="autoencoder")}


def residual():
    inputs = Input(shape=(12, 12, 3), name="img")
    x = layers.Conv2D(8, 3, activation="relu")(inputs)
    x = layers.Conv2D(10, 3, activation="relu")(x)
    block_1 = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(10, 3, activation="relu", padding="same")(block_1)
    x = layers.Conv2D(10, 3, activation="relu", padding="same")(x)
    block_2 = layers.add([x, block_1])
    x = layers.Conv2D(10, 3, activation="relu", padding="same")(block_2)
    block_3 = layers.add([x, block_2])
    x = layers.GlobalAveragePooling2D()(block_3)
    x = layers.Dense(12, activation="relu")(x)
    return {"residual": Model(inputs, layers.Dense(6)(x), name="toy_resnet")}


def plain():
    stack = [
        Input(shape=(14, 14, 1)),
        layers.Conv2D(8, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(12, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]
    return {"seq_cnn": Sequential(stack, name="cnn")}


@pytest.mark.parametrize("make", [autoencoder, residual, plain])
def test_tables_byte_for_byte(make):
    for name, model in make().items():
        lines = []
        model.summary(print_fn=lines.append)
        assert "\n".join(lines) + "\n" == (GOLDEN / f"{name}.txt").read_text()


def test_models_within_a_table(golden):
    base = features()
    base.trainable = False
    x = Input((8, 8, 3), name="photo")
    model = Model(x, layers.Dense(2, name="head")(base(x)), name="whole")
    lines = []
    model.summary(print_fn=lines.append, expand_nested=True, show_trainable=True)
    model.summary(print_fn=lines.append)
    golden("summary_nested.txt", "\n".join(lines) + "\n")


# -- sizes that are not known ---------------------------------------------------------------------
def test_one_compiled_function_for_images_of_all_sizes():
    x = Input((None, None, 3))
    h = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    h = layers.MaxPooling2D(2)(h)
    h = layers.SeparableConv2D(6, 3, padding="same")(h)
    h = layers.UpSampling2D(2)(layers.BatchNormalization()(h))
    model = Model(x, [layers.GlobalAveragePooling2D()(h), h])
    run, reference = graphc.compile(model), graphc.compile(model, backend="reference")
    run(images(1, 8, 8, 3)), reference(images(1, 8, 8, 3))
    before = graphc.stats()["compiles"]
    for shape in [(1, 16, 16, 3), (2, 17, 23, 3), (3, 40, 9, 3), (1, 4, 4, 3), (5, 3, 64, 3)]:
        for found, expected in zip(run(images(*shape)), reference(images(*shape)), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert graphc.stats()["compiles"] == before
    with pytest.raises(ShapeError, match="a window of size 2 must fit"):
        run(images(1, 2, 2, 3))


def test_an_application_takes_images_of_all_sizes():
    model = applications.MobileNet(alpha=0.25, include_top=False, weights=None, pooling="avg")
    sizes = [(1, 32, 32, 3), (2, 47, 64, 3)]
    fixed = applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, pooling="avg", input_shape=(47, 64, 3)
    )
    fixed.set_weights(model.get_weights())
    run = graphc.compile(model)
    assert [run(images(*s)).shape for s in sizes] == [(1, 256), (2, 256)]
    assert model.name == "mobilenet_0.25_None"
    np.testing.assert_allclose(run(images(*sizes[1])), fixed(images(*sizes[1])), rtol=1e-4, atol=1e-6)


# -- parts of models ------------------------------------------------------------------------------
def test_models_of_inner_outputs():
    base, x = features(), images(2, 8, 8, 3)
    parts = Model(base.input, [base.get_layer("conv").output, base.get_layer("norm").output, base.output])
    conv, norm, mean = parts(x)
    assert [conv.shape, norm.shape, mean.shape] == [(2, 6, 6, 4), (2, 6, 6, 4), (2, 4)]
    np.testing.assert_allclose(mean, base(x), rtol=1e-6)
    np.testing.assert_allclose(conv.mean((1, 2)) / np.sqrt(1.001), mean, rtol=1e-4, atol=1e-6)
    rest = Model(base.get_layer("norm").input, base.output)
    np.testing.assert_allclose(rest(conv), mean, rtol=1e-5, atol=1e-6)


def test_inputs_outputs_and_shapes_of_layers():
    base = features()
    conv, norm = base.get_layer("conv"), base.get_layer(index=2)
    assert norm.name == "norm"
    assert conv.input is base.input
    assert conv.output is norm.input
    assert (conv.input.shape, conv.output.shape) == ((None, 8, 8, 3), (None, 6, 6, 4))
    assert base.layers[-1].output is base.output
    conv(Input((5, 5, 3)))
    with pytest.raises(RuntimeError, match="called 2 times"):
        conv.output  # noqa: B018


def test_layers_that_are_not_there():
    x = Input((8, 8, 3))
    model = Model(x, features()(x), name="whole")
    with pytest.raises(ArgumentError) as told:
        model.get_layer("conv")
    assert str(told.value) == (
        "the model 'whole' has no layer 'conv' of its own; 'base' has one.\n"
        "  fix     whole.get_layer('base').get_layer('conv')"
    )
    with pytest.raises(ArgumentError, match="has no layer 'basis'; did you mean 'base'"):
        model.get_layer("basis")
    with pytest.raises(ArgumentError, match="has 2 layers, there is none at 2"):
        model.get_layer(index=2)
    inner = model.get_layer("base").get_layer("conv").output
    with pytest.raises(StructureError, match="disconnected"):
        Model(x, inner)


# -- freezing -------------------------------------------------------------------------------------
def test_counts_follow_trainable_on_layers_and_models():
    base = features()
    x = Input((8, 8, 3))
    model = Model(x, layers.Dense(2)(base(x)))
    assert counts(model) == (138, 130, 8)
    base.trainable = False
    assert counts(model) == (138, 10, 128)
    base.get_layer("conv").trainable = True
    assert counts(model) == (138, 10, 128), "a frozen model's layers stay frozen"
    base.trainable = True
    base.get_layer("conv").trainable = False
    assert counts(model) == (138, 18, 120)
    model.trainable = False
    assert counts(model) == (138, 0, 138)
    model.trainable = True
    assert counts(model) == (138, 130, 8)


def test_a_frozen_base_stays_and_its_statistics_too():
    base = features()
    base.trainable = False
    x = Input((8, 8, 3))
    model = Model(x, layers.Dense(2, name="head")(base(x)))
    model.compile("sgd", "mse")
    before, head = base.get_weights(), model.get_layer("head").get_weights()
    model.fit(images(8, 8, 8, 3), np.ones((8, 2), "float32"), epochs=2, verbose=0)
    for a, b in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(head[0], model.get_layer("head").get_weights()[0])
    base.trainable = True
    model.compile("sgd", "mse")
    model.fit(images(8, 8, 8, 3), np.ones((8, 2), "float32"), verbose=0)
    assert not any(np.array_equal(a, b) for a, b in zip(before, base.get_weights()))


# -- clones and models of models ------------------------------------------------------------------
class Own(layers.Layer):
    """A user's layer, which no table of classes knows."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def shared_and_nested():
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = layers.Dense(3, activation="tanh", name="shared")
    p = Input((3,), name="p")
    inner = Model(p, Own(3.0, name="own")(layers.Dense(3, name="deep")(p)), name="inner")
    second = inner(shared(b))
    first = inner(shared(a))
    joined = layers.Subtract(name="minus")([first, second]) + layers.Lambda(lambda t: t * 2, name="f")(first)
    return Model({"a": a, "b": b}, [joined, second], name="net")


def test_clones_are_the_same_network_with_their_own_weights():
    model = shared_and_nested()
    model.get_layer("inner").get_layer("deep").trainable = False
    twin = clone_model(model)
    assert [x.name for x in twin.layers] == [x.name for x in model.layers]
    assert not {id(w) for w in twin.weights} & {id(w) for w in model.weights}
    assert counts(twin) == counts(model)
    twin.set_weights(model.get_weights())
    data = {"a": images(3, 4), "b": images(3, 4) + 1}
    for x, y in zip(model(data), twin(data), strict=True):
        np.testing.assert_array_equal(x, y)
    tables = [[], []]
    model.summary(print_fn=tables[0].append, expand_nested=True)
    twin.summary(print_fn=tables[1].append, expand_nested=True)
    assert tables[0] == tables[1]


def test_clones_on_given_inputs():
    model = features()
    x = Input((8, 8, 3), name="mine")
    twin = clone_model(model, input_tensors=x)
    assert twin.input is x
    assert [layer.name for layer in twin.layers] == ["mine", "conv", "norm", "mean"]
    after = clone_model(model, input_tensors=[layers.Rescaling(2.0)(x)])
    after.set_weights(model.get_weights())
    np.testing.assert_allclose(after(images(1, 8, 8, 3)), model(images(1, 8, 8, 3)), rtol=1e-6)
    with pytest.raises(ArgumentError, match="'base' takes 1 inputs, but got 2 tensors"):
        clone_model(model, input_tensors=[x, x])


def test_clones_with_other_layers():
    def without_bias(layer):
        if isinstance(layer, layers.Dense):
            return layers.Dense(layer.units, use_bias=False, name=layer.name)
        return layer

    model = shared_and_nested()
    kept = clone_model(model, clone_function=without_bias)
    assert kept.get_layer("inner") is model.get_layer("inner")
    assert kept.count_params() == model.count_params() - 3
    deep = clone_model(model, clone_function=without_bias, recursive=True)
    assert deep.count_params() == model.count_params() - 6


def test_clones_of_sequential_and_subclassed_models():
    late = Sequential([layers.Dense(3, name="one"), Own(name="two")], name="late")
    twin = clone_model(late)
    assert not twin.built
    assert [x.name for x in twin.layers] == ["one", "two"]
    early = clone_model(Sequential([Input((4,)), late], name="early"))
    assert (early.name, early.input_shape, early.output_shape) == ("early", (None, 4), (None, 3))

    class Mine(Model):
        def __init__(self, units=2, **kwargs):
            super().__init__(**kwargs)
            self.units, self.dense = units, layers.Dense(units)

        def call(self, inputs):
            return self.dense(inputs)

        def get_config(self):
            return {"units": self.units}

    assert clone_model(Mine(5)).units == 5
    with pytest.raises(ArgumentError, match="is made by its own class Mine"):
        clone_model(Mine(5), input_tensors=Input((3,)))


def test_ensembles_of_one_architecture():
    members = [features(name=f"member_{i}") for i in range(3)]
    x = Input((8, 8, 3))
    ensemble = Model(x, layers.Average()([m(x) for m in members]))
    data = images(4, 8, 8, 3)
    np.testing.assert_allclose(ensemble(data), np.mean([m(data) for m in members], axis=0), rtol=1e-4)
    assert counts(ensemble) == (3 * 128, 3 * 120, 3 * 8)
    ensemble.compile("adam", "mse")
    before = [m.get_weights()[0] for m in members]
    ensemble.train_on_batch(data, np.ones((4, 4), "float32"))
    assert not any(np.array_equal(b, m.get_weights()[0]) for b, m in zip(before, members))
