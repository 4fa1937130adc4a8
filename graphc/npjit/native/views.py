"""Views and stores: what a chain of views reads, and the new version of its base when the view is written.

A store changes the view at the end of a chain. Going back along the chain, each step puts the new view into
the array it was taken from: slices by `update_slice`, turned and reshaped arrays by turning them back.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.npjit.native.operands import Item, Operand, Unexpressed, axes_of, broadcast, expr_as, reshaped
from graphc.npjit.native.rules.indexing import added, basic_write_to, getitem, plan, store_as, written_to
from graphc.npjit.native.rules.joining import split_marks
from graphc.npjit.native.rules.shapes import turned
from graphc.npjit.native.rules.table import RULES, apply

Step = tuple[Any, tuple[Any, ...], dict[str, Any]]
"""One step of a chain: the key of a rule, arguments (the viewed array is the first), keywords."""


def as_operand(x: Any) -> Any:
    """What a rule gave, as values of the log: operands, or a list of them."""
    if isinstance(x, (list, tuple)):
        return type(x)(as_operand(v) for v in x)
    return Operand(x) if isinstance(x, Expr) else x


def step_read(b: Builder, base: Any, step: Step) -> Any:
    """The view that one step takes."""
    key, args, kwargs = step
    if key == "pick":
        return picked(b, base, args[0])
    made = RULES.get(key)
    if made is None:
        raise Unexpressed(f"the view {key}")
    return as_operand(apply(b, made, (base, *args), kwargs))


def picked(b: Builder, base: Any, i: int) -> Any:
    """One of several results, or a row of an array."""
    return base[i] if isinstance(base, (list, tuple)) else as_operand(getitem(b, base, i))


def read(b: Builder, base: Any, steps: Sequence[Step]) -> Any:
    """The view at the end of a chain."""
    for step in steps:
        base = step_read(b, base, step)
    return base


def store(b: Builder, base: Operand, steps: Sequence[Step], change: Callable[[Operand], Operand]) -> Operand:
    """The new version of `base` in which the view at the end of the chain is `change(view)`."""
    views: list[Any] = [base]
    for step in steps:
        views.append(step_read(b, views[-1], step))
    new: Any = change(views[-1])
    for step, before in zip(reversed(steps), reversed(views[:-1]), strict=True):
        new = _put(b, before, step, new)
    return new


def _put(b: Builder, before: Any, step: Step, new: Any) -> Any:
    """What a step viewed, with the view replaced by `new`."""
    key, args, kwargs = step
    if key == "pick":
        if isinstance(before, (list, tuple)):
            return [new if i == args[0] else v for i, v in enumerate(before)]
        return written_to(b, before, args[0], new)
    if key is operator.getitem:
        p = plan(b, before.shape, args[0])
        if any(i.rank for _, i in p.arrays):
            raise Unexpressed("a view by integer arrays")
        if p.arrays:
            return written_to(b, before, args[0], new)
        return basic_write_to(b, before, p, new.expr)
    if key in (np.split, np.array_split):
        return _unsplit(b, before, args, kwargs, new)
    inverse = _INVERSES.get(key)
    if inverse is None:
        raise Unexpressed(f"a store through {getattr(key, '__name__', key)}")
    return Operand(inverse(b, before, args, kwargs, new.expr))


def _unsplit(b: Builder, before: Operand, args: tuple[Any, ...], kwargs: dict[str, Any], new: Any) -> Operand:
    given = dict(zip(("indices_or_sections", "axis"), args, strict=False)) | kwargs
    (axis,) = axes_of(given.get("axis", 0), before.rank)
    split_marks(b, given["indices_or_sections"], before.shape[axis])
    return Operand(b.concatenate(*(v.expr for v in new), axis=axis))


Inverse = Callable[[Builder, Operand, tuple[Any, ...], dict[str, Any], Expr], Expr]


def _back(b: Builder, before: Operand, args: tuple[Any, ...], kwargs: dict[str, Any], new: Expr) -> Expr:
    """Views in row-major order: reshaped back."""
    return reshaped(b, new, before.shape)


def _turned_back(key: Any) -> Inverse:
    """Views that only turn axes: which way is seen on an array whose axes all differ in size."""

    def inverse(
        b: Builder, before: Operand, args: tuple[Any, ...], kwargs: dict[str, Any], new: Expr
    ) -> Expr:
        probe = Builder()
        rank = before.rank
        sample = probe.input("x", before.expr.type.with_shape(tuple(range(2, 2 + rank))))
        seen = apply(probe, RULES[key], (Operand(sample), *args), kwargs)
        order = [d - 2 for d in (seen.expr if type(seen) is Operand else seen).shape]
        return turned(b, new, [order.index(i) for i in range(rank)])

    return inverse


def _flipped_back(key: Any) -> Inverse:
    def inverse(
        b: Builder, before: Operand, args: tuple[Any, ...], kwargs: dict[str, Any], new: Expr
    ) -> Expr:
        again = apply(b, RULES[key], (Operand(new), *args), kwargs)
        return again.expr if type(again) is Operand else again

    return inverse


_RESHAPES = (np.reshape, np.ravel, np.squeeze, np.expand_dims, np.atleast_1d, np.atleast_2d)
_TURNS = (np.transpose, np.swapaxes, np.moveaxis, np.matrix_transpose)
_INVERSES: dict[Any, Inverse] = {
    **dict.fromkeys((*_RESHAPES, *(("method", n) for n in ("reshape", "ravel", "squeeze"))), _back),
    **{
        key: _turned_back(key)
        for key in (
            *_TURNS,
            ("method", "transpose"),
            ("method", "swapaxes"),
            ("attribute", "T"),
            ("attribute", "mT"),
        )
    },
    **{key: _flipped_back(key) for key in (np.flip, np.fliplr, np.flipud)},
    **dict.fromkeys((np.asarray, np.asanyarray, np.ascontiguousarray, ("attribute", "real")), _back),
}

Change = Callable[..., Operand]


def _stored(b: Builder, view: Operand, value: Item) -> Operand:
    """`view[...] = value`"""
    new = store_as(b, value, view.dtype)
    extra = new.rank - view.rank
    if extra > 0:
        new = reshaped(b, new, new.shape[extra:])
    return Operand(broadcast(b, new, view.shape))


def filled(b: Builder, view: Operand, value: Item) -> Operand:
    """`view.fill(value)`"""
    return _stored(b, view, value)


def copied(b: Builder, view: Operand, value: Item, casting: str = "same_kind", where: Any = True) -> Operand:
    """`np.copyto(view, value)`"""
    if casting != "same_kind":
        raise Unexpressed("a cast of another kind")
    if where is True:
        return _stored(b, view, value)
    new = expr_as(b, value, view.dtype)
    return Operand(b.select(Operand(where.value).expr, new, view.expr))


def assigned(b: Builder, view: Operand, key: Any, value: Item) -> Operand:
    """`view[key] = value`"""
    return written_to(b, view, key, value)


def added_at(b: Builder, view: Operand, key: Any, value: Item) -> Operand:
    """`np.add.at(view, key, value)`"""
    return Operand(added(b, view.expr, key, value))


def subtracted_at(b: Builder, view: Operand, key: Any, value: Item) -> Operand:
    """`np.subtract.at(view, key, value)`"""
    return Operand(added(b, view.expr, key, Operand(-store_as(b, value, view.dtype))))


CHANGES: dict[Any, Change] = {
    operator.setitem: assigned,
    ("method", "fill"): filled,
    np.copyto: copied,
    ("at", np.add): added_at,
    ("at", np.subtract): subtracted_at,
}


def fitted(b: Builder, view: Operand, value: Any) -> Operand:
    """A result as `out=` or an in-place operator stores it: cast to the view's type, in the view's shape."""
    result = as_operand(value)
    if result.mask is not None:
        if view.mask is None or view.mask.value is not result.mask.value:
            raise Unexpressed("elements under a mask in another array")
        return Operand(expr_as(b, Operand(result.expr), view.dtype), mask=view.mask)
    stored = expr_as(b, Operand(result.expr), view.dtype)
    return Operand(broadcast(b, stored, view.shape), mask=view.mask)
