"""Activation functions as layers, with parameters, and PReLU with weights."""

from __future__ import annotations

from typing import Any

from graphc import activations, constraints, initializers, ops, regularizers
from graphc.backend import floatx
from graphc.ir.errors import ArgumentError
from graphc.layers.layer import Layer
from graphc.layers.spec import InputSpec


class ReLU(Layer):
    """max_value where x is above it, x down to `threshold`, and negative_slope * (x - threshold) below."""

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for value, what in (
            (max_value, "max_value"),
            (negative_slope, "negative_slope"),
            (threshold, "threshold"),
        ):
            if value is not None and value < 0:
                raise ArgumentError(f"{what} of ReLU can't be negative, got {value}")
        if negative_slope is None or threshold is None:
            raise ArgumentError("negative_slope and threshold of ReLU must be numbers")
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        own = {
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }
        return {**super().get_config(), **own}


class LeakyReLU(Layer):
    """x where positive, else negative_slope * x. Keras 2's `alpha` is the slope too."""

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ArgumentError(f"negative_slope of LeakyReLU can't be negative, got {negative_slope}")
        self.negative_slope = negative_slope
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.leaky_relu(inputs, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(Layer):
    """x where positive, else alpha * (exp(x) - 1)."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.elu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


MASKED = -1e9
"""What is added to masked logits, so that their exponential is 0."""


class Softmax(Layer):
    """exp(x) / sum(exp(x)) along `axis`; places where `mask` is false get 0."""

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None:
            valid = ops.reshape(mask, (*mask.shape, *(1,) * (inputs.ndim - mask.ndim)))
            inputs = inputs + (1.0 - ops.cast(valid, inputs.dtype)) * MASKED
        return ops.softmax(inputs, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class PReLU(Layer):
    """x where positive, else alpha * x, alpha being a weight per element (He et al., 2015).

    Args:
        shared_axes: axes along which one alpha serves all, such as [1, 2] for images.

    Weights: `alpha`, of the input's shape without the batch, with 1 along shared axes.
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = (
            None
            if shared_axes is None
            else list(shared_axes if hasattr(shared_axes, "__iter__") else [shared_axes])
        )

    def build(self, input_shape: Any) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            shape[axis - 1] = 1
        self.alpha = self.add_weight(
            name="alpha",
            shape=shape,
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        shared = self.shared_axes or ()
        axes = {i: d for i, d in enumerate(input_shape) if i and i not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)

    def call(self, inputs: Any) -> Any:
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


class ThresholdedReLU(Layer):
    """x where x > theta, else 0 (a layer of Keras 2)."""

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.theta = float(theta)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.threshold(inputs, self.theta, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "theta": self.theta}


class ActivityRegularization(Layer):
    """The input itself, with a penalty l1 * sum(|x|) + l2 * sum(x^2) added to the loss."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1, self.l2 = l1, l2
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}


class Rescaling(Layer):
    """x * scale + offset, in `floatx`; integers (images of bytes) are converted."""

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, self.compute_dtype or floatx())
        return x * _plain(self.scale) + _plain(self.offset)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


def _plain(value: Any) -> Any:
    """A number, or an array for a sequence of numbers."""
    import numpy as np

    return np.asarray(value) if isinstance(value, (list, tuple)) else value
