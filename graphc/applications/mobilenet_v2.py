"""MobileNetV2: "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (Sandler et al., 2018)."""

from __future__ import annotations

from typing import Any

from graphc import backend, layers
from graphc.applications.blocks import conv, correct_pad, divisible
from graphc.applications.imagenet_utils import decode_predictions, preprocessing
from graphc.applications.options import Options, channel_axis, rows_of, square_size
from graphc.applications.pretrained import STORAGE, Pretrained
from graphc.ir.errors import ArgumentError
from graphc.models import Model

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""Filters, blocks and first stride of each stage."""
EXPANSION = 6
SIZES = (96, 128, 160, 192, 224)
WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)

preprocess_input = preprocessing("tf")


def MobileNetV2(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """MobileNetV2, for images of 224 x 224 pixels, or of at least 32 x 32.

    Arguments and errors as `graphc.applications.options.Options`, and:

    Args:
        alpha: the factor of all numbers of filters.
        name: the model's; None tells alpha and the image's size.

    >>> MobileNetV2(alpha=0.35, weights=None, include_top=False, input_shape=(96, 96, 3)).count_params()
    410208
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    if input_shape is None and backend.is_keras_tensor(input_tensor):
        input_shape = input_tensor.shape[1:]
    size = square_size(input_shape, SIZES, 224)
    shape = options.shape(size, min_size=32)
    image = options.image(shape)
    x = conv(image, divisible(32 * alpha), 3, "Conv1", strides=2, padding="same")
    x = _active(x, "bn_Conv1", "Conv1_relu")
    i = 0
    for filters, blocks, first in STAGES:
        for j in range(blocks):
            x = _block(x, divisible(int(filters * alpha)), 1 if j else first, i)
            i += 1
    x = conv(x, divisible(1280 * alpha) if alpha > 1 else 1280, 1, "Conv_1")
    x = options.top(_active(x, "Conv_1_bn", "out_relu"), named=False)
    name = name or f"mobilenetv2_{alpha:0.2f}_{rows_of(shape)}"
    return options.model(image, x, name, _files(options, alpha, size))


def _files(options: Options, alpha: float, size: int) -> Pretrained:
    if options.imagenet and alpha not in WIDTHS:
        raise ArgumentError(
            f"there are weights trained on ImageNet for alpha {', '.join(map(str, WIDTHS))}, not for {alpha}"
        )
    stem = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{size}"
    return Pretrained(f"{STORAGE}mobilenet_v2/", f"{stem}.h5", f"{stem}_no_top.h5")


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(axis=channel_axis(-1), epsilon=1e-3, momentum=0.999, name=name)(x)


def _active(x: Any, bn: str, name: str) -> Any:
    return layers.ReLU(6.0, name=name)(_norm(x, bn))


def _block(inputs: Any, filters: int, strides: int, i: int) -> Any:
    """Widen, convolve channel by channel, narrow without activation; add the input where shapes agree."""
    channels = inputs.shape[channel_axis(-1)]
    prefix = f"block_{i}_" if i else "expanded_conv_"
    x = inputs
    if i:
        x = conv(x, EXPANSION * channels, 1, f"{prefix}expand", padding="same")
        x = _active(x, f"{prefix}expand_BN", f"{prefix}expand_relu")
    if strides == 2:
        x = layers.ZeroPadding2D(correct_pad(x, 3), name=f"{prefix}pad")(x)
    padding = "same" if strides == 1 else "valid"
    depthwise = layers.DepthwiseConv2D(
        3, strides=strides, padding=padding, use_bias=False, name=f"{prefix}depthwise"
    )
    x = _active(depthwise(x), f"{prefix}depthwise_BN", f"{prefix}depthwise_relu")
    x = _norm(conv(x, filters, 1, f"{prefix}project", padding="same"), f"{prefix}project_BN")
    if channels == filters and strides == 1:
        return layers.Add(name=f"{prefix}add")([inputs, x])
    return x
