"""What is inferred for other sizes beside the real ones: shadows of arguments, and sizes told from both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from graphc.ir import dims
from graphc.npjit.infer import Tree
from graphc.npjit.log import Meta, Parts
from graphc.npjit.values import Num, Sym


def is_prime(n: int) -> bool:
    """Whether a number from 2 on is a prime.

    >>> [n for n in range(90, 110) if is_prime(n)]
    [97, 101, 103, 107, 109]
    """
    return all(n % d for d in range(2, math.isqrt(n) + 1))


def spanned(start: Any, stop: Any, step: Any, size: dims.Dim, now: Mapping[str, int]) -> dims.Dim:
    """How many elements a slice takes of an axis, decided where it clips by the values that symbols have
    now.

    >>> str(spanned(1, None, 2, dims.symbol("s"), {"s": 7}))
    's // 2'
    """
    step = 1 if step is None else step
    low, high = (0, size) if step > 0 else (-1, size - 1)

    def place(mark: Any) -> Any:
        at = mark if dims.evaluate(mark, now) >= 0 else mark + size
        if dims.evaluate(at - low, now) < 0:
            return low
        return at if dims.evaluate(high - at, now) >= 0 else high

    first, last = (low, high) if step > 0 else (high, low)
    first, last = first if start is None else place(start), last if stop is None else place(stop)
    return dims.ceildiv(last - first if step > 0 else first - last, abs(step))


def dim_of(x: Any) -> Any:
    """A bound of a slice, or a size, as a size of the IR."""
    return dims.parse(x.expr) if type(x) is Num else x


def pairs(tree: Tree, other: Tree) -> Iterator[tuple[int, int]]:
    """The sizes of a result that differ, with both values."""
    if isinstance(tree, Parts):
        assert isinstance(other, Parts)
        for a, b in zip(tree.parts, other.parts):
            yield from pairs(a, b)
    elif not isinstance(other, Parts) and tree.kind == "array":
        yield from ((n, m) for n, m in zip(tree.shape, other.shape) if n != m)


def is_symbolic(a: Any) -> bool:
    """Whether a value depends on a size that is a symbol."""
    return (type(a) is Sym and a.shadow is not None) or (type(a) is Num and a.other is not None)


def leaves(a: Any) -> Iterator[Any]:
    t = type(a)
    if t in (tuple, list):
        for x in a:
            yield from leaves(x)
    elif t is dict:
        for x in a.values():
            yield from leaves(x)
    else:
        yield a
        if t is slice:
            yield from leaves((a.start, a.stop, a.step))


class Shadow:
    """Arguments as they would be for the other sizes."""

    def __init__(self) -> None:
        self.made: dict[int, Any] = {}

    def __call__(self, a: Any) -> Any:
        t = type(a)
        if t is Sym and a.shadow is not None:
            return self.made.setdefault(id(a), Sym(a.shadow, None))
        if t is Num and a.other is not None:
            return Num(a.other, a.expr)
        if t is tuple or t is list:
            return t([self(x) for x in a])
        if t is slice:
            return slice(self(a.start), self(a.stop), self(a.step))
        if t is dict:
            return {k: self(v) for k, v in a.items()}
        return a


def alike(a: Tree, b: Tree) -> bool:
    if isinstance(a, Parts) or isinstance(b, Parts):
        same = isinstance(a, Parts) and isinstance(b, Parts) and len(a.parts) == len(b.parts)
        return same and all(map(alike, a.parts, b.parts))  # type: ignore[union-attr]
    if a.kind != b.kind or a.dtype != b.dtype:
        return False
    return a.kind != "array" or len(a.shape) == len(b.shape)


def part(shadow: Any, i: int) -> Meta | None:
    """The shadow of one of several results."""
    return shadow.parts[i] if isinstance(shadow, Parts) else None
