"""NASNet-A: "Learning Transferable Architectures for Scalable Image Recognition" (Zoph et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphc import backend, layers
from graphc.applications.blocks import conv, correct_pad, relu
from graphc.applications.imagenet_utils import decode_predictions, preprocessing
from graphc.applications.options import Options
from graphc.applications.pretrained import STORAGE, Pretrained
from graphc.ir.errors import ArgumentError
from graphc.models import Model

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")


@dataclass(frozen=True)
class _Size:
    """A member of the family: filters of a cell's branch and of the stem, cells between reductions, the
    image's size, and whether a cell after a reduction looks back beyond it.
    """

    filters: int
    stem: int
    cells: int
    image: int
    skip_reduction: bool
    files: Pretrained


MOBILE = _Size(
    44,
    32,
    4,
    224,
    False,
    Pretrained(
        f"{STORAGE}nasnet/",
        "NASNet-mobile.h5",
        "NASNet-mobile-no-top.h5",
        ("020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63"),
        ("nasnet_mobile.h5", "nasnet_mobile_no_top.h5"),
    ),
)
LARGE = _Size(
    168,
    96,
    6,
    331,
    True,
    Pretrained(
        f"{STORAGE}nasnet/",
        "NASNet-large.h5",
        "NASNet-large-no-top.h5",
        ("11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5"),
        ("nasnet_large.h5", "nasnet_large_no_top.h5"),
    ),
)


def NASNetMobile(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "nasnet_mobile",
) -> Model:
    """The small NASNet-A, for images of 224 x 224 pixels, or of at least 32 x 32.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.

    >>> NASNetMobile(include_top=False, weights=None).output_shape
    (None, 7, 7, 1056)
    """
    if not include_top and input_shape is None:
        input_shape = (MOBILE.image, MOBILE.image, 3)
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _nasnet(MOBILE, options, name)


def NASNetLarge(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "nasnet_large",
) -> Model:
    """The large NASNet-A, for images of 331 x 331 pixels, or of at least 32 x 32.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return _nasnet(LARGE, options, name)


def _nasnet(size: _Size, options: Options, name: str) -> Model:
    if backend.image_data_format() != "channels_last":
        raise ArgumentError(f"{name} is defined for images with the channels last only")
    image = options.image(options.shape(default_size=size.image, min_size=32))
    x = conv(image, size.stem, 3, "stem_conv1", strides=2, kernel_initializer="he_normal")
    x, p = _norm(x, "stem_bn1"), None
    x, p = _reduction(x, p, size.filters // 4, "stem_1")
    x, p = _reduction(x, p, size.filters // 2, "stem_2")
    for stage in range(3):
        filters, cell = size.filters << stage, stage * size.cells
        if stage:
            x, before = _reduction(x, p, filters, f"reduce_{cell}")
            p = p if size.skip_reduction else before
        for i in range(size.cells):
            x, p = _normal(x, p, filters, str(cell + i + (1 if stage else 0)))
    x = options.top(relu(x), named=False)
    return options.model(image, x, name, size.files)


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(axis=-1, momentum=0.9997, epsilon=1e-3, name=name)(x)


def _squeeze(x: Any, filters: int, name: str, bn: str, activation: str | None = None) -> Any:
    """Activation, a convolution of single pixels, and batch normalization."""
    x = relu(x, activation)
    return _norm(conv(x, filters, 1, name, padding="same", kernel_initializer="he_normal"), bn)


def _separable(x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
    """Activation, separable convolution and batch normalization, twice; the first has the strides."""
    x = relu(x)
    if strides == 2:
        x = layers.ZeroPadding2D(correct_pad(x, size), name=f"separable_conv_1_pad_{name}")(x)
    for i, step in ((1, strides), (2, 1)):
        x = relu(x) if i == 2 else x
        convolve = layers.SeparableConv2D(
            filters,
            size,
            strides=step,
            padding="valid" if step == 2 else "same",
            use_bias=False,
            name=f"separable_conv_{i}_{name}",
        )
        x = _norm(convolve(x), f"separable_conv_{i}_bn_{name}")
    return x


def _adjusted(p: Any, x: Any, filters: int, name: str) -> Any:
    """The cell's input before the last, in the shape of the last."""
    if p is None:
        return x
    if p.shape[2] != x.shape[2]:
        return _halved(p, filters, name)
    if p.shape[3] != filters:
        return _squeeze(p, filters, f"adjust_conv_projection_{name}", f"adjust_bn_{name}")
    return p


def _halved(p: Any, filters: int, name: str) -> Any:
    """Every second pixel, once from the first and once from the second on, each with half the filters."""
    p = relu(p, f"adjust_relu_1_{name}")
    parts = []
    for i in (1, 2):
        x = p
        if i == 2:
            x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
            x = layers.Cropping2D(((1, 0), (1, 0)))(x)
        x = layers.AveragePooling2D(1, strides=2, padding="valid", name=f"adjust_avg_pool_{i}_{name}")(x)
        parts.append(
            conv(
                x, filters // 2, 1, f"adjust_conv_{i}_{name}", padding="same", kernel_initializer="he_normal"
            )
        )
    return _norm(layers.concatenate(parts, axis=-1), f"adjust_bn_{name}")


def _average(x: Any, name: str) -> Any:
    return layers.AveragePooling2D(3, strides=1, padding="same", name=name)(x)


def _normal(ip: Any, p: Any, filters: int, name: str) -> tuple[Any, Any]:
    """A cell that keeps the size; with its input, which the next one takes too."""
    p = _adjusted(p, ip, filters, name)
    h = _squeeze(ip, filters, f"normal_conv_1_{name}", f"normal_bn_1_{name}")

    def branch(x: Any, size: int, which: str) -> Any:
        return _separable(x, filters, size, f"normal_{which}_{name}")

    def added(i: int, *pair: Any) -> Any:
        return layers.add(list(pair), name=f"normal_add_{i}_{name}")

    x1 = added(1, branch(h, 5, "left1"), branch(p, 3, "right1"))
    x2 = added(2, branch(p, 5, "left2"), branch(p, 3, "right2"))
    x3 = added(3, _average(h, f"normal_left3_{name}"), p)
    x4 = added(4, _average(p, f"normal_left4_{name}"), _average(p, f"normal_right4_{name}"))
    x5 = added(5, branch(h, 3, "left5"), h)
    return layers.concatenate([p, x1, x2, x3, x4, x5], axis=-1, name=f"normal_concat_{name}"), ip


def _reduction(ip: Any, p: Any, filters: int, name: str) -> tuple[Any, Any]:
    """A cell that halves rows and columns; with its input, which the next one takes too."""
    p = _adjusted(p, ip, filters, name)
    h = _squeeze(ip, filters, f"reduction_conv_1_{name}", f"reduction_bn_1_{name}")
    wide = layers.ZeroPadding2D(correct_pad(h, 3), name=f"reduction_pad_1_{name}")(h)

    def branch(x: Any, size: int, which: str, strides: int = 2) -> Any:
        return _separable(x, filters, size, f"reduction_{which}_{name}", strides)

    def pool(layer: Any, which: str) -> Any:
        return layer(3, strides=2, padding="valid", name=f"reduction_{which}_{name}")(wide)

    def added(which: str | None, *pair: Any) -> Any:
        return layers.add(list(pair), name=f"reduction_{which}_{name}" if which else None)

    x1 = added("add_1", branch(h, 5, "left1"), branch(p, 7, "right1"))
    x2 = added("add_2", pool(layers.MaxPooling2D, "left2"), branch(p, 7, "right2"))
    x3 = added("add3", pool(layers.AveragePooling2D, "left3"), branch(p, 5, "right3"))
    x4 = _average(x1, f"reduction_left4_{name}")
    x4 = added(None, x2, x4)
    x5 = added("add4", branch(x1, 3, "left4", 1), pool(layers.MaxPooling2D, "right5"))
    return layers.concatenate([x2, x3, x4, x5], axis=-1, name=f"reduction_concat_{name}"), ip
