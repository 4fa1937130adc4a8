"""Cutting a length into pieces of nearly the same size, at run time."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.text import Function, Operand


@dataclass(frozen=True)
class Cut:
    """`count` pieces of `size` elements, of which the first `larger` have one more."""

    count: str
    size: str
    larger: str


def balanced(f: Function, total: Operand, most: Operand) -> Cut:
    """Cut into ceil(total / most) pieces that differ by at most one; no piece if total is 0."""
    count = f.ceildiv(total, most)
    divisor = f.maximum(count, 1)
    return Cut(count, f.udiv(total, divisor), f.urem(total, divisor))


def piece(f: Function, i: str, cut: Cut) -> tuple[str, str]:
    """Start and length of piece i."""
    start = f.add(f.mul(i, cut.size), f.minimum(i, cut.larger))
    return start, f.add(cut.size, f(f"zext i1 {f.less(i, cut.larger)} to i64"))
