"""Files that Keras 3.15.1 wrote (tests/data/saving), and our own: they open and train on."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc import Input, Model, Sequential, layers, models, optimizers
from graphc.saving import custom_object_scope, register_keras_serializable

DATA = Path(__file__).parents[2] / "data" / "saving"


@pytest.fixture(scope="module")
def expected():
    return dict(np.load(DATA / "keras3_expected.npz"))


def net():
    x = Input((6,), name="x")
    parts = [
        layers.Dense(5, activation="tanh", name="inner"),
        layers.BatchNormalization(),
        layers.Dropout(0.0),
    ]
    tower = Sequential(parts, name="tower")
    joined = layers.Concatenate()([tower(x), tower(x * 0.5)])
    return Model(x, layers.Dense(3, activation="softmax", kernel_regularizer="l2")(joined), name="net")


def test_a_model_of_keras_computes_and_trains_on_as_there(expected):
    model = models.load_model(DATA / "keras3.keras")
    x, y = expected["x"], expected["y"]
    np.testing.assert_allclose(model.predict(x, verbose=0), expected["out"], atol=1e-6)
    assert isinstance(model.optimizer, optimizers.AdamW)
    for i, variable in enumerate(model.optimizer.variables):
        np.testing.assert_array_equal(variable, expected[f"opt{i}"])
    history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)
    np.testing.assert_allclose(history["accuracy"], expected["accuracy"], rtol=1e-6)
    for i, weight in enumerate(model.get_weights()):
        np.testing.assert_allclose(weight, expected[f"after{i}"], atol=2e-5)


def test_weights_of_keras_are_loaded(expected):
    model = net()
    model.load_weights(DATA / "keras3.weights.h5")
    np.testing.assert_allclose(model(expected["x"]), expected["out"], atol=1e-6)


def test_a_model_may_be_loaded_without_being_compiled():
    model = models.load_model(DATA / "keras3.keras", compile=False)
    assert not model.compiled


def trained(**compile_arguments):
    graphc.utils.set_random_seed(1)
    model = net()
    model.compile(**compile_arguments)
    data = np.random.default_rng(2)
    x, y = data.normal(size=(24, 6)).astype("f4"), data.integers(0, 3, 24)
    model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    return model, x, y


RULES = [
    optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    optimizers.Adam(0.01, amsgrad=True),
    optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    optimizers.Adadelta(0.5),
    optimizers.Adamax(optimizers.schedules.ExponentialDecay(0.1, 3, 0.9)),
]


@pytest.mark.parametrize("optimizer", RULES, ids=lambda o: o.name)
def test_training_goes_on_with_the_same_bits(tmp_path, optimizer):
    loss = "sparse_categorical_crossentropy"
    model, x, y = trained(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    model.save(tmp_path / "m.keras")
    twin = models.load_model(tmp_path / "m.keras")
    for each in (model, twin):
        each.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.history.history == twin.history.history


@pytest.mark.parametrize("ending", [".weights.h5", ".npz", ".safetensors"])
def test_weights_and_optimizer_state_come_back(tmp_path, ending):
    loss = "sparse_categorical_crossentropy"
    model, x, _ = trained(optimizer="adam", loss=loss)
    model.save_weights(tmp_path / f"w{ending}")
    twin = net()
    twin.compile("adam", loss)
    twin.load_weights(tmp_path / f"w{ending}")
    np.testing.assert_array_equal(model(x), twin(x))
    for a, b in zip(model.optimizer.variables, twin.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [p.name for p in tmp_path.iterdir()] == [f"w{ending}"]


@pytest.mark.parametrize("ending", [".weights.h5", ".npz", ".safetensors"])
def test_weights_of_another_optimizer_leave_it_as_it_was(tmp_path, ending):
    model, x, _ = trained(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.save_weights(tmp_path / f"w{ending}")
    twin = net()
    twin.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="does not fit 'sgd'.*the optimizer starts anew"):
        twin.load_weights(tmp_path / f"w{ending}")
    np.testing.assert_array_equal(model(x), twin(x))
    assert int(twin.optimizer.iterations) == 0


def test_losses_and_metrics_per_output_are_stored(tmp_path):
    x = Input((3,))
    model = Model(x, [layers.Dense(1, name="a")(x), layers.Dense(2, name="b")(x)])
    loss = {"a": graphc.losses.Huber(delta=0.5), "b": "mse"}
    model.compile(
        "sgd",
        loss,
        metrics={"a": ["mae"], "b": [graphc.metrics.MeanSquaredError(name="two")]},
        loss_weights={"a": 2.0, "b": 1.0},
    )
    model.save(tmp_path / "m.keras")
    twin = models.load_model(tmp_path / "m.keras")
    given = (np.ones((4, 3), "f4"), [np.ones((4, 1), "f4"), np.zeros((4, 2), "f4")])
    assert model.evaluate(*given, verbose=0, return_dict=True) == twin.evaluate(
        *given, verbose=0, return_dict=True
    )


class Scale(layers.Layer):
    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.factor = self.add_weight("factor", shape=[], initializer="ones")

    def call(self, inputs):
        return inputs * self.factor * self.start


def halved_error(y_true, y_pred):
    return graphc.ops.mean(graphc.ops.square(y_true - y_pred), axis=-1) / 2


def custom_model():
    model = Sequential([Input((2,)), Scale(3.0)])
    model.compile("sgd", halved_error, metrics=[halved_error])
    return model


def test_custom_objects_are_given_by_name_or_scope(tmp_path):
    model = custom_model()
    model.save(tmp_path / "m.keras")
    own = {"Scale": Scale, "halved_error": halved_error}
    x = np.ones((2, 2), "f4")
    for load in (lambda p: models.load_model(p, custom_objects=own), scoped(own)):
        twin = load(tmp_path / "m.keras")
        np.testing.assert_array_equal(twin(x), model(x))
        assert twin.evaluate(x, 0 * x, verbose=0) == model.evaluate(x, 0 * x, verbose=0)


def scoped(own):
    def load(path):
        with custom_object_scope(own):
            return models.load_model(path)

    return load


def test_a_class_that_is_not_known_is_an_error_that_says_what_to_do(tmp_path):
    custom_model().save(tmp_path / "m.keras")
    with pytest.raises(graphc.GraphcError) as caught:
        models.load_model(tmp_path / "m.keras")
    assert str(caught.value) == (
        f"{tmp_path}/m.keras: the file names a class 'Scale', which graphc does not know.\n"
        "  fix     if it is yours, give custom_objects={'Scale': Scale}, or register it above its "
        "definition:\n"
        '          @graphc.saving.register_keras_serializable(package="Custom", name="Scale")'
    )


def test_registered_classes_are_found(tmp_path):
    @register_keras_serializable(package="saving_test", name="Doubled")
    class Twice(layers.Layer):
        def call(self, inputs):
            return inputs * 2.0

    model = Sequential([Input((2,)), Twice()])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert "saving_test>Doubled" in archive.read("config.json").decode()
    assert models.load_model(tmp_path / "m.keras")(np.ones((1, 2), "f4")).tolist() == [[2.0, 2.0]]


def test_code_in_a_file_is_not_run(tmp_path):
    Sequential([Input((2,)), layers.Dense(1, name="code")]).save(tmp_path / "m.keras")
    config = json.loads(zipfile.ZipFile(tmp_path / "m.keras").read("config.json"))
    config["config"]["layers"][1]["class_name"] = "Lambda"
    rewritten(tmp_path / "m.keras", config)
    with pytest.raises(graphc.GraphcError, match="holds a Lambda layer 'code': code from a file is not run"):
        models.load_model(tmp_path / "m.keras")
    with pytest.raises(graphc.GraphcError, match="code from a file is never run"):
        models.load_model(tmp_path / "m.keras", safe_mode=False)


def rewritten(path, config):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = config if isinstance(config, bytes) else json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def test_a_weight_larger_than_the_file_is_not_made(tmp_path):
    Sequential([Input((2,)), layers.Dense(1)]).save(tmp_path / "m.keras")
    config = json.loads(zipfile.ZipFile(tmp_path / "m.keras").read("config.json"))
    config["config"]["layers"][1]["config"]["units"] = 10**12
    rewritten(tmp_path / "m.keras", config)
    with pytest.raises(graphc.GraphcError, match=r"weight of shape .* but holds none that large"):
        models.load_model(tmp_path / "m.keras")


def test_a_deeply_nested_configuration_is_refused(tmp_path):
    Sequential([Input((2,)), layers.Dense(1)]).save(tmp_path / "m.keras")
    rewritten(tmp_path / "m.keras", b"[" * 200_000)
    with pytest.raises(graphc.GraphcError, match="is not JSON"):
        models.load_model(tmp_path / "m.keras")


def test_archives_that_lead_elsewhere_or_explode_are_refused(tmp_path):
    path = tmp_path / "m.keras"
    for name in ("../config.json", "/config.json", "a/../../b", "C:/x", "a\\b"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "{}")
        with pytest.raises(graphc.GraphcError, match="leads out of the archive"):
            models.load_model(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 2**25)
    with pytest.raises(graphc.GraphcError, match="would be 33,554,432 bytes long"):
        models.load_model(path)
    assert [p.name for p in tmp_path.iterdir()] == ["m.keras"]


def test_another_architecture_is_told_layer_by_layer(tmp_path):
    def make(units, name):
        return Sequential(
            [Input((3,)), layers.Dense(4, name="body"), layers.Dense(units, name=name)], name="net"
        )

    make(2, "head").save_weights(tmp_path / "w.weights.h5")
    other = make(5, "head")
    before = other.get_weights()
    with pytest.raises(ValueError, match="does not fit") as caught:
        other.load_weights(tmp_path / "w.weights.h5")
    assert str(caught.value).split("\n")[:3] == [
        "w.weights.h5 does not fit the model 'net':",
        "  'layers/dense_1/vars/0' (weight 'kernel' of layer 'head') is (4, 5) in the model, (4, 2) in the "
        "file",
        "  'layers/dense_1/vars/1' (weight 'bias' of layer 'head') is (5,) in the model, (2,) in the file",
    ]
    for a, b in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    other.load_weights(tmp_path / "w.weights.h5", skip_mismatch=True)
    assert not np.array_equal(other.get_weights()[0], before[0])
    with pytest.raises(ValueError, match="of layer 'tail'\\) is of a layer 'head' in the file"):
        make(2, "tail").load_weights(tmp_path / "w.weights.h5")


def test_endings_that_are_not_known_are_told(tmp_path):
    model = Sequential([Input((3,)), layers.Dense(4)])
    with pytest.raises(ValueError, match=r"end in \.weights\.h5, \.npz, \.safetensors, not 'w\.pkl'"):
        model.save_weights(tmp_path / "w.pkl")
    with pytest.raises(ValueError, match=r"models are stored in files that end in \.keras, not 'm\.h5'"):
        model.save(tmp_path / "m.h5")
    with pytest.raises(FileNotFoundError):
        models.load_model(tmp_path / "none.keras")
    with pytest.raises(FileNotFoundError):
        model.load_weights(tmp_path / "none.weights.h5")
