"""The arguments that every application takes, and the beginning and end that all have in common."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from graphc import activations, backend, layers
from graphc.applications.pretrained import Pretrained, weights_file
from graphc.ir.errors import ArgumentError
from graphc.models import Model
from graphc.tensor import Tensor

IMAGENET_CLASSES = 1000
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Options:
    """What to make of an architecture.

    Args:
        include_top: whether the classifier is part of the model.
        weights: None (random), "imagenet" (trained on ImageNet), or the path of a file of weights.
        input_tensor: a functional tensor to begin with, instead of a new `Input`.
        input_shape: of an image; None is the architecture's own, or any size without the classifier.
        pooling: without the classifier: None, "avg" or "max".
        classes: the classifier's number of classes.
        classifier_activation: the classifier's activation; None gives logits.

    Raises:
        ArgumentError: a value that is not possible, or two that contradict each other.
    """

    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: Any
    pooling: str | None
    classes: int
    classifier_activation: Any

    def __post_init__(self) -> None:
        if not (self.weights in (None, "imagenet") or os.path.exists(self.weights)):
            raise ArgumentError(
                f"weights must be None (random), 'imagenet', or the path of a file that exists, "
                f"not {self.weights!r}"
            )
        if self.pooling not in (None, "avg", "max"):
            raise ArgumentError(f"pooling must be None, 'avg' or 'max', not {self.pooling!r}")
        if self.imagenet and self.include_top and self.classes != IMAGENET_CLASSES:
            raise ArgumentError(
                f"the classifier trained on ImageNet has {IMAGENET_CLASSES} classes, not {self.classes}.\n"
                "  fix     give weights=None, or include_top=False and a classifier of your own."
            )
        trained = self.include_top and self.weights is not None
        activation = activations.get(self.classifier_activation) if trained else None
        if trained and activation not in (activations.get("softmax"), activations.get(None)):
            raise ArgumentError(
                f"with trained weights, classifier_activation must be 'softmax' or None, "
                f"not {self.classifier_activation!r}"
            )

    @property
    def imagenet(self) -> bool:
        """Whether weights trained on ImageNet are wanted."""
        return isinstance(self.weights, str) and self.weights == "imagenet"

    def shape(self, default_size: int, min_size: int) -> Shape:
        """The shape of an image: the one that is asked for, after checks, or the architecture's own.

        Raises:
            ArgumentError: an image that is too small for the architecture, or does not fit what is asked.
        """
        given = self.input_shape
        if given is None:
            size = default_size if self.include_top else None
            return _arranged(size, size, 3)
        given = tuple(given)
        rows, columns, channels = _sizes(given)
        if self.imagenet and channels != 3:
            raise ArgumentError(f"weights trained on ImageNet need 3 channels, got input_shape={given}")
        if self.imagenet and self.include_top and (rows, columns) != (default_size, default_size):
            raise ArgumentError(
                f"weights trained on ImageNet need input_shape={_arranged(default_size, default_size, 3)} "
                f"with include_top=True, got {given}"
            )
        if self.include_top and None in given:
            raise ArgumentError(f"include_top=True needs an input_shape without None, got {given}")
        if any(n is not None and n < min_size for n in (rows, columns)):
            raise ArgumentError(f"images must be at least {min_size} x {min_size}, got input_shape={given}")
        return given

    def image(self, shape: Shape) -> Tensor:
        """The tensor that the first layer takes."""
        if self.input_tensor is None:
            return layers.Input(shape=shape)
        if not backend.is_keras_tensor(self.input_tensor):
            raise ArgumentError(
                f"input_tensor must be a tensor made by Input or a layer call, "
                f"not {type(self.input_tensor).__name__}"
            )
        return self.input_tensor

    def classifier(self, x: Any, **arguments: Any) -> Any:
        """The dense layer at the end."""
        return layers.Dense(
            self.classes, activation=self.classifier_activation, name="predictions", **arguments
        )(x)

    def pooled(self, x: Any, named: bool = False) -> Any:
        """The mean or maximum over the image, if it is asked for."""
        if self.pooling is None:
            return x
        layer = layers.GlobalAveragePooling2D if self.pooling == "avg" else layers.GlobalMaxPooling2D
        return layer(name=f"{self.pooling}_pool" if named else None)(x)

    def top(self, x: Any, named: bool = True, pooling_named: bool = False) -> Any:
        """What most architectures end with: mean over the image and classifier, or the pooling asked for."""
        if not self.include_top:
            return self.pooled(x, pooling_named)
        x = layers.GlobalAveragePooling2D(name="avg_pool" if named else None)(x)
        return self.classifier(x)

    def model(self, image: Tensor, x: Any, name: str, pretrained: Pretrained) -> Model:
        """The model between an image and `x`, with the weights that are asked for."""
        inputs: Any = image
        if self.input_tensor is not None:
            sources = _sources(image)
            inputs = sources[0] if len(sources) == 1 else sources
        model = Model(inputs, x, name=name)
        if self.imagenet:
            model.load_weights(weights_file(pretrained, self.include_top, model))
        elif self.weights is not None:
            model.load_weights(self.weights)
        return model


def _sizes(shape: Shape) -> tuple[int | None, int | None, int | None]:
    """Rows, columns and channels of an image's shape in the process's data format."""
    if len(shape) != 3:
        raise ArgumentError(f"input_shape must have three sizes, such as (224, 224, 3), not {shape}")
    first, second, third = shape
    channels_last = backend.image_data_format() == "channels_last"
    return (first, second, third) if channels_last else (second, third, first)


def _arranged(rows: int | None, columns: int | None, channels: int) -> Shape:
    channels_last = backend.image_data_format() == "channels_last"
    return (rows, columns, channels) if channels_last else (channels, rows, columns)


def rows_of(shape: Shape) -> int | None:
    """The number of rows of an image's shape."""
    return _sizes(shape)[0]


def square_size(input_shape: Any, known: tuple[int, ...], default: int) -> int:
    """The size of a square image, if there are weights for it, else the default."""
    if input_shape is None:
        return default
    rows, columns, _ = _sizes(tuple(input_shape))
    return rows if rows is not None and rows == columns and rows in known else default


def _sources(tensor: Tensor) -> list[Tensor]:
    """The inputs from which a functional tensor is computed."""
    found: dict[int, Tensor] = {}
    seen: set[int] = set()
    stack = [tensor]
    while stack:
        t = stack.pop()
        assert t.history is not None
        call = t.history[0]
        if call.is_input:
            found[id(t)] = t
        elif id(call) not in seen:
            seen.add(id(call))
            stack.extend(reversed(call.inputs))
    return list(found.values())


def channel_axis(last: int = 3) -> int:
    """The axis of the channels in the process's data format; `last` names the last one."""
    return last if backend.image_data_format() == "channels_last" else 1
