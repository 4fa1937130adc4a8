"""Well-known image models, layer for layer as `keras.applications` has them.

A module for each model or family has the function that makes the model, `preprocess_input` (pixels 0 to 255
to what the model was trained on) and `decode_predictions`. `options` has what all of them take, `blocks` the
layers that several share, `pretrained` finds files of weights, `imagenet_utils` prepares and names images.

    >>> import graphc
    >>> model = graphc.applications.MobileNet(weights=None, classes=10)
    >>> model.name, model.output_shape, len(model.layers)
    ('mobilenet_1.00_224', (None, 10), 91)
"""

from __future__ import annotations

import importlib
from typing import Any

MODELS = {
    "InceptionV3": "inception_v3",
    "ResNet50": "resnet",
    "ResNet101": "resnet",
    "ResNet152": "resnet",
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "Xception": "xception",
    "DenseNet121": "densenet",
    "DenseNet169": "densenet",
    "DenseNet201": "densenet",
    "EfficientNetB0": "efficientnet",
    "EfficientNetB1": "efficientnet",
    "EfficientNetB2": "efficientnet",
    "EfficientNetB3": "efficientnet",
    "EfficientNetB4": "efficientnet",
    "EfficientNetB5": "efficientnet",
    "EfficientNetB6": "efficientnet",
    "EfficientNetB7": "efficientnet",
    "NASNetMobile": "nasnet",
    "NASNetLarge": "nasnet",
}
"""Which module has which model."""

MODULES = frozenset({*MODELS.values(), "resnet50", "imagenet_utils"})


def __getattr__(name: str) -> Any:
    if name in MODELS:
        found = getattr(importlib.import_module(f"graphc.applications.{MODELS[name]}"), name)
    elif name in MODULES:
        found = importlib.import_module(f"graphc.applications.{name}")
    else:
        import difflib

        near = difflib.get_close_matches(name, [*MODELS, *MODULES], n=2)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise AttributeError(f"graphc.applications has no model {name!r}{hint}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *MODELS, *MODULES})
