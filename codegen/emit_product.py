"""A product as calls of the library of tiles, and what happens to its finished tiles as a function that the
library calls.
"""

from __future__ import annotations

from graphc.codegen.element import Element, const, register
from graphc.codegen.emit_body import Body, Scalar
from graphc.codegen.emit_frame import ALIGNMENT, OWN, Frame, total_bytes
from graphc.codegen.emit_nest import emit_columns
from graphc.codegen.kernels.convolve import convolve_arguments
from graphc.codegen.kernels.correlate import correlate_arguments
from graphc.codegen.kernels.library import product_scratch_bytes, windows_scratch_bytes
from graphc.codegen.kernels.product import HOOK_ARGUMENTS, arguments
from graphc.codegen.loops import Compute, Constant, Index, Kernel, Load, Matrix, Product, Windows
from graphc.codegen.target import Target
from graphc.codegen.text import Function, Operand
from graphc.ir.dims import Dim, ceildiv

CONTEXT = ("buffers", "sizes", "member", "first_row", "first_column")
"""What a tile's function finds in its context, before the counts of the batch and the numbers that `start`
computes.
"""


def declarations(kernel: Kernel, target: Target) -> tuple[str, ...]:
    """The library's functions that the kernel calls."""
    found = dict.fromkeys((p.dtype.name, _driver(p)) for p in kernel.parts if isinstance(p, Product))
    return tuple(
        f"declare void @{driver}_{dtype}({_types(_ARGUMENTS[driver](register(dtype, target)))})"
        for dtype, driver in found
    )


_ARGUMENTS = {"product": arguments, "convolve": convolve_arguments, "correlate": correlate_arguments}


def _driver(part: Product) -> str:
    """The function of the library that computes a product."""
    if isinstance(part.a, Matrix):
        return "product"
    return "correlate" if part.a.transposed else "convolve"


def _types(parameters: str) -> str:
    return ", ".join(part.split(" %")[0] for part in parameters.split(", "))


def product_scratch(part: Product, target: Target) -> Dim:
    """Bytes for packed operands, and for a row of zeros where the product begins with nothing."""
    return _packed_bytes(part, target) + (_zeros_bytes(part) if part.init is None else 0)


def _packed_bytes(part: Product, target: Target) -> int:
    count = product_scratch_bytes if isinstance(part.a, Matrix) else windows_scratch_bytes
    return count(part.dtype.name, target)


def _zeros_bytes(part: Product) -> Dim:
    return ceildiv(part.n * part.dtype.itemsize, ALIGNMENT) * ALIGNMENT + ALIGNMENT


def emit_product(frame: Frame, part: Product, number: int) -> list[str]:
    """Write the calls of a product; the text of the functions that it needs. Each member does its share: of
    the batch if that is long enough, else of the rows or the columns, whichever there are more of, since each
    member packs all of the other operand. K is never divided, so every element is the same sum.
    """
    return _Writer(frame, part, f"{frame.kernel.name}.tile{number}").write()


class _Writer:
    def __init__(self, frame: Frame, part: Product, hook: str) -> None:
        self.frame, self.part, self.hook, self.f = frame, part, hook, frame.f
        self.t = Element(part.dtype.name, 1)
        # Dear ones (a power, a division) are computed once, not for each tile.
        self.numbers = [i for i in part.start if isinstance(i, (Load, Compute))]

    def write(self) -> list[str]:
        f, p = self.f, self.part
        m, n = self.frame.size(p.m), self.frame.size(p.n)
        each_batch, by_rows = self._ways(m, n)
        one = f.select("i64", each_batch, 1, "%count")
        rows = f.select("i64", by_rows, one, 1)
        columns = f.select("i64", by_rows, 1, one)
        self.row, self.rows = self._range(m, rows, 1)
        self.column, self.columns = self._range(n, columns, ALIGNMENT // self.t.size)
        self.zeros = self._zeros() if p.init is None else ""
        context = self._context() if p.tile is not None else "null"
        with f.when(f.both(f.less(0, self.rows), f.less(0, self.columns))):
            self._batch(0, Body(self.frame), context, f.select("i64", each_batch, "%count", 1))
        return [self._hook_text()] if p.tile is not None else []

    def _ways(self, m: Operand, n: Operand) -> tuple[str, str]:
        """Whether members divide the batch, and if not, whether they divide the rows."""
        f = self.f
        whole = _driver(self.part) == "correlate"  # which cuts its rows by taps
        by_rows = "false" if whole else f(f"icmp sgt i64 {m}, {n}")
        if not self.part.batch:
            return "false", by_rows
        length = self.frame.size(self.part.batch[0].extent)
        return f(f"icmp sge i64 {length}, {f.mul('%count', 2)}"), by_rows

    def _range(self, n: Operand, count: Operand, unit: int) -> tuple[Operand, Operand]:
        """Start and length of this member's share among `count`, in whole units: all of it if that is 1."""
        f = self.f
        units = f.ceildiv(n, unit) if unit > 1 else n
        each = f.mul(f.ceildiv(units, count), unit)
        mine = f.select("i64", f.equal(count, 1), 0, "%member")
        low = f.minimum(f.mul(mine, each), n)
        return low, f.sub(f.minimum(f.add(low, each), n), low)

    def _packed(self) -> str:
        """The place of packed operands: behind the member's temporaries."""
        total = total_bytes(self.frame.kernel.own_temporaries)
        return self.f.at("i8", self.frame.pointer(OWN), self.frame.size(total))

    def _zeros(self) -> str:
        """A row of zeros, behind the packed operands."""
        packed = _packed_bytes(self.part, self.frame.target)
        zeros = self.f.at("i8", self._packed(), packed)
        size = self.f.mul(self.frame.size(self.part.n), self.t.size)
        self.f.do(f"call void @llvm.memset.p0.i64(ptr align 64 {zeros}, i8 0, i64 {size}, i1 false)")
        return zeros

    # -- the calls -------------------------------------------------------------------------------------------
    def _batch(self, depth: int, body: Body, context: str, count: Operand) -> None:
        """The loops of the batch, the first of which is divided among `count` members."""
        if depth == len(self.part.batch):
            self._call(body, context)
            return
        axis = self.part.batch[depth]
        low, length = self._range(self.frame.size(axis.extent), count, 1)
        with self.f.loop(low, self.f.add(low, length), 1) as loop:
            if context != "null":
                self.f.store("i64", loop.i, self.f.at("i64", context, len(CONTEXT) + depth))
            self._batch(depth + 1, body.inside(counts={axis.name: loop.i}), context, 1)

    def _call(self, body: Body, context: str) -> None:
        p, f, t = self.part, self.f, self.t
        body = body.inside()
        body.run(p.start)
        if context != "null":
            for i, number in enumerate(self.numbers):
                value = body.values[number.result].parts[0]
                f.vstore(Element(number.dtype.name, 1), value, self._number(f, context, i))
        init, init_row = self._init(body)
        alpha = body.values[p.alpha].parts[0] if p.alpha is not None else const(t, 1.0)
        floor = const(t, float("-inf") if p.floor is None else p.floor)
        driver = _driver(p)
        hooks = [f"ptr @{self.hook}, ptr {context}" if context != "null" else "ptr null, ptr null"]
        hooks += [] if driver == "convolve" else ["ptr null, ptr null"]
        f.do(
            f"call void @{driver}_{p.dtype}({self._operands(driver, body)}, "
            f"ptr {init}, i64 {init_row}, {t.name} {alpha}, {t.name} {floor}, ptr {self._packed()}, "
            f"{', '.join(hooks)})"
        )

    def _operands(self, driver: str, body: Body) -> str:
        """What is multiplied, the result, and the sizes."""
        p, f, t, size = self.part, self.f, self.t, self.frame.size
        a, b, c = (self._start(m, body) for m in (p.a, p.b, p.c))
        b = f.at(t.name, b, f.mul(self.column, size(p.b.column)))
        c = f.at(t.name, c, f.add(f.mul(self.row, size(p.c.row)), self.column))
        right = f"ptr {b}, i64 {size(p.b.row)}, i64 {size(p.b.column)}"
        result = f"ptr {c}, i64 {size(p.c.row)}"
        if isinstance(p.a, Matrix):
            a = f.at(t.name, a, f.mul(self.row, size(p.a.row)))
            left = f"ptr {a}, i64 {size(p.a.row)}, i64 {size(p.a.column)}"
            return f"{left}, {right}, {result}, i64 {self.rows}, i64 {self.columns}, i64 {size(p.k)}"
        left = f"ptr {self._geometry(p.a)}, ptr {a}"
        if driver == "correlate":
            return f"{left}, {right}, {result}, i64 {self.columns}, i64 {size(p.k)}"
        right += f", i64 {size(p.a.tap)}"
        return f"{left}, {right}, {result}, i64 {self.row}, i64 {self.rows}, i64 {self.columns}"

    def _geometry(self, windows: Windows) -> str:
        """The table of the windows' places on the stack."""
        numbers = [self.frame.size(d) for d in windows.geometry]
        with self.frame.start():
            table = self.f(f"alloca [{len(numbers)} x i64], align 8")
        for i, number in enumerate(numbers):
            self.f.store("i64", str(number), self.f.at("i64", table, i))
        return table

    def _start(self, m: Matrix | Windows, body: Body) -> str:
        return self.f.at(self.t.name, self.frame.pointer(m.buffer), body.place(m.offset))

    def _init(self, body: Body) -> tuple[str, Operand]:
        init = self.part.init
        if init is None:
            return self.zeros, 0
        row = self.frame.size(init.row)
        first = self.f.add(self.f.mul(self.row, row), self.column)
        return self.f.at(self.t.name, self._start(init, body), first), row

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
