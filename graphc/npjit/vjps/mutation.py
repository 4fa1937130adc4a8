"""Rules of what changes an array in place: `x[key] = v`, `x += v`, `out=`, fill, sort, add.at and their kin.

Each takes the cotangent of the array after the change, which it may change itself, and the array before and
after; it gives the cotangent of the array before (None: the old values do not matter) and those of the
other arguments.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from graphc.npjit.vjps.calls import cast, dtype_of, np
from graphc.npjit.vjps.choosing import taken
from graphc.npjit.vjps.find import IN_PLACE_OF, find
from graphc.npjit.vjps.indexing import along, repeats
from graphc.npjit.vjps.joining import _nested
from graphc.npjit.vjps.table import fit, pull, unbroadcast

Change = Callable[..., tuple[Any, list[Any]]]


def change_of(fn: Any) -> Change | None:
    """The rule of a function that changes its first argument."""
    if fn in IN_PLACE_OF:
        return _in_place(IN_PLACE_OF[fn])
    written = getattr(fn, "function", None)
    if written is not None:
        return _written(written)
    if getattr(fn, "is_method", False):
        return METHODS.get(fn.__name__)
    try:
        return CHANGES.get(fn)
    except TypeError:
        return None


def _in_place(ufunc: Any) -> Change:
    def rule(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        return _applied(ufunc, ct, after, [before, *args], kwargs, first=True)

    return rule


def _written(fn: Any) -> Change:
    def rule(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        _, given = _applied(fn, ct, after, list(args), dict(kwargs), first=False)
        where = kwargs.get("where", True)
        return None if where is True else np.where(where, 0, ct), given

    return rule


def _applied(fn: Any, ct: Any, out: Any, args: list[Any], kwargs: dict[str, Any], first: bool) -> Any:
    found = find(fn, args, kwargs)
    if found is None:
        raise LookupError(getattr(fn, "__name__", str(fn)))
    given = pull(found.rules, ct, out, found.args, found.kwargs) if found.rules.name != "zero" else []
    given = [*([None] * found.skipped), *given, *([None] * (len(args) - len(given)))]
    return (given[0], given[1:]) if first else (None, given)


def last_writes(key: Any, ct: Any, shape: Any) -> Any:
    """Where a store through an array of integers writes an element that no later one overwrites.

    >>> last_writes(numpy.array([0, 1, 0]), numpy.zeros(3), (2,))
    array([False,  True,  True])
    """
    count = 1
    for n in np.shape(ct):
        count = count * n
    numbers = np.reshape(np.arange(count), np.shape(ct))
    owner = np.zeros(shape, numpy.int64)
    owner[key] = numbers
    return owner[key] == numbers


def _setitem(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    key, value = args
    part = np.copy(ct[key])
    ct[key] = 0
    rest = ct
    if isinstance(value, (list, tuple)):
        whole = np.array(value)
        return rest, [None, fit(_nested(unbroadcast(part, whole), value), value)]
    if dtype_of(value).kind != "f":
        return rest, [None, None]
    if repeats(key):
        part = taken(part, last_writes(key, part, np.shape(before)))
    return rest, [None, fit(part, value)]


def _fill(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    return None, [fit(ct, args[0]) if dtype_of(args[0]).kind == "f" else None]


def _sort(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    return _applied(numpy.sort, ct, after, [before, *args], kwargs, first=True)


def _partition(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    return _applied(numpy.partition, ct, after, [before, *args], kwargs, first=True)


def _copyto(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    src, *rest = args
    where = kwargs.get("where", rest[1] if len(rest) > 1 else True)
    part = ct if where is True else taken(ct, where)
    kept = None if where is True else np.where(where, 0, ct)
    return kept, [fit(part, src) if dtype_of(src).kind == "f" else None, *(None for _ in rest)]


def _masked(counted: bool) -> Change:
    """np.putmask, and np.place, which takes the values in turn (`counted`): they are repeated cyclically."""

    def rule(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        mask, values = args
        mask = np.reshape(np.asarray(mask) != 0, np.shape(ct))
        part = None
        if dtype_of(values).kind == "f":
            flat = np.reshape(mask, (-1,))
            turns = np.cumsum(flat) - 1 if counted else np.arange(np.size(ct))
            part = np.zeros(np.size(values), dtype_of(ct))
            np.add.at(part, np.remainder(turns, np.size(values)), np.reshape(taken(ct, mask), (-1,)))
            part = fit(np.reshape(part, np.shape(values)), values)
        return np.where(mask, 0, ct), [None, part]

    return rule


def _put_along_axis(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    indices, values, *rest = args
    axis = rest[0] if rest else kwargs.get("axis")
    if axis is None:
        raise LookupError("put_along_axis without an axis")
    kept, given = _setitem(ct, before, after, (along(ct, indices, axis), values), {})
    return kept, [*given, *(None for _ in rest)]


def _put(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    places, values, *rest = args
    flat = np.reshape(ct, (-1,))
    kept, given = _setitem(flat, np.reshape(before, (-1,)), None, (np.asarray(places), values), {})
    return np.reshape(kept, np.shape(ct)), [*given, *(None for _ in rest)]


def _fill_diagonal(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    value, *rest = args
    if rest or kwargs or np.ndim(value) > 1:
        raise LookupError("fill_diagonal with wrap=True")
    steps = np.arange(min(np.shape(ct)))
    kept, given = _setitem(ct, before, after, ((steps,) * np.ndim(ct), value), {})
    return kept, [given[1]]


def _add_at(sign: int) -> Change:
    def rule(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        key, value = args
        part = ct[key] if sign > 0 else -ct[key]
        return ct, [None, fit(part, value) if dtype_of(value).kind == "f" else None]

    return rule


def _times_at(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Each factor gets the product of the others at its place, without a division by zero."""
    key, value = args
    wide = np.broadcast_to(value, np.shape(ct[key]))
    zeros = wide == 0
    product, count = np.ones_like(before), np.zeros(np.shape(before), numpy.int64)
    np.multiply.at(product, key, np.where(zeros, 1, wide))
    np.add.at(count, key, cast(zeros, dtype_of(count)))
    whole = np.where(count == 0, product, 0)
    if dtype_of(value).kind != "f":
        return ct * whole, [None, None]
    alone = np.where(zeros, np.where(count[key] == 1, product[key], 0), whole[key] / np.where(zeros, 1, wide))
    return ct * whole, [None, fit((ct * before)[key] * alone, value)]


def _over_at(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    key, value = args
    kept = np.copy(ct)
    np.divide.at(kept, key, value)
    return kept, [None, fit(-(ct * after)[key] / value, value) if dtype_of(value).kind == "f" else None]


def _extreme_at(ct: Any, before: Any, after: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """All that reach the extreme share."""
    key, value = args
    first, reached = before == after, after[key] == value
    ties = cast(first, dtype_of(ct))
    np.add.at(ties, key, cast(reached, dtype_of(ct)))
    share = ct / np.maximum(ties, 1)
    return taken(share, first), [None, fit(taken(share[key], reached), value)]


CHANGES: dict[Any, Change] = {
    operator.setitem: _setitem,
    numpy.copyto: _copyto,
    numpy.place: _masked(counted=True),
    numpy.putmask: _masked(counted=False),
    numpy.put: _put,
    numpy.put_along_axis: _put_along_axis,
    numpy.fill_diagonal: _fill_diagonal,
    numpy.add.at: _add_at(1),
    numpy.subtract.at: _add_at(-1),
    numpy.multiply.at: _times_at,
    numpy.divide.at: _over_at,
    numpy.maximum.at: _extreme_at,
    numpy.minimum.at: _extreme_at,
}
METHODS: dict[str, Change] = {"fill": _fill, "sort": _sort, "partition": _partition, "put": _put}
