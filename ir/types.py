"""Types of values: an element type and a shape of integer or symbolic sizes.

>>> str(TensorType(F32, (symbol("B"), 784)))
'f32[B, 784]'
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from graphc.ir.dims import Dim, Shape, product, substitute, symbol
from graphc.ir.errors import DTypeError


@dataclass(frozen=True)
class DType:
    """An element type. `kind` is one of "b" (bool), "i", "u" (integers) and "f" (floating point)."""

    name: str
    kind: str
    bits: int

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name

    @property
    def itemsize(self) -> int:
        """Bytes of an element in memory (a bool takes one)."""
        return self.bits // 8

    @cached_property
    def numpy(self) -> np.dtype:
        """The NumPy dtype with the same values."""
        return np.dtype("bool" if self.kind == "b" else f"{self.kind}{self.itemsize}")

    @property
    def is_floating(self) -> bool:
        return self.kind == "f"

    @property
    def is_integer(self) -> bool:
        return self.kind in "iu"


BOOL = DType("bool", "b", 8)
I8, I16, I32, I64 = (DType(f"i{n}", "i", n) for n in (8, 16, 32, 64))
U8, U16, U32, U64 = (DType(f"u{n}", "u", n) for n in (8, 16, 32, 64))
F32, F64 = (DType(f"f{n}", "f", n) for n in (32, 64))

DTYPES: dict[str, DType] = {d.name: d for d in (BOOL, I8, I16, I32, I64, U8, U16, U32, U64, F32, F64)}
_BY_NUMPY = {d.numpy: d for d in DTYPES.values()}


def dtype_of(dtype: object) -> DType:
    """The element type for a name ("f32", "float32"), a NumPy dtype or a `DType`; DTypeError for others."""
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, str) and dtype in DTYPES:
        return DTYPES[dtype]
    try:
        return _BY_NUMPY[np.dtype(dtype)]  # type: ignore[call-overload]
    except (TypeError, KeyError):
        known = ", ".join(str(d.numpy) for d in DTYPES.values())
        raise DTypeError(f"no element type {dtype!r}; there are {known}") from None


@dataclass(frozen=True)
class TensorType:
    """`dtype[shape]`: the type of every value of the IR. A scalar has the shape ()."""

    dtype: DType
    shape: Shape

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    __repr__ = __str__

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Dim:
        """The number of elements."""
        return product(self.shape)

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    def with_shape(self, shape: Shape) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def substitute(self, values: dict[str, Dim]) -> TensorType:
        """The type with some symbols of its shape replaced."""
        return TensorType(self.dtype, tuple(substitute(d, values) for d in self.shape))


def tensor(dtype: object, *shape: Dim | str) -> TensorType:
    """A type in short: `tensor("f32", "B", 784)`."""
    return TensorType(dtype_of(dtype), tuple(symbol(d) if isinstance(d, str) else d for d in shape))
