"""Scalar functions that generated Python source calls where plain Numba would differ from NumPy.

Imported by generated source only, since it imports Numba, which compiles and inlines each for its types.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit


@njit(error_model="numpy")
def quotient(a: Any, b: Any) -> Any:
    """floor(a / b) of signed integers: 0 for b == 0; the lowest integer divided by -1 wraps, as in NumPy."""
    if b == 0:
        return a * 0
    if b == -1:
        return -a
    return a // b


@njit(error_model="numpy")
def rest(a: Any, b: Any) -> Any:
    """a - b * floor(a / b) of signed integers: 0 for b == 0 and b == -1."""
    if b in (0, -1):
        return a * 0
    return a % b


@njit(error_model="numpy")
def unsigned_quotient(a: Any, b: Any) -> Any:
    """a // b of unsigned integers; 0 for b == 0."""
    return a // b if b != 0 else b


@njit(error_model="numpy")
def unsigned_rest(a: Any, b: Any) -> Any:
    """a % b of unsigned integers; 0 for b == 0."""
    return a % b if b != 0 else b


@njit(error_model="numpy")
def shifted_left(a: Any, b: Any, bits: int) -> Any:
    """a << b; 0 once every bit is shifted out."""
    return a << b if 0 <= b < bits else a * 0


@njit(error_model="numpy")
def shifted_right(a: Any, b: Any, bits: int) -> Any:
    """a >> b; the sign alone (0 or -1) once every bit is shifted out."""
    return a >> b if 0 <= b < bits else a >> (bits - 1) >> 1


@njit(error_model="numpy")
def integer_power(a: Any, b: Any) -> Any:
    """a ** b of integers with wrap-around, by squaring; 1 / a**-b, truncated, for a negative b."""
    if b < 0:
        return a * 0 + (1 if a == 1 or (a == -1 and b % 2 == 0) else -1 if a == -1 else 0)
    result, base, left = a * 0 + 1, a, b
    while left > 0:
        if left & 1:
            result *= base
        base *= base
        left >>= 1
    return result


@njit(error_model="numpy")
def greater(a: Any, b: Any) -> Any:
    """The larger of two floats; NaN if one is."""
    return a if a >= b or np.isnan(a) else b


@njit(error_model="numpy")
def smaller(a: Any, b: Any) -> Any:
    """The smaller of two floats; NaN if one is."""
    return a if a <= b or np.isnan(a) else b


@njit(error_model="numpy")
def float_rest(a: Any, b: Any) -> Any:
    """a - b * floor(a / b) of floats, with the sign of b, as NumPy's `remainder` rounds it."""
    mod = np.fmod(a, b)
    if b == 0 or np.isnan(mod):
        return mod
    if mod == 0:
        return math.copysign(mod, b)
    return mod + b if (b < 0) != (mod < 0) else mod


@njit(error_model="numpy")
def float_quotient(a: Any, b: Any) -> float:
    """floor(a / b) of floats, consistent with `float_rest`, as NumPy's `floor_divide` rounds it."""
    if b == 0:
        return a / b
    exact = (np.float64(a) - np.float64(float_rest(a, b))) / b
    if exact == 0:
        return math.copysign(0.0, a / b)
    floor = np.floor(exact)
    return floor + 1.0 if exact - floor > 0.5 else floor


@njit(error_model="numpy")
def beats_max(new: Any, best: Any) -> bool:
    """Whether a float takes over as the first maximum: it is larger, or the first NaN."""
    return new > best or (np.isnan(new) and not np.isnan(best))


@njit(error_model="numpy")
def beats_min(new: Any, best: Any) -> bool:
    """Whether a float takes over as the first minimum: it is smaller, or the first NaN."""
    return new < best or (np.isnan(new) and not np.isnan(best))
