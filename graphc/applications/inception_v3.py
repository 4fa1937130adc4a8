"""InceptionV3: "Rethinking the Inception Architecture for Computer Vision" (Szegedy et al., 2015)."""

from __future__ import annotations

from typing import Any

from graphc import layers
from graphc.applications.blocks import conv, relu
from graphc.applications.imagenet_utils import decode_predictions, preprocessing
from graphc.applications.options import Options, channel_axis
from graphc.applications.pretrained import Pretrained
from graphc.models import Model

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

FILES = Pretrained.standard(
    "inception_v3/",
    "inception_v3",
    ("9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"),
)
Step = tuple[int, int, int]
"""Filters, rows and columns of a convolution."""

preprocess_input = preprocessing("tf")


def InceptionV3(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "inception_v3",
) -> Model:
    """InceptionV3, for images of 299 x 299 pixels, or of at least 75 x 75 without the classifier.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.

    >>> model = InceptionV3(include_top=False, input_shape=(75, 75, 3), weights=None)
    >>> model.output_shape, model.count_params()
    ((None, 1, 1, 2048), 21802784)
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    image = options.image(options.shape(default_size=299, min_size=75))
    return options.model(image, options.top(_tail(_body(_stem(image)))), name, FILES)


def _conv(x: Any, filters: int, rows: int, columns: int, padding: str = "same", strides: int = 1) -> Any:
    x = conv(x, filters, (rows, columns), padding=padding, strides=strides)
    return relu(layers.BatchNormalization(axis=channel_axis(), scale=False)(x))


def _chain(x: Any, *steps: Step) -> Any:
    for step in steps:
        x = _conv(x, *step)
    return x


def _shrink(x: Any, filters: int) -> Any:
    return _conv(x, filters, 3, 3, "valid", 2)


def _average(x: Any, filters: int) -> Any:
    return _conv(layers.AveragePooling2D(3, strides=1, padding="same")(x), filters, 1, 1)


def _halved(x: Any) -> Any:
    return layers.MaxPooling2D(3, strides=2)(x)


def _join(name: str | None, *branches: Any) -> Any:
    return layers.concatenate(branches, axis=channel_axis(), name=name)


def _stem(x: Any) -> Any:
    x = _conv(_shrink(x, 32), 32, 3, 3, "valid")
    x = _halved(_conv(x, 64, 3, 3))
    x = _conv(_conv(x, 80, 1, 1, "valid"), 192, 3, 3, "valid")
    return _halved(x)


def _body(x: Any) -> Any:
    for i, filters in enumerate((32, 64, 64)):
        x = _join(
            f"mixed{i}",
            _chain(x, (64, 1, 1)),
            _chain(x, (48, 1, 1), (64, 5, 5)),
            _chain(x, (64, 1, 1), (96, 3, 3), (96, 3, 3)),
            _average(x, filters),
        )
    x = _join("mixed3", _shrink(x, 384), _shrink(_chain(x, (64, 1, 1), (96, 3, 3)), 96), _halved(x))
    for i, n in enumerate((128, 160, 160, 192), 4):
        x = _join(
            f"mixed{i}",
            _chain(x, (192, 1, 1)),
            _chain(x, (n, 1, 1), (n, 1, 7), (192, 7, 1)),
            _chain(x, (n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)),
            _average(x, 192),
        )
    return x


def _tail(x: Any) -> Any:
    x = _join(
        "mixed8",
        _shrink(_chain(x, (192, 1, 1)), 320),
        _shrink(_chain(x, (192, 1, 1), (192, 1, 7), (192, 7, 1)), 192),
        _halved(x),
    )
    for i in range(2):
        single = _chain(x, (320, 1, 1))
        square = _chain(x, (384, 1, 1))
        square = _join(f"mixed9_{i}", _chain(square, (384, 1, 3)), _chain(square, (384, 3, 1)))
        double = _chain(x, (448, 1, 1), (384, 3, 3))
        double = _join(None, _chain(double, (384, 1, 3)), _chain(double, (384, 3, 1)))
        x = _join(f"mixed{9 + i}", single, square, double, _average(x, 192))
    return x
