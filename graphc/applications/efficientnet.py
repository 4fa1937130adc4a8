"""EfficientNet: "EfficientNet: Rethinking Model Scaling for CNNs" (Tan and Le, 2019)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphc import initializers, layers
from graphc.applications.blocks import conv, correct_pad, divisible
from graphc.applications.imagenet_utils import TORCH_DEVIATION, decode_predictions
from graphc.applications.imagenet_utils import unchanged as preprocess_input
from graphc.applications.options import Options, channel_axis
from graphc.applications.pretrained import Pretrained
from graphc.models import Model

__all__ = [*(f"EfficientNetB{i}" for i in range(8)), "decode_predictions", "preprocess_input"]

FOLDER = "https://storage.googleapis.com/keras-applications/"
STAGES = (
    (3, 1, 32, 16, 1, 1),
    (3, 2, 16, 24, 6, 2),
    (5, 2, 24, 40, 6, 2),
    (3, 3, 40, 80, 6, 2),
    (5, 3, 80, 112, 6, 1),
    (5, 4, 112, 192, 6, 2),
    (3, 1, 192, 320, 6, 1),
)
"""Kernel size, blocks, filters in and out, expansion and first stride of each stage of B0."""
SQUEEZE = 0.25
DROP = 0.2


@dataclass(frozen=True)
class Scale:
    """What makes B1 to B7 from B0: factors of filters and of blocks; the image's size; the last dropout."""

    width: float
    depth: float
    size: int
    dropout: float
    md5: tuple[str, str]

    def filters(self, filters: int) -> int:
        """A number of filters of B0 at this width."""
        return divisible(filters * self.width)


SCALES = {
    "b0": Scale(1.0, 1.0, 224, 0.2, ("902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d")),
    "b1": Scale(1.0, 1.1, 240, 0.2, ("1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432")),
    "b2": Scale(1.1, 1.2, 260, 0.3, ("b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39")),
    "b3": Scale(1.2, 1.4, 300, 0.3, ("ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226")),
    "b4": Scale(1.4, 1.8, 380, 0.4, ("18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba")),
    "b5": Scale(1.6, 2.2, 456, 0.4, ("ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f")),
    "b6": Scale(1.8, 2.6, 528, 0.5, ("165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743")),
    "b7": Scale(2.0, 3.1, 600, 0.5, ("8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a")),
}


def EfficientNetB0(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb0",
) -> Model:
    """EfficientNetB0, for images of 224 x 224 pixels, or of at least 32 x 32, from 0 to 255.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.

    >>> EfficientNetB0(include_top=False, weights=None, input_shape=(64, 64, 3)).output_shape
    (None, 2, 2, 1280)
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _efficientnet("b0", options, name)


def EfficientNetB1(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb1",
) -> Model:
    """EfficientNetB1, for images of 240 x 240 pixels, or of at least 32 x 32, from 0 to 255.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _efficientnet("b1", options, name)


def EfficientNetB2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb2",
) -> Model:
    """EfficientNetB2, for images of 260 x 260 pixels, or of at least 32 x 32, from 0 to 255.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _efficientnet("b2", options, name)


def EfficientNetB3(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb3",
) -> Model:
    """EfficientNetB3, for images of 300 x 300 pixels, or of at least 32 x 32, from 0 to 255.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _efficientnet("b3", options, name)


def EfficientNetB4(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb4",
) -> Model:
    """EfficientNetB4, for images of 380 x 380 pixels, or of at least 32 x 32, from 0 to 255.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _efficientnet("b4", options, name)


def EfficientNetB5(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb5",
) -> Model:
    """EfficientNetB5, for images of 456 x 456 pixels, or of at least 32 x 32, from 0 to 255.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _efficientnet("b5", options, name)


def EfficientNetB6(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb6",
) -> Model:
    """EfficientNetB6, for images of 528 x 528 pixels, or of at least 32 x 32, from 0 to 255.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _efficientnet("b6", options, name)


def EfficientNetB7(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb7",
) -> Model:
    """EfficientNetB7, for images of 600 x 600 pixels, or of at least 32 x 32, from 0 to 255.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _efficientnet("b7", options, name)


@dataclass(frozen=True)
class _Block:
    """One block: `drop` is the probability with which its residual is left out while training."""

    name: str
    size: int
    filters_in: int
    filters_out: int
    expansion: int
    strides: int
    drop: float


def _blocks(scale: Scale) -> Iterator[_Block]:
    depths = [math.ceil(scale.depth * blocks) for _, blocks, *_ in STAGES]
    made = 0
    for i, (stage, depth) in enumerate(zip(STAGES, depths), 1):
        size, _, filters_in, filters_out, expansion, strides = stage
        before, after = scale.filters(filters_in), scale.filters(filters_out)
        for j in range(depth):
            name, drop = f"block{i}{chr(j + ord('a'))}_", DROP * made / sum(depths)
            first = (before, after, expansion, strides)
            yield _Block(name, size, *(first if not j else (after, after, expansion, 1)), drop)
            made += 1


def _efficientnet(kind: str, options: Options, name: str) -> Model:
    scale = SCALES[kind]
    image = options.image(options.shape(default_size=scale.size, min_size=32))
    x = layers.Normalization(axis=channel_axis())(layers.Rescaling(1.0 / 255.0)(image))
    if options.imagenet:
        x = layers.Rescaling([1.0 / math.sqrt(d) for d in TORCH_DEVIATION])(x)
    x = layers.ZeroPadding2D(correct_pad(x, 3), name="stem_conv_pad")(x)
    x = _conv(x, scale.filters(32), 3, "stem_conv", strides=2)
    x = _active(x, "stem_bn", "stem_activation")
    for block in _blocks(scale):
        x = _apply(block, x)
    x = _conv(x, scale.filters(1280), 1, "top_conv", padding="same")
    x = _active(x, "top_bn", "top_activation")
    if options.include_top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dropout(scale.dropout, name="top_dropout")(x)
        x = options.classifier(x, kernel_initializer=_scaling(1.0 / 3.0, "uniform"))
    else:
        x = options.pooled(x, named=True)
    files = Pretrained(FOLDER, f"{name}.h5", f"{name}_notop.h5", scale.md5)
    return options.model(image, x, name, files)


def _scaling(scale: float = 2.0, distribution: str = "truncated_normal") -> Any:
    return initializers.VarianceScaling(scale, "fan_out", distribution)


def _conv(x: Any, filters: int, size: int, name: str, **arguments: Any) -> Any:
    return conv(x, filters, size, name, kernel_initializer=_scaling(), **arguments)


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), name=name)(x)


def _active(x: Any, bn: str, name: str) -> Any:
    return layers.Activation("swish", name=name)(_norm(x, bn))


def _apply(block: _Block, inputs: Any) -> Any:
    """Widen, convolve channel by channel, weigh the channels, narrow; add the input where shapes agree."""
    x, name = inputs, block.name
    if block.expansion != 1:
        x = _conv(x, block.filters_in * block.expansion, 1, f"{name}expand_conv", padding="same")
        x = _active(x, f"{name}expand_bn", f"{name}expand_activation")
    if block.strides == 2:
        x = layers.ZeroPadding2D(correct_pad(x, block.size), name=f"{name}dwconv_pad")(x)
    depthwise = layers.DepthwiseConv2D(
        block.size,
        strides=block.strides,
        padding="valid" if block.strides == 2 else "same",
        use_bias=False,
        depthwise_initializer=_scaling(),
        name=f"{name}dwconv",
    )
    x = _active(depthwise(x), f"{name}bn", f"{name}activation")
    x = _weighed(x, block)
    x = _norm(_conv(x, block.filters_out, 1, f"{name}project_conv", padding="same"), f"{name}project_bn")
    if block.strides == 1 and block.filters_in == block.filters_out:
        if block.drop > 0:
            x = layers.Dropout(block.drop, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
        x = layers.add([x, inputs], name=f"{name}add")
    return x


def _weighed(x: Any, block: _Block) -> Any:
    """Each channel times a weight that depends on the means of all channels (Hu et al., 2017)."""
    name, filters = block.name, block.filters_in * block.expansion
    reduced = max(1, int(block.filters_in * SQUEEZE))
    shape = (1, 1, filters) if channel_axis() == 3 else (filters, 1, 1)
    w = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    w = layers.Reshape(shape, name=f"{name}se_reshape")(w)
    for n, activation, what in ((reduced, "swish", "reduce"), (filters, "sigmoid", "expand")):
        w = layers.Conv2D(
            n,
            1,
            padding="same",
            activation=activation,
            kernel_initializer=_scaling(),
            name=f"{name}se_{what}",
        )(w)
    return layers.multiply([x, w], name=f"{name}se_excite")
