"""Symbolic sizes: recordings that hold for other batch sizes.

A second recording of a function that differs in sizes alone takes the sizes that changed as symbols: a Num
whose expression is `a1.shape[0]`. What depends on sizes is computed twice, for the real sizes and for others
(a prime for each symbol); a size that is the same both times is a constant, any other must be an expression
of the symbols. Where that fails, or Python steers by a size, the size is guarded by value. Symbols are at
least 2, since 0 and 1 decide about broadcasting and contiguity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from graphc.npjit.infer import Alias, Tree, infer
from graphc.npjit.inputs import Inputs
from graphc.npjit.log import Meta, Node, Parts
from graphc.npjit.promotion import c_strides, only_arithmetic
from graphc.npjit.values import Num, Sym

PRIMES = (101, 107, 127, 139, 151, 163, 179, 191, 197, 211, 223, 227)
MANY = 6
"""Symbols of one recording; there are more primes, since those near a real size are left out."""
LINEAR = {
    *("matmul", "dot", "outer", "inner", "vdot", "einsum", "tensordot", "sum", "mean", "max", "min", "amax"),
    *("amin", "prod", "any", "all", "argmax", "argmin", "var", "std", "cumsum", "cumprod", "norm", "reduce"),
    *("T", "transpose", "swapaxes", "moveaxis", "reshape", "ravel", "flatten", "squeeze", "expand_dims"),
    *(
        "concatenate",
        "stack",
        "vstack",
        "hstack",
        "zeros",
        "ones",
        "empty",
        "full",
        "zeros_like",
        "ones_like",
    ),
    *("empty_like", "full_like", "copy", "astype", "asarray", "array", "where", "clip", "getitem", "setitem"),
    *("sort", "argsort", "take", "repeat", "tile", "add.at", "at", "copyto", "fill", "float", "int", "rand"),
    *("randn", "normal", "uniform", "random", "standard_normal", "randint", "integers", "permutation"),
    *("shuffle", "broadcast_to", "broadcast_arrays", "atleast_2d", "average", "item", "contains", "real"),
}
"""Functions whose sizes are sums and products of the operands' sizes (slices are looked at)."""


class Sizes(Inputs):
    """`seen`: path -> the shape that an earlier recording found there."""

    def __init__(self, seen: dict[str, tuple[int, ...]] | None = None) -> None:
        super().__init__()
        self.seen = seen or {}
        self.symbols: dict[tuple[int, int], Num] = {}
        self.expressions: dict[tuple[int, int], str] = {}
        self.all_symbols: list[Num] = []
        self.others: set[int] = set()
        self.shadows: dict[Node, Any] = {}

    def flush(self) -> None:
        raise AssertionError("a recording runs its log")

    # ---- symbols

    def sized(self, v: np.ndarray, s: Sym, path: str, var: str) -> None:
        """Symbols for the sizes of an array that comes in, where they differ from those seen before."""
        before = self.seen.get(path)
        if before is None or len(before) != v.ndim or not v.flags.c_contiguous or s.chain:
            return
        shape, other = list(v.shape), list(v.shape)
        for axis, (n, m) in enumerate(zip(v.shape, before)):
            if n != m and min(n, m) > 1:
                found = self._symbol(n, m, f"{var}.shape[{axis}]")
                if found is not None:
                    shape[axis], other[axis] = -1, found.other
        self.geometry[var] = self.geometry[var]._replace(shape=tuple(shape))
        if other != list(v.shape):
            s.shadow = s.meta._replace(shape=tuple(other), strides=c_strides(other, v.itemsize))
            if s.node is not None:
                self.shadows[s.node] = s.shadow

    def _symbol(self, n: int, before: int, expr: str) -> Num | None:
        """The symbol of a size; sizes that were and are equal share it."""
        known = self.symbols.get((n, before))
        if known is not None:
            self.guard(f"{expr} != {known.expr}")
            return known
        if len(self.all_symbols) == MANY:
            return None
        name = self.new("s")
        self.pre.append(f"{name} = {expr}")
        made = Num(n, name, next(p for p in PRIMES if p not in self.others and abs(p - n) > 40))
        self.others.add(made.other)
        self.symbols[n, before] = made
        self.all_symbols.append(made)
        self.expressions[n, made.other] = name
        return made

    def settle_sizes(self) -> None:
        """Give up: from now on the sizes are what they are."""
        for num in self.all_symbols:
            self.guard_value(num)
        self.all_symbols.clear()
        self.symbols.clear()

    # ---- sizes that Python looks at

    def shape_of(self, s: Sym) -> tuple[Any, ...]:
        """The shape as recorded code sees it."""
        if s.shadow is None or not self.all_symbols:
            return s.meta.shape
        return tuple([self.size(n, m) for n, m in zip(s.meta.shape, s.shadow.shape)])

    def size(self, n: Any, other: Any) -> Any:
        """A size that is n now and `other` for the other values of the symbols."""
        if n == other or not self.all_symbols:
            return n
        expr = self.expressions.get((n, other)) or self._expression(n, other)
        if expr is None:
            self.settle_sizes()
            return n
        self.expressions[n, other] = expr
        return Num(n, expr, other)

    def _expression(self, n: int, other: int) -> str | None:
        """The text of a * s + b, or c * s * t, for symbols s and t."""
        for s in self.all_symbols:
            slope, rest = divmod(other - n, s.other - s.value)
            if rest == 0 and 0 < slope <= 64:
                return f"({slope} * {s.expr} + {n - slope * s.value})"
        for s in self.all_symbols:
            for t in self.all_symbols:
                factor, rest = divmod(n, s.value * t.value)
                if rest == 0 and factor * s.other * t.other == other:
                    return f"({factor} * {s.expr} * {t.expr})"
        return None

    def computed(self, value: Any, expr: str, other: Any) -> Num:
        """A number computed from sizes."""
        if value == other or not self.all_symbols:
            return Num(value, expr)
        if type(value) is int:
            self.expressions.setdefault((value, other), expr)
        return Num(value, expr, other)

    # ---- inference for both sizes

    def inferred(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        getitem: bool = False,
        stand_in: Callable[..., Any] | None = None,
        changes_first: bool = False,
    ) -> tuple[Tree, Alias | None, Tree | None]:
        """`infer`, and the tree for the other sizes if it is another."""
        tree, alias = infer(fn, args, kwargs, getitem, stand_in, changes_first)
        if not self.all_symbols or not any(map(is_symbolic, _leaves([args, kwargs]))):
            return tree, alias, None
        if not (self._is_linear(fn, args) and self._ends(args)):
            self.settle_sizes()
            return tree, alias, None
        shadow = _Shadow()
        try:
            moved = {k: shadow(v) for k, v in kwargs.items()}
            other, its = infer(fn, [shadow(a) for a in args], moved, getitem, stand_in, changes_first)
        except Exception:  # it does not hold for other sizes
            self.settle_sizes()
            return tree, alias, None
        if its != alias or not _alike(tree, other):
            self.settle_sizes()
            return tree, alias, None
        return tree, alias, other if other != tree else None

    def _is_linear(self, fn: Callable[..., Any], args: Sequence[Any]) -> bool:
        name = getattr(fn, "__name__", "")
        return only_arithmetic(fn) or name in LINEAR or (name == "arange" and len(args) == 1)

    def _ends(self, args: Sequence[Any]) -> bool:
        """Guard what ends a slice: its bound, or the end of its axis; False where that can't be said."""
        slices = [k for k in _leaves(args) if type(k) is slice]
        sizes = [n for n in self.shape_of(args[0]) if type(n) is Num] if type(args[0]) is Sym else []
        for k in slices:
            bounds = [b for b in (k.start, k.stop) if b is not None]
            if k.step is not None and (k.step != -1 or bounds):
                return False
            for b in bounds:
                value, expr = (b.value, b.expr) if type(b) is Num else (b, str(b))
                if not isinstance(value, int):
                    return False
                self.guard_truth(Num(value < 0, f"{expr} < 0"))
                for n in sizes:
                    self.guard_truth(Num(n.value >= abs(value), f"{n.expr} >= abs({expr})"))
        return True


def is_symbolic(a: Any) -> bool:
    """Whether a value depends on a size that is a symbol."""
    return (type(a) is Sym and a.shadow is not None) or (type(a) is Num and a.other is not None)


def _leaves(a: Any) -> Iterator[Any]:
    t = type(a)
    if t in (tuple, list):
        for x in a:
            yield from _leaves(x)
    elif t is dict:
        for x in a.values():
            yield from _leaves(x)
    else:
        yield a
        if t is slice:
            yield from _leaves((a.start, a.stop, a.step))


class _Shadow:
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


def _alike(a: Tree, b: Tree) -> bool:
    if isinstance(a, Parts) or isinstance(b, Parts):
        same = isinstance(a, Parts) and isinstance(b, Parts) and len(a.parts) == len(b.parts)
        return same and all(map(_alike, a.parts, b.parts))  # type: ignore[union-attr]
    if a.kind != b.kind or a.dtype != b.dtype:
        return False
    return a.kind != "array" or len(a.shape) == len(b.shape)


def part(shadow: Any, i: int) -> Meta | None:
    """The shadow of one of several results."""
    return shadow.parts[i] if isinstance(shadow, Parts) else None
