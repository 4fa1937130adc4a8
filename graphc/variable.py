"""`Variable`: a weight or other state. Its values live once, 64-byte aligned, for all compiled functions that
use it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.ir.errors import FileFormatError, ShapeError
from graphc.ir.types import TensorType, dtype_of
from graphc.naming import path_of, unique_name
from graphc.revision import EPOCH
from graphc.tensor import Operators

ALIGNMENT = 64
NEW: set[Callable[..., Any]] = set()
"""Methods that call initializers and give a new array each time, which a variable need not copy."""
_size_limit: ContextVar[int | None] = ContextVar("size_limit", default=None)


@contextmanager
def from_file(size: int) -> Iterator[None]:
    """Inside, shapes of new variables come from a file, and so will their values: they start with zeros, and
    more than `size` bytes are a FileFormatError.
    """
    token = _size_limit.set(size)
    try:
        yield
    finally:
        _size_limit.reset(token)


def aligned(shape: tuple[int, ...], dtype: np.dtype, zeros: bool = False) -> np.ndarray:
    """A new array whose data begin at a multiple of 64 bytes; its values are undefined, or zeros."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = (np.zeros if zeros else np.empty)(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


@dataclass
class Calls:
    """Counts the calls of a compiled function."""

    count: int = 0


class Variable(Operators):
    """State with a name: a layer's weight, a moving statistic, an optimizer's slot.

    Args:
        initializer: an array, or a function of (shape, dtype) that gives one.
        shape: needed with a function only.
        dtype: "float32" and so on; None takes the array's (a Python float is `floatx`).
        trainable: whether training changes it.
        name: the last part of its path; the scopes of the layers being built come before.

    `np.asarray(v)` and `v.numpy()` are copies. While a layer's `call` is traced, a variable reads as a tensor
    of the graph, and `v.assign(new)` records an update that takes effect when the compiled function is
    called; reads that follow see the new value.

    >>> v = Variable(np.zeros(2, "float32"), name="count")
    >>> v.assign([1, 2]); np.exp(v) > 2
    array([ True,  True])
    >>> v
    <Variable 'count' shape=(2,), dtype=float32, version 1>
    """

    __hash__ = object.__hash__

    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        name: str | None = None,
        regularizer: Callable[[Any], Any] | None = None,
        constraint: Callable[[Any], Any] | None = None,
    ) -> None:
        array = _zeros_for_file(shape, dtype) if callable(initializer) else None
        if array is None:
            values = _initial(initializer, shape, dtype)
            array = values if _is_new(initializer, values) else _copied(values)
        self.array = array
        self.name = name or unique_name("variable")
        self.path = path_of(self.name)
        self._trainable = bool(trainable)
        self.regularizer, self.constraint = regularizer, constraint
        self._changes, self._calls = 0, list[Calls]()

    @property
    def version(self) -> int:
        """How often the values have changed: assignments, and calls of compiled functions that write them."""
        return self._changes + sum(calls.count for calls in self._calls)

    def count(self, calls: Calls) -> None:
        """Let each call of a compiled function count as a change."""
        self._calls.append(calls)

    def changed(self) -> None:
        """Count a change of the values."""
        self._changes += 1

    @property
    def trainable(self) -> bool:
        """Whether training changes the values."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        EPOCH.advance()

    @property
    def type(self) -> TensorType:
        return TensorType(dtype_of(self.array.dtype), self.array.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def size(self) -> int:
        return self.array.size

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    @property
    def value(self) -> Any:
        """The current values: a tensor while a `call` is traced, else an array."""
        from graphc.trace import active

        trace = active()
        return self.numpy() if trace is None else trace.read(self)

    def read_value(self) -> Any:
        """`value`, as a method."""
        return self.value

    def numpy(self) -> np.ndarray:
        """A copy of the values."""
        return self.array.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array.astype(dtype or self.array.dtype, copy=True)

    def __float__(self) -> float:
        return float(self.array)

    def __int__(self) -> int:
        return int(self.array)

    def __bool__(self) -> bool:
        return bool(self.array)

    def assign(self, value: Any) -> None:
        """Take new values of the same shape; ShapeError if it differs.

        Inside a traced `call`, the new value may be a tensor, and is taken when the compiled function is
        called.
        """
        from graphc.trace import active

        trace = active()
        if trace is not None:
            trace.assign(self, value)
            return
        new = np.asarray(value)
        if new.shape != self.shape:
            raise ShapeError(
                f"'{self.path}' has the shape {self.shape}, but was assigned values of shape {new.shape}."
            )
        self.array[...] = new
        self.changed()

    def assign_add(self, value: Any) -> None:
        """`assign(self + value)`."""
        self.assign(self + value)

    def assign_sub(self, value: Any) -> None:
        """`assign(self - value)`."""
        self.assign(self - value)

    def __repr__(self) -> str:
        return f"<Variable '{self.path}' shape={self.shape}, dtype={self.dtype}, version {self.version}>"


def _wanted(shape: Any, dtype: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and element type of a variable whose values a function makes."""
    from graphc.backend import floatx

    return tuple(int(d) for d in (() if shape is None else shape)), dtype_of(dtype or floatx()).numpy


def _zeros_for_file(shape: Any, dtype: Any) -> np.ndarray | None:
    """The memory of a variable whose values a file has; None outside of `from_file`. The system gives zeros
    without anybody writing them, where it can.
    """
    most = _size_limit.get()
    if most is None:
        return None
    whole, wanted = _wanted(shape, dtype)
    if math.prod(whole) * wanted.itemsize > most:
        raise FileFormatError(f"the file describes a weight of shape {whole}, but holds none that large.")
    return aligned(whole, wanted, zeros=True)


def _is_new(initializer: Any, values: np.ndarray) -> bool:
    """Whether nobody else has the values, and they lie as a variable's do: what our own initializers draw."""
    made = type(initializer).__call__ in NEW
    return made and values.flags.c_contiguous and values.ctypes.data % ALIGNMENT == 0


def _copied(values: np.ndarray) -> np.ndarray:
    array = aligned(values.shape, values.dtype)
    array[...] = values
    return array


def _initial(initializer: Any, shape: Any, dtype: Any) -> np.ndarray:
    """The values that a variable begins with and copies; they may be the caller's own array."""
    from graphc.backend import floatx

    if callable(initializer):
        whole, wanted = _wanted(shape, dtype)
        try:
            values = np.asarray(initializer(whole, dtype=wanted))
        except TypeError:
            values = np.asarray(initializer(whole))
        values = values.astype(wanted, copy=False)
        if values.shape != whole:
            raise ShapeError(
                f"the initializer gave the shape {values.shape} for a variable of shape {whole}."
            )
        return values
    values = np.asarray(initializer)
    if dtype is None and not isinstance(initializer, (np.ndarray, np.generic)) and values.dtype.kind == "f":
        dtype = floatx()
    return values.astype(dtype_of(dtype or values.dtype).numpy, copy=False)
