"""Rules of np.linalg's inverses, determinants and solvers, for stacks of matrices.

Formulas: M. B. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation", 2008, sections 2 and 3.
"""

from __future__ import annotations

from typing import Any

from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.table import define


def turn(x: Any) -> Any:
    """The matrices of a stack, transposed."""
    return np.swapaxes(x, -1, -2)


def on_matrices(ct: Any) -> Any:
    """Numbers, one for each matrix, to multiply matrices by."""
    return np.expand_dims(ct, (-1, -2))


define("linalg.inv", lambda ct, out, a: -(turn(out) @ ct @ turn(out)))
define("linalg.det", lambda ct, out, a: on_matrices(ct * out) * turn(np.linalg.inv(a)))


def _slogdet(cts: Any, outs: Any, a: Any) -> Any:
    return None if cts[1] is None else on_matrices(cts[1]) * turn(np.linalg.inv(a))


define("linalg.slogdet", _slogdet)


def _solve_b(ct: Any, out: Any, a: Any, b: Any) -> Any:
    return np.linalg.solve(turn(a), ct)


def _solve_a(ct: Any, out: Any, a: Any, b: Any) -> Any:
    g = _solve_b(ct, out, a, b)
    if np.ndim(b) == 1:
        return -np.expand_dims(g, -1) * np.expand_dims(out, -2)
    return -(g @ turn(out))


define("linalg.solve", _solve_a, _solve_b)


def _cholesky(ct: Any, out: Any, a: Any, *, upper: bool = False) -> Any:
    """Half of each side of the diagonal, since a symmetric change of the matrix is meant."""
    lower, given = (turn(out), turn(ct)) if upper else (out, ct)
    inverse = np.linalg.inv(lower)
    inner = _lower_half(turn(lower) @ given)
    g = turn(inverse) @ inner @ inverse
    return 0.5 * (g + turn(g))


def _lower_half(x: Any) -> Any:
    return 0.5 * (np.tril(x) + np.tril(x, -1))


define("linalg.cholesky", _cholesky)


def _pinv(ct: Any, out: Any, a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """Golub and Pereyra 1973, equation 4.12, transposed: for matrices whose rank does not change."""
    rows, columns = np.shape(a)[-2:]
    p, t = out, turn(out)
    first = -(t @ ct @ t)
    second = (np.eye(rows) - a @ p) @ turn(ct) @ (p @ t)
    third = (t @ p) @ turn(ct) @ (np.eye(columns) - p @ a)
    return first + second + third


define("linalg.pinv", _pinv)
