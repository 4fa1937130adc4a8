"""Normalization: features brought to mean 0 and variance 1, by statistics of data that it is shown once."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import ops
from graphc.backend import epsilon
from graphc.ir.errors import ArgumentError, StateError
from graphc.layers.layer import Layer


class Normalization(Layer):
    """(x - mean) / sqrt(variance), with statistics per index of `axis`; or the other way round with `invert`.

    Args:
        axis: the axis or axes that keep statistics of their own; None has one mean and variance for all.
        mean, variance: given statistics, as numbers or arrays; without them, `adapt(data)` finds them.
        invert: x * sqrt(variance) + mean instead.

    Weights, if the statistics are not given: `mean`, `variance` and `count`, none of them trainable.

    >>> layer = Normalization()
    >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> layer(np.array([[2.0, 30.0]], "float32")).tolist()
    [[0.0, 1.0]]
    """

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ArgumentError("Normalization takes mean and variance together, or neither.")
        self.axis = axis
        self.mean, self.variance, self.invert = mean, variance, invert
        self.supports_masking = True

    def _axes(self, rank: int) -> tuple[int, ...]:
        given = (
            () if self.axis is None else self.axis if isinstance(self.axis, (list, tuple)) else (self.axis,)
        )
        return tuple(sorted(a % rank for a in given))

    def build(self, input_shape: Any) -> None:
        if self.mean is not None:
            return
        sizes = tuple(input_shape[a] for a in self._axes(len(input_shape)))
        self.adapt_mean = self.add_weight("mean", shape=sizes, initializer="zeros", trainable=False)
        self.adapt_variance = self.add_weight("variance", shape=sizes, initializer="ones", trainable=False)
        self.count = self.add_weight("count", shape=(), dtype="int32", initializer="zeros", trainable=False)

    def adapt(self, data: Any) -> None:
        """Take the statistics of `data`: an array, or an iterable of arrays.

        Raises:
            StateError: the statistics were given to the constructor.
            ArgumentError: there are no data.
        """
        if self.mean is not None:
            raise StateError(f"{self} was given its mean and variance, so it can't adapt.")
        batches = [np.asarray(data)] if hasattr(data, "shape") else [np.asarray(b) for b in data]
        if not batches or not sum(b.size for b in batches):
            raise ArgumentError(f"{self} can't adapt to data without elements.")
        values = np.concatenate(batches).astype(np.float64)
        if not self.built:
            self.build((None, *values.shape[1:]))
        others = tuple(i for i in range(values.ndim) if i not in self._axes(values.ndim))
        self.adapt_mean.assign(values.mean(axis=others))
        self.adapt_variance.assign(values.var(axis=others))
        self.count.assign(values.size // max(self.adapt_mean.size, 1))

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, self.compute_dtype)
        axes = self._axes(x.ndim)
        shape = tuple(x.shape[i] if i in axes else 1 for i in range(x.ndim))
        if self.mean is None:
            mean, variance = (ops.reshape(v, shape) for v in (self.adapt_mean, self.adapt_variance))
        else:
            given = (np.asarray(v, self.compute_dtype) for v in (self.mean, self.variance))
            mean, variance = (
                np.broadcast_to(v, tuple(x.shape[a] for a in axes)).reshape(shape) for v in given
            )
        deviation = ops.maximum(ops.sqrt(variance), epsilon())
        return x * deviation + mean if self.invert else (x - mean) / deviation

    def get_config(self) -> dict[str, Any]:
        given = {
            k: None if v is None else np.asarray(v).tolist()
            for k, v in (("mean", self.mean), ("variance", self.variance))
        }
        return {**super().get_config(), "axis": self.axis, "invert": self.invert, **given}
