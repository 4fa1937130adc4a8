"""Layers that change the size of images and sequences: upsampling, zero padding, cropping."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np

from graphc import ops
from graphc.ir.dims import Dim
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.layers.layer import Layer
from graphc.layers.spec import InputSpec
from graphc.ops.window import back, chosen_format, last, spatial

Pair = tuple[int, int]


def repeated(x: Any, times: tuple[int, ...]) -> Any:
    """Every element of the spatial axes, which begin at axis 1, so many times."""
    shape, wide, result = [x.shape[0]], [x.shape[0]], [x.shape[0]]
    for n, k in zip(x.shape[1:], times):
        shape, wide, result = [*shape, n, 1], [*wide, n, k], [*result, n * k]
    rest = x.shape[1 + len(times) :]
    copies = ops.broadcast_to(ops.reshape(x, (*shape, *rest)), (*wide, *rest))
    return ops.reshape(copies, (*result, *rest))


def interpolated(x: Any, axis: int, times: int) -> Any:
    """Linear interpolation between the elements of an axis, each of which is the centre of `times` new ones;
    beyond the outermost centres their values go on.
    """
    if times == 1:
        return x
    n = x.shape[axis]
    before = ops.concatenate([_part(x, axis, 0, 1), _part(x, axis, 0, n - 1)], axis=axis)
    after = ops.concatenate([_part(x, axis, 1, n), _part(x, axis, n - 1, n)], axis=axis)
    places = [(2 * i + 1 - times) / (2 * times) for i in range(times)]
    shape = tuple(times if i == axis + 1 else 1 for i in range(x.ndim + 1))
    weights = [
        ops.reshape(ops.cast(ops.convert_to_tensor(w), x.dtype), shape)
        for w in (
            [max(-p, 0.0) for p in places],
            [1 - abs(p) for p in places],
            [max(p, 0.0) for p in places],
        )
    ]
    parts = [ops.expand_dims(v, axis + 1) * w for v, w in zip((before, x, after), weights)]
    result = [*x.shape[:axis], n * times, *x.shape[axis + 1 :]]
    return ops.reshape(parts[0] + parts[1] + parts[2], result)


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys's kernel at distances from 0 on (Keys 1981, eq. 15, a = -0.5)."""
    near, far = ((1.5 * x - 2.5) * x) * x + 1.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x >= 2.0, 0.0, np.where(x >= 1.0, far, near))


def lanczos(x: np.ndarray, radius: int) -> np.ndarray:
    """sinc(x) * sinc(x / radius) at distances from 0 on, 0 beyond the radius (Duchon 1979)."""
    return np.where(x > radius, 0.0, np.sinc(x) * np.sinc(x / radius))


KERNELS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "bicubic": (2, cubic),
    "lanczos3": (3, partial(lanczos, radius=3)),
    "lanczos5": (5, partial(lanczos, radius=5)),
}
"""How far elements have a say, and how much by their distance."""


def resampled(x: Any, axis: int, times: int, kernel: str) -> Any:
    """An axis `times` as long: each new element is a mean of the old ones near its centre, weighed by the
    kernel of their distance; of those that are there (so do `jax.image.resize` and Keras).
    """
    if times == 1:
        return x
    n, (radius, weigh) = x.shape[axis], KERNELS[kernel]
    offsets = (np.arange(times) + 0.5) / times - 0.5
    inside = ops.pad(ops.ones((n,), x.dtype), [(radius, radius)])
    wide = ops.pad(x, [(radius, radius) if i == axis else (0, 0) for i in range(x.ndim)])
    shape = tuple(times if i == axis + 1 else 1 for i in range(x.ndim + 1))
    values, total = [], []
    for d in range(2 * radius + 1):
        weight = weigh(np.abs(offsets + radius - d)).astype(x.dtype)
        values.append(ops.expand_dims(_part(wide, axis, d, d + n), axis + 1) * weight.reshape(shape))
        total.append(ops.expand_dims(inside[d : d + n], 1) * weight)
    whole = ops.reshape(sum(total[1:], total[0]), (n, times, *(1,) * (x.ndim - axis - 1)))
    result = [*x.shape[:axis], n * times, *x.shape[axis + 1 :]]
    return ops.reshape(sum(values[1:], values[0]) / whole, result)


def _part(x: Any, axis: int, start: Dim, stop: Dim) -> Any:
    return x[(slice(None),) * axis + (slice(start, stop),)]


class UpSampling1D(Layer):
    """Every step of (batch, steps, channels) `size` times.

    >>> import graphc
    >>> UpSampling1D(3)(graphc.Input((4, 2))).shape
    (None, 12, 2)
    """

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        (self.size,) = spatial(size, 1, "size")
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return repeated(inputs, (self.size,))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


INTERPOLATIONS = ("nearest", "bilinear", *KERNELS)


class UpSampling2D(Layer):
    """Images (batch, rows, columns, channels) `size` times as large.

    Args:
        size: the factors of rows and columns; one number for both.
        data_format: "channels_last", or "channels_first" for (batch, channels, rows, columns).
        interpolation: "nearest" repeats elements; "bilinear" interpolates between their centres; "bicubic",
            "lanczos3" and "lanczos5" weigh those within 2, 3 and 5 elements.

    >>> import graphc
    >>> UpSampling2D((2, 3))(graphc.Input((4, 4, 2))).shape
    (None, 8, 12, 2)
    """

    def __init__(
        self, size: Any = 2, data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = chosen_format(data_format)
        self.size = spatial(size, 2, "size")
        self.interpolation = interpolation.lower()
        if self.interpolation not in INTERPOLATIONS:
            raise ArgumentError(
                f"UpSampling2D: interpolation must be one of {', '.join(INTERPOLATIONS)}, "
                f"not {interpolation!r}"
            )
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        x = last(inputs, self.data_format)
        if self.interpolation == "nearest":
            x = repeated(x, self.size)
        elif self.interpolation in KERNELS:
            for axis, times in enumerate(self.size, start=1):
                x = resampled(x, axis, times, self.interpolation)
        else:
            x = interpolated(interpolated(x, 1, self.size[0]), 2, self.size[1])
        return back(x, self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "data_format": self.data_format,
            "interpolation": self.interpolation,
        }


def border(value: Any, rank: int, what: str) -> tuple[Pair, ...]:
    """A pair (before, after) for each axis, from one number, one number per axis, or pairs."""
    if not isinstance(value, (list, tuple)):
        return tuple((n, n) for n in spatial(value, rank, what, 0))
    if rank == 1:
        return (spatial(value, 2, what, 0),)  # type: ignore[return-value]
    if len(value) != rank:
        raise ArgumentError(f"{what} needs an entry for each of the {rank} spatial axes, got {value!r}")
    return tuple(spatial(v, 2, what, 0) for v in value)  # type: ignore[misc]


class Border(Layer):
    """Base: a number of rows and columns on each side."""

    rank: ClassVar[int] = 2
    argument: ClassVar[str] = "padding"

    def __init__(self, amount: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = chosen_format(data_format)
        self.pairs = border(amount, self.rank, f"{type(self).__name__}: {self.argument}")
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def first(self) -> int:
        """The first spatial axis."""
        return 1 if self.data_format == "channels_last" else 2

    def get_config(self) -> dict[str, Any]:
        amount = self.pairs[0] if self.rank == 1 else self.pairs
        return {**super().get_config(), self.argument: amount, "data_format": self.data_format}


class ZeroPadding(Border):
    """Base of ZeroPadding1D and ZeroPadding2D."""

    @property
    def padding(self) -> Any:
        """The pairs, or for one axis the only one."""
        return self.pairs[0] if self.rank == 1 else self.pairs

    def call(self, inputs: Any) -> Any:
        widths = [(0, 0)] * inputs.ndim
        widths[self.first : self.first + self.rank] = self.pairs
        return ops.pad(inputs, widths)


class ZeroPadding1D(ZeroPadding):
    """Steps of zeros before and after those of (batch, steps, channels): one number, or a pair.

    >>> import graphc
    >>> ZeroPadding1D((1, 2))(graphc.Input((4, 2))).shape
    (None, 7, 2)
    """

    rank = 1

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


class ZeroPadding2D(ZeroPadding):
    """Rows and columns of zeros around images: one number, one for rows and one for columns, or a pair
    (before, after) for each.

    >>> import graphc
    >>> ZeroPadding2D(((0, 1), (2, 2)))(graphc.Input((4, 4, 3))).shape
    (None, 5, 8, 3)
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


class Cropping(Border):
    """Base of Cropping1D and Cropping2D."""

    argument = "cropping"

    @property
    def cropping(self) -> Any:
        """The pairs, or for one axis the only one."""
        return self.pairs[0] if self.rank == 1 else self.pairs

    def call(self, inputs: Any) -> Any:
        cut: list[Any] = [slice(None)] * inputs.ndim
        for axis, (before, after) in enumerate(self.pairs, self.first):
            n = inputs.shape[axis]
            if isinstance(n, int) and before + after >= n:
                raise ShapeError(f"{self} can't crop {before} and {after} of an axis of {n} elements.")
            cut[axis] = slice(before, n - after)
        return inputs[tuple(cut)]


class Cropping1D(Cropping):
    """(batch, steps, channels) without the first and last steps: one number, or a pair.

    >>> import graphc
    >>> Cropping1D((1, 2))(graphc.Input((7, 2))).shape
    (None, 4, 2)
    """

    rank = 1

    def __init__(self, cropping: Any = 1, **kwargs: Any) -> None:
        super().__init__(cropping, **kwargs)
        self.data_format = "channels_last"

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("data_format")
        return config


class Cropping2D(Cropping):
    """Images without rows and columns at their borders; arguments as those of `ZeroPadding2D`.

    >>> import graphc
    >>> Cropping2D(((0, 1), (2, 2)))(graphc.Input((5, 8, 3))).shape
    (None, 4, 4, 3)
    """

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(cropping, data_format, **kwargs)
