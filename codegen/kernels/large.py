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

import functools
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
    FETCH,
    FULL,
    ROWS,
    Tile,
    call_tile,
    find_kernel,
    find_or_any,
    new_parameters,
    set_parameters,
)
from graphc.codegen.text import Function, Operand

PAGE = 4096  # rows so many bytes apart have the same lines of L1
LEAST = 64  # terms of a sum up to which a copy of A takes less than the beginnings of tiles in place


@dataclass(frozen=True)
class Left:
    """A block of A: its first row, its rows, and, if all but its first tile may be in place, where it is and
    whether they are.
    """

    start: str
    length: str
    source: str = ""
    in_place: str = "false"


@dataclass(frozen=True)
class Rows:
    """A block of M, its tiles, and whether it is the first one."""

    left: Left
    tiles: Cut
    first: str


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
    write_loops(f, s, cut.count, functools.partial(_pack_rows, f, s, cut), parameters)
    return f.text()


def write_loops(
    f: Function,
    s: Strategy,
    row_blocks: str,
    pack: Callable[[Block, str, str], Left],
    parameters: tuple[str, str],
) -> None:
    """The loops jb, pc, ic; `pack` packs a block of A for so many columns."""
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
                left = pack(block, ic.i, columns)
                rows = Rows(left, balanced(f, left.length, s.rows), f.equal(ic.i, 0))
                panels = balanced(f, f.ceildiv(columns, t.lanes), s.vectors)
                with f.loop(0, panels.count, 1) as jc:
                    vectors = piece(f, jc.i, panels)
                    panel = _panel(f, s, block, (jb.i, columns), vectors, (packed_b, many), rows, parameters)
                    _tiles(f, s, block, rows, panel)


def tile_parameters(f: Function, t: Element) -> tuple[str, str]:
    """Those of tiles with packed operands, and those of the tiles that pack B."""
    both: dict[str, Operand] = {"c_row": "%c_row", "alpha": "%alpha"}
    packed = new_parameters(f, t, {"start_row": 0, **both})
    return packed, new_parameters(f, t, {"b_row": "%b_row", "ahead": f.mul("%b_row", AHEAD), **both})


def _pack_rows(f: Function, s: Strategy, cut: Cut, block: Block, i: str, columns: str) -> Left:
    """Pack a block of A, or its first tile alone where the rest is better read in place: rows are contiguous,
    do not all lie in the same lines of L1, and are read for so few panels that a copy takes longer.
    """
    t, (start, length) = s.t, piece(f, i, cut)
    source = f.at(t.name, "%a", f.add(f.mul(start, "%a_row"), f.mul(block.start, "%a_col")))
    apart = f(f"icmp ne i64 {f(f'and i64 %a_row, {PAGE // t.size - 1}')}, 0")
    few = f(f"icmp sle i64 {columns}, {s.few_columns}")
    worth = f.both(few, f.less(LEAST, block.length))
    in_place = f.both(f.equal("%a_col", 1), f.both(apart, worth))
    first = piece(f, "0", balanced(f, length, s.rows))[1]
    rows = f.select("i64", in_place, first, length)
    operands = f"ptr %scratch, i64 {rows}, i64 {block.length}"
    f.do(f"call void @pack_a_{t.dtype}(ptr {source}, i64 %a_row, i64 %a_col, {operands})")
    return Left(start, length, source, in_place)


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
    """The first tile, which may pack B, is not in place. Tiles have two sizes: what depends on them is found
    before the loop, which has no branch for them.
    """
    t, tiles, left = s.t, rows.tiles, rows.left
    packed, packing = panel.parameters
    sizes = (f.minimum(f.add(tiles.size, 1), s.rows), tiles.size)
    firsts, others, fetchers = zip(*(_kernels(f, s, left, panel.nrv, mr) for mr in sizes))
    fetch = f.both(panel.copy_now, worth_fetching(f, s, tiles.count, block.length, "%n"))
    set_parameters(f, t, packed, {"vectors": panel.nrv, "next": panel.slot, "next_row": 0})
    slot = tile_slot(f, s, "1", block.length)
    c = f.at(t.name, "%c", f.add(panel.column, f.mul(left.start, "%c_row")))
    init = f.at(t.name, block.init, f.add(panel.column, f.mul(left.start, block.init_row)))
    carry = [("i64", "0"), ("ptr", "%scratch"), ("ptr", c), ("ptr", init)]
    with f.loop(0, tiles.count, 1, carry) as ir:
        inner, a, c, init = ir.values
        large, behind = f.less(ir.i, tiles.larger), f.less(0, ir.i)
        mr, first, other, fetcher = (
            f.select(kind, large, *pair)
            for kind, pair in zip(("i64", "ptr", "ptr", "ptr"), (sizes, firsts, others, fetchers))
        )
        with f.when(fetch, [("ptr", other)]) as ahead:
            fetching = f.both(behind, f.less(ir.i, 1 + FETCH.unroll))
            _look_ahead(f, t, block, panel, ir.i, fetching)
            ahead.next = [f.select("ptr", fetching, fetcher, other)]
        copying = f.both(panel.copy_now, f.negate(behind))
        kernel = f.select("ptr", behind, ahead.results[0], f.select("ptr", copying, panel.copy, first))
        place, given = _place(f, t, left, (inner, mr, a), behind)
        set_parameters(f, t, packed, given)
        b = f.select("ptr", copying, panel.source, panel.slot)
        extra = f.select("ptr", copying, panel.slot, f"@zeros_{t.dtype}")
        parameters = f.select("ptr", copying, packing, packed)
        call_tile(f, s, kernel, (mr, panel.whole), Tile(place, b, c, init, extra, panel.n), parameters)
        see_tile(f, block, c, f.add(left.start, inner), panel.column, mr, panel.n)
        steps = zip((a, c, init), (slot, f.mul(mr, "%c_row"), f.mul(mr, block.init_row)))
        ir.next = [f.add(inner, mr), *(f.at(t.name, x, step) for x, step in steps)]


def _place(
    f: Function, t: Element, left: Left, tile: tuple[str, str, str], behind: str
) -> tuple[str, dict[str, Operand]]:
    """Where the A of a tile is, which has a first row of the block, so many rows, and a place for its packed
    form; what the tile is told of it.
    """
    inner, mr, a = tile
    strides: tuple[Operand, Operand] = (1, mr)
    if left.source:
        in_place = f.both(left.in_place, behind)
        a = f.select("ptr", in_place, f.at(t.name, left.source, f.mul(inner, "%a_row")), a)
        strides = f.select("i64", in_place, "%a_row", 1), f.select("i64", in_place, "%a_col", mr)
    return a, {"rows": mr, "a_row": strides[0], "a_col": strides[1]}


def _kernels(f: Function, s: Strategy, left: Left, nrv: str, mr: str) -> tuple[str, str, str]:
    """The microkernels of tiles of a size: the first, those behind it, those of them that fetch."""
    found = {kind: find_or_any(f, s, kind, nrv, mr) for kind in (FULL, FETCH)}
    if not left.source:
        return found[FULL], found[FULL], found[FETCH]
    along = find_or_any(f, s, ROWS, nrv, mr)
    later, soon = (f.select("ptr", left.in_place, along, found[kind]) for kind in (FULL, FETCH))
    return found[FULL], later, soon


def _look_ahead(f: Function, t: Element, block: Block, panel: Panel, tile: str, fetching: str) -> None:
    """What a tile fetches: behind the first, which packs this panel, as many tiles as a turn has steps share
    the rows of the next one.
    """
    share = f.mul(f.sub(tile, 1), f.udiv(block.length, FETCH.unroll))
    place = f.at(t.name, panel.next, f.mul(share, "%b_row"))
    given: dict[str, Operand] = {
        "next": f.select("ptr", fetching, place, panel.slot),
        "next_row": f.select("i64", fetching, "%b_row", 0),
    }
    set_parameters(f, t, panel.parameters[0], given)
