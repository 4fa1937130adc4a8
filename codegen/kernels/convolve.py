"""The driver for products whose A is the windows of images: c = max(init + alpha * windows @ b, floor),
without a matrix of windows.

    @convolve_f32(geometry, x, b, b_row, b_col, b_tap, c, c_row, first, rows, n, init, init_row, alpha, floor,
                  scratch, on_tile, tile_context)

Row r of c belongs to window first + r. Element (k, j) of b's block for tap t is b[t * b_tap + k * b_row + j *
b_col]. The rest is as in `product.py`.

    jb  N in blocks of nc
     pc  K: taps, and channels of a tap,        B packed here, kc x nc, or by the first tile of each panel
         in balanced blocks of at most kc
      ic  windows in blocks of mc                 a table of where their taps are (`pixels.py`)
       jc  panels of `vectors` vectors            B panel, kc x width, stays in L1
        ir  tiles of windows
         k   the microkernel walks along the taps' channels where they are

Where a pixel has few channels, a block's windows are copied side by side instead, and walked along in one
go.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.element import Element, const
from graphc.codegen.kernels.cuts import Cut, balanced, piece
from graphc.codegen.kernels.geometry import Geometry, read_geometry
from graphc.codegen.kernels.packers import call_pack_b
from graphc.codegen.kernels.pixels import are_joined
from graphc.codegen.kernels.product import Block, see_tile, worth_fetching
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.tiles import (
    AHEAD,
    WALK,
    WALK_COPY,
    Tile,
    call_tile,
    find_kernel,
    new_parameters,
    set_parameters,
)
from graphc.codegen.text import Function, Operand

_ARGUMENTS = (
    "ptr noalias %geometry, ptr noalias %x, ptr noalias %b, i64 %b_row, i64 %b_col, i64 %b_tap, ptr %c, "
    "i64 %c_row, i64 %first, i64 %rows, i64 %n, ptr %init, i64 %init_row, {T} %alpha, {T} %floor, "
    "ptr noalias %scratch, ptr %on_tile, ptr %tile_context"
)


def convolve_arguments(t: Element) -> str:
    """The parameters of the driver for that element type."""
    return _ARGUMENTS.format(T=t.name)


@dataclass(frozen=True)
class Scratch:
    """The parts of scratch memory: packed B, places of taps, the table, windows side by side."""

    b: str
    places: str
    table: str
    windows: str


@dataclass(frozen=True)
class Taps:
    """A block of K: taps and the channels of them, and what a tile begins and ends with in it."""

    tap: str
    taps: str
    channel: str
    channels: str
    block: Block


@dataclass(frozen=True)
class Cuts:
    """How K is cut: blocks of taps (whole lines of a window where `few` says that channels are few; `joined`:
    these lie in one run), and blocks of channels.
    """

    few: str
    joined: str
    unit: str
    taps: Cut
    channels: Cut


def convolve(s: Strategy) -> str:
    """The loops jb, pc, ic; see the module."""
    t = s.t
    f = Function(f"convolve_{t.dtype}", convolve_arguments(t))
    parameters = _parameters(f, t)
    g = read_geometry(f)
    cuts = _cuts(f, s, g)
    dense = f.equal("%b_tap", f.mul(g["channels"], "%b_row"))
    scratch = _scratch(f, s)
    row_blocks = balanced(f, "%rows", s.mc)
    with f.loop(0, "%n", s.nc) as jb:
        columns = f.minimum(f.sub("%n", jb.i), s.nc)
        panels = balanced(f, f.ceildiv(columns, t.lanes), s.vectors)
        with f.loop(0, cuts.taps.count, 1) as tb, f.loop(0, cuts.channels.count, 1) as cb:
            taps = _block(f, s, cuts, tb.i, cb.i)
            for table in parameters:
                set_parameters(f, t, table, _walked(f, cuts, taps))
            which = f"ptr %geometry, i64 {taps.tap}, i64 {taps.taps}, ptr {scratch.places}"
            f.do(f"call void @find_taps_{t.dtype}({which})")
            first = _first_tile(f, s, row_blocks)
            by_tile = f.both(f.equal("%b_col", 1), f.either(f.equal(taps.taps, 1), dense))
            with f.loop(0, panels.count, 1) as jc:
                panel = _panel(f, s, taps, (jb.i, columns), piece(f, jc.i, panels), (by_tile, first), scratch)
                with f.when(f.negate(panel.by_tile)):
                    _pack(f, s, taps, panel)
            with f.loop(0, row_blocks.count, 1) as ic:
                rows = piece(f, ic.i, row_blocks)
                _find(f, s, cuts, taps, (f.add("%first", rows[0]), rows[1]), scratch)
                fresh = f.both(by_tile, f.equal(ic.i, 0))
                with f.loop(0, panels.count, 1) as jc:
                    vectors = piece(f, jc.i, panels)
                    panel = _panel(f, s, taps, (jb.i, columns), vectors, (fresh, first), scratch)
                    _tiles(f, s, cuts, taps, rows, panel, scratch.table, parameters)
    return f.text()


def _parameters(f: Function, t: Element) -> tuple[str, str]:
    """Those of tiles whose B is packed, and those of the tiles that pack it."""
    both: dict[str, Operand] = {"c_row": "%c_row", "alpha": "%alpha", "start_row": 0}
    copying: dict[str, Operand] = {"b_row": "%b_row", "ahead": f.mul("%b_row", AHEAD)}
    return new_parameters(f, t, both), new_parameters(f, t, both | copying)


def _first_tile(f: Function, s: Strategy, row_blocks: Cut) -> str:
    """The rows of the first tile."""
    _, rows = piece(f, "0", row_blocks)
    return piece(f, "0", balanced(f, rows, s.rows))[1]


def _scratch(f: Function, s: Strategy) -> Scratch:
    """The largest part is last; the table's pointers need 8 bytes each."""
    places = f.at("i8", "%scratch", s.b_elements * s.t.size)
    table = f.at("i64", places, 3 * s.places)
    return Scratch("%scratch", places, table, f.at("i8", table, s.table_bytes))


def _cuts(f: Function, s: Strategy, g: Geometry) -> Cuts:
    line = f.mul(g["taps_wide"], g["channels"])
    few = f.both(f.less(g["channels"], s.few_channels), f(f"icmp sle i64 {line}, {s.kc}"))
    length = f.select("i64", few, line, g["channels"])
    units = f.select("i64", few, g["taps_high"], f.mul(g["taps_high"], g["taps_wide"]))
    most = f.maximum(f.udiv(s.kc, f.maximum(length, 1)), 1)
    most = f.minimum(most, s.most_taps)
    channels = balanced(f, g["channels"], s.kc)
    channels = Cut(f.maximum(channels.count, 1), channels.size, channels.larger)
    unit = f.select("i64", few, g["taps_wide"], 1)
    joined = are_joined(f, g, "0", unit, g["channels"])
    return Cuts(few, joined, unit, balanced(f, units, most), channels)


def _block(f: Function, s: Strategy, cuts: Cuts, tb: str, cb: str) -> Taps:
    start, count = piece(f, tb, cuts.taps)
    channel, channels = piece(f, cb, cuts.channels)
    ends = [f.sub(cut.count, 1) for cut in (cuts.taps, cuts.channels)]
    first = f.both(f.equal(tb, 0), f.equal(cb, 0))
    last = f.both(f.equal(tb, ends[0]), f.equal(cb, ends[1]))
    taps = f.mul(count, cuts.unit)
    block = Block(
        "0",
        f.mul(taps, channels),
        f.select("ptr", first, "%init", "%c"),
        f.select("i64", first, "%init_row", "%c_row"),
        f.select(s.t.name, last, "%floor", const(s.t, float("-inf"))),
        f.both(last, f("icmp ne ptr %tile_context, null")),
    )
    return Taps(f.mul(start, cuts.unit), taps, channel, channels, block)


def _walked(f: Function, cuts: Cuts, taps: Taps) -> dict[str, Operand]:
    """The parameters of a block's tiles."""
    return {
        **taps.block.parameters,
        "k": f.select("i64", cuts.few, taps.block.length, taps.channels),
        "taps": f.select("i64", cuts.few, 1, taps.taps),
    }


@dataclass(frozen=True)
class Panel:
    """A panel of B: its first column, vectors and columns, where its block of K is and where the packed form
    of that, whether the first tile packs it (with which microkernel), and where the next one is.
    """

    column: str
    nrv: str
    n: str
    source: str
    slot: str
    whole: str
    by_tile: str
    copy: str
    next: str


def _panel(
    f: Function,
    s: Strategy,
    taps: Taps,
    columns: tuple[str, str],
    vectors: tuple[str, str],
    first: tuple[str, str],
    scratch: Scratch,
) -> Panel:
    """`first`: whether the first tile may pack panels, and its rows."""
    t, nrv = s.t, vectors[1]
    inner, width = f.mul(vectors[0], t.lanes), f.mul(nrv, t.lanes)
    column, n = f.add(columns[0], inner), f.minimum(width, f.sub(columns[1], inner))
    slot = f.at(t.name, scratch.b, f.mul(inner, taps.block.length))
    start = f.add(f.mul(taps.channel, "%b_row"), f.mul(column, "%b_col"))
    source = f.at(t.name, "%b", f.add(start, f.mul(taps.tap, "%b_tap")))
    copy, whole = find_kernel(f, s, WALK_COPY, nrv, first[1]), f.equal(n, width)
    by_tile = f.both(f.both(first[0], whole), f(f"icmp ne ptr {copy}, null"))
    ends = f.less(f.add(inner, width), columns[1])
    after = f.sub(f.mul(taps.block.length, "%b_row"), inner)
    following = f.at(t.name, source, f.select("i64", ends, width, after))
    return Panel(column, nrv, n, source, slot, whole, by_tile, copy, following)


def _pack(f: Function, s: Strategy, taps: Taps, panel: Panel) -> None:
    """A panel of B for a block of K, tap by tap."""
    t, width = s.t, f.mul(panel.nrv, s.t.lanes)
    with f.loop(0, taps.taps, 1) as l:
        here = f.at(t.name, panel.source, f.mul(l.i, "%b_tap"))
        out = f.at(t.name, panel.slot, f.mul(l.i, f.mul(taps.channels, width)))
        call_pack_b(f, s, here, out, width, panel.n, taps.channels)


def _find(f: Function, s: Strategy, cuts: Cuts, taps: Taps, rows: tuple[str, str], scratch: Scratch) -> None:
    """The table of a block of windows."""
    t = s.t
    which = f"ptr %geometry, ptr %x, i64 {rows[0]}, i64 {rows[1]}, ptr {scratch.places}, i64 {taps.taps}"
    with f.when(f.negate(cuts.few)):
        f.do(f"call void @point_at_{t.dtype}({which}, i64 {taps.channel}, ptr {scratch.table})")
    with f.when(cuts.few):
        rest = f"i64 0, i64 {taps.channels}, i1 {cuts.joined}, ptr {scratch.windows}"
        f.do(f"call void @gather_{t.dtype}({which}, {rest})")
        tiles = balanced(f, rows[1], s.rows)
        with f.loop(0, tiles.count, 1) as tile:
            start, count = piece(f, tile.i, tiles)
            table = f.at("ptr", scratch.table, f.mul(tile.i, s.rows))
            with f.loop(0, count, 1) as row:
                place = f.at(t.name, scratch.windows, f.mul(f.add(start, row.i), taps.block.length))
                f.store("ptr", place, f.at("ptr", table, row.i))


def _tiles(
    f: Function,
    s: Strategy,
    cuts: Cuts,
    taps: Taps,
    rows: tuple[str, str],
    panel: Panel,
    table: str,
    parameters: tuple[str, str],
) -> None:
    """The loop ir."""
    t, block = s.t, taps.block
    tiles = balanced(f, rows[1], s.rows)
    pitch = f.mul(f.select("i64", cuts.few, 1, taps.taps), s.rows)
    fetch = f.both(panel.by_tile, worth_fetching(f, s, tiles.count, block.length, "%n"))
    with f.loop(0, tiles.count, 1) as ir:
        start, mr = piece(f, ir.i, tiles)
        row = f.add(rows[0], start)
        copying = f.both(panel.by_tile, f.equal(ir.i, 0))
        tile = Tile(
            f.at("ptr", table, f.mul(ir.i, pitch)),
            f.select("ptr", copying, panel.source, panel.slot),
            c := f.at(t.name, "%c", f.add(panel.column, f.mul(row, "%c_row"))),
            f.at(t.name, block.init, f.add(panel.column, f.mul(row, block.init_row))),
            f.select("ptr", copying, panel.slot, f"@zeros_{t.dtype}"),
            panel.n,
        )
        kernel = f.select("ptr", copying, panel.copy, find_kernel(f, s, WALK, panel.nrv, mr))
        given = f.select("ptr", copying, parameters[1], parameters[0])
        with f.when(fetch):
            which = f"i64 {block.length}, i64 {ir.i}, i64 {tiles.count}"
            f.do(f"call void @fetch_rows_{t.dtype}(ptr {panel.next}, i64 %b_row, {which})")
        call_tile(f, s, kernel, (mr, panel.whole), tile, given)
        see_tile(f, block, c, row, panel.column, mr, panel.n)
