"""The text that calls a product of the library, and the function that it calls for finished tiles."""

from __future__ import annotations

from typing import ClassVar

from graphc.codegen.element import Element, const
from graphc.codegen.emit_body import Body
from graphc.codegen.emit_frame import ALIGNMENT, OWN, Frame, total_bytes
from graphc.codegen.emit_nest import emit_columns
from graphc.codegen.emit_scope import Scalar
from graphc.codegen.emit_shares import ENOUGH
from graphc.codegen.kernels.library import product_scratch_bytes
from graphc.codegen.kernels.product import HOOK_ARGUMENTS
from graphc.codegen.kernels.strategy import POLICIES
from graphc.codegen.loops import Compute, Constant, Index, Load, Matrix, Product, Windows
from graphc.codegen.target import Target
from graphc.codegen.text import Function, Operand

CONTEXT = ("buffers", "sizes", "member", "first_row", "first_column")
"""What a tile's function finds in its context, before the counts of the batch and the numbers that `start`
computes.
"""
SQUARE = 128
"""Rows and columns from which on both are divided."""


class ProductWriter:
    """Writes the calls of one product; this one, of two matrices in memory. `hook` names the function that
    finished tiles are shown to, if that is wanted.
    """

    driver: ClassVar[str] = "product"
    policies: ClassVar[tuple[str, ...]] = POLICIES
    more_hooks: ClassVar[str] = ", ptr null, ptr null"

    def __init__(self, frame: Frame, part: Product, hook: str) -> None:
        self.frame, self.part, self.hook, self.f = frame, part, hook, frame.f
        self.t = Element(part.dtype.name, 1)
        # Dear ones (a power, a division) are computed once, not for each tile.
        self.numbers = [i for i in part.start if isinstance(i, (Load, Compute))]

    @classmethod
    def symbol(cls, part: Product) -> str:
        """The name of the library's function that computes a product."""
        policy = part.policy if part.policy in cls.policies else ""
        return f"{cls.driver}{policy}_{part.dtype}"

    @staticmethod
    def packed_bytes(part: Product, target: Target) -> int:
        """Scratch memory of the driver."""
        return product_scratch_bytes(part.dtype.name, target)

    def write(self) -> list[str]:
        """Write them; the text of the functions that they need."""
        f, p = self.f, self.part
        m, n = self.frame.size(p.m), self.frame.size(p.n)
        each_batch, by_rows = self.ways(m, n)
        self.shares(m, n, by_rows, f.select("i64", each_batch, 1, "%count"))
        self.zeros = self._zeros() if p.init is None else ""
        context = self._context() if p.tile is not None else "null"
        with f.when(f.both(f.less(0, self.rows), f.less(0, self.columns))):
            self.write_calls(context, f.select("i64", each_batch, "%count", 1))
        return [self._hook_text()] if p.tile is not None else []

    def shares(self, m: Operand, n: Operand, by_rows: str, count: Operand) -> None:
        """The rows and the columns that a member of `count` computes."""
        f, unit = self.f, self.row_unit()
        rows, columns = self.grid(m, n, by_rows, count) if unit == 1 else self.line(by_rows, count)
        self.row, self.rows = self._range(m, rows, unit, f.udiv("%member", columns))
        column_unit = ALIGNMENT // self.t.size
        self.column, self.columns = self._range(n, columns, column_unit, f.urem("%member", columns))

    def write_calls(self, context: str, count: Operand) -> None:
        """The calls of the whole batch, the first axis of which is divided among `count` members."""
        self.write_batch(0, Body(self.frame), context, count)

    def ways(self, m: Operand, n: Operand) -> tuple[str, str]:
        """Whether members divide the batch, and if not, whether they divide the rows."""
        f = self.f
        by_rows = f(f"icmp sgt i64 {m}, {n}")
        if not self.part.batch:
            return "false", by_rows
        length = self.frame.size(self.part.batch[0].extent)
        enough = f.mul("%count", ENOUGH if self.part.piece is None else 1)
        even = f.equal(f.urem(f.maximum(length, 1), "%count"), 0)
        return f.either(f.negate(f.less(length, enough)), even), by_rows

    def grid(self, m: Operand, n: Operand, by_rows: str, count: Operand) -> tuple[Operand, Operand]:
        """Pieces of the rows and of the columns: `count` of those that there are more of. Where there are
        many of the others as well, and `count` is even, it is half as many and two of the others, so that a
        member copies less.
        """
        f = self.f
        fewer = f.minimum(m, n)
        square = f.both(f.less(SQUARE - 1, fewer), f.both(f.less(3, count), f.equal(f.urem(count, 2), 0)))
        few = f.select("i64", square, 2, 1)
        many = f.udiv(count, few)
        return f.select("i64", by_rows, many, few), f.select("i64", by_rows, few, many)

    def line(self, by_rows: str, count: Operand) -> tuple[Operand, Operand]:
        """Pieces of the rows and of the columns, of which one is 1."""
        return self.f.select("i64", by_rows, count, 1), self.f.select("i64", by_rows, 1, count)

    def row_unit(self) -> Operand:
        """Rows that one member does together."""
        return 1

    def _range(
        self, n: Operand, count: Operand, unit: Operand, member: Operand = "%member"
    ) -> tuple[Operand, Operand]:
        """Start and length of a member's share among `count`, in whole units: all of it if that is 1."""
        f = self.f
        units = f.ceildiv(n, unit) if unit != 1 else n
        each = f.mul(f.ceildiv(units, count), unit)
        mine = f.select("i64", f.equal(count, 1), 0, member)
        low = f.minimum(f.mul(mine, each), n)
        return low, f.sub(f.minimum(f.add(low, each), n), low)

    def _packed(self) -> str:
        """The place of packed operands: behind the member's temporaries."""
        total = total_bytes(self.frame.kernel.own_temporaries)
        return self.f.at("i8", self.frame.pointer(OWN), self.frame.size(total))

    def _zeros(self) -> str:
        """A row of zeros, behind the packed operands."""
        packed = self.packed_bytes(self.part, self.frame.target)
        zeros = self.f.at("i8", self._packed(), packed)
        size = self.f.mul(self.frame.size(self.part.n), self.t.size)
        self.f.do(f"call void @llvm.memset.p0.i64(ptr align 64 {zeros}, i8 0, i64 {size}, i1 false)")
        return zeros

    # -- the calls -------------------------------------------------------------------------------------------
    def write_batch(self, depth: int, body: Body, context: str, count: Operand) -> None:
        """The loops of the batch, the first of which is divided among `count` members."""
        if depth == len(self.part.batch):
            self._call(body, context)
            return
        axis = self.part.batch[depth]
        low, length = self._range(self.frame.size(axis.extent), count, 1)
        with self.f.loop(low, self.f.add(low, length), 1) as loop:
            if context != "null":
                self.f.store("i64", loop.i, self.f.at("i64", context, len(CONTEXT) + depth))
            self.write_batch(depth + 1, body.inside(counts={axis.name: loop.i}), context, 1)

    def _call(self, body: Body, context: str) -> None:
        p, f, t = self.part, self.f, self.t
        body = body.inside()
        body.run(p.start)
        if context != "null":
            for i, number in enumerate(self.numbers):
                value = body.values[number.result].parts[0]
                f.vstore(Element(number.dtype.name, 1), value, self._number(f, context, i))
        alpha = body.values[p.alpha].parts[0] if p.alpha is not None else const(t, 1.0)
        init, init_row, floor, context = self.ends(body, context)
        hook = f"ptr @{self.hook}, ptr {context}" if context != "null" else "ptr null, ptr null"
        f.do(
            f"call void @{self.symbol(p)}({self.operands(body)}, ptr {init}, i64 {init_row}, "
            f"{t.name} {alpha}, {t.name} {floor}, ptr {self._packed()}, {hook}{self.more_hooks})"
        )

    def operands(self, body: Body) -> str:
        """What is multiplied, the result, and the sizes."""
        p, f, size = self.part, self.f, self.frame.size
        assert isinstance(p.a, Matrix)
        a = f.at(self.t.name, self.start(p.a, body), f.mul(self.row, size(p.a.row)))
        left = f"ptr {a}, i64 {size(p.a.row)}, i64 {size(p.a.column)}"
        rest = f"i64 {self.rows}, i64 {self.columns}, i64 {self.piece_of(body)[1]}"
        return f"{left}, {self.right(body)}, {self.result(body)}, {rest}"

    def piece_of(self, body: Body) -> tuple[Operand, Operand]:
        """Start and length of the piece of k that a call multiplies."""
        p, f, k = self.part, self.f, self.frame.size(self.part.k)
        if p.piece is None:
            return 0, k
        most = self.frame.size(p.piece)
        first = f.mul(body.counts[p.batch[0].name], most)
        return first, f.minimum(f.sub(k, first), most)

    def right(self, body: Body, row: Operand = 0) -> str:
        """The right operand from a row on, as arguments."""
        b, size = self.part.b, self.frame.size
        at = self.f.add(self.f.mul(row, size(b.row)), self.f.mul(self.column, size(b.column)))
        return (
            f"ptr {self.f.at(self.t.name, self.start(b, body), at)}, i64 {size(b.row)}, i64 {size(b.column)}"
        )

    def result(self, body: Body) -> str:
        """The result, as arguments."""
        row = self.frame.size(self.part.c.row)
        first = self.f.add(self.f.mul(self.row, row), self.column)
        return f"ptr {self.f.at(self.t.name, self.start(self.part.c, body), first)}, i64 {row}"

    def ends(self, body: Body, context: str) -> tuple[str, Operand, str, str]:
        """What a call begins with (`init` and the distance of its rows), and the limit and the context with
        which it ends.
        """
        floor = const(self.t, float("-inf") if self.part.floor is None else self.part.floor)
        init = self.part.init
        if init is None:
            return self.zeros, 0, floor, context
        row = self.frame.size(init.row)
        first = self.f.add(self.f.mul(self.row, row), self.column)
        return self.f.at(self.t.name, self.start(init, body), first), row, floor, context

    def start(self, m: Matrix | Windows, body: Body) -> str:
        """Where a matrix begins."""
        return self.f.at(self.t.name, self.frame.pointer(m.buffer), body.place(m.offset))

    # -- finished tiles --------------------------------------------------------------------------------------
    def _context(self) -> str:
        """A table of 8-byte fields on the stack."""
        f = self.f
        fields = len(CONTEXT) + len(self.part.batch) + len(self.numbers)
        with self.frame.start():
            context = f(f"alloca [{fields} x i64], align 8")
        values = ("%buffers", "%sizes", "%member", self.row, self.column)
        for i, (kind, name) in enumerate(zip(("ptr", "ptr", "i64", "i64", "i64"), values)):
            f.store(kind, str(name), f.at("i64", context, i))
        return context

    def _number(self, f: Function, context: str, i: int) -> str:
        return f.at("i64", context, len(CONTEXT) + len(self.part.batch) + i)

    def _hook_text(self) -> str:
        """The function of a tile: rows row .. row + rows, columns col .. col + n."""
        assert self.part.tile is not None
        f = Function(self.hook, HOOK_ARGUMENTS, linkage="internal")
        f.do("%buffers = load ptr, ptr %context")
        for i, (kind, name) in enumerate(zip(("ptr", "i64", "i64", "i64"), CONTEXT[1:]), start=1):
            f.do(f"%{name} = load {kind}, ptr {f.at('i64', '%context', i)}")
        frame = self.frame.within(f)
        frame.head, f.lines = f.lines[1:], ["entry:"]
        counts = {
            axis.name: f.load("i64", f.at("i64", "%context", len(CONTEXT) + i))
            for i, axis in enumerate(self.part.batch)
        }
        body = Body(frame).inside(counts=counts)
        body.run(i for i in self.part.start if isinstance(i, (Constant, Index)))
        for i, number in enumerate(self.numbers):
            value = f.vload(Element(number.dtype.name, 1), self._number(f, "%context", i))
            body.values[number.result] = Scalar(number.dtype.name, (value,))
        row, _ = self.part.tile.outer
        first, above = f.add("%first_column", "%col"), f.add("%first_row", "%row")
        with f.loop(above, f.add(above, "%rows"), 1) as loop:
            inner = body.inside(counts={row.name: f(f"freeze i64 {loop.i}")})
            emit_columns(frame, self.part.tile, inner, first, f.add(first, "%n"))
        return frame.text("void")
