"""VGG16; see `graphc.applications.vgg`."""

from __future__ import annotations

from typing import Any

from graphc.applications.imagenet_utils import decode_predictions, preprocessing
from graphc.applications.options import Options
from graphc.applications.pretrained import Pretrained
from graphc.applications.vgg import vgg
from graphc.models import Model

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]

FILES = Pretrained.standard(
    "vgg16/", "vgg16", ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc")
)

preprocess_input = preprocessing("caffe")


def VGG16(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg16",
) -> Model:
    """VGG16, for images of 224 x 224 pixels, or of at least 32 x 32 with weights of its own.

    Arguments and errors as `graphc.applications.options.Options`; `name` is the model's.

    >>> VGG16(include_top=False, weights=None).output_shape
    (None, None, None, 512)
    """
    options = Options(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return vgg(options, (2, 2, 3, 3, 3), name, FILES)
