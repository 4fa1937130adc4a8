"""Rules of np.linalg's inverses, determinants and solvers, for stacks of matrices.

Formulas: M. B. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation", 2008, sections 2 and 3.
"""

from __future__ import annotations

from typing import Any

import numpy

from graphc.ir.errors import ArgumentError
from graphc.npjit.vjps.calls import np, record
from graphc.npjit.vjps.composites import composite, through
from graphc.npjit.vjps.table import RULES, Rules, define


def turn(x: Any) -> Any:
    """The matrices of a stack, transposed."""
    return np.swapaxes(x, -1, -2)


def on_matrices(ct: Any) -> Any:
    """Numbers, one for each matrix, to multiply matrices by."""
    return np.expand_dims(ct, (-1, -2))


define("linalg.inv", lambda ct, out, a: -(turn(out) @ ct @ turn(out)))


def cofactors(a: numpy.ndarray) -> numpy.ndarray:
    """The derivative of the determinant of each matrix, of singular ones too.

    >>> cofactors(numpy.array([[1.0, 2.0], [2.0, 4.0]])).round(12).tolist()
    [[4.0, -2.0], [-2.0, 1.0]]
    """
    det = numpy.linalg.det(a)
    if numpy.all(det != 0):
        return det[..., None, None] * numpy.linalg.inv(a).swapaxes(-1, -2)
    u, s, vt = numpy.linalg.svd(a)
    others = numpy.stack([numpy.delete(s, i, -1).prod(-1) for i in range(s.shape[-1])], -1)
    sign = numpy.linalg.det(u) * numpy.linalg.det(vt)
    return sign[..., None, None] * ((u * others[..., None, :]) @ vt)


def _cofactors(ct: Any, out: Any, a: Any) -> tuple[Any]:
    return (through(lambda a: on_matrices(np.linalg.det(a)) * turn(np.linalg.inv(a)), ct, (a,), {})[0],)


RULES[cofactors] = Rules("cofactors", joint=_cofactors)
define("linalg.det", lambda ct, out, a: on_matrices(ct) * record(cofactors, a))


def _slogdet(cts: Any, outs: Any, a: Any) -> Any:
    return None if cts[1] is None else on_matrices(cts[1]) * turn(np.linalg.inv(a))


define("linalg.slogdet", _slogdet)


def _solve_b(ct: Any, out: Any, a: Any, b: Any) -> Any:
    if np.ndim(b) == 1:  # a vector, which a stack of matrices shares
        return np.linalg.solve(turn(a), np.expand_dims(ct, -1))[..., 0]
    return np.linalg.solve(turn(a), ct)


def _solve_a(ct: Any, out: Any, a: Any, b: Any) -> Any:
    g = _solve_b(ct, out, a, b)
    if np.ndim(b) == 1:
        return -np.expand_dims(g, -1) * np.expand_dims(out, -2)
    return -(g @ turn(out))


define("linalg.solve", _solve_a, _solve_b)


def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    if axes is not None:
        raise ArgumentError(
            "graphc has no gradient of np.linalg.tensorsolve with axes.\n  fix     transpose a."
        )
    shape, size = np.shape(a)[np.ndim(b) :], np.size(b)
    return np.reshape(np.linalg.solve(np.reshape(a, (size, size)), np.reshape(b, (size,))), shape)


def _tensorinv(a: Any, ind: Any = 2) -> Any:
    shape, size = np.shape(a), 1
    for n in shape[: int(ind)]:
        size = size * n
    return np.reshape(np.linalg.inv(np.reshape(a, (size, -1))), (*shape[int(ind) :], *shape[: int(ind)]))


composite("linalg.tensorsolve", _tensorsolve)
composite("linalg.tensorinv", _tensorinv)


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
