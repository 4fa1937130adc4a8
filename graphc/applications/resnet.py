"""ResNet: "Deep Residual Learning for Image Recognition" (He et al., 2015), the first version."""

from __future__ import annotations

from typing import Any

from graphc import layers
from graphc.applications.blocks import relu
from graphc.applications.imagenet_utils import decode_predictions, preprocessing
from graphc.applications.options import Options, channel_axis
from graphc.applications.pretrained import Pretrained
from graphc.models import Model

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]

DEPTHS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
MD5 = {
    "resnet50": ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101": ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152": ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
}
EPSILON = 1.001e-5

preprocess_input = preprocessing("caffe")


def ResNet50(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet50",
) -> Model:
    """ResNet with 50 layers that have weights, for images of 224 x 224 pixels, or of at least 32 x 32.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.

    >>> ResNet50(include_top=False, weights=None, input_shape=(64, 64, 3)).output_shape
    (None, 2, 2, 2048)
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _resnet("resnet50", options, name)


def ResNet101(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet101",
) -> Model:
    """ResNet with 101 layers that have weights, for images of 224 x 224 pixels, or of at least 32 x 32.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _resnet("resnet101", options, name)


def ResNet152(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet152",
) -> Model:
    """ResNet with 152 layers that have weights, for images of 224 x 224 pixels, or of at least 32 x 32.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _resnet("resnet152", options, name)


def _resnet(kind: str, options: Options, name: str) -> Model:
    x = image = options.image(options.shape(default_size=224, min_size=32))
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = relu(_conv(x, 64, "conv1_conv", 7, strides=2), "conv1_relu")
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for i, depth in enumerate(DEPTHS[kind]):
        for j in range(depth):
            strides = 2 if i and not j else 1
            x = _block(x, 64 << i, strides, shortcut=not j, name=f"conv{i + 2}_block{j + 1}")
    files = Pretrained.standard("resnet/", kind, MD5[kind])
    return options.model(image, options.top(x, pooling_named=True), name, files)


def _conv(x: Any, filters: int, name: str, size: int = 1, **arguments: Any) -> Any:
    """A convolution with bias, and batch normalization."""
    x = layers.Conv2D(filters, size, name=name, **arguments)(x)
    normalize = layers.BatchNormalization(
        axis=channel_axis(), epsilon=EPSILON, name=name.removesuffix("conv") + "bn"
    )
    return normalize(x)


def _block(x: Any, filters: int, strides: int, shortcut: bool, name: str) -> Any:
    """Narrow, convolve, widen, and add the input, projected if `shortcut`."""
    kept = _conv(x, 4 * filters, f"{name}_0_conv", strides=strides) if shortcut else x
    x = relu(_conv(x, filters, f"{name}_1_conv", strides=strides), f"{name}_1_relu")
    x = relu(_conv(x, filters, f"{name}_2_conv", 3, padding="same"), f"{name}_2_relu")
    x = _conv(x, 4 * filters, f"{name}_3_conv")
    return relu(layers.Add(name=f"{name}_add")([kept, x]), f"{name}_out")
