"""Constants, conversions and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.backend import floatx
from graphc.ir.types import dtype_of
from graphc.ops import promotion
from graphc.ops.dispatch import emit, operation
from graphc.ops.promotion import tensor
from graphc.ops.shape import broadcast_to, sizes_of


@operation
def convert_to_tensor(x: Any, dtype: Any = None) -> Any:
    """`x` as a tensor (arrays stay arrays outside of a `call`)."""
    return tensor(x, dtype)


@operation
def convert_to_numpy(x: Any) -> Any:
    """`x` as an array; only outside of a `call`."""
    return np.asarray(x) if not hasattr(x, "expr") else x


@operation
def cast(x: Any, dtype: Any) -> Any:
    """The values as another element type, by C's rules; a bool is 0 or 1, and to bool means "is not zero"."""
    return promotion.cast(tensor(x), dtype)


@operation
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A tensor of that shape with the same value everywhere."""
    return broadcast_to(tensor(fill_value, dtype), sizes_of(shape))


@operation
def zeros(shape: Any, dtype: Any = None) -> Any:
    """Zeros, of the type `floatx` when `dtype` is None."""
    return full(shape, 0, dtype or floatx())


@operation
def ones(shape: Any, dtype: Any = None) -> Any:
    """Ones, of the type `floatx` when `dtype` is None."""
    return full(shape, 1, dtype or floatx())


@operation
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """The same value everywhere, in the shape and type of `x`."""
    x = tensor(x)
    return full(x.shape, fill_value, dtype or x.dtype)


@operation
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros in the shape and type of `x`."""
    return full_like(x, 0, dtype)


@operation
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones in the shape and type of `x`."""
    return full_like(x, 1, dtype)


@operation
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    """start, start + step, ... below stop; `arange(n)` counts from 0."""
    if stop is None:
        start, stop = 0, start
    numbers = (start, stop, step)
    wanted = dtype_of(dtype or (floatx() if any(isinstance(n, float) for n in numbers) else "int32"))
    if all(isinstance(n, (int, float)) for n in numbers):
        return tensor(np.arange(start, stop, step).astype(wanted.numpy))
    counts = emit("iota", shape=(-(-(stop - start) // step),), axis=0, dtype=wanted)
    return counts if (start, step) == (0, 1) else counts * step + start


@operation
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on a diagonal, zeros elsewhere."""
    return tensor(np.eye(N, M, k, dtype_of(dtype or floatx()).numpy))
