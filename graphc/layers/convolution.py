"""Convolutions over one or two spatial axes, and the base of all layers that slide a kernel over an input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from graphc import activations, constraints, initializers, ops, regularizers
from graphc.ir.errors import ArgumentError
from graphc.layers.layer import Layer
from graphc.layers.spec import InputSpec
from graphc.ops.window import chosen_format, chosen_padding, spatial


class SlidingKernel(Layer):
    """Base: kernel size, strides, padding and dilation, a bias per output channel, and an activation."""

    rank: ClassVar[int] = 2
    """The number of spatial axes."""
    paddings: ClassVar[Sequence[str]] = ("valid", "same")

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        bias_initializer: Any = "zeros",
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.kernel_size = spatial(kernel_size, self.rank, "kernel_size")
        self.strides = spatial(strides, self.rank, "strides")
        self.dilation_rate = spatial(dilation_rate, self.rank, "dilation_rate")
        self.padding = chosen_padding(padding, self.paddings)
        self.data_format = chosen_format(data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                f"{type(self).__name__} can't have both strides {self.strides} and dilation "
                f"{self.dilation_rate} above 1"
            )

    def input_channels(self, input_shape: Any) -> int:
        """The number of channels of an input; from now on inputs must have as many."""
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None:
            raise ArgumentError(f"{self} needs to know the number of channels, got the shape {input_shape}")
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        return channels

    def add_kernel(self, prefix: str, shape: Sequence[int], name: str) -> Any:
        """A weight with the initializer, regularizer and constraint called after `prefix`."""
        return self.add_weight(
            name=name,
            shape=tuple(shape),
            initializer=getattr(self, f"{prefix}_initializer"),
            regularizer=getattr(self, f"{prefix}_regularizer"),
            constraint=getattr(self, f"{prefix}_constraint"),
        )

    def add_bias(self, channels: int) -> None:
        """The bias, if there is one."""
        self.bias = self.add_kernel("bias", (channels,), "bias") if self.use_bias else None

    def window(self) -> dict[str, Any]:
        """The arguments that all convolutions take."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "data_format": self.data_format,
        }

    def finished(self, x: Any) -> Any:
        """activation(x + bias)"""
        if self.bias is not None:
            last = self.data_format == "channels_last"
            x = x + (self.bias if last else ops.reshape(self.bias, (-1, *(1,) * self.rank)))
        return self.activation(x)

    def window_config(self) -> dict[str, Any]:
        """The part of the configuration about windows."""
        return {
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }

    def weight_config(self, *prefixes: str) -> dict[str, Any]:
        """The part about the weights: each `prefix`'s initializer, and so on."""
        config: dict[str, Any] = {
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }
        for p in prefixes:
            config[f"{p}_initializer"] = initializers.serialize(getattr(self, f"{p}_initializer"))
        for p in prefixes:
            config[f"{p}_regularizer"] = regularizers.serialize(getattr(self, f"{p}_regularizer"))
        config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        for p in prefixes:
            config[f"{p}_constraint"] = constraints.serialize(getattr(self, f"{p}_constraint"))
        return config


class FilterBank(SlidingKernel):
    """Base: a kernel that mixes all channels (of a group) into `filters` new ones."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        kernel_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kernel_size, strides, padding, **kwargs)
        self.filters = positive(filters, f"{type(self).__name__}: filters")
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)


def positive(value: Any, what: str) -> int:
    """A whole number above 0; ArgumentError otherwise."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() <= 0:
        raise ArgumentError(f"{what} must be a whole number above 0, not {value!r}")
    return value.__index__()


class Conv(FilterBank):
    """Base of Conv1D and Conv2D."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            **kwargs,
        )
        self.groups = positive(groups, f"{type(self).__name__}: groups")
        if self.filters % self.groups:
            raise ArgumentError(
                f"{type(self).__name__}: {self.filters} filters can't be divided into {self.groups} groups"
            )

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        if channels % self.groups:
            raise ArgumentError(f"{self}: {channels} channels can't be divided into {self.groups} groups")
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.add_kernel("kernel", shape, "kernel")
        self.add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        return self.finished(ops.conv(inputs, self.kernel, **self.window()))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            **self.window_config(),
            "groups": self.groups,
            **self.weight_config("kernel", "bias"),
        }


class Conv1D(Conv):
    """activation(convolution + bias) along the steps of (batch, steps, channels).

    Args:
        filters: the number of output channels.
        kernel_size: how many steps a window covers.
        strides, dilation_rate: how far apart windows, and the elements of a window, are; one must be 1.
        padding: "valid" (windows lie inside), "same" (ceil(steps / strides) windows) or "causal" (window i
            ends at step i).
        groups: channels and filters are divided into so many groups that do not see each other.
        activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        activity_regularizer, kernel_constraint, bias_constraint: as in `Dense`.

    Weights: `kernel` of shape (kernel_size, channels / groups, filters), `bias` of shape (filters,).

    >>> import graphc
    >>> Conv1D(4, 3, padding="causal")(graphc.Input((10, 2))).shape
    (None, 10, 4)
    """

    rank = 1
    paddings = ("valid", "same", "causal")

    def window(self) -> dict[str, Any]:
        found = super().window()
        if self.padding == "causal":
            found["padding"] = (((self.kernel_size[0] - 1) * self.dilation_rate[0], 0),)
        return found


class Conv2D(Conv):
    """activation(convolution + bias) over images (batch, rows, columns, channels).

    Args:
        filters: the number of output channels.
        kernel_size: rows and columns of a window; one number for both.
        strides, dilation_rate: how far apart windows, and the elements of a window, are; one must be 1.
        padding: "valid" (windows lie inside) or "same" (ceil(size / strides) windows; an odd row or column
            of zeros is at the end).
        data_format: "channels_last", or "channels_first" for (batch, channels, rows, columns).
        groups: channels and filters are divided into so many groups that do not see each other.
        activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        activity_regularizer, kernel_constraint, bias_constraint: as in `Dense`.

    Weights: `kernel` of shape (rows, columns, channels / groups, filters), `bias` of shape (filters,).

    >>> import graphc
    >>> Conv2D(8, 3, strides=2, padding="same", activation="relu")(graphc.Input((28, 28, 1))).shape
    (None, 14, 14, 8)
    """


Convolution1D, Convolution2D = Conv1D, Conv2D
