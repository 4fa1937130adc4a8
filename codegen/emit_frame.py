"""What one native kernel has at hand: the pointers of its buffers, the values of sizes, constant tables,
scratch memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from graphc.codegen import primitives
from graphc.codegen.element import Element, splat
from graphc.codegen.loops import Kernel, Table, Temporary
from graphc.codegen.target import Target
from graphc.codegen.text import Function, Operand
from graphc.ir.dims import Call, Dim, Size, ceildiv

ALIGNMENT = 64
OWN = "scratch of a member"
"""The name of the pointer to a member's own scratch memory."""
ARGUMENTS = "ptr %buffers, ptr %sizes, i64 %member, i64 %count"


def scratch_bytes(temporary: Temporary) -> Dim:
    """What a temporary takes in scratch memory, rounded up to whole cache lines, and room for a whole vector
    more.
    """
    return ceildiv(temporary.extent * temporary.dtype.itemsize, ALIGNMENT) * ALIGNMENT + ALIGNMENT


def total_bytes(temporaries: Iterable[Temporary]) -> Dim:
    """What some temporaries take one behind the other."""
    total: Dim = 0
    for temporary in temporaries:
        total = total + scratch_bytes(temporary)
    return total


@dataclass
class Frame:
    """The function that is being written for a kernel.

    `slots` says where in the pointer table each buffer is (and `scratch`), `symbols` where in the table of
    sizes each symbol is, `own` how many bytes of scratch memory each member has for itself, behind what all
    share. What is asked for is written once, at the function's start.
    """

    kernel: Kernel
    target: Target
    f: Function
    slots: Mapping[str, int]
    symbols: Mapping[str, int]
    own: Dim = 0
    head: list[str] = field(default_factory=list)
    _pointers: dict[str, str] = field(default_factory=dict)
    _sizes: dict[Dim | Call | str, Operand] = field(default_factory=dict)
    _vectors: dict[tuple[Element, float], str] = field(default_factory=dict)

    @contextmanager
    def start(self) -> Iterator[None]:
        """What is written inside stands at the function's start; it must be straight-line code."""
        before, self.f.lines = self.f.lines, self.head
        try:
            yield
        finally:
            self.f.lines = before

    def within(self, f: Function) -> Frame:
        """The same kernel's frame in another function, which has `%buffers`, `%sizes` and `%member` too."""
        return Frame(self.kernel, self.target, f, self.slots, self.symbols, self.own)

    def text(self, result: str = "i64 0") -> str:
        """The finished function."""
        self.f.lines[1:1] = self.head
        return self.f.text(result)

    def size(self, d: Dim) -> Operand:
        """A size as an i64."""
        if isinstance(d, int):
            return d
        if d not in self._sizes:
            with self.start():
                self._sizes[d] = self._polynomial(d)
        return self._sizes[d]

    def _polynomial(self, d: Size) -> Operand:
        total: Operand = 0
        for monomial, factor in d.terms:
            term: Operand = factor
            for atom in monomial:
                value = self._symbol(atom) if isinstance(atom, str) else self._call(atom)
                term = self.f.mul(term, value)
            total = self.f.add(total, term)
        return total

    def _symbol(self, name: str) -> Operand:
        if name not in self._sizes:
            self._sizes[name] = self.f.load("i64", self.f.at("i64", "%sizes", self.symbols[name]))
        return self._sizes[name]

    def _call(self, call: Call) -> Operand:
        if call not in self._sizes:
            self._sizes[call] = self._computed(call.function, self.size(call.left), self.size(call.right))
        return self._sizes[call]

    def _computed(self, function: str, left: Operand, right: Operand) -> Operand:
        if isinstance(right, int) and right > 0 and function in ("//", "%"):
            return self._divided(function, left, right)
        ops = {"//": "floor_divide", "%": "remainder", "max": "maximum", "min": "minimum"}
        return primitives.emit(self.f, ops[function], Element("i64", 1), [str(left), str(right)])

    def _divided(self, function: str, left: Operand, right: int) -> Operand:
        """Quotient or rest of a division by a positive number, rounded down."""
        f = self.f
        if right & (right - 1) == 0:
            return f(
                f"ashr i64 {left}, {right.bit_length() - 1}"
                if function == "//"
                else f"and i64 {left}, {right - 1}"
            )
        rest = f(f"srem i64 {left}, {right}")
        below = f(f"ashr i64 {rest}, 63")  # -1 where the rest is negative
        if function == "%":
            return f.add(rest, f(f"and i64 {below}, {right}"))
        return f.add(f(f"sdiv i64 {left}, {right}"), below)

    def vector_of(self, t: Element, number: float) -> str:
        """Where a vector of a constant is in memory."""
        if (t, number) not in self._vectors:
            with self.start():
                place = self._vectors[t, number] = self.f(f"alloca {t.memory}")
                self.f.vstore(t, splat(t, number), place)
        return self._vectors[t, number]

    def dtype(self, name: str) -> str:
        """The element type of a buffer, a table or a temporary."""
        kernel = self.kernel
        types = {a.name: a.dtype for a in kernel.buffers}
        types |= {a.name: a.dtype for a in kernel.tables} | {a.name: a.dtype for a in kernel.temporaries}
        return types[name].name

    def stored(self, name: str) -> str:
        """LLVM's type of an element of a buffer, a table or a temporary in memory."""
        return Element(self.dtype(name), 1).stored

    def extent(self, name: str) -> Dim:
        """How many elements a buffer or a temporary has; 1 for a table."""
        kernel = self.kernel
        sizes = {a.name: a.size for a in kernel.buffers} | {a.name: a.extent for a in kernel.temporaries}
        return sizes.get(name, 1)

    def pointer(self, name: str) -> str:
        """The pointer of a buffer, a table or a temporary."""
        if name not in self._pointers:
            with self.start():
                self._pointers[name] = self._find(name)
        return self._pointers[name]

    def _find(self, name: str) -> str:
        if any(t.name == name for t in self.kernel.tables):
            return f"@{table_symbol(self.kernel, name)}"
        if name == OWN:
            mine = self.f.mul("%member", self.size(self.own))
            shared = self.size(total_bytes(self.kernel.shared_temporaries))
            return self.f.at("i8", self.pointer("scratch"), self.f.add(mine, shared))
        for base, temporaries in (
            ("scratch", self.kernel.shared_temporaries),
            (OWN, self.kernel.own_temporaries),
        ):
            for i, temporary in enumerate(temporaries):
                if temporary.name == name:
                    return self.f.at("i8", self.pointer(base), self.size(total_bytes(temporaries[:i])))
        return self.f.load("ptr", self.f.at("ptr", "%buffers", self.slots[name]))


def table_symbol(kernel: Kernel, name: str) -> str:
    """The LLVM name of a constant table."""
    return f"{kernel.name}.{name}"


def table_text(kernel: Kernel, table: Table) -> str:
    """A constant table as an LLVM global: its bytes, which LLVM reads faster than numbers."""
    data = np.array(table.values, table.dtype.numpy).tobytes()
    text = "\\" + data.hex("\\")
    value = f'c"{text}"' if data else "zeroinitializer"
    kind = f"[{len(data)} x i8]"
    return f"@{table_symbol(kernel, table.name)} = internal constant {kind} {value}, align {ALIGNMENT}"
