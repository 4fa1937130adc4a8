"""Rules of products: matmul, dot, inner, outer, tensordot, kron and their kin."""

from __future__ import annotations

import operator
from typing import Any

from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.table import RULES, define


def _turn(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _matmul_left(ct: Any, out: Any, x: Any, y: Any, **options: Any) -> Any:
    rank_x, rank_y = np.ndim(x), np.ndim(y)
    if rank_y == 1:
        return np.expand_dims(ct, -1) * y if rank_x > 1 else ct * y
    if rank_x == 1:
        return np.matmul(y, np.expand_dims(ct, -1))[..., 0] if rank_y > 2 else np.matmul(y, ct)
    return np.matmul(ct, _turn(y))


def _matmul_right(ct: Any, out: Any, x: Any, y: Any, **options: Any) -> Any:
    rank_x, rank_y = np.ndim(x), np.ndim(y)
    if rank_x == 1:
        return np.expand_dims(x, -1) * np.expand_dims(ct, -2) if rank_y > 1 else ct * x
    if rank_y == 1:
        if rank_x == 2:
            return np.matmul(ct, x)
        return np.matmul(np.expand_dims(ct, -2), x)[..., 0, :]
    if rank_y == 2 and rank_x > 2:  # one product over the whole batch, instead of a sum of products
        columns = np.reshape(x, (-1, np.shape(x)[-1]))
        return np.matmul(_turn(columns), np.reshape(ct, (-1, np.shape(ct)[-1])))
    return np.matmul(_turn(x), ct)


define("matmul", _matmul_left, _matmul_right)
RULES[operator.matmul] = RULES[__import__("numpy").matmul]


def _dot_left(ct: Any, out: Any, a: Any, b: Any, o: Any = None) -> Any:
    rank_a, rank_b = np.ndim(a), np.ndim(b)
    if rank_a == 0 or rank_b == 0:
        return ct * b
    if rank_b <= 2:
        return _matmul_left(ct, out, a, b)
    # out[i.., k.., m] = sum of a[i.., j] b[k.., j, m]
    outer = rank_a - 1
    axes = [*range(rank_b - 2), rank_b - 1]
    return np.tensordot(ct, b, (list(range(outer, outer + len(axes))), axes))


def _dot_right(ct: Any, out: Any, a: Any, b: Any, o: Any = None) -> Any:
    rank_a, rank_b = np.ndim(a), np.ndim(b)
    if rank_a == 0 or rank_b == 0:
        return ct * a
    if rank_b <= 2:
        return _matmul_right(ct, out, a, b)
    axes = list(range(rank_a - 1))
    return np.moveaxis(np.tensordot(a, ct, (axes, axes)), 0, -2)


define("dot", _dot_left, _dot_right)
define("inner", lambda ct, out, a, b: _inner(ct, a, b), lambda ct, out, a, b: _inner_right(ct, a, b))


def _inner(ct: Any, a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return ct * b
    k, rank = np.ndim(b) - 1, np.ndim(a) - 1
    return np.tensordot(ct, b, (list(range(rank, rank + k)), list(range(k))))


def _inner_right(ct: Any, a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return ct * a
    axes = list(range(np.ndim(a) - 1))
    return np.tensordot(ct, a, (axes, axes))


def _flat(x: Any) -> Any:
    return np.reshape(x, (-1,))


define(
    "outer",
    lambda ct, out, a, b, o=None: np.reshape(np.matmul(ct, _flat(b)), np.shape(a)),
    lambda ct, out, a, b, o=None: np.reshape(np.matmul(_flat(a), ct), np.shape(b)),
)
define(
    "vdot",
    lambda ct, out, a, b: np.reshape(ct * _flat(b), np.shape(a)),
    lambda ct, out, a, b: np.reshape(ct * _flat(a), np.shape(b)),
)


def _tensordot_axes(a: Any, b: Any, axes: Any) -> tuple[list[int], list[int]]:
    rank_a, rank_b = np.ndim(a), np.ndim(b)
    if not isinstance(axes, (tuple, list)):
        n = int(axes)
        return list(range(rank_a - n, rank_a)), list(range(n))
    left, right = (x if isinstance(x, (tuple, list)) else (x,) for x in axes)
    return [int(i) % rank_a for i in left], [int(i) % rank_b for i in right]


def _free(rank: int, used: list[int]) -> list[int]:
    return [i for i in range(rank) if i not in used]


def _tensordot_left(ct: Any, out: Any, a: Any, b: Any, axes: Any = 2) -> Any:
    left, right = _tensordot_axes(a, b, axes)
    kept, other = _free(np.ndim(a), left), _free(np.ndim(b), right)
    g = np.tensordot(ct, b, (list(range(len(kept), len(kept) + len(other))), other))
    # axes of g: the kept ones of a, then the summed ones, in the order in which they stand in b
    order = kept + [left[right.index(i)] for i in sorted(right)]
    return np.transpose(g, tuple(order.index(i) for i in range(len(order))))


def _tensordot_right(ct: Any, out: Any, a: Any, b: Any, axes: Any = 2) -> Any:
    left, right = _tensordot_axes(a, b, axes)
    kept, other = _free(np.ndim(a), left), _free(np.ndim(b), right)
    g = np.tensordot(a, ct, (kept, list(range(len(kept)))))
    order = [right[left.index(i)] for i in sorted(left)] + other
    return np.transpose(g, tuple(order.index(i) for i in range(len(order))))


define("tensordot", _tensordot_left, _tensordot_right)


def _kron_split(ct: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """ct with each axis as (axis of a, axis of b), and the shapes of a and b at equal ranks."""
    rank = max(np.ndim(a), np.ndim(b))
    shape_a = (1,) * (rank - np.ndim(a)) + tuple(np.shape(a))
    shape_b = (1,) * (rank - np.ndim(b)) + tuple(np.shape(b))
    return np.reshape(ct, [n for pair in zip(shape_a, shape_b) for n in pair]), shape_a, shape_b


def _kron_left(ct: Any, out: Any, a: Any, b: Any) -> Any:
    split, _, shape_b = _kron_split(ct, a, b)
    factors = np.reshape(b, [n for m in shape_b for n in (1, m)])
    return np.reshape(np.sum(split * factors, axis=tuple(range(1, 2 * len(shape_b), 2))), np.shape(a))


def _kron_right(ct: Any, out: Any, a: Any, b: Any) -> Any:
    split, shape_a, _ = _kron_split(ct, a, b)
    factors = np.reshape(a, [n for m in shape_a for n in (m, 1)])
    return np.reshape(np.sum(split * factors, axis=tuple(range(0, 2 * len(shape_a), 2))), np.shape(b))


define("kron", _kron_left, _kron_right)


define(
    "linalg.outer",
    lambda ct, out, x1, x2: np.matmul(ct, x2),
    lambda ct, out, x1, x2: np.matmul(x1, ct),
)
