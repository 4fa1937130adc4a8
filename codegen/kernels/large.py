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

from collections.abc import Callable
from dataclasses import dataclass

from graphc.codegen.element import Element
from graphc.codegen.kernels.cuts import Cut, balanced, piece
from graphc.codegen.kernels.packers import call_pack_b, tile_slot
from graphc.codegen.kernels.product import (
    Block,
    arguments,
    k_block,
    k_blocks,
    see_panel,
    see_tile,
    worth_fetching,
)
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.tiles import (
    AHEAD,
    COPY,
    FULL,
    Tile,
    call_tile,
    find_kernel,
    find_or_any,
    new_parameters,
    set_parameters,
)
from graphc.codegen.text import Function, Operand


@dataclass(frozen=True)
class Rows:
    """A block of M: where it starts, its tiles, and whether it is the first one."""

    start: str
    tiles: Cut
    first: str
    packed: str


@dataclass(frozen=True)
class Panel:
    """A panel of B: its first column, its vectors, its columns, where it lies and where its packed form and
    the next panel do.
    """

    column: str
    nrv: str
    n: str
    source: str
    slot: str
    whole: str
    copy_now: str
    copy: str
    next: str
    parameters: tuple[str, str]


def large_driver(s: Strategy) -> str:
    """The product of two matrices; see the module."""
    f = Function(f"product_large_{s.t.dtype}", arguments(s.t), linkage="internal")
    parameters = tile_parameters(f, s.t)
    cut = balanced(f, "%m", s.mc)
    write_loops(f, s, cut.count, lambda block, i: _pack_rows(f, s, block, i, cut), parameters)
    return f.text()


def write_loops(
    f: Function,
    s: Strategy,
    row_blocks: str,
    pack: Callable[[Block, str], tuple[str, str]],
    parameters: tuple[str, str],
) -> None:
    """The loops jb, pc, ic; `pack` packs a block of A and gives its first row and their number."""
    t = s.t
    packed_b = f.at(t.name, "%scratch", s.a_elements)
    blocks = k_blocks(f, s)
    many = f(f"icmp sgt i64 {row_blocks}, 1")
    with f.loop(0, "%n", s.nc) as jb:
        columns = f.minimum(f.sub("%n", jb.i), s.nc)
        with f.loop(0, blocks.count, 1) as pc:
            block = k_block(f, t, pc.i, blocks)
            for table in parameters:
                set_parameters(f, t, table, block.parameters)
            with f.loop(0, row_blocks, 1) as ic:
                start, length = pack(block, ic.i)
                rows = Rows(start, balanced(f, length, s.rows), f.equal(ic.i, 0), "%scratch")
                panels = balanced(f, f.ceildiv(columns, t.lanes), s.vectors)
                with f.loop(0, panels.count, 1) as jc:
                    vectors = piece(f, jc.i, panels)
                    panel = _panel(f, s, block, (jb.i, columns), vectors, (packed_b, many), rows, parameters)
                    _tiles(f, s, block, rows, panel)


def tile_parameters(f: Function, t: Element) -> tuple[str, str]:
    """Those of tiles with packed operands, and those of the tiles that pack B."""
    both: dict[str, Operand] = {"c_row": "%c_row", "alpha": "%alpha"}
    packed = new_parameters(f, t, {"a_row": 1, "start_row": 0, **both})
    return packed, new_parameters(f, t, {"b_row": "%b_row", "ahead": f.mul("%b_row", AHEAD), **both})


def _pack_rows(f: Function, s: Strategy, block: Block, i: str, cut: Cut) -> tuple[str, str]:
    start, length = piece(f, i, cut)
    a = f.at(s.t.name, "%a", f.add(f.mul(start, "%a_row"), f.mul(block.start, "%a_col")))
    operands = f"ptr %scratch, i64 {length}, i64 {block.length}"
    f.do(f"call void @pack_a_{s.t.dtype}(ptr {a}, i64 %a_row, i64 %a_col, {operands})")
    return start, length


def _panel(
    f: Function,
    s: Strategy,
    block: Block,
    columns: tuple[str, str],
    vectors: tuple[str, str],
    packed: tuple[str, str],
    rows: Rows,
    parameters: tuple[str, str],
) -> Panel:
    """Find a panel, show it to on_panel, and pack it if the first tile cannot."""
    t, nrv = s.t, vectors[1]
    inner, width = f.mul(vectors[0], t.lanes), f.mul(nrv, t.lanes)
    column, n = f.add(columns[0], inner), f.minimum(width, f.sub(columns[1], inner))
    source = f.at(t.name, "%b", f.add(f.mul(block.start, "%b_row"), f.mul(column, "%b_col")))
    slot = f.at(t.name, packed[0], f.select("i64", packed[1], f.mul(inner, block.length), 0))
    whole, along = f.equal(n, width), f.equal("%b_col", 1)
    first = f.add(rows.tiles.size, f(f"zext i1 {f.less(0, rows.tiles.larger)} to i64"))
    copy = find_kernel(f, s, COPY, nrv, first)
    by_tile = f.both(f.both(whole, along), f(f"icmp ne ptr {copy}, null"))
    with f.when(f.both(rows.first, f.negate(by_tile))):
        call_pack_b(f, s, source, slot, width, n, block.length)
    b, b_row = f.select("ptr", by_tile, source, slot), f.select("i64", by_tile, "%b_row", width)
    see_panel(f, rows.first, b, b_row, block, column, n)
    set_parameters(f, t, parameters[0], {"b_row": width})
    ends = f.less(f.add(inner, width), columns[1])
    after = f.sub(f.mul(block.length, "%b_row"), inner)
    following = f.at(t.name, source, f.select("i64", ends, width, after))
    return Panel(
        column, nrv, n, source, slot, whole, f.both(rows.first, by_tile), copy, following, parameters
    )


def _tiles(f: Function, s: Strategy, block: Block, rows: Rows, panel: Panel) -> None:
    t = s.t
    fetch = f.both(panel.copy_now, worth_fetching(f, s, rows.tiles.count, block.length, "%n"))
    with f.loop(0, rows.tiles.count, 1) as ir:
        inner, mr = piece(f, ir.i, rows.tiles)
        row = f.add(rows.start, inner)
        copying = f.both(panel.copy_now, f.equal(ir.i, 0))
        packed = find_or_any(f, s, FULL, panel.nrv, mr, panel.parameters[0])
        kernel = f.select("ptr", copying, panel.copy, packed)
        parameters = f.select("ptr", copying, panel.parameters[1], panel.parameters[0])
        set_parameters(f, t, panel.parameters[0], {"a_col": mr})
        with f.when(fetch):
            which = f"i64 {block.length}, i64 {ir.i}, i64 {rows.tiles.count}"
            f.do(f"call void @fetch_rows_{t.dtype}(ptr {panel.next}, i64 %b_row, {which})")
        tile = Tile(
            f.at(t.name, rows.packed, tile_slot(f, s, ir.i, block.length)),
            f.select("ptr", copying, panel.source, panel.slot),
            c := f.at(t.name, "%c", f.add(panel.column, f.mul(row, "%c_row"))),
            f.at(t.name, block.init, f.add(panel.column, f.mul(row, block.init_row))),
            f.select("ptr", copying, panel.slot, f"@zeros_{t.dtype}"),
            panel.n,
        )
        call_tile(f, s, kernel, (mr, panel.whole), tile, parameters)
        see_tile(f, block, c, row, panel.column, mr, panel.n)
