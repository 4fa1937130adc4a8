"""Applications: layer for layer what Keras makes (tests/golden/applications), and their arguments."""

import hashlib
import importlib
import json
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc import applications, backend
from graphc.applications import imagenet_utils, pretrained
from graphc.datasets.files import Download, DownloadError
from graphc.ir.errors import ArgumentError, FileFormatError, ShapeError

GOLDEN = Path(__file__).parents[1] / "golden" / "applications"
MODELS = sorted(path.stem for path in GOLDEN.glob("*.txt"))
PARAMETERS = {
    "InceptionV3": 23851784,
    "ResNet50": 25636712,
    "MobileNet": 4253864,
    "MobileNetV2": 3538984,
    "VGG16": 138357544,
    "VGG19": 143667240,
    "Xception": 22910480,
    "DenseNet121": 8062504,
    "EfficientNetB0": 5330571,
    "NASNetMobile": 5326716,
}


@pytest.fixture(autouse=True)
def _fresh_names():
    backend.clear_session()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Keras's folder of models, empty."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    found = tmp_path / "models"
    found.mkdir()
    return found


@pytest.fixture
def no_values(monkeypatch):
    """Weights of zeros, so that large models are made at once."""

    def zeros(self, shape, dtype=None):
        return np.zeros(shape, dtype or "float32")

    monkeypatch.setattr(graphc.initializers.VarianceScaling, "__call__", zeros)


def described(name):
    """The text that a golden file holds, of our model."""
    model = getattr(applications, name)(weights=None)
    inputs = {c.layer.name: [t.layer.name for t in c.inputs] for c in model._dag.calls}
    shapes = [f"{'/'.join(v.path.split('/')[-2:])} {tuple(v.shape)}" for v in model.weights]
    trainable = sum(v.size for v in model.trainable_weights)
    lines = [
        f"{model.name}: {len(model.layers)} layers, {model.count_params():,} parameters, "
        f"{trainable:,} trainable",
        f"weights: {len(shapes)}, sha256 {hashlib.sha256(chr(10).join(shapes).encode()).hexdigest()}",
    ]
    layers = []
    for layer in model.layers:
        given = f" <- {', '.join(inputs[layer.name])}" if inputs[layer.name] else ""
        shape = backend.int_shape(layer.output)
        layers.append(f"{layer.name} ({type(layer).__name__}) {shape} {layer.count_params()}{given}")
    backend.clear_session()
    small = getattr(applications, name)(weights=None, include_top=False, pooling="avg")
    last = small.layers[-1]
    lines += [
        f"without top, averaged: {small.name}, {len(small.layers)} layers, {small.count_params():,} "
        f"parameters, ends with {last.name} {backend.int_shape(last.output)}",
        "",
    ]
    return "\n".join(lines + layers) + "\n"


@pytest.mark.parametrize("name", MODELS)
def test_layers_are_those_of_keras(name, no_values):
    text = (GOLDEN / f"{name}.txt").read_text()
    assert f"{PARAMETERS[name]:,} parameters" in text.split("\n", 1)[0]
    assert described(name) == text


def test_all_models_are_recorded():
    assert set(MODELS) == set(PARAMETERS)
    assert len(MODELS) == 10


@pytest.mark.parametrize(
    ("name", "parameters", "layers"),
    [
        ("ResNet101", 44707176, 347),
        ("ResNet152", 60419944, 517),
        ("DenseNet169", 14307880, 597),
        ("DenseNet201", 20242984, 709),
        ("EfficientNetB1", 7856239, 342),
        ("EfficientNetB4", 19466823, 477),
        ("NASNetLarge", 88949818, 1041),
    ],
)
def test_further_members_of_the_families(name, parameters, layers, no_values):
    model = getattr(applications, name)(weights=None)
    assert (model.count_params(), len(model.layers)) == (parameters, layers)


@pytest.mark.parametrize(("name", "home"), applications.MODELS.items())
def test_each_module_has_its_model_and_functions(name, home):
    module = importlib.import_module(f"graphc.applications.{home}")
    assert getattr(module, name) is getattr(applications, name)
    assert module.decode_predictions is imagenet_utils.decode_predictions
    assert callable(module.preprocess_input)
    assert set(module.__all__) <= set(dir(module))


def test_resnet50_has_a_module_of_its_own():
    from graphc.applications.resnet50 import ResNet50, preprocess_input

    assert ResNet50 is applications.ResNet50
    assert preprocess_input is applications.resnet.preprocess_input


def test_an_unknown_model_is_told_with_the_nearest_name():
    with pytest.raises(AttributeError, match="has no model 'InceptionV4'; did you mean InceptionV3"):
        _ = applications.InceptionV4


# -- arguments ------------------------------------------------------------------------------------
def small(**arguments):
    return applications.MobileNet(**{"weights": None, "alpha": 0.25, "input_shape": (32, 32, 3), **arguments})


def test_classes_activation_and_pooling():
    x = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    model = small(classes=7)
    assert model.name == "mobilenet_0.25_32"
    np.testing.assert_allclose(model(x).sum(axis=1), 1, rtol=1e-5)
    assert small(classes=7, classifier_activation=None).layers[-1].activation.__name__ == "linear"
    assert small(include_top=False).output_shape == (None, 1, 1, 256)
    assert small(include_top=False, pooling="max", name="mine").output_shape == (None, 256)
    assert small(include_top=False, input_shape=None).output_shape == (None, None, None, 256)
    assert small(include_top=False, input_shape=(40, 64, 1)).input_shape == (None, 40, 64, 1)


def test_input_tensor_and_what_comes_before_it():
    image = graphc.Input((64, 64, 3), name="bytes")
    scaled = graphc.layers.Rescaling(1 / 127.5, -1)(image)
    model = small(include_top=False, input_tensor=scaled)
    assert model.inputs == [image]
    assert [layer.name for layer in model.layers[:3]] == ["bytes", "rescaling", "conv1"]
    with pytest.raises(ArgumentError, match="input_tensor must be a tensor made by Input"):
        small(input_tensor=np.zeros((1, 32, 32, 3)))


def test_channels_first():
    backend.set_image_data_format("channels_first")
    try:
        model = small(include_top=False, input_shape=(3, 32, 32))
    finally:
        backend.set_image_data_format("channels_last")
    same = small(include_top=False)
    same.set_weights(model.get_weights())
    x = np.random.default_rng(1).uniform(-1, 1, (1, 3, 32, 32)).astype("float32")
    expected = np.moveaxis(same(np.moveaxis(x, 1, -1).copy()), -1, 1)
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "no/such/file"}, "weights must be None .* not 'no/such/file'"),
        ({"pooling": "mean"}, "pooling must be None, 'avg' or 'max', not 'mean'"),
        ({"input_shape": (31, 64, 3)}, r"at least 32 x 32, got input_shape=\(31, 64, 3\)"),
        ({"input_shape": (32, 32)}, "must have three sizes"),
        ({"input_shape": (None, 32, 3)}, "include_top=True needs an input_shape without None"),
        ({"weights": "imagenet", "classes": 10}, "has 1000 classes, not 10"),
        ({"weights": "imagenet", "input_shape": (64, 64, 3)}, r"need input_shape=\(224, 224, 3\)"),
        (
            {"weights": "imagenet", "input_shape": None, "classifier_activation": "relu"},
            "must be 'softmax' or None, not 'relu'",
        ),
        (
            {"weights": "imagenet", "include_top": False, "input_shape": (64, 64, 1)},
            "need 3 channels",
        ),
        ({"weights": "imagenet", "input_shape": None, "alpha": 0.3}, "for alpha 1.0, 0.75, 0.5, 0.25"),
    ],
)
def test_impossible_arguments(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        small(**arguments)


# -- weights --------------------------------------------------------------------------------------
def test_weights_from_a_file(tmp_path):
    model = small(classes=3)
    model.save_weights(tmp_path / "mine.npz")
    again = small(classes=3, weights=str(tmp_path / "mine.npz"))
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_that_are_missing_are_named_with_their_place(folder, monkeypatch):
    with pytest.raises(DownloadError) as told:
        small(weights="imagenet", input_shape=None)
    address = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/mobilenet_2_5_224_tf.h5"
    path = folder / "mobilenet_2_5_224_tf.h5"
    assert str(told.value) == (
        f"there is no file {path}, and it is not downloaded, because no checksum of it is known.\n"
        f"  fix     get {address} and put it at {path}."
    )


def test_without_a_network_the_file_is_named(folder):
    with pytest.raises(DownloadError) as told:
        pretrained.cached_file("w.h5", "http://127.0.0.1:9/w.h5", "0" * 32, 1000)
    lines = str(told.value).splitlines()
    assert lines[0].startswith(
        f"there is no file {folder / 'w.h5'}, and could not download http://127.0.0.1:9"
    )
    assert lines[-1] == f"  fix     get http://127.0.0.1:9/w.h5 and put it at {folder / 'w.h5'}."


def test_a_file_in_the_folder_is_checked(folder, monkeypatch):
    (folder / "w.h5").write_bytes(b"weights")
    md5 = hashlib.md5(b"weights").hexdigest()
    monkeypatch.setattr(pretrained, "fetch", lambda source, target: pytest.fail("downloads"))
    assert pretrained.cached_file("w.h5", "http://x/w.h5", md5, 10) == folder / "w.h5"
    with pytest.raises(FileFormatError, match="is not the file that Keras publishes: its MD5 is"):
        pretrained.cached_file("w.h5", "http://x/w.h5", "0" * 32, 10)


def test_what_is_fetched(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(pretrained, "fetch", lambda source, target: asked.append((source, target)) or target)
    model = small()
    files = applications.nasnet.MOBILE.files
    pretrained.weights_file(files, include_top=False, model=model)
    address = f"{pretrained.STORAGE}nasnet/NASNet-mobile-no-top.h5"
    limit = 5 * model.count_params() + (1 << 24)
    source = Download(address, "1ed92395b5b598bdda52abe5c0dbfd63", limit, algorithm="md5")
    assert asked == [(source, folder / "nasnet_mobile_no_top.h5")]


# -- images ---------------------------------------------------------------------------------------
PIXEL = np.array([[[10.0, 120.0, 250.0]]], "float32")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("tf", [-0.92156863, -0.05882353, 0.96078431]),
        ("torch", [(10 / 255 - 0.485) / 0.229, (120 / 255 - 0.456) / 0.224, (250 / 255 - 0.406) / 0.225]),
        ("caffe", [250 - 103.939, 120 - 116.779, 10 - 123.68]),
    ],
)
def test_preprocessing(mode, expected):
    given = PIXEL.copy()
    found = imagenet_utils.preprocess_input(given, mode=mode)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-5)
    np.testing.assert_array_equal(given, PIXEL)
    batch = np.stack([np.moveaxis(PIXEL, -1, 0)] * 2)
    first = imagenet_utils.preprocess_input(batch, "channels_first", mode)
    np.testing.assert_allclose(first[1, :, 0, 0], expected, rtol=1e-5)
    bytes_ = imagenet_utils.preprocess_input(PIXEL.astype("uint8"), mode=mode)
    np.testing.assert_allclose(bytes_, found, rtol=1e-6)


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_preprocessing_inside_of_a_model(mode):
    image = graphc.Input((2, 2, 3), dtype="uint8")
    model = graphc.Model(image, imagenet_utils.preprocess_input(image, mode=mode))
    x = np.random.default_rng(2).integers(0, 256, (3, 2, 2, 3), dtype="uint8")
    np.testing.assert_allclose(model(x), imagenet_utils.preprocess_input(x, mode=mode), rtol=1e-5, atol=1e-5)


def test_preprocessing_refuses_what_it_does_not_know():
    with pytest.raises(ArgumentError, match="mode must be one of tf, torch, caffe, not 'jax'"):
        imagenet_utils.preprocess_input(PIXEL, mode="jax")
    with pytest.raises(ArgumentError, match="data_format must be one of"):
        imagenet_utils.preprocess_input(PIXEL, "last")
    assert applications.efficientnet.preprocess_input(PIXEL) is PIXEL


def test_decoding(folder, monkeypatch):
    entries = {str(i): [f"n{i:08}", f"word{i}"] for i in range(1000)}
    text = json.dumps(entries).encode()
    (folder / "imagenet_class_index.json").write_bytes(text)
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX_MD5", hashlib.md5(text).hexdigest())
    imagenet_utils._class_index.cache_clear()
    scores = np.zeros((2, 1000), "float32")
    scores[0, 7], scores[0, 3], scores[1, 999] = 0.5, 0.25, 1
    try:
        found = imagenet_utils.decode_predictions(scores, top=2)
    finally:
        imagenet_utils._class_index.cache_clear()
    assert found[0] == [("n00000007", "word7", 0.5), ("n00000003", "word3", 0.25)]
    assert found[1][0] == ("n00000999", "word999", 1.0)
    with pytest.raises(ShapeError, match=r"of shape \(n, 1000\), not \(2, 10\)"):
        imagenet_utils.decode_predictions(scores[:, :10])
