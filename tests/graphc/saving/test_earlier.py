"""Files of weights in the form of Keras 2, written by Keras 3.15.1 and h5py (tests/data/saving)."""

from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc import Input, Model, layers
from graphc.ir.errors import ArgumentError, FileFormatError

DATA = Path(__file__).parents[2] / "data" / "saving"


@pytest.fixture(autouse=True)
def fresh():
    graphc.backend.clear_session()


def net(units=4, bias=True, more=False):
    x = Input((6, 6, 2))
    a = layers.SeparableConv2D(3, 3, padding="same", use_bias=bias)(x)
    h = layers.Add()([a, layers.Conv2D(3, 1, use_bias=False)(x)])
    h = layers.ReLU()(layers.BatchNormalization()(h))
    h = layers.Dense(units)(layers.GlobalAveragePooling2D()(h))
    return Model(x, layers.Dense(2)(h) if more else h, name="net")


@pytest.mark.parametrize("name", ["keras_layers.h5", "keras2_model.h5"])
def test_weights_are_taken_layer_by_layer(name):
    model = net()
    model.layers[1].trainable = False
    model.load_weights(DATA / name)
    rng = np.random.default_rng(0)
    order = {"sep": 1, "one": 2, "norm": 4, "head": 7}
    assert [type(model.layers[i]).__name__ for i in order.values()] == [
        "SeparableConv2D",
        "Conv2D",
        "BatchNormalization",
        "Dense",
    ]
    for i in order.values():
        for found in model.layers[i].get_weights():
            np.testing.assert_array_equal(found, rng.uniform(0.5, 1.5, found.shape).astype("float32"))
    expected = [[59.304100036621094, 50.50368881225586, 43.245994567871094, 51.66210174560547]]
    np.testing.assert_allclose(model(np.ones((1, 6, 6, 2), "float32")), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"more": True}, "has weights of 4 layers, but 'net' has 5 with weights"),
        ({"bias": False}, "layer 'sep' has 3 weights, but SeparableConv2D 'separable_conv2d' has 2"),
        (
            {"units": 5},
            r"a weight of layer 'head' is \(3, 4\), but 'dense/kernel' of Dense 'dense' is \(3, 5\)",
        ),
    ],
)
def test_what_does_not_fit_is_told_and_changes_nothing(arguments, message):
    model = net(**arguments)
    before = model.get_weights()
    with pytest.raises(ArgumentError, match=message):
        model.load_weights(DATA / "keras2_model.h5")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_shapes_can_be_left():
    model = net(units=5)
    kernel = model.layers[-1].get_weights()[0]
    model.load_weights(DATA / "keras2_model.h5", skip_mismatch=True)
    np.testing.assert_array_equal(model.layers[-1].get_weights()[0], kernel)
    assert model.layers[1].get_weights()[0].min() >= 0.5


def test_a_file_without_layers_is_refused():
    with pytest.raises(FileFormatError, match=r"early\.h5: it has no list of layers"):
        net().load_weights(DATA / "early.h5")


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_an_error_or_leaves_finite_weights(tmp_path, seed):
    rng = np.random.default_rng(seed)
    data = np.fromfile(DATA / "keras2_model.h5", np.uint8)
    where = rng.integers(0, len(data), 4)
    data[where] = rng.integers(0, 256, 4)
    path = tmp_path / "damaged.h5"
    (data if seed % 4 else data[: int(where[0])]).tofile(path)
    model = net()
    before = model.get_weights()
    try:
        model.load_weights(path)
    except (FileFormatError, ArgumentError):
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    else:
        assert seed % 4, "a file that is cut off can't be read"
        assert sum(w.size for w in model.get_weights()) == model.count_params()


def test_an_application_from_such_a_file(tmp_path):
    with pytest.raises(ArgumentError, match="has weights of 4 layers, but 'vgg16' has 13 with weights"):
        graphc.applications.VGG16(
            include_top=False, input_shape=(32, 32, 3), weights=str(DATA / "keras2_model.h5")
        )
