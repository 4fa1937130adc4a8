"""Arithmetic of i64 in LLVM text: of numbers at once, of names as instructions."""

from __future__ import annotations

from graphc.codegen.lines import Lines, Operand, literal

_TRUTH = ("false", "true")


class Integers(Lines):
    """A function whose integers are folded where they are known."""

    def add(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return str(x + y)
        return str(a) if y == 0 else str(b) if x == 0 else self(f"add i64 {a}, {b}")

    def sub(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return str(x - y)
        return str(a) if y == 0 else self(f"sub i64 {a}, {b}")

    def mul(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return str(x * y)
        if x == 0 or y == 0:
            return "0"
        return str(a) if y == 1 else str(b) if x == 1 else self(f"mul i64 {a}, {b}")

    def udiv(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and x >= 0 and y is not None and y > 0:
            return str(x // y)
        return str(a) if y == 1 else self(f"udiv i64 {a}, {b}")

    def urem(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and x >= 0 and y is not None and y > 0:
            return str(x % y)
        return "0" if y == 1 else self(f"urem i64 {a}, {b}")

    def minimum(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return str(min(x, y))
        return self(f"call i64 @llvm.smin.i64(i64 {a}, i64 {b})")

    def maximum(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return str(max(x, y))
        return self(f"call i64 @llvm.smax.i64(i64 {a}, i64 {b})")

    def ceildiv(self, a: Operand, b: Operand) -> str:
        return self.udiv(self.add(a, self.sub(b, 1)), b)

    def less(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return _TRUTH[x < y]
        return self(f"icmp slt i64 {a}, {b}")

    def equal(self, a: Operand, b: Operand) -> str:
        x, y = literal(a), literal(b)
        if x is not None and y is not None:
            return _TRUTH[x == y]
        return self(f"icmp eq i64 {a}, {b}")

    def both(self, a: str, b: str) -> str:
        for one, other in ((a, b), (b, a)):
            if one in _TRUTH:
                return other if one == "true" else one
        return self(f"and i1 {a}, {b}")

    def either(self, a: str, b: str) -> str:
        for one, other in ((a, b), (b, a)):
            if one in _TRUTH:
                return other if one == "false" else one
        return self(f"or i1 {a}, {b}")

    def negate(self, a: str) -> str:
        return _TRUTH[a == "false"] if a in _TRUTH else self(f"xor i1 {a}, true")

    def select(self, ty: str, c: str, a: Operand, b: Operand) -> str:
        if c in _TRUTH:
            return str(a if c == "true" else b)
        return self(f"select i1 {c}, {ty} {a}, {ty} {b}")
