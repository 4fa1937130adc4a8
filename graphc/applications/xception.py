"""Xception: "Xception: Deep Learning with Depthwise Separable Convolutions" (Chollet, 2016)."""

from __future__ import annotations

from typing import Any

from graphc import layers
from graphc.applications.blocks import conv, relu
from graphc.applications.imagenet_utils import decode_predictions, preprocessing
from graphc.applications.options import Options, channel_axis
from graphc.applications.pretrained import Pretrained
from graphc.models import Model

__all__ = ["Xception", "decode_predictions", "preprocess_input"]

FILES = Pretrained.standard(
    "xception/", "xception", ("0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97")
)

preprocess_input = preprocessing("tf")


def Xception(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "xception",
) -> Model:
    """Xception, for images of 299 x 299 pixels, or of at least 71 x 71 with weights of its own.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.

    >>> Xception(include_top=False, weights=None, pooling="avg").output_shape
    (None, 2048)
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    x = image = options.image(options.shape(default_size=299, min_size=71))
    x = relu(_norm(conv(x, 32, 3, "block1_conv1", strides=2)), "block1_conv1_act")
    x = relu(_norm(conv(x, 64, 3, "block1_conv2")), "block1_conv2_act")
    for block, filters in ((2, (128, 128)), (3, (256, 256)), (4, (728, 728))):
        x = _shrinking(x, block, filters)
    for block in range(5, 13):
        x = layers.add([_separable(x, block, (728, 728, 728)), x])
    x = _shrinking(x, 13, (728, 1024))
    for i, wide in enumerate((1536, 2048), 1):
        x = relu(_sepconv(x, wide, f"block14_sepconv{i}"), f"block14_sepconv{i}_act")
    return options.model(image, options.top(x), name, FILES)


def _norm(x: Any, name: str | None = None) -> Any:
    """Batch normalization, called after the layer before it unless it has no name."""
    name = name or f"{x.layer.name}_bn"
    return layers.BatchNormalization(axis=channel_axis(-1), name=name)(x)


def _sepconv(x: Any, filters: int, name: str) -> Any:
    return _norm(layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x))


def _separable(x: Any, block: int, filters: tuple[int, ...], active: bool = True) -> Any:
    """Separable convolutions, with an activation before each; before the first only if `active`."""
    for i, n in enumerate(filters, 1):
        name = f"block{block}_sepconv{i}"
        x = _sepconv(relu(x, f"{name}_act") if active or i > 1 else x, n, name)
    return x


def _shrinking(x: Any, block: int, filters: tuple[int, int]) -> Any:
    """Half as many rows and columns, beside a projection of the input."""
    residual = conv(x, filters[1], 1, strides=2, padding="same")
    residual = layers.BatchNormalization(axis=channel_axis(-1))(residual)
    x = _separable(x, block, filters, active=block > 2)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"block{block}_pool")(x)
    return layers.add([x, residual])
