"""Index maps: affine combinations of axes and i64 scalars, composed backwards from a store to the loads that
it needs.

An index is an `Offset`, read as one coordinate. Sizes may be symbolic; what can't be proved equal is computed
with divisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.codegen.loops import Offset
from graphc.ir.dims import Dim, Shape, product
from graphc.passes.plan import Strip

Indices = tuple[Offset, ...]
ZERO = Offset()


def variable(name: str) -> Offset:
    """The index that is an axis, or an i64 scalar."""
    return Offset(((name, 1),))


def combine(parts: Sequence[tuple[Offset, Dim]], constant: Dim = 0) -> Offset:
    """The sum of index * factor, plus a constant.

    >>> str(combine([(variable("i"), 10), (variable("j"), 1)], 3))
    '10*i + j + 3'
    """
    total: dict[str, Dim] = {}
    for index, factor in parts:
        for name, stride in index.terms:
            total[name] = total.get(name, 0) + stride * factor
        constant = constant + index.constant * factor
    return Offset(tuple((name, stride) for name, stride in total.items() if stride != 0), constant)


def row_major(shape: Shape) -> tuple[Dim, ...]:
    """By how many elements each axis of a row-major array moves.

    >>> row_major((4, 2, 3))
    (6, 3, 1)
    """
    return tuple(product(shape[axis + 1 :]) for axis in range(len(shape)))


def linear(indices: Indices, shape: Shape, strip: Strip | None = None) -> Offset:
    """The position of an element in row-major order, or in a strip of wider rows."""
    strides = row_major(shape if strip is None else (*shape[:-1], strip.width))
    column = 0 if strip is None else strip.column
    return combine([(i, stride) for i, stride, d in zip(indices, strides, shape) if d != 1], column)


def broadcast(indices: Indices, shape: Shape) -> Indices:
    """The indices of an operand of this shape where the result's are `indices`, by NumPy's rule."""
    aligned = indices[len(indices) - len(shape) :]
    return tuple(ZERO if d == 1 else i for i, d in zip(aligned, shape))


def _groups(left: Shape, right: Shape) -> list[tuple[list[int], list[int]]] | None:
    """Runs of axes of two shapes with equal products, as short as possible, from the right; None if a symbol
    prevents it.
    """
    groups = []
    i, j = len(left), len(right)
    while i or j:
        a: list[int] = []
        b: list[int] = []
        while not (a and b and _size(left, a) == _size(right, b)) and (i or j):
            if i and (not j or not a or (b and _below(_size(left, a), _size(right, b)))):
                i -= 1
                a.insert(0, i)
            else:
                j -= 1
                b.insert(0, j)
        if _size(left, a) != _size(right, b):
            return None
        groups.append((a, b))
    return groups


def _size(shape: Shape, axes: Sequence[int]) -> Dim:
    return product(shape[axis] for axis in axes)


def _below(a: Dim, b: Dim) -> bool:
    if isinstance(a, int) and isinstance(b, int):
        return a < b
    return isinstance(a, int) or (not isinstance(b, int) and len(a.terms[0][0]) < len(b.terms[0][0]))


def reshaped(indices: Indices, shape: Shape, source: Shape, extents: Mapping[str, Dim]) -> Indices | None:
    """The indices into an array of the shape `source` of the element at `indices` of its reshape to `shape`.

    None if that takes divisions. `extents` has the size of each axis.

    >>> i, j = variable("i"), variable("j")
    >>> [str(x) for x in reshaped((i, j), (4, 6), (24,), {})]
    ['6*i + j']
    >>> [str(x) for x in reshaped((combine([(i, 6), (j, 1)]),), (24,), (4, 6), {"i": 4, "j": 6})]
    ['i', 'j']
    """
    kept = [(d, i) for d, i in zip(shape, indices) if d != 1]
    if [d for d, _ in kept] == [d for d in source if d != 1]:  # most reshapes add or remove axes of size 1
        rest = iter(kept)
        return tuple(ZERO if d == 1 else next(rest)[1] for d in source)
    groups = _groups(shape, source)
    if groups is None:
        return None
    result: list[Offset] = [ZERO] * len(source)
    for mine, theirs in groups:
        if not theirs:
            continue
        whole = linear(tuple(indices[x] for x in mine), tuple(shape[x] for x in mine))
        for axis in reversed(theirs):
            if axis == theirs[0] or all(source[x] == 1 for x in theirs if x < axis):
                split: tuple[Offset, Offset] | None = (ZERO, whole)
            else:
                split = divide(whole, source[axis], extents)
            if split is None:
                return None
            whole, result[axis] = split
            if source[axis] == 1:
                whole, result[axis] = combine([(whole, 1), (result[axis], 1)]), ZERO
    return tuple(result)


def divide(index: Offset, size: Dim, extents: Mapping[str, Dim]) -> tuple[Offset, Offset] | None:
    """(quotient, rest) of a non-negative index by a size, if both are affine."""
    if size == 1:
        return index, ZERO
    above: list[tuple[str, Dim]] = []
    below: list[tuple[str, Dim]] = []
    for name, stride in index.terms:
        (above if stride % size == 0 else below).append((name, stride))
    known = isinstance(index.constant, int) and isinstance(size, int)
    constant_above = index.constant // size if known or index.constant % size == 0 else 0
    constant_below = index.constant - constant_above * size
    if not _fits(below, constant_below, size, extents):
        return None
    return Offset(tuple((n, s // size) for n, s in above), constant_above), Offset(
        tuple(below), constant_below
    )


def _fits(terms: Sequence[tuple[str, Dim]], constant: Dim, size: Dim, extents: Mapping[str, Dim]) -> bool:
    """Whether 0 <= the sum of the terms < size for all counts of their axes."""
    most: Dim = constant
    for name, stride in terms:
        if name not in extents or not isinstance(stride, int) or stride < 0:
            return False
        most = most + (extents[name] - 1) * stride
    room = size - 1 - most
    return isinstance(constant, int) and constant >= 0 and isinstance(room, int) and room >= 0
