"""Rules of vector and matrix norms and of the condition number."""

from __future__ import annotations

from typing import Any

from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.composites import composite, through
from graphc.npjit.vjps.reductions import expand
from graphc.npjit.vjps.table import define


def _vector_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    size = np.absolute(x)
    if ord is None or ord == 2:
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if ord == float("inf"):
        return np.max(size, axis=axis, keepdims=keepdims)
    if ord == float("-inf"):
        return np.min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(x * 0, axis=axis, keepdims=keepdims)
    total = np.sum(size**ord, axis=axis, keepdims=keepdims)
    at_zero = total == 0  # where the root has no slope, and the subgradient is 0
    return np.where(at_zero, 0, np.where(at_zero, 1, total) ** (1 / ord))


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    rows, columns = (a % np.ndim(x) for a in axes)
    if ord in ("nuc", 2, -2):
        values = np.linalg.svd(np.moveaxis(x, (rows, columns), (-2, -1)), compute_uv=False)
        reduce = {"nuc": np.sum, 2: np.max, -2: np.min}[ord]
        found = reduce(values, axis=-1)
        return np.expand_dims(found, tuple(sorted((rows, columns)))) if keepdims else found
    summed, kept = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = np.sum(np.absolute(x), axis=summed, keepdims=True)
    found = (np.max if ord > 0 else np.min)(sums, axis=kept, keepdims=True)
    return found if keepdims else np.squeeze(found, (rows, columns))


def _norm_program(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if axis is None and np.ndim(x) == 2 and ord is not None:
        axis = (0, 1)
    if isinstance(axis, (tuple, list)) and len(axis) == 2 and ord not in (None, "fro"):
        return _matrix_norm(x, ord, (axis[0], axis[1]), keepdims)
    return _vector_norm(x, None if ord == "fro" else ord, axis, keepdims)


def _norm(ct: Any, out: Any, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """x / |x| for the Euclidean norm, with the subgradient 0 at the origin."""
    matrix = (np.ndim(x) == 2 and axis is None) or (isinstance(axis, (tuple, list)) and len(axis) == 2)
    if ord is None or ord == "fro" or (ord == 2 and not matrix):
        at_zero = out == 0
        per = np.where(at_zero, 0, ct / np.where(at_zero, 1, out))
        return expand(per, x, axis, keepdims) * x
    return through(_norm_program, ct, (x, ord, axis, keepdims), {})[0]


define("linalg.norm", _norm)
define(
    "linalg.vector_norm",
    lambda ct, out, x, *, axis=None, keepdims=False, ord=2: (
        through(lambda x: _vector_norm(x, ord, axis, keepdims), ct, (x,), {})[0]
        if ord not in (2, None)
        else _norm(ct, out, x, None, axis, keepdims)
    ),
)
define(
    "linalg.matrix_norm",
    lambda ct, out, x, *, keepdims=False, ord="fro": _norm(ct, out, x, ord, (-2, -1), keepdims),
)


def _cond(x: Any, p: Any = None) -> Any:
    if p in (None, 2, -2):
        values = np.linalg.svd(x, compute_uv=False)
        return values[..., -1] / values[..., 0] if p == -2 else values[..., 0] / values[..., -1]
    return _norm_program(x, p, (-2, -1)) * _norm_program(np.linalg.inv(x), p, (-2, -1))


composite("linalg.cond", _cond)
