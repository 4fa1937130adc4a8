"""Transposed convolutions: a window of outputs for each input element."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.ir.errors import ArgumentError
from graphc.layers.convolution import FilterBank
from graphc.ops.window import spatial


class ConvTranspose(FilterBank):
    """Base of Conv1DTranspose and Conv2DTranspose."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        self.output_padding: tuple[int, ...] | None = None
        if output_padding is not None:
            self.output_padding = spatial(output_padding, self.rank, "output_padding", 0)
            if any(p >= s for p, s in zip(self.output_padding, self.strides)):
                raise ArgumentError(
                    f"{type(self).__name__}: output_padding {self.output_padding} must be below the strides "
                    f"{self.strides}"
                )

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        self.kernel = self.add_kernel("kernel", (*self.kernel_size, self.filters, channels), "kernel")
        self.add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        window = self.window()
        return self.finished(
            ops.conv_transpose(inputs, self.kernel, output_padding=self.output_padding, **window)
        )

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "filters": self.filters,
            **self.window_config(),
            **self.weight_config("kernel", "bias"),
        }
        # Keras does not store it; where it has the default, neither is it here
        return config if self.output_padding is None else {**config, "output_padding": self.output_padding}


class Conv1DTranspose(ConvTranspose):
    """The transpose of a convolution along the steps of (batch, steps, channels), then bias and activation.

    With n steps, strides s and a window of k steps the result has (n - 1) * s + max(k, s) steps for padding
    "valid" and n * s for "same".

    Weights: `kernel` of shape (kernel_size, filters, channels), `bias` of shape (filters,).

    >>> import graphc
    >>> Conv1DTranspose(4, 3, strides=2, padding="same")(graphc.Input((10, 2))).shape
    (None, 20, 4)
    """

    rank = 1


class Conv2DTranspose(ConvTranspose):
    """The transpose of a convolution over images (batch, rows, columns, channels), then bias and activation.

    With n rows, strides s and a window of k rows the result has (n - 1) * s + max(k, s) rows for padding
    "valid" and n * s for "same"; likewise for columns. Given `output_padding` p below s, it has
    (n - 1) * s + k + p or (n - 1) * s + k % 2 + p.

    Weights: `kernel` of shape (rows, columns, filters, channels), `bias` of shape (filters,).

    >>> import graphc
    >>> Conv2DTranspose(4, 3, strides=2)(graphc.Input((7, 7, 2))).shape
    (None, 15, 15, 4)
    """


Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
