"""MobileNet: "MobileNets: Efficient CNNs for Mobile Vision Applications" (Howard et al., 2017)."""

from __future__ import annotations

from typing import Any

from graphc import layers
from graphc.applications.blocks import conv
from graphc.applications.imagenet_utils import decode_predictions, preprocessing
from graphc.applications.options import Options, channel_axis, rows_of, square_size
from graphc.applications.pretrained import STORAGE, Pretrained
from graphc.ir.errors import ArgumentError
from graphc.models import Model

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Filters and stride of each block."""
SIZES = (128, 160, 192, 224)
WIDTHS = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}

preprocess_input = preprocessing("tf")


def MobileNet(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """MobileNet, for images of 224 x 224 pixels, or of at least 32 x 32.

    Arguments and errors as `graphc.applications.options.Options`, and:

    Args:
        alpha: the factor of all numbers of filters.
        depth_multiplier: depthwise filters for each channel.
        dropout: the share of features that is dropped before the classifier while training.
        name: the model's; None tells alpha and the image's size.

    >>> MobileNet(alpha=0.5, weights=None, include_top=False, input_shape=(64, 64, 3)).count_params()
    829536
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    shape = options.shape(square_size(input_shape, SIZES, 224), min_size=32)
    image = options.image(shape)
    x = _active(conv(image, int(32 * alpha), 3, "conv1", strides=2, padding="same"), "conv1")
    for i, (filters, strides) in enumerate(BLOCKS, 1):
        x = _block(x, int(filters * alpha), depth_multiplier, strides, i)
    x = _top(x, options, dropout) if include_top else options.pooled(x)
    name = name or f"mobilenet_{alpha:0.2f}_{rows_of(shape)}"
    return options.model(image, x, name, _files(options, alpha, depth_multiplier))


def _files(options: Options, alpha: float, depth_multiplier: int) -> Pretrained:
    if options.imagenet and (depth_multiplier != 1 or alpha not in WIDTHS):
        raise ArgumentError(
            f"there are weights trained on ImageNet for alpha {', '.join(map(str, WIDTHS))} and "
            f"depth_multiplier 1, not for {alpha} and {depth_multiplier}"
        )
    stem = f"mobilenet_{WIDTHS.get(alpha, '')}_{square_size(options.input_shape, SIZES, 224)}_tf"
    return Pretrained(f"{STORAGE}mobilenet/", f"{stem}.h5", f"{stem}_no_top.h5")


def _active(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(axis=channel_axis(-1), name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _block(x: Any, filters: int, multiplier: int, strides: int, i: int) -> Any:
    """A depthwise convolution, and one that mixes the channels."""
    if strides > 1:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
    depthwise = layers.DepthwiseConv2D(
        3,
        strides=strides,
        padding="valid" if strides > 1 else "same",
        depth_multiplier=multiplier,
        use_bias=False,
        name=f"conv_dw_{i}",
    )
    x = _active(depthwise(x), f"conv_dw_{i}")
    return _active(conv(x, filters, 1, f"conv_pw_{i}", padding="same"), f"conv_pw_{i}")


def _top(x: Any, options: Options, dropout: float) -> Any:
    """A classifier that is a convolution."""
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(options.classes, 1, padding="same", name="conv_preds")(x)
    x = layers.Reshape((options.classes,), name="reshape_2")(x)
    return layers.Activation(options.classifier_activation, name="predictions")(x)
