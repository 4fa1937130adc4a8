"""The product that generated Python source calls. Imported by generated source only, since it imports Numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from graphc.codegen.numba_scalars import greater


@njit(error_model="numpy")
def product(a: Any, b: Any, c: Any, init: Any, shape: Any, alpha: Any, floor: Any) -> None:
    """c = max(init + alpha * a @ b, floor) for matrices (flat array, first element, row stride, column stride).

    `shape` is (rows, columns, inner size); `init` None is zeros, and may be c. A `floor` of None is no limit.
    """
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
                start, s_at, s_row, s_column = init
                value += start[s_at + i * s_row + j * s_column]
            if floor is not None:
                value = greater(value, floor)
            z[z_at + i * z_row + j * z_column] = value
