"""Symbolic sizes: integer polynomials over symbols and over floor divisions of such.

A dimension is an `int` or a `Size`. Arithmetic on either gives the canonical form, so that two sizes are
equal exactly when their canonical forms are, and a constant is always a plain `int`:

    >>> B, H = symbol("B"), symbol("H")
    >>> (B * 4 + 8) // 4 == B + 2
    True
    >>> str((H - 3) // 2 + 1)
    '(H + 1) // 2 - 1'
    >>> evaluate((H - 3) // 2 + 1, {"H": 28})
    13
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from graphc.ir.errors import ArgumentError, ShapeError


@dataclass(frozen=True)
class Call:
    """An irreducible function of two sizes: `//`, `%`, `max` or `min`."""

    function: str
    left: Dim
    right: Dim

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        if self.function in ("max", "min"):
            return f"{self.function}({self.left}, {self.right})"
        return f"{_grouped(self.left)} {self.function} {_grouped(self.right)}"


Atom = str | Call
Monomial = tuple[Atom, ...]


class Size:
    """A size that depends on symbols. Make one with `symbol` and arithmetic; never directly."""

    __slots__ = ("__dict__", "terms")

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    def __repr__(self) -> str:
        return f"Size({self})"

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        # kept, since the order of terms is that of their texts
        text = ""
        for monomial, factor in self.terms:
            sign = "-" if factor < 0 else "+"
            # "-B // 2" would be read as "(-B) // 2"
            alone = len(monomial) == 1 and (factor == 1 or (factor == -1 and text != ""))
            body = "*".join(_factor_text(a, alone) for a in monomial)
            if abs(factor) != 1 or not monomial:
                body = f"{abs(factor)}*{body}" if monomial else str(abs(factor))
            text += f" {sign} {body}" if text else ("-" if factor < 0 else "") + body
        return text

    def __add__(self, other: Dim) -> Dim:
        return _collect(self.terms + _terms(other))

    def __sub__(self, other: Dim) -> Dim:
        return self + -1 * other if isinstance(other, int) else self + other * -1

    def __rsub__(self, other: int) -> Dim:
        return self * -1 + other

    def __neg__(self) -> Dim:
        return self * -1

    def __mul__(self, other: Dim) -> Dim:
        return _collect(
            (tuple(sorted(m1 + m2, key=str)), f1 * f2) for m1, f1 in self.terms for m2, f2 in _terms(other)
        )

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return _floordiv(self, other)

    def __rfloordiv__(self, other: int) -> Dim:
        return _floordiv(other, self)

    def __mod__(self, other: Dim) -> Dim:
        return _modulo(self, other)

    def __rmod__(self, other: int) -> Dim:
        return _modulo(other, self)

    def __bool__(self) -> bool:
        raise ShapeError(f"the size {self} is not known while tracing, so it can't steer an `if`")

    __int__ = __index__ = __bool__


Dim = int | Size
Shape = tuple[Dim, ...]


def symbol(name: str) -> Size:
    """The size called `name`."""
    return Size((((name,), 1),))


def _factor_text(atom: Atom, alone: bool) -> str:
    if isinstance(atom, str) or atom.function in ("max", "min") or alone:
        return str(atom)
    return f"({atom})"


def _grouped(size: Dim) -> str:
    if isinstance(size, int):
        return str(size) if size >= 0 else f"({size})"
    plain = len(size.terms) == 1 and size.terms[0][1] == 1 and len(size.terms[0][0]) == 1
    atom = size.terms[0][0][0] if plain else None
    if isinstance(atom, str) or (isinstance(atom, Call) and atom.function in ("max", "min")):
        return str(size)
    return f"({size})"


def _terms(size: Dim) -> tuple[tuple[Monomial, int], ...]:
    return size.terms if isinstance(size, Size) else (((), int(size)),)


def _collect(terms: Iterable[tuple[Monomial, int]]) -> Dim:
    total: dict[Monomial, int] = {}
    for monomial, factor in terms:
        total[monomial] = total.get(monomial, 0) + factor
    kept = {m: f for m, f in total.items() if f}
    if not kept:
        return 0
    if set(kept) == {()}:
        return kept[()]
    # symbols first, the constant last: "B + 2" reads better than "2 + B"
    return Size(tuple(sorted(kept.items(), key=lambda item: (not item[0], [str(a) for a in item[0]]))))


def _atom(function: str, left: Dim, right: Dim) -> Dim:
    return Size((((Call(function, left, right),), 1),))


def _floordiv(left: Dim, right: Dim) -> Dim:
    if isinstance(right, int):
        if right == 0:
            raise ArgumentError(f"division of the size {left} by zero")
        if isinstance(left, int):
            return left // right
        # floor((q*r + rest) / r) == q + floor(rest / r) for every integer q
        whole = _collect((m, f // right) for m, f in left.terms)
        rest = _collect((m, f % right) for m, f in left.terms)
        if isinstance(rest, int):
            return whole + rest // right
        return whole + _atom("//", rest, right)
    exact = _divide_exactly(left, right)
    return exact if exact is not None else _atom("//", left, right)


def _divide_exactly(left: Dim, right: Size) -> Dim | None:
    if left == right:
        return 1
    if left == 0:
        return 0
    if len(right.terms) != 1:
        return None
    divisor, scale = right.terms[0]
    quotient = []
    for monomial, factor in _terms(left):
        rest = list(monomial)
        for atom in divisor:
            if atom not in rest:
                return None
            rest.remove(atom)
        if factor % scale:
            return None
        quotient.append((tuple(rest), factor // scale))
    return _collect(quotient)


def _modulo(left: Dim, right: Dim) -> Dim:
    if isinstance(left, int) and isinstance(right, int):
        return left % right
    if isinstance(right, int):
        left = _collect((m, f % right) for m, f in _terms(left))
        return left % right if isinstance(left, int) else _atom("%", left, right)
    return 0 if _divide_exactly(left, right) is not None else _atom("%", left, right)


def maximum(left: Dim, right: Dim) -> Dim:
    """The larger of two sizes."""
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    return left if left == right else _atom("max", left, right)


def largest(sizes: Iterable[Dim]) -> Dim:
    """The largest of sizes that are 0 or more; 0 if there are none.

    Those that are never larger than another are left out, and the others are compared in a tree, since a
    chain of hundreds could be neither printed nor parsed.

    >>> B = symbol("B")
    >>> str(largest([B * 8, 5, B * 64 + 3, B, 7]))
    'max(64*B + 3, 7)'
    """
    kept: list[Dim] = []
    for size in dict.fromkeys(sizes):
        if not any(never_less(other, size) for other in kept):
            kept = [other for other in kept if not never_less(size, other)] + [size]
    while len(kept) > 1:
        odd = kept[len(kept) - len(kept) % 2 :]
        kept = [maximum(a, b) for a, b in zip(kept[::2], kept[1::2])] + odd
    return kept[0] if kept else 0


def never_less(left: Dim, right: Dim) -> bool:
    """Whether left >= right is plain, symbols being sizes and so at least 0."""
    return all(f >= 0 and all(isinstance(a, str) for a in m) for m, f in _terms(left - right))


def minimum(left: Dim, right: Dim) -> Dim:
    """The smaller of two sizes."""
    if isinstance(left, int) and isinstance(right, int):
        return min(left, right)
    return left if left == right else _atom("min", left, right)


def ceildiv(left: Dim, right: Dim) -> Dim:
    """`left / right`, rounded up; `right` is positive."""
    return (left + right - 1) // right


def product(shape: Iterable[Dim]) -> Dim:
    """The number of elements of a shape."""
    total: Dim = 1
    for d in shape:
        total = total * d
    return total


FUNCTIONS: dict[str, Callable[[int, int], int]] = {
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "max": max,
    "min": min,
}


def evaluate(size: Dim, values: Mapping[str, int]) -> int:
    """The number that `size` is when its symbols have these values."""
    if isinstance(size, int):
        return size
    total = 0
    for monomial, factor in size.terms:
        for a in monomial:
            if isinstance(a, str):
                factor *= values[a]
            else:
                factor *= FUNCTIONS[a.function](evaluate(a.left, values), evaluate(a.right, values))
        total += factor
    return total


def substitute(size: Dim, values: Mapping[str, Dim]) -> Dim:
    """`size` with some symbols replaced by sizes."""
    if isinstance(size, int):
        return size
    total: Dim = 0
    for monomial, factor in size.terms:
        term: Dim = factor
        for a in monomial:
            if isinstance(a, str):
                term = term * values.get(a, symbol(a))
            else:
                left, right = substitute(a.left, values), substitute(a.right, values)
                term = term * APPLY[a.function](left, right)
        total = total + term
    return total


APPLY: dict[str, Callable[[Dim, Dim], Dim]] = {
    "//": _floordiv,
    "%": _modulo,
    "max": maximum,
    "min": minimum,
}


def symbols(size: Dim) -> frozenset[str]:
    """The names of the symbols in a size."""
    if isinstance(size, int):
        return frozenset()
    found: set[str] = set()
    for monomial, _ in size.terms:
        for a in monomial:
            found |= {a} if isinstance(a, str) else symbols(a.left) | symbols(a.right)
    return frozenset(found)


OPERATORS: dict[type, Callable[[Dim, Dim], Dim]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: _floordiv,
    ast.Mod: _modulo,
}


def parse(text: str) -> Dim:
    """A size from its text; raises ValueError on anything else."""
    try:
        return _from_syntax(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, KeyError, TypeError, RecursionError) as e:
        raise ValueError(f"not a size: {text!r}") from e


def _from_syntax(node: ast.expr) -> Dim:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name):
        return symbol(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_from_syntax(node.operand)
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](_from_syntax(node.left), _from_syntax(node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 2:
        return APPLY[node.func.id](_from_syntax(node.args[0]), _from_syntax(node.args[1]))
    raise TypeError(ast.dump(node))
