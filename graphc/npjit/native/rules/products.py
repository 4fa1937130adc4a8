"""Sums of products: dot, matmul, outer, tensordot, einsum."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.npjit.native.operands import (
    Item,
    Unexpressed,
    axis_of,
    common,
    expr_as,
    is_weak,
    producer,
    reshaped,
    shape_of,
    size_of,
    strong,
)
from graphc.npjit.native.rules.elementwise import call_ufunc
from graphc.npjit.native.rules.table import rule


def _pair(b: Builder, x: Item, y: Item) -> tuple[Expr, Expr]:
    """Both factors in their common type."""
    x, y = strong(b, x), strong(b, y)
    if x.mask is not None or y.mask is not None:
        raise Unexpressed("a product of elements under a mask")
    dtype = common((x, y))
    if dtype.kind == "b":
        raise Unexpressed("a product of bools")
    return expr_as(b, x, dtype), expr_as(b, y, dtype)


def _along_last(b: Builder, x: Expr, y: Expr) -> Expr:
    """The sum over the last axis of both."""
    return b.sum(x * y, axes=(x.rank - 1,), keepdims=False)


def _product(b: Builder, x: Expr, y: Expr) -> Expr:
    """NumPy's matmul of arrays that have dimensions."""
    if x.rank == 1 and y.rank == 1:
        return _along_last(b, x, y)
    if x.rank == 1:
        whole = b.matmul(reshaped(b, x, (1, *x.shape)), y)
        return reshaped(b, whole, (*whole.shape[:-2], whole.shape[-1]))
    if y.rank == 1:
        return _times_vector(b, x, y)
    if x.rank == y.rank == 2 and y.shape[1] == 1 and x.dtype.kind == "f":
        return reshaped(b, _times_vector(b, x, reshaped(b, y, y.shape[:1])), (x.shape[0], 1))
    if x.rank > 2 and y.rank == 2 and x.shape[-1] != 0:
        rows = reshaped(b, x, (size_of(x.shape[:-1]), x.shape[-1]))
        return reshaped(b, b.matmul(rows, y), (*x.shape[:-1], y.shape[-1]))
    return b.matmul(x, y)


def _times_vector(b: Builder, x: Expr, v: Expr) -> Expr:
    """A matrix by a vector: each row is a sum, unless the matrix is turned, when columns are summed."""
    made = producer(x)
    if made is not None and made.op.name == "transpose" and x.rank == 2:
        matrix = Expr(b, made.operands[0])
        return reshaped(b, b.matmul(reshaped(b, v, (1, *v.shape)), matrix), x.shape[:1])
    return _along_last(b, x, v)


@rule(np.matmul, operator.matmul)
def matmul(b: Builder, x1: Item, x2: Item) -> Expr:
    """Leading axes broadcast; a vector is a row on the left, a column on the right."""
    x, y = _pair(b, x1, x2)
    if not x.rank or not y.rank:
        raise Unexpressed("a matrix product of numbers")
    return _product(b, x, y)


@rule(np.dot, methods="dot")
def dot(b: Builder, x1: Item, x2: Item) -> Any:
    """The last axis of the first with the last but one of the second; numbers multiply."""
    if not shape_of(x1) or not shape_of(x2):
        return call_ufunc(b, np.multiply, strong(b, x1), strong(b, x2))
    x, y = _pair(b, x1, x2)
    if x.rank <= 2 and y.rank <= 2:
        return _product(b, x, y)
    return _contracted(b, x, y, [x.rank - 1], [max(y.rank - 2, 0)])


@rule(np.outer)
def outer(b: Builder, x1: Item, x2: Item) -> Expr:
    """All products of an element of the one and one of the other."""
    x, y = _pair(b, x1, x2)
    rows, columns = size_of(x.shape), size_of(y.shape)
    return reshaped(b, x, (rows, 1)) * reshaped(b, y, (1, columns))


@rule(np.inner)
def inner(b: Builder, x1: Item, x2: Item) -> Any:
    """The sum over the last axis of both."""
    if not shape_of(x1) or not shape_of(x2):
        return call_ufunc(b, np.multiply, strong(b, x1), strong(b, x2))
    x, y = _pair(b, x1, x2)
    if x.rank == y.rank == 1:
        return _along_last(b, x, y)
    return _contracted(b, x, y, [x.rank - 1], [y.rank - 1])


@rule(np.vdot)
def vdot(b: Builder, x1: Item, x2: Item) -> Expr:
    """The sum of products of all elements."""
    x, y = _pair(b, x1, x2)
    count = size_of(x.shape)
    return _along_last(b, reshaped(b, x, (count,)), reshaped(b, y, (count,)))


@rule(np.tensordot)
def tensordot(b: Builder, x1: Item, x2: Item, axes: Any = 2) -> Expr:
    """The sum of products over pairs of axes: an int (the last n with the first n), or two sequences."""
    x, y = _pair(b, x1, x2)
    if isinstance(axes, (int, np.integer)) and not isinstance(axes, bool):
        count = int(axes)
        return _contracted(b, x, y, list(range(x.rank - count, x.rank)), list(range(count)))
    left, right = ([axis_of(i, v.rank) for i in _several(s)] for v, s in zip((x, y), axes, strict=True))
    return _contracted(b, x, y, left, right)


def _several(axes: Any) -> Sequence[Any]:
    return axes if isinstance(axes, (tuple, list)) else (axes,)


def _contracted(b: Builder, x: Expr, y: Expr, left: list[int], right: list[int]) -> Expr:
    kept_x = [i for i in range(x.rank) if i not in left]
    kept_y = [i for i in range(y.rank) if i not in right]
    inner_size = size_of([x.shape[i] for i in left])
    rows = reshaped(b, _turned(b, x, [*kept_x, *left]), (_size(x, kept_x), inner_size))
    columns = reshaped(b, _turned(b, y, [*right, *kept_y]), (inner_size, _size(y, kept_y)))
    shape = (*(x.shape[i] for i in kept_x), *(y.shape[i] for i in kept_y))
    return reshaped(b, b.matmul(rows, columns), shape)


def _turned(b: Builder, x: Expr, axes: Sequence[int]) -> Expr:
    return x if list(axes) == list(range(x.rank)) else b.transpose(x, axes=tuple(axes))


def _size(x: Expr, axes: Sequence[int]) -> int:
    return size_of([x.shape[i] for i in axes])


@rule(np.einsum)
def einsum(b: Builder, subscripts: Any, *operands: Item, optimize: Any = False) -> Expr:
    """Sums of products by labels, joined from the left; without ellipses and repeated labels."""
    if type(subscripts) is not str:
        raise Unexpressed("einsum without a text")
    terms, labels_out = _labels(subscripts)
    if len(terms) != len(operands) or any(is_weak(x) for x in operands):
        raise Unexpressed("these operands of einsum")
    dtype = common(operands)
    if dtype.kind == "b":
        raise Unexpressed("a product of bools")
    values = [expr_as(b, x, dtype) for x in operands]
    if any(len(t) != v.rank for t, v in zip(terms, values, strict=True)):
        raise Unexpressed("einsum's labels do not fit")
    sizes: dict[str, int] = {}
    for t, v in zip(terms, values, strict=True):
        for label, d in zip(t, v.shape, strict=True):
            if sizes.setdefault(label, d) != d:  # type: ignore[arg-type]
                raise Unexpressed("einsum that broadcasts an axis")
    term, value = terms[0], values[0]
    for k in range(1, len(values)):
        wanted = set(labels_out).union(*terms[k + 1 :])
        term, value = _join(b, sizes, (term, value), (terms[k], values[k]), wanted)
    term, value = _summed(b, value, term, set(labels_out))
    return _turned(b, value, [term.index(c) for c in labels_out])


def _labels(subscripts: str) -> tuple[list[str], str]:
    left, arrow, out = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:
        joined = "".join(terms)
        out = "".join(sorted(c for c in set(joined) if joined.count(c) == 1))
    if "." in subscripts or any(len(set(t)) != len(t) for t in (*terms, out)):
        raise Unexpressed("einsum with ellipses or repeated labels")
    return terms, out


Term = tuple[str, Expr]


def _join(b: Builder, sizes: dict[str, int], left: Term, right: Term, wanted: set[str]) -> Term:
    """The product of two terms, summed over the labels that nobody wants."""
    la, x = _summed(b, left[1], left[0], set(right[0]) | wanted)
    lb, y = _summed(b, right[1], right[0], set(la) | wanted)
    batch = [c for c in la if c in lb and c in wanted]
    folded = [c for c in la if c in lb and c not in wanted]
    rows, columns = [c for c in la if c not in lb], [c for c in lb if c not in la]
    lead = [sizes[c] for c in batch]
    x = _turned(b, x, [la.index(c) for c in (*batch, *rows, *folded)])
    y = _turned(b, y, [lb.index(c) for c in (*batch, *folded, *columns)])
    kept = [sizes[c] for c in (*batch, *rows, *columns)]
    names = "".join((*batch, *rows, *columns))
    if not folded:
        x = reshaped(b, x, (*lead, *(sizes[c] for c in rows), *(1 for _ in columns)))
        y = reshaped(b, y, (*lead, *(1 for _ in rows), *(sizes[c] for c in columns)))
        return names, x * y
    if not rows and not columns:
        axes = tuple(range(len(batch), x.rank))
        return names, b.sum(x * y, axes=axes, keepdims=False)
    x = reshaped(b, x, (*lead, _volume(sizes, rows), _volume(sizes, folded)))
    y = reshaped(b, y, (*lead, _volume(sizes, folded), _volume(sizes, columns)))
    return names, reshaped(b, b.matmul(x, y), kept)


def _summed(b: Builder, x: Expr, labels: str, keep: set[str]) -> Term:
    extra = tuple(i for i, c in enumerate(labels) if c not in keep)
    left = "".join(c for c in labels if c in keep)
    return left, b.sum(x, axes=extra, keepdims=False) if extra else x


def _volume(sizes: dict[str, int], labels: Sequence[str]) -> int:
    return size_of([sizes[c] for c in labels])
