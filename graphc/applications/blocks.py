"""Layers that several architectures share."""

from __future__ import annotations

from typing import Any

from graphc import layers
from graphc.applications.options import channel_axis

Pair = tuple[int, int]


def correct_pad(x: Any, size: int) -> tuple[Pair, Pair]:
    """The zeros around an image after which windows of `size`, two apart and without padding of their own,
    lie as with "same"; an unknown size counts as even.
    """
    axis = 1 if channel_axis() == 3 else 2
    rows, columns = x.shape[axis : axis + 2]
    if not isinstance(rows, int):
        rows = columns = 0
    reach = size // 2
    return (reach - 1 + rows % 2, reach), (reach - 1 + columns % 2, reach)


def divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor` that is not below 90 % of the value."""
    found = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return found + divisor if found < 0.9 * value else found


def conv(x: Any, filters: int, size: Any, name: str | None = None, **arguments: Any) -> Any:
    """A convolution without bias."""
    return layers.Conv2D(filters, size, use_bias=False, name=name, **arguments)(x)


def relu(x: Any, name: str | None = None) -> Any:
    """The positive part."""
    return layers.Activation("relu", name=name)(x)
