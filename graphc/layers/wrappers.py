"""Layers around another layer."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.ir.errors import ArgumentError
from graphc.layers.layer import Layer
from graphc.layers.spec import no_steps


class Wrapper(Layer):
    """Base of layers that hold another one as `layer`."""

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ArgumentError(f"{type(self).__name__} takes a layer, not {layer!r}")
        super().__init__(**kwargs)
        self.layer = layer

    def get_config(self) -> dict[str, Any]:
        from graphc.saving.registry import serialize

        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        from graphc.saving.registry import deserialize

        config = dict(config)
        return cls(deserialize(config.pop("layer")), **config)


class TimeDistributed(Wrapper):
    """A layer called on every step of (batch, steps, ...), with the same weights; the steps must be known or
    one size.

    >>> import graphc
    >>> from graphc.layers import Dense
    >>> TimeDistributed(Dense(4))(graphc.Input((7, 3))).shape
    (None, 7, 4)
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if len(input_shape) < 3:
            raise no_steps(self, input_shape)
        if not self.layer.built:
            self.layer.build((input_shape[0], *input_shape[2:]))

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        steps = inputs.shape[1]
        if training and isinstance(steps, int) and _learns_from_batches(self.layer):
            ys = [self._step(inputs[:, i], None if mask is None else mask[:, i]) for i in range(steps)]
            return ops.stack(ys, axis=1)
        flat = ops.reshape(inputs, (inputs.shape[0] * steps, *inputs.shape[2:]))
        if mask is not None and mask.ndim > 2:
            flat._mask = ops.reshape(mask, (mask.shape[0] * mask.shape[1], *mask.shape[2:]))
        y = self.layer(flat, training=training)
        return ops.reshape(y, (inputs.shape[0], steps, *y.shape[1:]))

    def _step(self, x: Any, mask: Any) -> Any:
        x._mask = mask
        return self.layer(x, training=True)


def _learns_from_batches(layer: Any) -> bool:
    """Whether training changes what has no gradient, such as moving statistics: then each step is a batch of
    its own.
    """
    return any(
        part.trainable and any(not v.trainable for v in part._own_variables())
        for part in layer._flatten_layers()
    )
