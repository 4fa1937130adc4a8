"""DenseNet: "Densely Connected Convolutional Networks" (Huang et al., 2016)."""

from __future__ import annotations

from typing import Any

from graphc import backend, layers
from graphc.applications.blocks import conv, relu
from graphc.applications.imagenet_utils import decode_predictions, preprocessing
from graphc.applications.options import Options
from graphc.applications.pretrained import Pretrained
from graphc.ir.errors import ArgumentError
from graphc.models import Model

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

DEPTHS = {
    "densenet121": (6, 12, 24, 16),
    "densenet169": (6, 12, 32, 32),
    "densenet201": (6, 12, 48, 32),
}
MD5 = {
    "densenet121": ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
    "densenet169": ("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "densenet201": ("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
}
GROWTH = 32
EPSILON = 1.001e-5

preprocess_input = preprocessing("torch")


def DenseNet121(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet121",
) -> Model:
    """DenseNet with 121 layers that have weights, for images of 224 x 224 pixels, or of at least 32 x 32.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.

    >>> DenseNet121(include_top=False, weights=None, input_shape=(64, 64, 3)).output_shape
    (None, 2, 2, 1024)
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _densenet("densenet121", options, name)


def DenseNet169(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet169",
) -> Model:
    """DenseNet with 169 layers that have weights, for images of 224 x 224 pixels, or of at least 32 x 32.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _densenet("densenet169", options, name)


def DenseNet201(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet201",
) -> Model:
    """DenseNet with 201 layers that have weights, for images of 224 x 224 pixels, or of at least 32 x 32.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _densenet("densenet201", options, name)


def _densenet(kind: str, options: Options, name: str) -> Model:
    if backend.image_data_format() != "channels_last":
        raise ArgumentError(f"{name} is defined for images with the channels last only")
    x = image = options.image(options.shape(default_size=224, min_size=32))
    x = conv(layers.ZeroPadding2D(3)(x), 64, 7, "conv1_conv", strides=2)
    x = _active(x, "conv1_bn", "conv1_relu")
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(layers.ZeroPadding2D(1)(x))
    for i, depth in enumerate(DEPTHS[kind], 2):
        x = _halved(x, f"pool{i - 1}") if i > 2 else x
        for j in range(1, depth + 1):
            x = _grown(x, f"conv{i}_block{j}")
    x = options.top(_active(x, "bn", "relu"), pooling_named=True)
    files = Pretrained.standard("densenet/", kind, MD5[kind])
    return options.model(image, x, name, files)


def _active(x: Any, bn: str, name: str) -> Any:
    return relu(layers.BatchNormalization(axis=3, epsilon=EPSILON, name=bn)(x), name)


def _grown(x: Any, name: str) -> Any:
    """The input, and 32 channels more that are computed from it."""
    new = conv(_active(x, f"{name}_0_bn", f"{name}_0_relu"), 4 * GROWTH, 1, f"{name}_1_conv")
    new = _active(new, f"{name}_1_bn", f"{name}_1_relu")
    new = conv(new, GROWTH, 3, f"{name}_2_conv", padding="same")
    return layers.Concatenate(axis=3, name=f"{name}_concat")([x, new])


def _halved(x: Any, name: str) -> Any:
    """Half as many rows, columns and channels."""
    x = _active(x, f"{name}_bn", f"{name}_relu")
    x = conv(x, x.shape[3] // 2, 1, f"{name}_conv")
    return layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)
