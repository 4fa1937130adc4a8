"""Layers that act while training only: dropout and noise."""

from __future__ import annotations

import math
from typing import Any

from graphc import ops, randomness
from graphc.ir.errors import ArgumentError
from graphc.layers.layer import Layer
from graphc.ops.window import chosen_format


class Noise(Layer):
    """Base: random numbers from a seed of the layer's own, or from the process's when it is None."""

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.supports_masking = True
        self._generator = None if seed is None else randomness.Generator(seed, name=self.name)
        self.built = True

    @property
    def generator(self) -> randomness.Generator:
        """The stream that the layer draws from."""
        return self._generator or randomness.shared_generator()


def _probability(rate: Any, layer: str) -> Any:
    if isinstance(rate, bool) or not 0 <= rate <= 1:
        raise ArgumentError(f"the rate of {layer} must lie between 0 and 1, got {rate!r}")
    return rate


class Dropout(Noise):
    """While training: elements set to zero with probability `rate`, the others divided by 1 - rate.

    Args:
        noise_shape: sizes of 1 along axes for which one decision holds for all elements; None elsewhere.
        seed: of a stream of the layer's own.

    >>> import numpy as np
    >>> layer, x = Dropout(0.5, seed=3), np.ones((1, 6))
    >>> layer(x)
    array([[1., 1., 1., 1., 1., 1.]], dtype=float32)
    >>> sorted(set(layer(x, training=True)[0].tolist()))
    [0.0, 2.0]
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = _probability(rate, "Dropout")
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return inputs
        if self.rate == 1:
            return inputs * 0.0
        return randomness.dropout(inputs, self.rate, self.noise_shape, self.generator)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


class SpatialDropout(Dropout):
    """Base of dropout that keeps or drops whole channels."""

    spatial = 1

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, None, seed, name=name, dtype=dtype, **kwargs)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return inputs
        return randomness.dropout(inputs, self.rate, self.noise_sizes(), self.generator)

    def noise_sizes(self) -> tuple[int | None, ...]:
        """One decision for all elements of a channel."""
        return (None, *(1,) * self.spatial, None)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("noise_shape")
        return config


class SpatialDropout1D(SpatialDropout):
    """Dropout of whole channels of (batch, steps, channels)."""


class SpatialDropout2D(SpatialDropout):
    """Dropout of whole channels of images (batch, rows, columns, channels), or with the channels first."""

    spatial = 2

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any):
        super().__init__(rate, seed, **kwargs)
        self.data_format = chosen_format(data_format)

    def noise_sizes(self) -> tuple[int | None, ...]:
        return (None, None, 1, 1) if self.data_format == "channels_first" else super().noise_sizes()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class GaussianNoise(Noise):
    """While training: normal noise of deviation `stddev` is added."""

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        if stddev < 0:
            raise ArgumentError(f"stddev of GaussianNoise can't be negative, got {stddev}")
        self.stddev = stddev

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.stddev:
            return inputs
        return inputs + randomness.normal(inputs.shape, 0.0, self.stddev, inputs.dtype, self.generator)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class GaussianDropout(Noise):
    """While training: multiplied by normal noise of mean 1 and deviation sqrt(rate / (1 - rate))."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = _probability(rate, "GaussianDropout")

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return inputs
        deviation = math.sqrt(self.rate / (1.0 - self.rate))
        return inputs * randomness.normal(inputs.shape, 1.0, deviation, inputs.dtype, self.generator)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class AlphaDropout(Noise):
    """Dropout that keeps mean and variance of SELU activations (Klambauer et al., 2017): dropped elements
    become -alpha * scale.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = _probability(rate, "AlphaDropout")
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return inputs
        dropped = -SELU_ALPHA * SELU_SCALE
        wanted = self.noise_shape or (None,) * inputs.ndim
        shape = [n if d is None else d for n, d in zip(inputs.shape, wanted)]
        kept = randomness.uniform(shape, dtype=inputs.dtype, seed=self.generator) >= self.rate
        scale = ((1 - self.rate) * (1 + self.rate * dropped**2)) ** -0.5
        shift = -scale * dropped * self.rate
        return ops.where(kept, inputs, dropped) * scale + shift

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}
