"""What translated calls work on: values of the graph with NumPy's notion of weak and strong types."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.errors import DTypeError
from graphc.ir.graph import Node, Value
from graphc.ir.types import DType, dtype_of
from graphc.npjit.native.symbols import Symbols

CONSTANT_ELEMENTS = 4096
"""Arrays of more elements are no constants in machine code."""


class Unexpressed(Exception):
    """Why the IR can't say what a NumPy call means: the call stays NumPy's."""


class Translation(Builder):
    """A graph in the making that knows which node made a value."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.producers: dict[Value, Node] = {}
        self.symbols: Symbols | None = None

    def node(self, *args: Any, **kwargs: Any) -> Node:
        """Append a node."""
        made = super().node(*args, **kwargs)
        self.producers.update((r, made) for r in made.results)
        return made


def producer(x: Expr) -> Node | None:
    """The node that made a value; None for inputs."""
    b = x.builder
    return b.producers.get(x.value) if isinstance(b, Translation) else None


class Lazy(Protocol):
    """A value that is put together when somebody needs all of it."""

    @property
    def dtype(self) -> DType: ...

    @property
    def shape(self) -> Shape: ...

    def whole(self) -> Expr: ...


@dataclass(frozen=True, slots=True)
class SizeValue:
    """The number that a size is, as a value that is there when somebody needs it."""

    b: Builder
    size: Dim

    @property
    def dtype(self) -> DType:
        return dtype_of("i64")

    @property
    def shape(self) -> Shape:
        return ()

    def whole(self) -> Expr:
        return self.b.constant(self.size, "i64")


@dataclass(frozen=True, slots=True)
class Operand:
    """A value of the graph. `weak`: a Python number, which takes the others' element type; its own is f64,
    i64 or bool. `mask`: only the elements where this bool value is true exist (`x[x > 0]`).
    """

    value: Expr | Lazy
    weak: bool = False
    mask: Expr | None = None

    @property
    def size(self) -> Dim | None:
        """The size that this number is, if it is one."""
        return self.value.size if isinstance(self.value, SizeValue) else None

    @property
    def expr(self) -> Expr:
        return self.value if isinstance(self.value, Expr) else self.value.whole()

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype.numpy

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape  # type: ignore[return-value]

    @property
    def rank(self) -> int:
        return len(self.value.shape)


NUMBER = (bool, int, float, np.generic)
Item = Any
"""An argument: an Operand, or a constant of the log (number, None, tuple, slice, dtype, ...)."""


def ir_dtype(dtype: Any) -> DType:
    """The element type for a NumPy dtype.

    Raises
    ------
    Unexpressed
        The IR has none (float16, complex, strings, swapped bytes).
    """
    try:
        return dtype_of(dtype)
    except DTypeError:
        raise Unexpressed(f"no element type for {np.dtype(dtype)}") from None


def is_value(x: Item) -> bool:
    """Whether an argument is an operand or a number."""
    return type(x) is Operand or isinstance(x, NUMBER)


def is_weak(x: Item) -> bool:
    """Whether a value is a Python number other than a bool, which counts as NumPy's lowest type."""
    if type(x) is Operand:
        return x.weak and x.dtype != np.bool_
    return type(x) in (int, float)


def type_key(x: Item) -> Any:
    """A value's type for `ufunc.resolve_dtypes`: a dtype, or the class of a weak number."""
    if type(x) is Operand:
        if not is_weak(x):
            return x.dtype
        return float if x.dtype.kind == "f" else int
    if type(x) in (int, float):
        return type(x)
    if isinstance(x, NUMBER):
        return np.asarray(x).dtype
    raise Unexpressed(f"an operand of type {type(x).__name__}")


def own_dtype(x: Item) -> np.dtype:
    """The type a value has when it stands alone: weak floats are float64, weak ints int64."""
    key = type_key(x)
    return np.dtype(key)


def shape_of(x: Item) -> tuple[int, ...]:
    return x.shape if type(x) is Operand else ()


def constant(b: Builder, value: Any, dtype: np.dtype) -> Expr:
    """A constant of that type.

    Raises
    ------
    Unexpressed
        It does not fit the type (NumPy raises, or compares without converting), or is a large array.
    """
    wanted = ir_dtype(dtype)
    try:
        array = np.asarray(value, dtype) if type(value) is not np.ndarray else value.astype(dtype)
    except (OverflowError, TypeError, ValueError):
        raise Unexpressed(f"{value!r} is no {dtype}") from None
    if array.size > CONSTANT_ELEMENTS:
        raise Unexpressed("a large constant")
    return b.constant(array if array.ndim else array[()].item(), wanted)


def expr_as(b: Builder, x: Item, dtype: Any) -> Expr:
    """A value in an element type, converted as NumPy converts an operand to its loop's type."""
    wanted = ir_dtype(dtype)
    if type(x) is not Operand:
        return constant(b, x, wanted.numpy)
    if x.size is not None and wanted.kind in "if":
        return b.constant(x.size, wanted)
    have = x.expr.dtype
    if have == wanted:
        return x.expr
    if is_weak(x) and have.kind == "i" and wanted.kind in "iu":
        raise Unexpressed(f"a Python int of any size as {wanted.numpy}")
    return b.cast(x.expr, dtype=wanted)


def operand(b: Builder, x: Item) -> Operand:
    """A value as an operand of its own type; a number becomes a constant."""
    if type(x) is Operand:
        return x
    if not isinstance(x, NUMBER):
        raise Unexpressed(f"an operand of type {type(x).__name__}")
    return Operand(constant(b, x, own_dtype(x)), type(x) in (bool, int, float))


def strong(b: Builder, x: Item) -> Operand:
    """A value as np.asarray makes it: Python's numbers are float64 and int64 like any array."""
    found = operand(b, x)
    return Operand(found.value, mask=found.mask)


def expr_of(b: Builder, x: Item) -> Expr:
    """A value in its own type."""
    return operand(b, x).expr


def common(items: Sequence[Item]) -> np.dtype:
    """The result type of several values, as np.concatenate or np.where has it."""
    keys = [type_key(x) for x in items]
    strong = [k for k in keys if isinstance(k, np.dtype)]
    weak = [k(0) for k in keys if not isinstance(k, np.dtype)]
    return np.result_type(*strong, *weak)


def axis_of(axis: Any, rank: int) -> int:
    """One axis counted from 0."""
    if type(axis) is Operand or isinstance(axis, bool):
        raise Unexpressed("an axis that is no constant")
    index = int(axis)
    if not -rank <= index < rank:
        raise Unexpressed(f"axis {axis} of {rank}")
    return index % rank


def axes_of(axis: Any, rank: int) -> tuple[int, ...]:
    """Axes as a sorted tuple; None is all of them."""
    if axis is None:
        return tuple(range(rank))
    several = axis if isinstance(axis, (tuple, list)) else (axis,)
    found = tuple(sorted(axis_of(a, rank) for a in several))
    if len(set(found)) != len(found):
        raise Unexpressed("an axis twice")
    return found


def integer(x: Any) -> Any:
    """A constant int, or a size."""
    if type(x) is Operand and x.size is not None:
        return x.size
    if isinstance(x, Size):
        return x
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, (int, np.integer)):
        raise Unexpressed(f"{type(x).__name__} where an int is wanted")
    return int(x)


def reshaped(b: Builder, x: Expr, shape: Sequence[Any]) -> Expr:
    return x if x.shape == tuple(shape) else b.reshape(x, shape=tuple(shape))


def broadcast(b: Builder, x: Expr, shape: Sequence[Any]) -> Expr:
    return x if x.shape == tuple(shape) else b.broadcast(x, shape=tuple(shape))


def filled(b: Builder, shape: Sequence[Any], value: Any, dtype: np.dtype) -> Expr:
    """An array of one constant."""
    return broadcast(b, constant(b, value, dtype), shape)


def size_of(shape: Sequence[Any]) -> Any:
    """How many elements a shape has."""
    return math.prod(shape)
