"""A value in the LLVM text with Python operators, so that a function of it reads like its formula."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.element import Element, splat
from graphc.codegen.text import Function

Number = float | int


@dataclass(frozen=True)
class Vector:
    """A float value of type `t`, one lane or many, that the function `f` computes; Python numbers become
    constants.

    >>> f = Function("f", "double %x", ret="double")
    >>> y = 1.0 - Vector(f, Element("f64", 1), "%x") * 2.0
    >>> print(f.text(f"double {y.name}"))
    define double @f(double %x) #0 {
    entry:
      %t1 = fmul double %x, 0x4000000000000000
      %t2 = fsub double 0x3FF0000000000000, %t1
      ret double %t2
    }
    """

    f: Function
    t: Element
    name: str

    def of(self, expression: str) -> Vector:
        """The value of an instruction of this type."""
        return Vector(self.f, self.t, self.f(expression))

    def like(self, c: Number) -> Vector:
        """A constant of this type."""
        return Vector(self.f, self.t, splat(self.t, c))

    def _text(self, x: Vector | Number) -> str:
        return x.name if isinstance(x, Vector) else splat(self.t, x)

    def _operation(self, op: str, x: Vector | Number, y: Vector | Number) -> Vector:
        return self.of(f"{op} {self.t.vec} {self._text(x)}, {self._text(y)}")

    def __add__(self, y: Vector | Number) -> Vector:
        return self._operation("fadd", self, y)

    def __radd__(self, y: Number) -> Vector:
        return self._operation("fadd", y, self)

    def __sub__(self, y: Vector | Number) -> Vector:
        return self._operation("fsub", self, y)

    def __rsub__(self, y: Number) -> Vector:
        return self._operation("fsub", y, self)

    def __mul__(self, y: Vector | Number) -> Vector:
        return self._operation("fmul", self, y)

    def __rmul__(self, y: Number) -> Vector:
        return self._operation("fmul", y, self)

    def __truediv__(self, y: Vector | Number) -> Vector:
        return self._operation("fdiv", self, y)

    def __rtruediv__(self, y: Number) -> Vector:
        return self._operation("fdiv", y, self)

    def __neg__(self) -> Vector:
        return self.of(f"fneg {self.t.vec} {self.name}")

    def __abs__(self) -> Vector:
        return self._intrinsic("fabs", self)

    def _intrinsic(self, name: str, *args: Vector) -> Vector:
        operands = ", ".join(f"{self.t.vec} {x.name}" for x in args)
        return self.of(f"call {self.t.vec} @llvm.{name}.{self.t.suffix}({operands})")

    def fma(self, b: Vector | Number, c: Vector | Number) -> Vector:
        """self * b + c, in one rounding where the CPU can."""
        return Vector(self.f, self.t, self.f.fma(self.t, self.name, self._text(b), self._text(c)))

    def copysign(self, sign: Vector) -> Vector:
        """The magnitude of self with the sign bit of `sign`."""
        return self._intrinsic("copysign", self, sign)

    def with_sign(self, sign: Vector) -> Vector:
        """self, which has no sign, with the sign bit of `sign`."""
        bit = self.integers("and", sign.bits(), 1 << (self.t.bits - 1))
        return self.from_bits(self.integers("or", self.bits(), bit))

    # Comparisons give the name of a mask; all are false for NaN.
    def greater(self, y: Vector | Number) -> str:
        return self.f(f"fcmp ogt {self.t.vec} {self.name}, {self._text(y)}")

    def less(self, y: Vector | Number) -> str:
        return self.f(f"fcmp olt {self.t.vec} {self.name}, {self._text(y)}")

    def equals(self, y: Vector | Number) -> str:
        return self.f(f"fcmp oeq {self.t.vec} {self.name}, {self._text(y)}")

    def where(self, mask: str, otherwise: Vector | Number) -> Vector:
        """self where the mask holds, else the other value."""
        return self.of(
            f"select {self.t.mask} {mask}, {self.t.vec} {self.name}, {self.t.vec} {self._text(otherwise)}"
        )

    def at_most(self, c: Number) -> Vector:
        """min(self, c), where NaN stays."""
        return self.like(c).where(self.greater(c), self)

    def at_least(self, c: Number) -> Vector:
        """max(self, c), where NaN stays."""
        return self.like(c).where(self.less(c), self)

    # The bits as integers of the same size.
    def bits(self) -> str:
        """The name of the bits."""
        return self.f(f"bitcast {self.t.vec} {self.name} to {self.t.integer.vec}")

    def from_bits(self, bits: str) -> Vector:
        """The float with these bits."""
        return self.of(f"bitcast {self.t.integer.vec} {bits} to {self.t.vec}")

    def integers(self, op: str, a: str, b: str | int) -> str:
        """An operation on integers as wide as the bits."""
        operand = b if isinstance(b, str) else splat(self.t.integer, b)
        return self.f(f"{op} {self.t.integer.vec} {a}, {operand}")
