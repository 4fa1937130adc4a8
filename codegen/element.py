"""Element types as LLVM sees them: how one value, or a vector of `lanes` values, is written in registers
and in memory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np

from graphc.codegen.target import Target


@dataclass(frozen=True)
class Element:
    """`lanes` values of one dtype. One lane is a plain scalar: the same text generator then writes scalar
    code.

    `dtype` is one of f32, f64, i8..i64, u8..u64 and bool. A bool is an `i1` in registers (so it is a mask)
    and a byte in memory.

    >>> t = Element("f32", 8)
    >>> t.vec, t.memory, t.suffix, t.mask
    ('<8 x float>', '<8 x float>', 'v8f32', '<8 x i1>')
    >>> Element("bool", 4).vec, Element("bool", 4).memory, Element("f64", 1).vec
    ('<4 x i1>', '<4 x i8>', 'double')
    """

    dtype: str
    lanes: int

    @property
    def kind(self) -> str:
        """f, i, u or b (bool)."""
        return self.dtype[0]

    @property
    def bits(self) -> int:
        """Bits of one element in memory."""
        return 8 if self.kind == "b" else int(self.dtype[1:])

    @property
    def size(self) -> int:
        """Bytes of one element in memory."""
        return self.bits // 8

    @property
    def name(self) -> str:
        """LLVM's type of one value in a register."""
        if self.kind == "f":
            return {32: "float", 64: "double"}[self.bits]
        return "i1" if self.kind == "b" else f"i{self.bits}"

    @property
    def stored(self) -> str:
        """LLVM's type of one element in memory."""
        return "i8" if self.kind == "b" else self.name

    def of(self, name: str) -> str:
        """The type of `lanes` values of the LLVM type `name`."""
        return name if self.lanes == 1 else f"<{self.lanes} x {name}>"

    @property
    def vec(self) -> str:
        """LLVM's type in registers."""
        return self.of(self.name)

    @property
    def memory(self) -> str:
        """LLVM's type in memory."""
        return self.of(self.stored)

    @property
    def mask(self) -> str:
        """LLVM's type of one truth value per lane."""
        return self.of("i1")

    @property
    def suffix(self) -> str:
        """How an overloaded intrinsic on this type ends: v8f32, i64, ..."""
        one = self.dtype if self.kind == "f" else "i1" if self.kind == "b" else f"i{self.bits}"
        return one if self.lanes == 1 else f"v{self.lanes}{one}"

    @property
    def integer(self) -> Element:
        """Signed integers of the same size, as many lanes: what the bits of a float are."""
        return Element(f"i{self.bits}", self.lanes)

    def scalar(self) -> Element:
        """The same dtype with one lane."""
        return replace(self, lanes=1)

    def with_lanes(self, lanes: int) -> Element:
        """The same dtype with another number of lanes."""
        return replace(self, lanes=lanes)


def register(dtype: str, target: Target) -> Element:
    """As many values of `dtype` as one vector register of `target` holds."""
    return Element(dtype, target.lanes(dtype))


def const(t: Element, x: float) -> str:
    """A constant of the element type, exact: floats as the hexadecimal bits of the double with the same
    value.

    >>> const(Element("f32", 8), 0.1), const(Element("u8", 1), 255), const(Element("bool", 1), True)
    ('0x3FB99999A0000000', '-1', 'true')
    """
    if t.kind == "b":
        return "true" if x else "false"
    if t.kind in "iu":
        return str((int(x) + (1 << (t.bits - 1))) % (1 << t.bits) - (1 << (t.bits - 1)))
    if t.bits == 32:
        with np.errstate(over="ignore"):
            x = float(np.float32(x))
    return "0x" + struct.pack(">d", x).hex().upper()


def splat(t: Element, x: float) -> str:
    """A constant in every lane, without its type.

    >>> splat(Element("i32", 2), 7)
    'splat (i32 7)'
    """
    one = const(t, x)
    return one if t.lanes == 1 else f"splat ({t.name} {one})"


def bits_of(t: Element, x: float) -> int:
    """The bits of a float constant, as the signed integer that LLVM text wants.

    >>> bits_of(Element("f32", 1), 1.0)
    1065353216
    """
    return int(np.array(x, f"f{t.size}").view(f"i{t.size}"))
