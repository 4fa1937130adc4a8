"""The product that generated Python source calls, by the same tiles as the default backend.

Imported by generated source only, since it imports Numba.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
from numba import njit
from numba.extending import overload, register_jitable

from graphc.codegen.kernels.library import library, product_scratch_bytes, windows_scratch_bytes
from graphc.codegen.target import host

Matrix = tuple[np.ndarray, int, int, int]


def product(
    a: Matrix,
    b: Matrix,
    c: Matrix,
    init: Matrix | None,
    shape: tuple[int, int, int],
    alpha: float,
    floor: float | None,
) -> None:
    """c = max(init + alpha * a @ b, floor), inside compiled code and outside.

    A matrix is (flat array, first element, row stride, column stride); `shape`: (rows, columns, inner size).
    `init` None is zeros, and may be c; `floor` None is no limit. The columns of c and init are contiguous.

    >>> x, out = np.arange(4.0), np.empty(4)
    >>> product((x, 0, 2, 1), (x, 0, 2, 1), (out, 0, 2, 1), None, (2, 2, 2), 1, None)
    >>> out
    array([ 2.,  3.,  6., 11.])
    """
    _compiled(a, b, c, init, shape, alpha, floor)


_PARAMETERS = {
    "product": "piipiipiiiipixxppppp",
    "convolve": "pppiiipiiiipixxppp",
    "correlate": "pppiipiiiiiipixxppppp",
}


@functools.cache
def _native(dtype: str, driver: str = "product") -> Any:
    """A driver of the library as a function that compiled code can call; pointers are numbers."""
    number = ctypes.c_float if dtype == "f32" else ctypes.c_double
    kinds = {"i": ctypes.c_int64, "p": ctypes.c_size_t, "x": number}
    types = [kinds[letter] for letter in _PARAMETERS[driver]]
    return ctypes.CFUNCTYPE(None, *types)(library(driver, dtype, host()).address(f"{driver}_{dtype}"))


@register_jitable
def _rows_to_begin_with(init: Any, zeros: np.ndarray, bytes_each: int) -> tuple[int, int]:
    """Where the rows lie that products are added to, and how far apart: those of `init`, or one of zeros."""
    if init is None:
        return zeros.ctypes.data, 0
    array, at, row, _ = init
    return array.ctypes.data + bytes_each * at, row


def _by_tiles(dtype: str, bytes_each: int) -> Any:
    native, scratch_bytes = _native(dtype), product_scratch_bytes(dtype, host()) + 64

    def compiled(a: Any, b: Any, c: Any, init: Any, shape: Any, alpha: Any, floor: Any) -> None:
        rows, columns, inner = shape
        (x, x_at, x_row, x_column), (y, y_at, y_row, y_column), (z, z_at, z_row, _) = a, b, c
        if rows == 0 or columns == 0:
            return
        scratch = np.empty(scratch_bytes, np.uint8)
        zeros = np.zeros(columns, z.dtype)
        start, start_row = _rows_to_begin_with(init, zeros, bytes_each)
        native(
            x.ctypes.data + bytes_each * x_at,
            x_row,
            x_column,
            y.ctypes.data + bytes_each * y_at,
            y_row,
            y_column,
            z.ctypes.data + bytes_each * z_at,
            z_row,
            rows,
            columns,
            inner,
            start,
            start_row,
            alpha,
            -np.inf if floor is None else floor,
            (scratch.ctypes.data + 63) // 64 * 64,
            0,
            0,
            0,
            0,
        )
        scratch[0] = (
            zeros[0] != 0
        )  # Numba frees an array after its last use, which must not be before the call

    return compiled


def _by_loops(a: Any, b: Any, c: Any, init: Any, shape: Any, alpha: Any, floor: Any) -> None:
    rows, columns, inner = shape
    (x, x_at, x_row, x_column), (y, y_at, y_row, y_column), (z, z_at, z_row, z_column) = a, b, c
    sums = np.empty(columns, z.dtype)
    for i in range(rows):
        sums[:] = 0
        for k in range(inner):
            factor = x[x_at + i * x_row + k * x_column]
            for j in range(columns):
                sums[j] += factor * y[y_at + k * y_row + j * y_column]
        for j in range(columns):
            value = alpha * sums[j]
            if init is not None:
                s, s_at, s_row, s_column = init
                value += s[s_at + i * s_row + j * s_column]
            at = z_at + i * z_row + j * z_column
            z[at] = value
            if floor is not None and z[at] < floor:
                z[at] = floor


# -- windows -------------------------------------------------------------------------------------------------

Windows = tuple[np.ndarray, int, tuple[int, ...]]


def window_product(
    a: Windows,
    b: Matrix,
    c: Matrix,
    init: Matrix | None,
    shape: tuple[int, int, int],
    alpha: float,
    floor: float | None,
    tap: int,
) -> None:
    """`product` for windows (flat array, first element, numbers as in `kernels/geometry.py`); b moves by
    `tap` elements from the rows of one tap to those of the next.

    >>> x, w, out = np.arange(1.0, 5.0), np.ones(2), np.empty(3)
    >>> windows = (x, 0, (1, 4, 1, 3, 1, 2, 1, 1, 0, 0, 1, 1, 1, 1))
    >>> window_product(windows, (w, 0, 1, 1), (out, 0, 1, 1), None, (3, 1, 2), 1, None, 1)
    >>> out
    array([3., 5., 7.])
    """
    _compiled_product(a, b, c, init, shape, alpha, floor, tap)


def window_correlation(
    a: Windows,
    b: Matrix,
    c: Matrix,
    init: Matrix | None,
    shape: tuple[int, int, int],
    alpha: float,
    floor: float | None,
    first: int,
) -> None:
    """`product` for windows that are transposed: rows are taps and channels. It begins with window
    `first`.

    >>> x, y, out = np.arange(1.0, 5.0), np.ones(3), np.empty(2)
    >>> windows = (x, 0, (1, 4, 1, 3, 1, 2, 1, 1, 0, 0, 1, 1, 1, 1))
    >>> window_correlation(windows, (y, 0, 1, 1), (out, 0, 1, 1), None, (2, 1, 3), 1, None, 0)
    >>> out
    array([6., 9.])
    """
    _compiled_correlation(a, b, c, init, shape, alpha, floor, first)


@overload(window_product)
def _product_for(a: Any, b: Any, c: Any, init: Any, shape: Any, alpha: Any, floor: Any, tap: Any) -> Any:
    dtype, size = f"f{c.types[0].dtype.bitwidth}", c.types[0].dtype.bitwidth // 8
    native, scratch_bytes = _native(dtype, "convolve"), windows_scratch_bytes(dtype, host()) + 64

    def compiled(a: Any, b: Any, c: Any, init: Any, shape: Any, alpha: Any, floor: Any, tap: Any) -> None:
        rows, columns, _ = shape
        (x, x_at, places), (y, y_at, y_row, y_column), (z, z_at, z_row, _) = a, b, c
        scratch, geometry, zeros = (
            np.empty(scratch_bytes, np.uint8),
            np.array(places),
            np.zeros(columns, z.dtype),
        )
        start, start_row = _rows_to_begin_with(init, zeros, size)
        native(
            geometry.ctypes.data,
            x.ctypes.data + size * x_at,
            y.ctypes.data + size * y_at,
            y_row,
            y_column,
            tap,
            z.ctypes.data + size * z_at,
            z_row,
            0,
            rows,
            columns,
            start,
            start_row,
            alpha,
            -np.inf if floor is None else floor,
            (scratch.ctypes.data + 63) // 64 * 64,
            0,
            0,
        )
        scratch[0] = geometry[0] + (zeros[0] != 0 if columns else 0)  # keeps the arrays until here

    return compiled


@overload(window_correlation)
def _correlation_for(
    a: Any, b: Any, c: Any, init: Any, shape: Any, alpha: Any, floor: Any, first: Any
) -> Any:
    dtype, size = f"f{c.types[0].dtype.bitwidth}", c.types[0].dtype.bitwidth // 8
    native, scratch_bytes = _native(dtype, "correlate"), windows_scratch_bytes(dtype, host()) + 64

    def compiled(a: Any, b: Any, c: Any, init: Any, shape: Any, alpha: Any, floor: Any, first: Any) -> None:
        _, columns, inner = shape
        (x, x_at, places), (y, y_at, y_row, y_column), (z, z_at, z_row, _) = a, b, c
        scratch, geometry, zeros = (
            np.empty(scratch_bytes, np.uint8),
            np.array(places),
            np.zeros(columns, z.dtype),
        )
        start, start_row = _rows_to_begin_with(init, zeros, size)
        native(
            geometry.ctypes.data,
            x.ctypes.data + size * x_at,
            y.ctypes.data + size * y_at,
            y_row,
            y_column,
            z.ctypes.data + size * z_at,
            z_row,
            first,
            0,
            places[4] * places[5],
            columns,
            inner,
            start,
            start_row,
            alpha,
            -np.inf if floor is None else floor,
            (scratch.ctypes.data + 63) // 64 * 64,
            0,
            0,
            0,
            0,
        )
        scratch[0] = geometry[0] + (zeros[0] != 0 if columns else 0)  # keeps the arrays until here

    return compiled


@overload(product)
def _for_types(a: Any, b: Any, c: Any, init: Any, shape: Any, alpha: Any, floor: Any) -> Any:
    element = c.types[0].dtype
    if element.name in ("float32", "float64"):
        return _by_tiles(f"f{element.bitwidth}", element.bitwidth // 8)
    return _by_loops


@njit(error_model="numpy")
def _compiled(a: Any, b: Any, c: Any, init: Any, shape: Any, alpha: Any, floor: Any) -> None:
    product(a, b, c, init, shape, alpha, floor)


@njit(error_model="numpy")
def _compiled_product(
    a: Any, b: Any, c: Any, init: Any, shape: Any, alpha: Any, floor: Any, tap: Any
) -> None:
    window_product(a, b, c, init, shape, alpha, floor, tap)


@njit(error_model="numpy")
def _compiled_correlation(
    a: Any, b: Any, c: Any, init: Any, shape: Any, alpha: Any, floor: Any, first: Any
) -> None:
    window_correlation(a, b, c, init, shape, alpha, floor, first)
