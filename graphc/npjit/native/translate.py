"""From the nodes of a log to values of a graph.

`Translator` holds one graph in the making. Values from outside become inputs when first used: arrays, NumPy
scalars and Python numbers, each by the node or `Num` that stands for it in the log.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from graphc.ir import dims
from graphc.ir.builder import Expr
from graphc.ir.dims import Dim
from graphc.ir.errors import GraphcError
from graphc.ir.locations import NOWHERE, Location
from graphc.ir.types import TensorType
from graphc.npjit.log import Meta, Node, Parts, Place, Valued, follow, mutate, pick
from graphc.npjit.native.operands import Operand, SizeValue, Translation, Unexpressed, ir_dtype
from graphc.npjit.native.rules import RULES, apply
from graphc.npjit.native.rules.elementwise import IN_PLACE
from graphc.npjit.native.symbols import Symbols
from graphc.npjit.native.views import CHANGES, Step, as_operand, fitted, picked, read, store

PYTHON = {float: "f64", int: "i64", bool: "bool"}


def key_of(fn: Any) -> Any:
    """What the tables call a function of the log: NumPy's own, or ("method", name), ("attribute", name),
    ("at", ufunc) and its like, ("join", "c_"), "pick".
    """
    if getattr(fn, "is_method", False):
        return "method", fn.__name__
    if getattr(fn, "is_attribute", False):
        return "attribute", fn.__name__
    if fn is pick:
        return "pick"
    owner = getattr(fn, "__self__", None)
    if isinstance(owner, np.ufunc) and fn.__name__ in ("at", "reduce", "outer", "accumulate"):
        return fn.__name__, owner
    if owner is np.c_ or owner is np.r_:
        return "join", "c_" if owner is np.c_ else "r_"
    return fn


def name_of(fn: Any) -> str:
    """A function as a reader knows it."""
    key = key_of(fn)
    return str(key[1]) if isinstance(key, tuple) else str(getattr(fn, "__name__", fn))


def numeric_type(value: Any) -> tuple[TensorType, bool]:
    """The type of a run-time number, and whether it is weak."""
    if type(value) in PYTHON:
        return TensorType(ir_dtype(np.dtype(type(value))), ()), True
    if isinstance(value, np.generic):
        return TensorType(ir_dtype(value.dtype), ()), False
    raise Unexpressed(f"a number of type {type(value).__name__}")


def meta_type(meta: Any) -> tuple[TensorType, bool]:
    """The type of a value of the log, and whether it is weak."""
    if not isinstance(meta, Meta) or meta.kind not in ("array", "scalar", "python"):
        raise Unexpressed("a value that is no array")
    if meta.kind == "python":
        if meta.dtype not in PYTHON:
            raise Unexpressed(f"a number of type {meta.dtype.__name__}")
        return TensorType(ir_dtype(np.dtype(meta.dtype)), ()), True
    shape = () if meta.kind == "scalar" else tuple(meta.shape)
    if None in shape:
        raise Unexpressed("a size that depends on data")
    return TensorType(ir_dtype(meta.dtype), shape), False


def memory_order(meta: Any) -> str:
    """How an array lies in memory: "C" by rows, "F" by columns (its turned view lies by rows), else ""."""
    if not isinstance(meta, Meta) or meta.kind != "array" or meta.strides is None:
        return "C"
    if None in meta.shape or 0 in meta.shape:
        return "C"
    for order, turn in (("C", -1), ("F", 1)):
        step = meta.dtype.itemsize
        for d, stride in list(zip(meta.shape, meta.strides, strict=True))[::turn]:
            if d > 1 and stride != step:
                break
            step *= d
        else:
            return order
    return ""


def order_of_axes(meta: Any) -> tuple[int, ...] | None:
    """The axes from the slowest to the quickest, where elements lie side by side, but not by rows."""
    if memory_order(meta) == "C":
        return None
    axes = tuple(sorted(range(len(meta.shape)), key=lambda d: -meta.strides[d]))
    turned = meta._replace(
        shape=tuple([meta.shape[d] for d in axes]), strides=tuple([meta.strides[d] for d in axes])
    )
    return axes if memory_order(turned) == "C" else None


def reversed_axes(kind: TensorType) -> TensorType:
    return kind.with_shape(kind.shape[::-1])


def _backwards(x: Expr) -> tuple[int, ...]:
    return tuple(range(x.rank))[::-1]


def location_of(node: Node) -> Location:
    """Where the user's code has the operation."""
    file, _, line = node.line.rpartition(":")
    return Location(file, int(line)) if file and line.isdigit() else NOWHERE


class Translator:
    """One graph in the making, from nodes of a log. `written` inputs become weights, which it updates."""

    def __init__(self, name: str, written: Collection[Node] = (), symbols: Symbols | None = None) -> None:
        self.b = Translation(name)
        self.b.symbols = self.symbols = symbols
        self.values: dict[Node, Any] = {}
        self.inputs: list[Node | Valued] = []
        self.targets: dict[Node, Expr] = {}
        self._written = written
        self._numbers: dict[str, Operand] = {}

    # -- operands -------------------------------------------------------------------------------------
    def value(self, node: Node) -> Any:
        """The value of a node; one that is not translated here comes in."""
        found = self.values.get(node)
        if found is None:
            if node in self._written:
                return Operand(self.target(node))
            kind, weak = self._type(node)
            by_column = memory_order(node.meta) == "F"
            made = self.b.input(
                node.var or f"v{len(self.inputs)}", reversed_axes(kind) if by_column else kind
            )
            expr = self.b.transpose(made, axes=_backwards(made)) if by_column else made
            found = self.values[node] = Operand(expr, weak)
            self.inputs.append(node)
        return found

    def target(self, leaf: Node) -> Expr:
        """The weight of an input that is written."""
        found = self.targets.get(leaf)
        if found is None:
            found = self.targets[leaf] = self.b.weight(
                leaf.var or f"w{len(self.targets)}", self._type(leaf)[0]
            )
        return found

    def _type(self, node: Node) -> tuple[TensorType, bool]:
        """The type of a value that comes in, and whether it is weak."""
        kind, weak = meta_type(node.meta)
        if self.symbols is None or not kind.rank:
            return kind, weak
        assert isinstance(node.meta, Meta)
        shape = self.symbols.shape_of(node, node.meta)
        if shape is None:
            raise Unexpressed("a size that is no plain expression of others")
        return kind.with_shape(shape), weak

    def carry_all(self) -> None:
        """Take inputs that have the symbols among their sizes, where nothing else brings them."""
        if self.symbols is None:
            return
        types = [v.type for v in (*self.b.inputs, *(w.value for w in self.b.weights))]
        brought = {d for t in types for d in t.shape}
        for name in self.symbols.now:
            if dims.symbol(name) not in brought:
                self.value(self.symbols.carriers[name])

    def number(self, num: Any) -> Operand:
        """A run-time number; those that are sizes need no input."""
        size = self._size(num)
        if size is not None:
            return Operand(SizeValue(self.b, size), weak=True)
        found = self._numbers.get(num.expr)
        if found is None:
            kind, weak = numeric_type(num.value)
            found = self._numbers[num.expr] = Operand(self.b.input("n", kind), weak)
            self.inputs.append(num)
        return found

    def _size(self, num: Any) -> Dim | None:
        if self.symbols is None:
            return None
        return self.symbols.of_number(num.value, num.other, num.expr)

    def argument(self, a: Any) -> Any:
        """An argument of the log for a rule."""
        t = type(a)
        if t is Node:
            return self.value(a)
        if isinstance(a, Valued):
            return self.number(a)
        if t is tuple or t is list:
            return t([self.argument(x) for x in a])
        if t is slice:
            return slice(*(self.argument(x) for x in (a.start, a.stop, a.step)))
        if t is dict:
            return {k: self.argument(v) for k, v in a.items()}
        if t is np.ndarray:
            raise Unexpressed("an array that is no input")
        return a

    def arguments(self, args: Sequence[Any]) -> tuple[Any, ...]:
        return tuple([self.argument(a) for a in args])

    # -- nodes ----------------------------------------------------------------------------------------
    def translate(self, node: Node) -> None:
        """Enter the value of a node.

        Raises
        ------
        Unexpressed
            The IR can't say it; the graph is as before.
        """
        made, taken = len(self.b.nodes), len(self.b.inputs)
        required, bounds = dict(self.b.requirements), dict(self.symbols.bounds) if self.symbols else {}
        try:
            with self.b.at(location_of(node)):
                self.values[node] = self._checked(node, self._made(node))
        except (Unexpressed, GraphcError, TypeError, ValueError, IndexError, KeyError, AttributeError) as e:
            del self.b.nodes[made:]
            self.b.requirements = required
            if self.symbols is not None:
                self.symbols.bounds = bounds
            self._forget_inputs(taken)
            raise Unexpressed(str(e) if isinstance(e, Unexpressed) else f"{type(e).__name__}: {e}") from None

    def _forget_inputs(self, count: int) -> None:
        for leaf in self.inputs[count:]:
            if isinstance(leaf, Node):
                del self.values[leaf]
            else:
                del self._numbers[leaf.expr]  # type: ignore[attr-defined]
        del self.inputs[count:], self.b.inputs[count:]

    def _made(self, node: Node) -> Any:
        args, kwargs = node.args, node.kwargs or {}
        if node.fn is follow:
            return read(self.b, self.value(args[0]), self._steps(args[1]))
        if node.fn is mutate:
            return self._mutated(*args)
        if node.fn is pick:
            return picked(self.b, self.value(args[0]), args[1])
        made = RULES.get(key_of(node.fn))
        if made is None:
            raise Unexpressed(f"{name_of(node.fn)} has no translation")
        return as_operand(apply(self.b, made, self.arguments(args), self.argument(kwargs)))

    def _steps(self, chain: Sequence[Any]) -> list[Step]:
        steps = []
        for fn, args, kwargs in chain:
            if not args or type(args[0]) is not Place or any(type(a) is Place for a in args[1:]):
                raise Unexpressed("a view of this form")
            steps.append((key_of(fn), self.arguments(args[1:]), self.argument(kwargs or {})))
        return steps

    def _mutated(
        self, base: Node, chain: Any, fn: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Operand:
        before = self.value(base)
        steps = self._steps(chain)
        if not args or type(args[0]) is not Place:
            raise Unexpressed("a store of this form")

        def change(view: Operand) -> Operand:
            rest = [view if type(a) is Place else self.argument(a) for a in args[1:]]
            return self._changed(view, fn, rest, self.argument(kwargs))

        return store(self.b, before, steps, change)

    def _changed(self, view: Operand, fn: Any, rest: Sequence[Any], kwargs: dict[str, Any]) -> Operand:
        key = key_of(fn)
        if key in CHANGES:
            return CHANGES[key](self.b, view, *rest, **kwargs)
        if key in IN_PLACE:
            return fitted(self.b, view, apply(self.b, RULES[IN_PLACE[key]], (view, *rest), kwargs))
        inner = key_of(getattr(fn, "function", None))
        if inner in RULES:
            where = kwargs.pop("where", True)
            new = fitted(self.b, view, apply(self.b, RULES[inner], tuple(rest), kwargs))
            return new if where is True else Operand(self.b.select(where.expr, new.expr, view.expr))
        raise Unexpressed(f"a store by {name_of(fn)}")

    # -- results --------------------------------------------------------------------------------------
    def _checked(self, node: Node, value: Any) -> Any:
        """The value if it is what NumPy would give: Python or NumPy number, element type, shape."""
        if isinstance(node.meta, Parts):
            return list(value)
        if type(value) is not Operand:
            raise Unexpressed("several results")
        if value.mask is not None:
            return value
        kind, weak = meta_type(node.meta)
        if value.dtype != kind.dtype.numpy or not self._fits(node, value, kind):
            raise Unexpressed(f"the result would be {value.dtype}{list(value.shape)} and not {kind}")
        return value if value.weak == weak else Operand(value.value, weak)

    def _fits(self, node: Node, value: Operand, kind: TensorType) -> bool:
        if self.symbols is None or not kind.rank:
            return value.shape == kind.shape
        assert isinstance(node.meta, Meta)
        return self.symbols.fits(node, node.meta, value.shape)

    def output(self, node: Node) -> Expr:
        """The value of a node as it leaves the graph.

        Raises
        ------
        Unexpressed
            It is one of several, or elements under a mask.
        """
        value = self.values[node]
        if type(value) is not Operand or value.mask is not None:
            raise Unexpressed("its result has no one shape")
        return value.expr
