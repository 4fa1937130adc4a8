"""Layers that move elements: Flatten, Reshape, Permute, RepeatVector."""

from __future__ import annotations

from typing import Any

from graphc import backend, ops
from graphc.ir.dims import product
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.layers.layer import Layer
from graphc.layers.spec import InputSpec


class Flatten(Layer):
    """All axes but the first in one; drops masks.

    With data_format="channels_first", the channels are moved to the end first, so that both formats give the
    same order.

    >>> import graphc
    >>> Flatten()(graphc.Input((7, 5, 3))).shape
    (None, 105)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format or backend.image_data_format()
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        x = inputs
        if self.data_format == "channels_first" and x.ndim > 1:
            x = ops.moveaxis(x, 1, -1)
        return ops.reshape(x, (x.shape[0], product(x.shape[1:])))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(Layer):
    """The elements of each sample in another shape, in which one size may be -1; drops masks.

    >>> import graphc
    >>> Reshape((5, -1))(graphc.Input((7, 10))).shape
    (None, 5, 14)
    """

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(
            int(d) for d in (target_shape if hasattr(target_shape, "__iter__") else (target_shape,))
        )
        if sum(d == -1 for d in self.target_shape) > 1:
            raise ArgumentError(f"Reshape: only one size may be -1, got {self.target_shape}")

    def call(self, inputs: Any) -> Any:
        total = product(inputs.shape[1:])
        known = product(d for d in self.target_shape if d != -1)
        if isinstance(total, int) and (
            total != known if -1 not in self.target_shape else known == 0 or total % known
        ):
            raise ShapeError(
                f"{self} can't give {total} elements of shape {inputs.shape[1:]} the shape "
                f"{self.target_shape}.\n"
                f"  fix     give a target_shape of {total} elements; one size may be -1, which is found."
            )
        sizes = tuple(total // known if d == -1 else d for d in self.target_shape)
        return ops.reshape(inputs, (inputs.shape[0], *sizes))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


class Permute(Layer):
    """The axes of each sample in another order; `dims` counts from 1, the batch being axis 0.

    >>> import graphc
    >>> Permute((2, 1))(graphc.Input((7, 5))).shape
    (None, 5, 7)
    """

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(int(d) for d in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(f"Permute: {self.dims} is not an order of the axes 1 to {len(self.dims)}")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """Each sample's vector `n` times, along a new second axis.

    >>> import graphc
    >>> RepeatVector(4)(graphc.Input((7,))).shape
    (None, 4, 7)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"RepeatVector takes a whole number, not {n!r}")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        wide = ops.expand_dims(inputs, 1)
        return ops.broadcast_to(wide, (inputs.shape[0], self.n, inputs.shape[1]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
