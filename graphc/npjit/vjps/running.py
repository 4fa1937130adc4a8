"""Rules of running sums, products and differences along an axis."""

from __future__ import annotations

from typing import Any

from graphc.npjit.current import recording
from graphc.npjit.vjps.calls import cast, dtype_of, np
from graphc.npjit.vjps.reductions import before
from graphc.npjit.vjps.table import define, joint


def _backwards(ct: Any, axis: int) -> Any:
    """The sum of all elements from each to the end."""
    return np.flip(np.cumsum(np.flip(ct, axis), axis=axis), axis)


def _cumsum(ct: Any, out: Any, a: Any, axis: Any = None, dtype: Any = None, o: Any = None) -> Any:
    if axis is None:
        return np.reshape(_backwards(ct, 0), np.shape(a))
    return _backwards(ct, axis)


def _cumprod_in_full(ct: Any, a: Any, axis: Any) -> Any:
    """The product in front of each element, times the sum of the products behind it: a table of them."""
    x, g = np.moveaxis(a, axis, -1), np.moveaxis(ct, axis, -1)
    steps = np.arange(np.shape(x)[-1])
    mine = np.expand_dims(steps, 1)
    products = np.cumprod(np.where(steps > mine, np.expand_dims(x, -2), 1), axis=-1)
    behind = np.sum(np.where(steps >= mine, products * np.expand_dims(g, -2), 0), axis=-1)
    return np.moveaxis(before(x, np.ndim(x) - 1) * behind, -1, axis)


def _cumprod(ct: Any, out: Any, a: Any, axis: Any = None, dtype: Any = None, o: Any = None) -> Any:
    """Divides by each element; the first zero of a line gets the products that leave it out, later ones
    get 0."""
    if axis is None:
        return np.reshape(_cumprod(ct, out, np.reshape(a, (-1,)), 0), np.shape(a))
    rec = recording()
    if rec is not None and rec.differentiating > 1:  # a division would hide what depends on two zeros
        return _cumprod_in_full(ct, a, axis)
    zeros = a == 0
    first = zeros & (np.cumsum(zeros, axis=axis) == 1)
    without = np.cumprod(np.where(first, 1, a), axis=axis)
    plain = _backwards(ct * out, axis) / np.where(zeros, 1, a)
    return np.where(zeros, np.where(first, _backwards(ct * without, axis), 0), plain)


def _skipping_nan(rule: Any) -> Any:
    """The rule for a function that takes NaN for the neutral element."""

    def skipping(ct: Any, out: Any, a: Any, axis: Any = None, dtype: Any = None, o: Any = None) -> Any:
        missing = np.isnan(a)
        return np.where(missing, 0, rule(ct, out, np.where(missing, 1, a), axis))

    return skipping


define("cumsum", _cumsum, keeps=True)
define("cumprod", _cumprod)
define("nancumsum", _skipping_nan(_cumsum), masks=True)
define("nancumprod", _skipping_nan(_cumprod), masks=True)
define(
    "add.accumulate",
    lambda ct, out, array, axis=0, dtype=None, o=None: _cumsum(ct, out, array, axis),
    keeps=True,
)
define(
    "multiply.accumulate", lambda ct, out, array, axis=0, dtype=None, o=None: _cumprod(ct, out, array, axis)
)


def _cumulative(rule: Any) -> Any:
    """np.cumulative_sum and np.cumulative_prod, whose result may begin with the neutral element."""

    def cumulative(
        ct: Any, out: Any, x: Any, *, axis: Any = None, include_initial: bool = False, **options: Any
    ) -> Any:
        axis = 0 if axis is None else axis % np.ndim(x)
        if include_initial:
            rest = (slice(None),) * axis + (slice(1, None),)
            ct, out = ct[rest], out[rest]
        return rule(ct, out, x, axis)

    return cumulative


define("cumulative_sum", _cumulative(_cumsum), keeps=True)
define("cumulative_prod", _cumulative(_cumprod))


def segments(indices: Any, n: Any) -> Any:
    """Which of n elements stand in which segment: the i-th goes from indices[i] to indices[i + 1], or is one
    element where that is not larger."""
    starts = np.asarray(indices)
    stops = np.append(starts[1:], n)
    stops = np.where(stops > starts, stops, starts + 1)
    steps = np.arange(n)
    return (steps >= np.expand_dims(starts, 1)) & (steps < np.expand_dims(stops, 1))


def _add_reduceat(
    ct: Any, out: Any, array: Any, indices: Any, axis: int = 0, dtype: Any = None, o: Any = None
) -> Any:
    inside = segments(indices, np.shape(array)[axis])
    moved = np.moveaxis(ct, axis, -1) @ cast(inside, dtype_of(ct))
    return np.moveaxis(moved, -1, axis)


define("add.reduceat", _add_reduceat)


def _diff(
    ct: Any, out: Any, a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None
) -> tuple[Any, ...]:
    """Of the array, of what stands before it and of what stands behind it."""
    axis = axis % np.ndim(a)
    size = np.shape(a)[axis]
    if np.shape(ct)[axis] == 0:
        nothing = (None if x is None else np.zeros_like(x) for x in (prepend, append))
        return np.zeros_like(a), None, None, *nothing
    head, tail = (slice(None),) * axis + (slice(None, 1),), (slice(None),) * axis + (slice(-1, None),)
    for _ in range(n):
        inner = -np.diff(ct, axis=axis)
        ct = np.concatenate([-ct[head], inner, ct[tail]], axis=axis)
    start = 0 if prepend is None else np.shape(prepend)[axis] if np.ndim(prepend) else 1
    ends = (slice(None, start), slice(start, start + size), slice(start + size, None))
    before, inside, behind = (ct[(slice(None),) * axis + (end,)] for end in ends)
    return inside, None, None, before, behind


joint("diff", keeps=True)(_diff)


def _ediff1d(ct: Any, out: Any, ary: Any, to_end: Any = None, to_begin: Any = None) -> tuple[Any, Any, Any]:
    flat = np.reshape(ary, (-1,))
    start, stop = (0 if x is None else np.size(x) for x in (to_begin, to_end))
    last = np.shape(ct)[0] - stop
    inside = np.reshape(_diff(ct[start:last], out, flat)[0], np.shape(ary))
    ends = (to_end, ct[last:]), (to_begin, ct[:start])
    return inside, *(None if x is None else np.reshape(g, np.shape(x)) for x, g in ends)


joint("ediff1d", keeps=True)(_ediff1d)
