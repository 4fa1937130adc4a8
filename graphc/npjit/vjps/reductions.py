"""Rules of reductions: sums, means, variances, products, extremes. Ties of an extreme share the cotangent
equally."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from graphc.npjit.vjps.calls import broadcast_like, cast, dtype_of, np
from graphc.npjit.vjps.choosing import taken
from graphc.npjit.vjps.table import define


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    """The reduced axes, counted from the front; all for None."""
    rank = np.ndim(x)
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(sorted(int(a) % rank for a in given))


def expand(reduced: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """A reduced value with its reduced axes put back in, of size 1."""
    axes = axes_of(x, axis)
    if keepdims or not axes or np.ndim(reduced) == np.ndim(x):
        return reduced
    return np.expand_dims(reduced, axes)


def count(x: Any, axis: Any, where: Any = True, keepdims: bool = True) -> Any:
    """How many elements each reduced value is made from."""
    if where is not True:
        return np.sum(np.broadcast_to(where, np.shape(x)), axis=axis, keepdims=keepdims)
    n, shape = 1, np.shape(x)
    for a in axes_of(x, axis):
        n = n * shape[a]
    return n


def spread(ct: Any, x: Any, axis: Any, keepdims: bool, where: Any = True) -> Any:
    """ct of a sum at each of the elements that were summed."""
    g = broadcast_like(expand(ct, x, axis, keepdims), x)
    return g if where is True else np.where(where, g, 0)


def _sum(
    ct: Any,
    out: Any,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    o: Any = None,
    keepdims: bool = False,
    initial: Any = 0,
    where: Any = True,
) -> Any:
    return spread(ct, a, axis, keepdims, where)


def _initial(ct: Any, out: Any, *rest: Any, **options: Any) -> Any:
    return np.sum(ct)


define("sum", _sum, None, None, None, None, _initial, keeps=True)
define(
    "mean",
    lambda ct, out, a, axis=None, dtype=None, o=None, keepdims=False, *, where=True: spread(
        expand(ct, a, axis, keepdims) / _whole(count(a, axis, where), ct), a, axis, True, where
    ),
    keeps=True,
)


def _whole(n: Any, ct: Any) -> Any:
    """A count as a divisor of ct: counted ones are arrays of integers, which would promote float32."""
    return cast(n, dtype_of(ct)) if np.ndim(n) else n


def _centred(a: Any, axis: Any, where: Any, mean: Any) -> Any:
    if mean is None:
        mean = (
            np.mean(a, axis=axis, keepdims=True, where=where)
            if where is not True
            else np.mean(a, axis=axis, keepdims=True)
        )
    return a - mean


def _var(
    ct: Any,
    out: Any,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    o: Any = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    free = _whole(count(a, axis, where) - (ddof if correction is None else correction), ct)
    g = expand(ct, a, axis, keepdims) * 2 / free
    return taken_where(g * _centred(a, axis, where, mean), where)


def taken_where(g: Any, where: Any) -> Any:
    """g where a `where=` of a reduction holds."""
    return g if where is True else taken(g, where)


@functools.wraps(_var)
def _std(ct: Any, out: Any, a: Any, *rest: Any, **options: Any) -> Any:
    """Subgradient 0 where all elements are equal."""
    flat = out == 0
    per = np.where(flat, 0, 0.5 * ct / np.where(flat, 1, out))
    return _var(per, out, a, *rest, **options)


define("var", _var, keeps=True)
define("std", _std, keeps=True)


def _extreme(
    ct: Any,
    out: Any,
    a: Any,
    axis: Any = None,
    o: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    equal = a == expand(out, a, axis, keepdims)
    if where is not True:
        equal = equal & where
    ties = cast(np.maximum(np.sum(equal, axis=axis, keepdims=True), 1), dtype_of(ct))
    shared = expand(ct, a, axis, keepdims) / ties
    return taken(np.broadcast_to(shared, np.shape(a)), equal)


for _name in ("max", "min", "amax", "amin", "nanmax", "nanmin"):
    define(_name, _extreme, masks=True)


def before(a: Any, axis: int) -> Any:
    """The product of the elements in front of each along the axis."""
    ones = np.ones_like(np.take(a, [0], axis=axis))
    head = a[(slice(None),) * axis + (slice(None, -1),)]
    return np.concatenate([ones, np.cumprod(head, axis=axis)], axis=axis)


def _prod(
    ct: Any,
    out: Any,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    o: Any = None,
    keepdims: bool = False,
    initial: Any = 1,
    where: Any = True,
) -> Any:
    """ct times the product of all other elements, without a division: zeros are ordinary."""
    shape, axes = np.shape(a), axes_of(a, axis)
    if not axes or any(n == 0 for n in shape):
        return ct * np.ones_like(a)
    x = a if where is True else np.where(where, a, 1)
    kept = [i for i in range(len(shape)) if i not in axes]
    moved = np.transpose(x, (*kept, *axes))
    flat = np.reshape(moved, (*(shape[i] for i in kept), -1))
    last = len(kept)
    others = before(flat, last) * np.flip(before(np.flip(flat, last), last), last)
    back = np.reshape(others, np.shape(moved))
    inverse = tuple((*kept, *axes).index(i) for i in range(len(shape)))
    g = expand(ct, a, axis, keepdims) * np.transpose(back, inverse)
    return taken_where(g if type(initial) is int and initial == 1 else g * initial, where)


define("prod", _prod, keeps=True)


def _from_reduce(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a reduction as that of a ufunc's `reduce`, whose axis is 0 by default."""

    def reduce(
        ct: Any,
        out: Any,
        array: Any,
        axis: Any = 0,
        dtype: Any = None,
        o: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        return rule(
            ct,
            out,
            array,
            axis,
            keepdims=keepdims,
            where=where,
            **({} if initial is None else {"initial": initial}),
        )

    return reduce


define("add.reduce", _from_reduce(_sum), keeps=True)
define("multiply.reduce", _from_reduce(_prod), keeps=True)
define("maximum.reduce", _from_reduce(_extreme), masks=True)
define("minimum.reduce", _from_reduce(_extreme), masks=True)


def _logaddexp(ct: Any, out: Any, a: Any, axis: Any, keepdims: bool, where: Any, initial: Any = None) -> Any:
    whole = expand(out, a, axis, keepdims)
    share = np.exp(np.where(a == whole, 0, a - whole))
    return taken_where(expand(ct, a, axis, keepdims) * share, where)


define("logaddexp.reduce", _from_reduce(_logaddexp))
define("fmax.reduce", _from_reduce(_extreme), masks=True)
define("fmin.reduce", _from_reduce(_extreme), masks=True)


@functools.wraps(_sum)
def _nansum(ct: Any, out: Any, a: Any, *rest: Any, **options: Any) -> Any:
    return taken(_sum(ct, out, a, *rest, **options), np.logical_not(np.isnan(a)))


define("nansum", _nansum, masks=True)
