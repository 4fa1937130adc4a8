"""Pools: the greatest element, or the mean, of windows or of whole images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from graphc import ops
from graphc.layers.layer import Layer
from graphc.layers.spec import InputSpec
from graphc.ops.window import chosen_format, chosen_padding, spatial


class Pooling(Layer):
    """Base of pools over windows."""

    rank: ClassVar[int] = 2
    function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.pool_size = spatial(pool_size, self.rank, "pool_size")
        self.strides = self.pool_size if strides is None else spatial(strides, self.rank, "strides")
        self.padding = chosen_padding(padding)
        self.data_format = chosen_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return type(self).function(inputs, self.pool_size, self.strides, self.padding, self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
            "data_format": self.data_format,
        }


class MaxPooling1D(Pooling):
    """The greatest element of windows of steps, of (batch, steps, channels).

    Args:
        pool_size: how many steps a window covers.
        strides: how far apart windows are; None: side by side.
        padding: "valid" (windows lie inside) or "same" (ceil(steps / strides) windows).

    >>> import graphc
    >>> MaxPooling1D(2)(graphc.Input((9, 3))).shape
    (None, 4, 3)
    """

    rank = 1
    function = staticmethod(ops.max_pool)


class MaxPooling2D(Pooling):
    """The greatest element of windows of images (batch, rows, columns, channels).

    Args:
        pool_size: rows and columns of a window; one number for both.
        strides: how far apart windows are; None: side by side.
        padding: "valid" (windows lie inside) or "same" (ceil(size / strides) windows).
        data_format: "channels_last", or "channels_first" for (batch, channels, rows, columns).

    >>> import graphc
    >>> MaxPooling2D(3, strides=2, padding="same")(graphc.Input((9, 9, 3))).shape
    (None, 5, 5, 3)
    """

    function = staticmethod(ops.max_pool)


class AveragePooling1D(Pooling):
    """The mean of windows of steps; padding does not count. Arguments as those of `MaxPooling1D`."""

    rank = 1
    function = staticmethod(ops.average_pool)


class AveragePooling2D(Pooling):
    """The mean of windows of images; padding does not count. Arguments as those of `MaxPooling2D`."""

    function = staticmethod(ops.average_pool)


class GlobalPooling(Layer):
    """Base of pools over all spatial axes.

    Args:
        data_format: "channels_last" or "channels_first".
        keepdims: whether the spatial axes stay, with size 1.
    """

    rank: ClassVar[int] = 2
    function: ClassVar[Callable[..., Any]]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = chosen_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    @property
    def axes(self) -> tuple[int, ...]:
        """The spatial axes."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def call(self, inputs: Any) -> Any:
        return type(self).function(inputs, axis=self.axes, keepdims=self.keepdims)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


class GlobalMaxPooling1D(GlobalPooling):
    """The greatest element of each channel over all steps."""

    rank = 1
    function = staticmethod(ops.max)


class GlobalMaxPooling2D(GlobalPooling):
    """The greatest element of each channel over the whole image.

    >>> import graphc
    >>> GlobalMaxPooling2D()(graphc.Input((None, None, 16))).shape
    (None, 16)
    """

    function = staticmethod(ops.max)


class GlobalAveragePooling1D(GlobalPooling):
    """The mean of each channel over all steps, or over those that the mask calls valid."""

    rank = 1
    function = staticmethod(ops.mean)

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        steps = ops.expand_dims(ops.cast(mask, inputs.dtype), -1 if self.axes == (1,) else 1)
        total = ops.sum(inputs * steps, axis=self.axes, keepdims=self.keepdims)
        return total / ops.sum(steps, axis=self.axes, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None


class GlobalAveragePooling2D(GlobalPooling):
    """The mean of each channel over the whole image.

    >>> import graphc
    >>> GlobalAveragePooling2D(keepdims=True)(graphc.Input((7, 7, 16))).shape
    (None, 1, 1, 16)
    """

    function = staticmethod(ops.mean)


MaxPool1D, MaxPool2D, AvgPool1D, AvgPool2D = MaxPooling1D, MaxPooling2D, AveragePooling1D, AveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
