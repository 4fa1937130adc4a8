"""Calls of products whose left operand is the windows of images.

Groups of channels are a batch. Where they have few channels each, which lie side by side in memory, all
groups are computed for some windows, then for the next ones, so that a line of memory is fetched once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphc.codegen.element import const
from graphc.codegen.emit_body import Body
from graphc.codegen.emit_frame import ALIGNMENT
from graphc.codegen.kernels.library import windows_scratch_bytes
from graphc.codegen.kernels.strategy import strategy
from graphc.codegen.loops import Product, Windows
from graphc.codegen.product_writer import CONTEXT, ProductWriter
from graphc.codegen.target import Target
from graphc.codegen.text import Operand

FEW_COLUMNS = 32
ROWS = 12
"""Rows that are worth a member's reading of all columns."""


class WindowsWriter(ProductWriter):
    """What the calls of both drivers have in common."""

    policies: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def packed_bytes(part: Product, target: Target) -> int:
        return windows_scratch_bytes(part.dtype.name, target)

    def windows(self, body: Body) -> str:
        """The table of the windows' places, on the stack, and the images, as arguments."""
        windows = self.part.a
        assert isinstance(windows, Windows)
        numbers = [self.frame.size(d) for d in windows.geometry]
        with self.frame.start():
            table = self.f(f"alloca [{len(numbers)} x i64], align 8")
        known = ", ".join(f"i64 {n if isinstance(n, int) else 0}" for n in numbers)
        self.f.store(f"<{len(numbers)} x i64>", f"<{known}>", table, 8)
        for i, number in enumerate(numbers):
            if not isinstance(number, int):
                self.f.store("i64", number, self.f.at("i64", table, i))
        return f"ptr {table}, ptr {self.start(windows, body)}"

    def step(self, some: int, every: Operand) -> Operand:
        """How many windows are computed at a time, where there are groups."""
        few = self.f(f"icmp sle i64 {self.frame.size(self.part.n)}, {FEW_COLUMNS}")
        return self.f.select("i64", few, some, every)


class ConvolveWriter(WindowsWriter):
    """Windows times a kernel; members divide the windows, or the columns."""

    driver = "convolve"
    more_hooks = ""

    def ways(self, m: Operand, n: Operand) -> tuple[str, str]:
        return "false", self.f(f"icmp sgt i64 {m}, {n}")

    def write_calls(self, context: str, count: Operand) -> None:
        if not self.part.batch:
            super().write_calls(context, count)
            return
        f, row, rows = self.f, self.row, self.rows
        step = self.step(strategy(self.t.dtype, self.frame.target).mc, rows)
        with f.loop(0, rows, step) as piece:
            self.row, self.rows = f.add(row, piece.i), f.minimum(step, f.sub(rows, piece.i))
            if context != "null":
                f.store("i64", self.row, f.at("i64", context, CONTEXT.index("first_row")))
            super().write_calls(context, count)

    def operands(self, body: Body) -> str:
        assert isinstance(self.part.a, Windows)
        right = f"{self.right(body)}, i64 {self.frame.size(self.part.a.tap)}"
        sizes = f"i64 {self.row}, i64 {self.rows}, i64 {self.columns}"
        return f"{self.windows(body)}, {right}, {self.result(body)}, {sizes}"


@dataclass(frozen=True)
class Terms:
    """A run of windows that are summed over, and whether they are the first and the last ones."""

    start: str
    length: str
    first: str
    last: str


class CorrelateWriter(WindowsWriter):
    """Windows, transposed, times a gradient; members divide groups, columns, or where these are few taps."""

    driver = "correlate"
    terms = Terms("0", "0", "true", "true")

    def ways(self, m: Operand, n: Operand) -> tuple[str, str]:
        f = self.f
        few = f.less(n, f.mul("%count", 2 * ALIGNMENT // self.t.size))
        least = f.maximum(self.row_unit(), ROWS)
        enough = f(f"icmp sge i64 {m}, {f.mul('%count', least)}")
        return super().ways(m, n)[0], f.both(few, enough)

    def row_unit(self) -> Operand:
        """The rows of a tap: its channels."""
        assert isinstance(self.part.a, Windows)
        return self.f.maximum(self.frame.size(self.part.a.channels), 1)

    def write_calls(self, context: str, count: Operand) -> None:
        """In whole blocks of K, so that sums are the same. No windows at all are one call as well."""
        f, k = self.f, self.frame.size(self.part.k)
        if self.part.piece is not None or not self.part.batch:
            self.terms = Terms("0", str(k), "true", "true")
            super().write_calls(context, count)
            return
        every = f.maximum(k, 1)
        step = self.step(strategy(self.t.dtype, self.frame.target).kc, every)
        with f.loop(0, every, step) as piece:
            length = f.minimum(step, f.sub(k, piece.i))
            last = f(f"icmp sge i64 {f.add(piece.i, step)}, {k}")
            self.terms = Terms(piece.i, length, f.equal(piece.i, 0), last)
            super().write_calls(context, count)

    def ends(self, body: Body, context: str) -> tuple[str, Operand, str, str]:
        """Later terms add to the result; the last ones end as asked for."""
        init, init_row, floor, context = super().ends(body, context)
        if self.part.piece is not None:
            return init, init_row, floor, context
        f, t, terms = self.f, self.t, self.terms
        c, c_row = (text.split()[1] for text in self.result(body).split(", "))
        if context != "null":
            context = f.select("ptr", terms.last, context, "null")
        return (
            f.select("ptr", terms.first, init, c),
            f.select("i64", terms.first, init_row, c_row),
            f.select(t.name, terms.last, floor, const(t, float("-inf"))),
            context,
        )

    def operands(self, body: Body) -> str:
        first, length, row = self.terms.start, self.terms.length, self.terms.start
        if self.part.piece is not None:
            first, length, row = *map(str, self.piece_of(body)), "0"
        unit = self.row_unit()
        taps = f"i64 {self.f.udiv(self.row, unit)}, i64 {self.f.udiv(self.rows, unit)}"
        sizes = f"i64 {first}, {taps}, i64 {self.columns}, i64 {length}"
        return f"{self.windows(body)}, {self.right(body, row)}, {self.result(body)}, {sizes}"
