"""Convolution, pooling and resizing layers: both data formats, sizes, masks, and what wrong arguments say."""

from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc import layers, ops
from graphc.ir.errors import ArgumentError, ShapeError

FOLDER = Path(__file__).parents[1] / "oracle"


@pytest.fixture(autouse=True)
def reference(monkeypatch):
    """The front end is what is tested here: graphs run by the evaluator."""
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")
    graphc.backend.clear_session()


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


IMAGES = {
    "Conv2D": {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
    "Conv2DTranspose": {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
    "DepthwiseConv2D": {"kernel_size": 3, "depth_multiplier": 2},
    "SeparableConv2D": {"filters": 4, "kernel_size": (3, 2)},
    "MaxPooling2D": {"pool_size": 2},
    "AveragePooling2D": {"pool_size": 3, "strides": 2, "padding": "same"},
    "GlobalMaxPooling2D": {},
    "GlobalAveragePooling2D": {"keepdims": True},
    "UpSampling2D": {"size": 2, "interpolation": "bilinear"},
    "ZeroPadding2D": {"padding": (1, 2)},
    "Cropping2D": {"cropping": ((1, 0), (2, 1))},
}


@pytest.mark.parametrize("name", IMAGES)
def test_channels_first_is_the_transpose_of_channels_last(name):
    x = normal(2, 7, 6, 3)
    last, first = (
        getattr(layers, name)(**IMAGES[name], data_format=f"channels_{f}") for f in ("last", "first")
    )
    y = np.asarray(last(x))
    turned = x.transpose(0, 3, 1, 2)
    first(turned)
    first.set_weights(last.get_weights())
    got = np.asarray(first(turned))
    np.testing.assert_allclose(got if got.ndim == 2 else got.transpose(0, 2, 3, 1), y, rtol=1e-6, atol=1e-6)
    assert type(last).from_config(last.get_config()).get_config() == last.get_config()


SERIES = {
    "Conv1D": {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
    "Conv1DTranspose": {"filters": 4, "kernel_size": 2, "strides": 3},
    "DepthwiseConv1D": {"kernel_size": 3, "padding": "same"},
    "SeparableConv1D": {"filters": 5, "kernel_size": 3},
    "UpSampling1D": {"size": 3},
    "ZeroPadding1D": {"padding": (1, 2)},
    "Cropping1D": {"cropping": (1, 2)},
    "MaxPooling1D": {"pool_size": 3, "strides": 1},
}


@pytest.mark.parametrize("name", SERIES)
def test_steps_of_unknown_number_are_those_of_a_known_one(name):
    graphc.utils.set_random_seed(0)
    layer = getattr(layers, name)(**SERIES[name])
    x = graphc.Input((None, 3))
    model = graphc.Model(x, layer(x))
    for steps in (6, 9):
        arrays = normal(2, steps, 3)
        got = np.asarray(graphc.compile(model)(arrays))
        np.testing.assert_allclose(got, np.asarray(layer(arrays)), rtol=1e-6, atol=1e-6)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("extra", [None, 0, 1])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 2), (2, 2), (3, 2), (4, 3), (5, 2), (2, 4)])
def test_transposed_convolution_is_what_its_definition_says(kernel, stride, padding, extra):
    """Every input element adds its window to an output that is cut to the size of the rule."""
    x, w = normal(1, 4, 1), normal(kernel, 1, 1, seed=1)
    got = np.asarray(ops.conv_transpose(x, w, stride, padding, extra))
    full = np.zeros(3 * stride + kernel + stride)
    for i in range(4):
        full[i * stride : i * stride + kernel] += x[0, i, 0] * w[:, 0, 0]
    if padding == "valid":
        size, cut = 3 * stride + (max(kernel, stride) if extra is None else kernel + extra), 0
    else:
        size = 4 * stride if extra is None else 3 * stride + kernel % 2 + extra
        total = stride + kernel - 2 if extra is None else kernel + kernel % 2 - 2 + extra
        cut = kernel - 1 - min(-(-total // 2), kernel - 1)
    np.testing.assert_allclose(got[0, :, 0], full[cut : cut + size], rtol=1e-5, atol=1e-6)


def test_bilinear_upsampling_has_half_pixel_centres():
    x = np.array([0.0, 4.0, 8.0], "f4").reshape(1, 3, 1, 1)
    y = np.asarray(layers.UpSampling2D((2, 1), interpolation="bilinear")(x))
    np.testing.assert_allclose(y.ravel(), [0, 1, 3, 5, 7, 8])


@pytest.fixture(scope="module")
def upsampled():
    with np.load(FOLDER / "upsampling.npz") as found:
        return dict(found)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos3", "lanczos5"])
def test_upsampling_is_that_of_keras(upsampled, interpolation, number):
    x, size = upsampled[f"x{number}"], tuple(map(int, upsampled[f"size{number}"]))
    layer = layers.UpSampling2D(size, interpolation=interpolation)
    expected = upsampled[f"{interpolation}{number}"]
    np.testing.assert_allclose(np.asarray(layer(x)), expected, rtol=1e-5, atol=2e-6)
    image = graphc.Input((None, None, x.shape[-1]))
    model = graphc.Model(image, layer(image))
    assert model.output_shape == (None, None, None, x.shape[-1])
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=2e-6)
    (back,), _ = graphc.vjp(model)(x, expected)
    # The layer is linear: <A x, A x> = <x, A' A x>.
    np.testing.assert_allclose(np.vdot(x, back), np.vdot(expected, expected), rtol=1e-4)


def test_spatial_dropout_drops_whole_channels():
    graphc.utils.set_random_seed(0)
    for layer, axes in (
        (layers.SpatialDropout1D(0.5), (1,)),
        (layers.SpatialDropout2D(0.5), (1, 2)),
        (layers.SpatialDropout2D(0.5, data_format="channels_first"), (2, 3)),
    ):
        shape = (8, 5, 16) if len(axes) == 1 else (8, 16, 5, 16)
        y = np.asarray(layer(np.ones(shape, "f4"), training=True))
        assert set(np.unique(y)) == {0.0, 2.0}
        assert (y.max(axis=axes) == y.min(axis=axes)).all()


def test_the_mean_over_steps_leaves_masked_ones_out():
    x = graphc.Input((4, 2))
    model = graphc.Model(x, layers.GlobalAveragePooling1D()(layers.Masking()(x)))
    a = normal(1, 4, 2)
    a[0, 2:] = 0
    np.testing.assert_allclose(np.asarray(model(a)), a[:, :2].mean(axis=1), rtol=1e-6)


CONSTRUCTION = {
    "a negative kernel": (lambda: layers.Conv2D(4, -3), "kernel_size must be a whole number above 0"),
    "three sizes": (lambda: layers.Conv2D(4, (3, 3, 3)), "kernel_size must be a whole number above 0, or 2"),
    "no filters": (lambda: layers.Conv2D(0, 3), "Conv2D: filters must be a whole number above 0, not 0"),
    "groups": (lambda: layers.Conv2D(4, 3, groups=3), "4 filters can't be divided into 3 groups"),
    "both steps": (
        lambda: layers.Conv2D(4, 3, 2, dilation_rate=2),
        "both strides (2, 2) and dilation (2, 2)",
    ),
    "causal images": (lambda: layers.Conv2D(4, 3, padding="causal"), "one of 'valid', 'same', not 'causal'"),
    "output padding": (
        lambda: layers.Conv2DTranspose(4, 3, 2, output_padding=2),
        "output_padding (2, 2) must be below the strides (2, 2)",
    ),
    "a format": (lambda: layers.MaxPooling2D(2, data_format="first"), "data_format must be one of"),
    "cubic": (
        lambda: layers.UpSampling2D(2, interpolation="cubic"),
        "nearest, bilinear, bicubic, lanczos3, ",
    ),
    "negative border": (lambda: layers.ZeroPadding2D(-1), "ZeroPadding2D: padding must be a whole number"),
}


@pytest.mark.parametrize("name", CONSTRUCTION)
def test_impossible_arguments_are_refused_at_once(name):
    make, message = CONSTRUCTION[name]
    with pytest.raises(ArgumentError) as caught:
        make()
    assert message in str(caught.value)


def test_a_window_that_does_not_fit_names_the_layer_and_the_sizes():
    x = graphc.Input((4, 9, 3), name="image")
    with pytest.raises(ShapeError) as caught:
        layers.Conv2D(8, 5, name="wide")(x)
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "a window of size (5, 5) does not fit an input with the spatial shape (4, 9): "
        "the window covers 5 of an axis of 4 elements."
    )
    assert lines[1].startswith("  wide  created at ")
    assert lines[-1] == "  fix     use padding='same', a smaller window, or a larger input."


def test_other_channels_than_those_of_the_first_call_are_refused():
    layer = layers.Conv2D(8, 3, name="c")
    layer(graphc.Input((9, 9, 3)))
    with pytest.raises(ShapeError, match="was built for inputs with 3 features"):
        layer(graphc.Input((9, 9, 4)))


def test_an_image_too_small_for_the_window_fails_when_it_comes():
    x = graphc.Input((None, None, 1))
    f = graphc.compile(graphc.Model(x, layers.Conv2D(1, 3)(x)))
    assert np.asarray(f(normal(1, 3, 4, 1))).shape == (1, 1, 2, 1)
    with pytest.raises(ShapeError, match="a window of size 3 must fit"):
        f(normal(1, 2, 4, 1))


def test_cropping_everything_is_refused():
    with pytest.raises(ShapeError, match=r"can't crop 2 and 2 of an axis of 4 elements"):
        layers.Cropping2D(2)(graphc.Input((4, 9, 1)))
