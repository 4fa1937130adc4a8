"""Depthwise and separable convolutions: each channel has filters of its own."""

from __future__ import annotations

from typing import Any

from graphc import constraints, initializers, ops, regularizers
from graphc.layers.convolution import SlidingKernel, positive


class DepthwiseKernel(SlidingKernel):
    """Base: `depth_multiplier` filters for each channel."""

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        depthwise_regularizer: Any = None,
        depthwise_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            **kwargs,
        )
        self.depth_multiplier = positive(depth_multiplier, f"{type(self).__name__}: depth_multiplier")
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)


class DepthwiseConv(DepthwiseKernel):
    """Base of DepthwiseConv1D and DepthwiseConv2D."""

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self.add_kernel("depthwise", shape, "kernel")
        self.add_bias(channels * self.depth_multiplier)

    def call(self, inputs: Any) -> Any:
        return self.finished(ops.depthwise_conv(inputs, self.kernel, **self.window()))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            **self.window_config(),
            **self.weight_config("depthwise", "bias"),
        }


class DepthwiseConv1D(DepthwiseConv):
    """Each channel of (batch, steps, channels) convolved with `depth_multiplier` filters of its own.

    Weights: `kernel` of shape (kernel_size, channels, depth_multiplier), `bias`.

    >>> import graphc
    >>> DepthwiseConv1D(3, depth_multiplier=2)(graphc.Input((10, 4))).shape
    (None, 8, 8)
    """

    rank = 1


class DepthwiseConv2D(DepthwiseConv):
    """Each channel of (batch, rows, columns, channels) convolved with `depth_multiplier` filters of its own.

    Weights: `kernel` of shape (rows, columns, channels, depth_multiplier), `bias`.

    >>> import graphc
    >>> DepthwiseConv2D(3, padding="same")(graphc.Input((28, 28, 4))).shape
    (None, 28, 28, 4)
    """


class SeparableConv(DepthwiseKernel):
    """Base of SeparableConv1D and SeparableConv2D."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        pointwise_initializer: Any = "glorot_uniform",
        pointwise_regularizer: Any = None,
        pointwise_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            **kwargs,
        )
        self.filters = positive(filters, f"{type(self).__name__}: filters")
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        depthwise = (*self.kernel_size, channels, self.depth_multiplier)
        pointwise = (*(1,) * self.rank, channels * self.depth_multiplier, self.filters)
        self.depthwise_kernel = self.add_kernel("depthwise", depthwise, "depthwise_kernel")
        self.pointwise_kernel = self.add_kernel("pointwise", pointwise, "pointwise_kernel")
        self.add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        kernels = self.depthwise_kernel, self.pointwise_kernel
        return self.finished(ops.separable_conv(inputs, *kernels, **self.window()))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            "filters": self.filters,
            **self.window_config(),
            **self.weight_config("depthwise", "pointwise", "bias"),
        }


class SeparableConv1D(SeparableConv):
    """A depthwise convolution of (batch, steps, channels), then a mix of its channels into `filters` new
    ones.

    Weights: `depthwise_kernel` of shape (kernel_size, channels, depth_multiplier), `pointwise_kernel` of
    shape (1, channels * depth_multiplier, filters), `bias`.

    >>> import graphc
    >>> SeparableConv1D(8, 3)(graphc.Input((10, 4))).shape
    (None, 8, 8)
    """

    rank = 1


class SeparableConv2D(SeparableConv):
    """A depthwise convolution of (batch, rows, columns, channels), then a mix of its channels into `filters`
    new ones.

    Weights: `depthwise_kernel` of shape (rows, columns, channels, depth_multiplier), `pointwise_kernel` of
    shape (1, 1, channels * depth_multiplier, filters), `bias`.

    >>> import graphc
    >>> SeparableConv2D(8, 3, strides=2)(graphc.Input((29, 29, 4))).shape
    (None, 14, 14, 8)
    """


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
