"""Random arrays of floating-point numbers, from a seed or, without one, from the process's stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphc.backend import floatx
from graphc.codegen.buffers import aligned_empty
from graphc.ir.errors import DTypeError
from graphc.seeds import generator

Shape = Sequence[int]

TRUNCATED_STDDEV = 0.87962566103423978
"""The standard deviation of a unit normal cut at -2 and 2: the root of 1 - 4 pdf(2) / (2 cdf(2) - 1)."""


def floating(dtype: npt.DTypeLike | None) -> np.dtype:
    """The dtype of the result; random numbers are floating point."""
    target = np.dtype(dtype or floatx())
    if target.kind != "f":
        raise DTypeError(f"random initial values are floating point, not {target}")
    return target


def _work_dtype(target: np.dtype) -> Any:
    """The dtype to draw in: NumPy draws float32 and float64."""
    return np.float64 if target.itemsize > 4 else np.float32


def normal(
    shape: Shape, mean: float, stddev: float, dtype: npt.DTypeLike | None, seed: int | None
) -> np.ndarray:
    """Normally distributed numbers."""
    target = floating(dtype)
    return _place(generator(seed).standard_normal(tuple(shape), _work_dtype(target)), mean, stddev, target)


def truncated_normal(
    shape: Shape, mean: float, stddev: float, dtype: npt.DTypeLike | None, seed: int | None
) -> np.ndarray:
    """Normally distributed numbers; those beyond two standard deviations are drawn again."""
    target, draw = floating(dtype), generator(seed)
    values = draw.standard_normal(tuple(shape), _work_dtype(target)).reshape(-1)
    outside = np.flatnonzero(np.abs(values) > 2)
    while outside.size:
        values[outside] = draw.standard_normal(outside.size, values.dtype)
        outside = outside[np.abs(values[outside]) > 2]
    return _place(values.reshape(tuple(shape)), mean, stddev, target)


def _place(unit: np.ndarray, mean: float, stddev: float, target: np.dtype) -> np.ndarray:
    """mean + stddev * unit, in place."""
    unit *= unit.dtype.type(stddev)
    unit += unit.dtype.type(mean)
    return unit.astype(target, copy=False)


def uniform(
    shape: Shape, low: float, high: float, dtype: npt.DTypeLike | None, seed: int | None
) -> np.ndarray:
    """Numbers uniformly distributed in [low, high)."""
    target, draw = floating(dtype), generator(seed)
    values = aligned_empty(tuple(shape), target)
    # Rounding can reach `high`, which is left out.
    last = np.nextafter(target.type(high), target.type(low))
    # Large arrays go through memory once, a block that fits the cache at a time.
    for block in _blocks(values.reshape(-1)):
        unit = draw.random(block.shape, _work_dtype(target))
        block[...] = _place(unit, low, high - low, target)
        if high > low:
            np.minimum(block, last, out=block)
    return values


def _blocks(flat: np.ndarray, size: int = 1 << 15) -> Iterator[np.ndarray]:
    return (flat[i : i + size] for i in range(0, flat.size, size))
