"""Symbolic sizes: recordings that hold for other batch sizes.

A second recording of a function that differs in sizes alone takes the sizes that changed as symbols: a Num
whose expression is `a1.shape[0]`. What depends on sizes is computed twice, for the real sizes and for others
(a prime for each symbol); a size that is the same both times is a constant, any other must be an expression
of the symbols. Where that fails, or Python steers by a size, the size is guarded by value. Symbols are at
least 2, since 0 and 1 decide about broadcasting and contiguity.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.ir import dims
from graphc.npjit.infer import Alias, Tree, infer
from graphc.npjit.inputs import Inputs, where
from graphc.npjit.known_sizes import Known, Place
from graphc.npjit.log import Node
from graphc.npjit.promotion import c_strides, only_arithmetic
from graphc.npjit.shadows import Shadow, alike, dim_of, is_prime, is_symbolic, leaves, pairs, spanned
from graphc.npjit.values import Num, Sym

if TYPE_CHECKING:
    from graphc.npjit.native.symbols import Symbols

LEAST = 2
"""Symbols, and the sizes made of them, are at least this."""
SYMBOL = re.compile(r"\bs\d+\b")
SYMBOLS = 6
"""Symbols of one recording."""
FACTOR = 64
"""The largest factor of a symbol in a size."""
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
    *(
        "pad",
        "diff",
        "append",
        "eye",
        "identity",
        "diag",
        "arange",
        "column_stack",
        "delete",
        "insert",
        "tri",
    ),
}
"""Functions whose sizes are sums and products of the operands' sizes (slices are looked at)."""


class Sizes(Inputs):
    """`known`: what earlier recordings found. `marks`: where the iterations of each loop begin in the log."""

    marks: list[list[int]]

    def __init__(self, known: Known | None = None) -> None:
        super().__init__()
        self.known = known or Known()
        self.symbols: dict[tuple[int | None, ...], Num] = {}
        self.places: dict[str, list[Place]] = {}
        self.carriers: dict[str, Node] = {}
        self.settled_by = ""
        self.steering: set[Place] = set()
        self.expressions: dict[tuple[int, int], str] = {}
        self.all_symbols: list[Num] = []
        self.shadows: dict[Node, Any] = {}
        self.checked: set[tuple[int, int]] = set()

    def flush(self) -> None:
        raise AssertionError("a recording runs its log")

    # ---- symbols

    def sized(self, v: np.ndarray, s: Sym, path: str, var: str) -> None:
        """Symbols for the sizes of an array that comes in, where they differ from those seen before."""
        if not v.flags.c_contiguous or s.chain or s.node is None:
            return
        shape, other = list(v.shape), list(v.shape)
        for axis, n in enumerate(v.shape):
            before = self.known.before(path, axis, v.ndim)
            varies = n > 1 and any(m is not None and m > 1 and m != n for m in before)
            if varies and (path, axis) not in self.known.steering:
                found = self._symbol((n, *before), f"{var}.shape[{axis}]")
                if found is not None:
                    shape[axis], other[axis] = -1, found.other
                    self.places[found.expr].append((path, axis))
                    self.carriers.setdefault(found.expr, s.node)
        self.geometry[var] = self.geometry[var]._replace(shape=tuple(shape))
        if other != list(v.shape):
            s.shadow = s.meta._replace(shape=tuple(other), strides=c_strides(other, v.itemsize))
            self.shadows[s.node] = s.shadow

    def _symbol(self, sizes: tuple[int | None, ...], expr: str) -> Num | None:
        """The symbol of a size; sizes that are and were equal share it. `sizes`: now, and before."""
        known, n = self.symbols.get(sizes), sizes[0]
        assert n is not None
        if known is not None:
            self.guard(f"{expr} != {known.expr}")
            return known
        if len(self.all_symbols) == SYMBOLS:
            return None
        name = self.new("s")
        self.pre.append(f"{name} = {expr}")
        made = Num(n, name, self._other(n))
        self.symbols[sizes] = made
        self.places[name] = []
        self.all_symbols.append(made)
        self.expressions[n, made.other] = name
        return made

    def _other(self, n: int) -> int:
        """Another value for a symbol that is n.

        What both differ by is a prime of its own: so `s // 2 * 2` is never taken for `s - 1`, nor one
        symbol's multiple for that of another.
        """
        taken = {abs(s.other - s.value) for s in self.all_symbols}
        apart = ((m, abs(m - n)) for m in range(2 * FACTOR, 20 * FACTOR + n))
        return next(m for m, d in apart if d > FACTOR and d not in taken and is_prime(d))

    def settle_sizes(self, why: str = "a size that is no plain expression of others") -> None:
        """Give up: from now on the sizes are what they are."""
        if self.all_symbols:
            self.settled_by = f"{where()}: code for these sizes alone: {why}"
        symbols, self.all_symbols = self.all_symbols, []
        for num in symbols:
            super().guard_value(num)
        self.symbols.clear()

    def guard_value(self, num: Num) -> None:
        """Python is steered by a number: a size that it depends on will be no symbol."""
        super().guard_value(num)
        if num.other is not None and self.all_symbols:
            for name in SYMBOL.findall(num.expr):
                self.steering.update(self.places.get(name, ()))
            self.settle_sizes(f"Python is steered by {num.value!r}, which depends on a size")

    def for_native(self, symbols: Sequence[Num], copies: Mapping[Node, Node]) -> Symbols | None:
        """The symbols as native code needs them; `copies` of nodes take their place. `symbols`: those that
        the guards are for; what was asked since then changes nothing.
        """
        self.all_symbols = list(symbols)
        if not symbols:
            return None
        from graphc.npjit.native.symbols import Symbols

        return Symbols(
            {s.expr: s.value for s in self.all_symbols},
            {s.expr: s.other for s in self.all_symbols},
            {copies.get(n, n): shadow for n, shadow in self.shadows.items() if shadow is not None},
            self._expression,
            self.carriers,
        )

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
        expr = self._expression(n, other)
        if expr is None:
            self.settle_sizes()
            return n
        return Num(n, expr, other)

    def _expression(self, n: int, other: int) -> str | None:
        """The text of a size, where it is known or a sum or product of symbols."""
        expr = self.expressions.get((n, other)) or self._guessed(n, other)
        if expr is not None:
            self.expressions[n, other] = expr
        return expr

    def _guessed(self, n: int, other: int) -> str | None:
        """The text of a * s + b, c * s * t or s + t + b, for symbols s and t."""
        for s in self.all_symbols:
            slope, rest = divmod(other - n, s.other - s.value)
            if rest == 0 and 0 < slope <= FACTOR:
                return f"({slope} * {s.expr} + {n - slope * s.value})"
        for s, t in itertools.product(self.all_symbols, repeat=2):
            factor, rest = divmod(n, s.value * t.value)
            if rest == 0 and factor * s.other * t.other == other:
                return f"({factor} * {s.expr} * {t.expr})"
            if s is not t and other - n == s.other - s.value + t.other - t.value:
                return f"({s.expr} + {t.expr} + {n - s.value - t.value})"
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
        if not self.all_symbols or not any(map(is_symbolic, leaves([args, kwargs]))):
            return tree, alias, None
        if not self._ends(args):
            self.settle_sizes()
            return tree, alias, None
        shadow = Shadow()
        try:
            moved = {k: shadow(v) for k, v in kwargs.items()}
            other, its = infer(fn, [shadow(a) for a in args], moved, getitem, stand_in, changes_first)
        except Exception:  # it does not hold for other sizes
            self.settle_sizes()
            return tree, alias, None
        if getitem:
            self._counted(*args)
        if its != alias or not alike(tree, other) or not self._expressed(fn, tree, other):
            self.settle_sizes()
            return tree, alias, None
        return tree, alias, other if other != tree else None

    def _expressed(self, fn: Callable[..., Any], tree: Tree, other: Tree) -> bool:
        """Whether all sizes of a result are expressions of symbols, and at least 2 from now on: smaller ones
        decide about memory that is shared. Sizes of functions that are not `LINEAR` must be known ones.
        """
        linear = only_arithmetic(fn) or getattr(fn, "__name__", "") in LINEAR
        for n, m in pairs(tree, other):
            expr = self._expression(n, m) if linear else self.expressions.get((n, m))
            if expr is None or n < LEAST:
                return False
            if (n, m) not in self.checked:
                self.checked.add((n, m))
                if not _is_symbol(expr):
                    self.guard(f"{expr} < {LEAST}")
        return True

    def _counted(self, s: Any, key: Any) -> None:
        """Enter the sizes that slices of symbolic bounds, of symbolic axes or with steps have."""
        entries = [k for k in (key if type(key) is tuple else (key,)) if k is not None]
        if type(s) is not Sym or any(type(k) is type(...) for k in entries):
            return
        now = {n.expr: n.value for n in self.all_symbols}
        other = {n.expr: n.other for n in self.all_symbols}
        for k, n in zip(entries, self.shape_of(s)):
            if type(k) is not slice:
                continue
            try:
                count = spanned(dim_of(k.start), dim_of(k.stop), dim_of(k.step), dim_of(n), now)
                if not isinstance(count, int):
                    pair = dims.evaluate(count, now), dims.evaluate(count, other)
                    self.expressions.setdefault(pair, f"({count})")
            except (ValueError, KeyError):  # a number that is no size takes part
                continue

    def _ends(self, args: Sequence[Any]) -> bool:
        """Guard what ends a slice: its bound, or the end of its axis; False where that can't be said."""
        slices = [k for k in leaves(args) if type(k) is slice]
        sizes = [n for n in self.shape_of(args[0]) if type(n) is Num] if type(args[0]) is Sym else []
        for k in slices:
            bounds = [b for b in (k.start, k.stop) if b is not None]
            if k.step is not None and type(k.step) is not int:
                return False
            for b in bounds:
                value, expr = (b.value, b.expr) if type(b) is Num else (b, str(b))
                if not isinstance(value, int):
                    return False
                self.guard_truth(Num(value < 0, f"{expr} < 0"))
                for n in sizes:
                    self.guard_truth(Num(n.value >= abs(value), f"{n.expr} >= abs({expr})"))
        return True


def _is_symbol(expr: str) -> bool:
    """Whether an expression is a symbol, or a multiple of one: these are never below 2."""
    return re.fullmatch(r"s\d+|\([1-9]\d* \* s\d+ \+ \d+\)|\([1-9]\d* \* s\d+ \* s\d+\)", expr) is not None
