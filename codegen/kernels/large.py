"""The driver for products of many rows and columns: A packed tightly, B packed while the first tiles read it.

    jb  N in blocks of nc                            C: a column block
     pc  K in balanced blocks of at most kc
      ic  M in blocks of mc                          A block, packed here: mc x kc, stays in L2
       jc  panels of `vectors` vectors               B panel, kc x width, stays in L1; packed with the first
       block of A
        ir  balanced tiles of at most `rows` rows    A tile from L2
         k   the microkernel

A whole panel whose rows are contiguous is not packed beforehand: the microkernel of its first tile stores
what it loads. Where one block of A holds all rows, each panel is used once, and all panels share one place
in L1.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.kernels.cuts import Cut, balanced, piece
from graphc.codegen.kernels.packers import call_pack_b, tile_slot
from graphc.codegen.kernels.product import Block, arguments, k_block, k_blocks, see_panel, see_tile
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.tiles import COPY, EDGE, FULL, Tile, call_tile, table_name
from graphc.codegen.text import Function


@dataclass(frozen=True)
class Rows:
    """A block of M: where it starts, its tiles, and whether it is the first one."""

    start: str
    tiles: Cut
    first: str
    packed: str


@dataclass(frozen=True)
class Panel:
    """A panel of B: its first column, its vectors, its columns, where it lies and where its packed form
    does.
    """

    column: str
    nrv: str
    n: str
    source: str
    slot: str
    whole: str
    copy_now: str


def large_driver(s: Strategy) -> str:
    """The loops jb, pc, ic; see the module."""
    t = s.t
    f = Function(f"product_large_{t.dtype}", arguments(t), linkage="internal")
    packed_b = f.at(t.name, "%scratch", s.a_elements)
    blocks = k_blocks(f, s)
    row_blocks = balanced(f, "%m", s.mc)
    many = f(f"icmp sgt i64 {row_blocks.count}, 1")
    with f.loop(0, "%n", s.nc) as jb:
        columns = f.minimum(f.sub("%n", jb.i), s.nc)
        with f.loop(0, blocks.count, 1) as pc:
            block = k_block(f, t, pc.i, blocks)
            with f.loop(0, row_blocks.count, 1) as ic:
                rows = _pack_rows(f, s, block, ic.i, row_blocks)
                panels = balanced(f, f.ceildiv(columns, t.lanes), s.vectors)
                with f.loop(0, panels.count, 1) as jc:
                    panel = _panel(f, s, block, (jb.i, columns), piece(f, jc.i, panels), packed_b, many, rows)
                    _tiles(f, s, block, rows, panel)
    return f.text()


def _pack_rows(f: Function, s: Strategy, block: Block, i: str, cut: Cut) -> Rows:
    start, length = piece(f, i, cut)
    a = f.at(s.t.name, "%a", f.add(f.mul(start, "%a_row"), f.mul(block.start, "%a_col")))
    operands = f"ptr %scratch, i64 {length}, i64 {block.length}"
    f.do(f"call void @pack_a_{s.t.dtype}(ptr {a}, i64 %a_row, i64 %a_col, {operands})")
    return Rows(start, balanced(f, length, s.rows), f.equal(i, 0), "%scratch")


def _panel(
    f: Function,
    s: Strategy,
    block: Block,
    columns: tuple[str, str],
    vectors: tuple[str, str],
    packed_b: str,
    many: str,
    rows: Rows,
) -> Panel:
    """Find a panel, show it to on_panel, and pack it if the first tile cannot."""
    t, nrv = s.t, vectors[1]
    inner, width = f.mul(vectors[0], t.lanes), f.mul(nrv, t.lanes)
    column, n = f.add(columns[0], inner), f.minimum(width, f.sub(columns[1], inner))
    source = f.at(t.name, "%b", f.add(f.mul(block.start, "%b_row"), f.mul(column, "%b_col")))
    slot = f.at(t.name, packed_b, f.select("i64", many, f.mul(inner, block.length), 0))
    whole, along = f.equal(n, width), f.equal("%b_col", 1)
    by_tile = f.both(whole, along)
    with f.when(f.both(rows.first, f.negate(by_tile))):
        call_pack_b(f, s, source, slot, width, n, block.length)
    b, b_row = f.select("ptr", by_tile, source, slot), f.select("i64", by_tile, "%b_row", width)
    see_panel(f, rows.first, b, b_row, block, column, n)
    return Panel(column, nrv, n, source, slot, whole, f.both(rows.first, by_tile))


def _tiles(f: Function, s: Strategy, block: Block, rows: Rows, panel: Panel) -> None:
    t = s.t
    rest = f.select("ptr", panel.whole, f"@{table_name(FULL, t)}", f"@{table_name(EDGE, t)}")
    with f.loop(0, rows.tiles.count, 1) as ir:
        inner, mr = piece(f, ir.i, rows.tiles)
        row = f.add(rows.start, inner)
        copying = f.both(panel.copy_now, f.equal(ir.i, 0))
        kernels = f.select("ptr", copying, f"@{table_name(COPY, t)}", rest)
        a = f.at(t.name, rows.packed, tile_slot(f, s, ir.i, block.length))
        b = f.select("ptr", copying, panel.source, panel.slot)
        c = f.at(t.name, "%c", f.add(panel.column, f.mul(row, "%c_row")))
        init = f.at(t.name, block.init, f.add(panel.column, f.mul(row, block.init_row)))
        tile = Tile(
            a,
            0,
            0,
            b,
            "%b_row",
            panel.slot,
            c,
            "%c_row",
            panel.n,
            block.length,
            init,
            block.init_row,
            block.floor,
        )
        call_tile(f, s, (kernels, [FULL, EDGE, COPY]), panel.nrv, mr, tile)
        see_tile(f, block, c, row, panel.column, mr, panel.n)
