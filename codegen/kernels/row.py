"""The driver for one row: c = a @ B at the speed of memory.

    jb  N in blocks of `row_run` columns       sums in L1
     pc  K blocks
      kk  ROWS rows of B at a time              their factors in registers, one pass over the sums

As elsewhere each sum is over increasing k, one multiply-add after the other.
"""

from __future__ import annotations

from graphc.codegen.element import Element
from graphc.codegen.kernels.product import Block, arguments, k_block, k_blocks, see_panel
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.stream import finish_block
from graphc.codegen.text import Function

ROWS = 8

_ARGUMENTS = "ptr noalias %a, i64 %a_col, ptr noalias %b, i64 %b_row, ptr noalias %sums, i64 %n"


def add_rows(t: Element, count: int) -> str:
    """sums[n] += a[count] @ b[count, n]."""
    f = Function(f"add_rows_{t.dtype}_{count}", _ARGUMENTS, linkage="internal")
    factors = [f.load(t.name, f.at(t.name, "%a", f.mul("%a_col", i)), t.size) for i in range(count)]
    rows = [f.at(t.name, "%b", f.mul("%b_row", i)) for i in range(count)]
    pair = t.with_lanes(2 * t.lanes)
    wide = [f.broadcast(pair, x) for x in factors]

    def body(i: str, lanes: int, mask: str | None, values: list[str]) -> list[str]:
        place = f.at(t.name, "%sums", i)
        total = f.vload(pair, place)
        for factor, row in zip(wide, rows):
            total = f.fma(pair, factor, f.vload(pair, f.at(t.name, row, i), mask), total)
        f.vstore(pair, total, place)
        return []

    f.vector_loop("%n", pair.lanes, body, masked=True)
    return f.text()


def row_driver(s: Strategy) -> str:
    """The loops jb, pc, kk; see the module."""
    t = s.t
    f = Function(f"product_row_{t.dtype}", arguments(t), linkage="dso_local")
    blocks = k_blocks(f, s)
    with f.loop(0, "%n", s.row_run) as jb:
        n = f.minimum(f.sub("%n", jb.i), s.row_run)
        with f.loop(0, blocks.count, 1) as pc:
            block = k_block(f, t, pc.i, blocks)
            b = f.at(t.name, "%b", f.add(f.mul(block.start, "%b_row"), jb.i))
            see_panel(f, "true", b, "%b_row", block, jb.i, n)
            f.do(f"call void @llvm.memset.p0.i64(ptr %scratch, i8 0, i64 {s.row_run * t.size}, i1 false)")
            _add_block(f, s, block, b, n)
            finish_block(f, s, block, jb.i, n)
    return f.text()


def _add_block(f: Function, s: Strategy, block: Block, b: str, n: str) -> None:
    t = s.t
    a = f.at(t.name, "%a", f.mul(block.start, "%a_col"))
    whole = f(f"and i64 {block.length}, {-ROWS}")
    for start, stop, count in (("0", whole, ROWS), (whole, block.length, 1)):
        with f.loop(start, stop, count) as kk:
            where = [f.at(t.name, p, f.mul(kk.i, stride)) for p, stride in ((a, "%a_col"), (b, "%b_row"))]
            operands = f"ptr {where[0]}, i64 %a_col, ptr {where[1]}, i64 %b_row, ptr %scratch, i64 {n}"
            f.do(f"call void @add_rows_{t.dtype}_{count}({operands})")
