"""VGG: "Very Deep Convolutional Networks for Image Recognition" (Simonyan and Zisserman, 2014)."""

from __future__ import annotations

from graphc import layers
from graphc.applications.options import Options
from graphc.applications.pretrained import Pretrained
from graphc.models import Model

FILTERS = (64, 128, 256, 512, 512)


def vgg(options: Options, depths: tuple[int, ...], name: str, files: Pretrained) -> Model:
    """Five blocks with so many convolutions each, and two wide dense layers before the classifier."""
    x = image = options.image(options.shape(default_size=224, min_size=32))
    for block, (filters, depth) in enumerate(zip(FILTERS, depths), 1):
        for i in range(1, depth + 1):
            x = layers.Conv2D(filters, 3, activation="relu", padding="same", name=f"block{block}_conv{i}")(x)
        x = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    if not options.include_top:
        return options.model(image, options.pooled(x), name, files)
    x = layers.Flatten(name="flatten")(x)
    for i in (1, 2):
        x = layers.Dense(4096, activation="relu", name=f"fc{i}")(x)
    return options.model(image, options.classifier(x), name, files)
