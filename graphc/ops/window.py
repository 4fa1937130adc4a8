"""Convolutions and pools, of values with any number of spatial axes, as `keras.ops` has them.

Sizes, strides and dilations are whole numbers, or one for each spatial axis. `padding` is "valid", "same" or
a sequence of pairs (low, high). With data_format "channels_first" the operands and the result are transposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import backend
from graphc.ir.dims import Dim, ceildiv, maximum
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.ops.dispatch import emit, operation
from graphc.ops.promotion import unify
from graphc.ops.shape import moveaxis, reshape

Pairs = tuple[tuple[Dim, Dim], ...]


def spatial(value: Any, rank: int, what: str, least: int = 1) -> tuple[int, ...]:
    """One whole number for each of `rank` axes, from one for all or a sequence.

    >>> spatial(3, 2, "kernel_size")
    (3, 3)
    """
    entries = tuple(value) if isinstance(value, (list, tuple)) else (value,) * rank
    fitting = [isinstance(e, int) and not isinstance(e, bool) and e >= least for e in map(_whole, entries)]
    if len(entries) != rank or not all(fitting):
        bound = "above 0" if least == 1 else f"from {least} on"
        number = f"or {rank} of them" if rank > 1 else "or a tuple of one"
        raise ArgumentError(f"{what} must be a whole number {bound}, {number}, not {value!r}")
    return tuple(_whole(e) for e in entries)


def _whole(x: Any) -> Any:
    return x.__index__() if hasattr(x, "__index__") and not isinstance(x, bool) else x


def chosen_format(data_format: str | None) -> str:
    """The data format, or the process's where it is None."""
    found = data_format or backend.image_data_format()
    if found not in backend.DATA_FORMATS:
        raise ArgumentError(f"data_format must be one of {', '.join(backend.DATA_FORMATS)}, not {found!r}")
    return found


def chosen_padding(padding: Any, allowed: Sequence[str] = ("valid", "same")) -> str:
    """The name of a way of padding, in lower case."""
    found = padding.lower() if isinstance(padding, str) else padding
    if found not in allowed:
        raise ArgumentError(f"padding must be one of {', '.join(map(repr, allowed))}, not {padding!r}")
    return found


def last(x: Any, data_format: str) -> Any:
    """The value with its channels last."""
    return x if data_format == "channels_last" else moveaxis(x, 1, -1)


def back(x: Any, data_format: str) -> Any:
    """The value with its channels where the data format has them."""
    return x if data_format == "channels_last" else moveaxis(x, -1, 1)


def _image(x: Any, data_format: str | None) -> tuple[Any, str]:
    chosen = chosen_format(data_format)
    if x.ndim < 3:
        raise ShapeError(f"takes (batch, spatial..., channels) or channels first, got the shape {x.shape}")
    return last(x, chosen), chosen


def pairs(
    x: Any, size: Sequence[int], strides: Sequence[int], padding: Any, dilation: Sequence[int]
) -> Pairs:
    """The padding of each spatial axis of a value whose channels are last; ShapeError if no window fits."""
    if not isinstance(padding, str):
        found: Pairs = tuple((low, high) for low, high in padding)
    elif chosen_padding(padding) == "valid":
        found = ((0, 0),) * len(size)
    else:
        found = tuple(map(_same, x.shape[1:-1], size, strides, dilation))
    for n, k, d, (low, high) in zip(x.shape[1:-1], size, dilation, found):
        reach = (k - 1) * d + 1
        room = n + low + high
        if isinstance(room, int) and room < reach:
            sizes = f"{k} elements, {d} apart, cover {reach}" if d > 1 else f"the window covers {reach}"
            padded = f" ({room} with padding)" if low + high != 0 else ""
            spatial_shape = tuple(d if isinstance(d, int) else None for d in x.shape[1:-1])
            error = ShapeError(
                f"a window of size {tuple(size)} does not fit an input with the spatial shape "
                f"{spatial_shape}: {sizes} of an axis of {n} elements{padded}."
            )
            error.fix = "use padding='same', a smaller window, or a larger input."  # type: ignore[attr-defined]
            raise error
    return found


def _same(n: Dim, k: int, s: int, d: int) -> tuple[Dim, Dim]:
    """The padding with which ceil(n / s) windows cover all elements; an odd one is at the end."""
    reach = (k - 1) * d + 1
    total = maximum(reach - 1 if s == 1 else (ceildiv(n, s) - 1) * s + reach - n, 0)
    return total // 2, total - total // 2


@operation
def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """The convolution with a kernel (size..., channels / groups, filters); the shapes give the number of
    groups.
    """
    x, w = unify(inputs, kernel, floating=True)
    x, chosen = _image(x, data_format)
    rank = x.ndim - 2
    if w.ndim != rank + 2:
        raise ShapeError(f"an input of shape {x.shape} needs a kernel with {rank + 2} axes, not {w.shape}")
    size, channels, each = tuple(w.shape[:-2]), x.shape[-1], w.shape[-2]
    if each == 0 or channels % each != 0 or w.shape[-1] % (channels // each) != 0:
        raise ShapeError(
            f"a kernel of shape {w.shape} does not fit {channels} input channels: it takes {each} per group"
        )
    strides, dilation = spatial(strides, rank, "strides"), spatial(dilation_rate, rank, "dilation_rate")
    padding = pairs(x, size, strides, padding, dilation)
    steps = {"size": size, "strides": strides, "padding": padding, "dilation": dilation}
    return back(emit("conv", x, w, **steps, groups=channels // each), chosen)


@operation
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Each channel convolved with M filters of its own, for a kernel (size..., channels, M): channel c gives
    c * M to c * M + M - 1.
    """
    x, w = unify(inputs, kernel, floating=True)
    x, chosen = _image(x, data_format)
    if w.ndim != x.ndim or w.shape[-2] != x.shape[-1]:
        raise ShapeError(f"a depthwise kernel of shape {w.shape} does not fit an input of shape {x.shape}")
    *size, channels, times = w.shape
    wide = reshape(w, (*size, 1, channels * times))
    return back(conv(x, wide, strides, padding, "channels_last", dilation_rate), chosen)


@operation
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """A depthwise convolution, and then one with windows of one element that mixes the channels."""
    inner = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(inner, pointwise_kernel, 1, "valid", data_format, 1)


@operation
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """The gradient of a convolution by its input, for a kernel (size..., filters, channels).

    For n elements, strides s and windows that cover k, an axis of the result has (n - 1) * s + max(k, s)
    elements with padding "valid", and n * s with "same". Given `output_padding` p, it has
    (n - 1) * s + k + p or (n - 1) * s + k % 2 + p.
    """
    x, w = unify(inputs, kernel, floating=True)
    x, chosen = _image(x, data_format)
    rank = x.ndim - 2
    if w.ndim != rank + 2 or w.shape[-1] != x.shape[-1]:
        raise ShapeError(f"a transposed kernel of shape {w.shape} does not fit an input of shape {x.shape}")
    size, padding = tuple(w.shape[:-2]), chosen_padding(padding)
    strides, dilation = spatial(strides, rank, "strides"), spatial(dilation_rate, rank, "dilation_rate")
    extra = (None,) * rank if output_padding is None else spatial(output_padding, rank, "output_padding", 0)
    found = [
        _transposed(n, (k - 1) * d + 1, s, padding, p)
        for n, k, s, d, p in zip(x.shape[1:-1], size, strides, dilation, extra)
    ]
    result = emit(
        "conv_data_gradient",
        x,
        w,
        sizes=tuple(n for n, _, _ in found),
        size=size,
        strides=strides,
        padding=tuple((low, high) for _, low, high in found),
        dilation=dilation,
        groups=1,
    )
    return back(result, chosen)


def _transposed(n: Dim, k: int, s: int, padding: str, extra: int | None) -> tuple[Dim, Dim, Dim]:
    """The size of the result, and the padding of the convolution that it is the transpose of."""
    if padding == "valid":
        size, low = (n - 1) * s + k + (max(k, s) - k if extra is None else extra), 0
    else:
        total = s + k - 2 if extra is None else k + k % 2 - 2 + extra
        size = (n - 1) * s - k + 2 + total
        low = k - 1 - min(total - total // 2, k - 1)
    return size, low, maximum((n - 1) * s + k - size - low, 0)


def _pool(op: str, inputs: Any, pool_size: Any, strides: Any, padding: Any, data_format: str | None) -> Any:
    (x,) = unify(inputs, floating=True)
    x, chosen = _image(x, data_format)
    rank = x.ndim - 2
    size = spatial(pool_size, rank, "pool_size")
    strides = size if strides is None else spatial(strides, rank, "strides")
    found = pairs(x, size, strides, padding, (1,) * rank)
    return back(emit(op, x, size=size, strides=strides, padding=found), chosen)


@operation
def max_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: Any = "valid", data_format: str | None = None
) -> Any:
    """The greatest element of each window; windows lie side by side if `strides` is None."""
    return _pool("max_pool", inputs, pool_size, strides, padding, data_format)


@operation
def average_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: Any = "valid", data_format: str | None = None
) -> Any:
    """The mean of each window's elements, padding left out; windows lie side by side if `strides` is None."""
    return _pool("average_pool", inputs, pool_size, strides, padding, data_format)
