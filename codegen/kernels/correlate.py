"""The driver for products whose A is the windows of images, transposed: c = max(init + alpha * windows^T @ b,
floor), without a matrix of windows. It gives the gradient of a convolution's kernel.

    @correlate_f32(geometry, x, b, b_row, b_col, c, c_row, first, tap, taps, n, k, init,
                   init_row, alpha, floor, scratch, on_tile, tile_context, on_panel, panel_context)

Row r of c belongs to a tap (`taps` of them from `tap` on) and a channel, row i of b to window first + i of k.
The loops are those of `large.py`; the rows of a block of A are channels of one tap, packed from where they
lie. Where a pixel has few channels they are whole taps: some windows at a time are copied side by side and
packed from there.
"""

from __future__ import annotations

from graphc.codegen.element import Element
from graphc.codegen.kernels.cuts import balanced, piece
from graphc.codegen.kernels.geometry import Corner, Window, corner, inside, read_geometry, tap_of, window_at
from graphc.codegen.kernels.large import Left, tile_parameters, write_loops
from graphc.codegen.kernels.packers import tile_slot
from graphc.codegen.kernels.pixels import are_joined
from graphc.codegen.kernels.product import Block
from graphc.codegen.kernels.runs import RunsPlan, scatter
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.text import Function

_ARGUMENTS = (
    "ptr noalias %geometry, ptr noalias %x, ptr noalias %b, i64 %b_row, i64 %b_col, ptr %c, i64 %c_row, "
    "i64 %first, i64 %tap, i64 %taps, i64 %n, i64 %k, ptr %init, i64 %init_row, {T} %alpha, {T} %floor, "
    "ptr noalias %scratch, ptr %on_tile, ptr %tile_context, ptr %on_panel, ptr %panel_context"
)
_PACK = (
    "ptr noalias %geometry, ptr noalias %x, i64 %first, i64 %count, i64 %tap, i64 %taps, i64 %channel, "
    "i64 %length, ptr noalias %places, ptr noalias %side, ptr noalias %out"
)

_PACK_TAP = (
    "ptr noalias %geometry, ptr noalias %x, ptr noalias %pixels, i64 %count, i64 %tap, i64 %channel, "
    "i64 %length, ptr noalias %out"
)


def correlate_arguments(t: Element) -> str:
    """The parameters of the driver for that element type."""
    return _ARGUMENTS.format(T=t.name)


def pack_windows(s: Strategy) -> str:
    """Windows first .. first + count, transposed, as tiles: of some taps `length` channels each. %places has
    room for the places of taps, %side for `together` windows.
    """
    t = s.t
    f = Function(f"pack_windows_{t.dtype}", _PACK, linkage="internal")
    width = f.mul("%taps", "%length")
    tiles = balanced(f, width, s.rows)
    f.do(f"call void @find_taps_{t.dtype}(ptr %geometry, i64 %tap, i64 %taps, ptr %places)")
    joined = are_joined(f, read_geometry(f), "%tap", "%taps", "%length")
    with f.loop(0, "%count", s.together) as part:
        count = f.minimum(f.sub("%count", part.i), s.together)
        which = f"ptr %geometry, ptr %x, i64 {f.add('%first', part.i)}, i64 {count}, ptr %places, i64 %taps"
        rest = f"i64 %channel, i64 %length, i1 {joined}, ptr %side"
        f.do(f"call void @gather_{t.dtype}({which}, {rest})")
        with f.loop(0, tiles.count, 1) as tile:
            start, rows = piece(f, tile.i, tiles)
            out = f.at(t.name, "%out", f.add(tile_slot(f, s, tile.i, "%count"), f.mul(part.i, rows)))
            source = f.at(t.name, "%side", start)
            operands = f"ptr {source}, i64 {width}, ptr {out}, i64 {rows}, i64 {count}"
            f.do(f"call void @pack_a_columns_{t.dtype}({operands})")
    return f.text()


def find_pixels(s: Strategy) -> str:
    """The places of windows first .. first + count: elements, rows and columns, in blocks of kc."""
    arguments = "ptr noalias %geometry, i64 %first, i64 %count, ptr noalias %pixels"
    f = Function(f"find_pixels_{s.t.dtype}", arguments, linkage="internal")
    g = read_geometry(f)
    with f.loop(0, "%count", 1, window_at(f, g, "%first").carried) as l:
        window = Window(*l.values)
        start = corner(f, g, window)
        for i, value in enumerate((start.element, start.y, start.x)):
            f.store("i64", value, f.at("i64", "%pixels", f.add(l.i, i * s.kc)))
        l.next = [name for _, name in window.next(f, g).carried]
    return f.text()


def pack_tap(s: Strategy) -> str:
    """`length` channels of one tap of some windows, transposed, as tiles, straight from the images: %pixels
    has the windows' places.
    """
    t = s.t
    f = Function(f"pack_tap_{t.dtype}", _PACK_TAP, linkage="internal")
    g = read_geometry(f)
    y, x, ahead = tap_of(f, g, "%tap")
    ahead = f.add(ahead, "%channel")
    tiles = balanced(f, "%length", s.rows)
    more = f.add(tiles.size, 1)
    slot = tile_slot(f, s, "1", "%count")
    skipped = f.mul(tiles.larger, more), f.mul(tiles.larger, slot)
    masks = [[f.lanes_below(t, f.sub(n, at)) for at in range(0, s.rows, t.lanes)] for n in (more, tiles.size)]
    with f.loop(0, "%count", 1) as l:
        element, *place = (f.load("i64", f.at("i64", "%pixels", f.add(l.i, i * s.kc))) for i in range(3))
        there = inside(f, g, Corner(place[0], place[1], element, "true"), y, x)
        source = f.at(t.name, "%x", f.select("i64", there, f.add(element, ahead), 0))
        source = f.select("ptr", there, source, f"@zero_pixel_{t.dtype}")
        out = f.at(t.name, "%out", f.mul(l.i, more))
        scatter(f, t, (source, out), (more, slot), tiles.larger, masks[0])
        out = f.at(t.name, "%out", f.add(skipped[1], f.mul(l.i, tiles.size)))
        source = f.at(t.name, source, skipped[0])
        rest = f.sub(tiles.count, tiles.larger)
        scatter(f, t, (source, out), (tiles.size, slot), rest, masks[1])
    return f.text()


def tap_driver(s: Strategy) -> str:
    """The loops of a large product, whose rows are packed tap by tap."""
    t = s.t
    f = Function(f"correlate_taps_{t.dtype}", correlate_arguments(t), linkage="internal")
    parameters = tile_parameters(f, t)
    g = read_geometry(f)
    places = f.at("i8", "%scratch", s.scratch_bytes)
    pixels = f.at("i64", places, 3 * s.places)
    side = f.at("i64", pixels, 3 * s.kc)
    few = f.less(g["channels"], s.few_channels)
    most = f.maximum(f.udiv(s.mc, f.maximum(g["channels"], 1)), 1)
    most = f.select("i64", few, most, 1)
    taps = balanced(f, "%taps", most)
    channels = balanced(f, g["channels"], s.mc)

    def pack(block: Block, i: str, columns: str) -> Left:
        tap, count = piece(f, f.udiv(i, channels.count), taps)
        channel, length = piece(f, f.urem(i, channels.count), channels)
        start = f.add("%first", block.start)
        tap = f.add("%tap", tap)
        with f.when(few):
            which = f"ptr %geometry, ptr %x, i64 {start}, i64 {block.length}, i64 {tap}, i64 {count}"
            rest = f"i64 {channel}, i64 {length}, ptr {places}, ptr {side}, ptr %scratch"
            f.do(f"call void @pack_windows_{t.dtype}({which}, {rest})")
        with f.when(f.negate(few)):
            with f.when(f.equal(i, 0)):
                which = f"i64 {start}, i64 {block.length}, ptr {pixels}"
                f.do(f"call void @find_pixels_{t.dtype}(ptr %geometry, {which})")
            which = f"ptr %geometry, ptr %x, ptr {pixels}, i64 {block.length}, i64 {tap}"
            f.do(f"call void @pack_tap_{t.dtype}({which}, i64 {channel}, i64 {length}, ptr %scratch)")
        return Left(f.add(f.mul(f.sub(tap, "%tap"), g["channels"]), channel), f.mul(count, length))

    write_loops(f, s, f.mul(taps.count, channels.count), pack, parameters)
    return f.text()


def correlate(s: Strategy) -> str:
    """The entry: chooses the driver."""
    t = s.t
    f = Function(f"correlate_{t.dtype}", correlate_arguments(t))
    g = read_geometry(f)
    several = f.both(
        f.both(f.less(1, "%taps"), f.less(0, "%k")), f(f"icmp sge i64 {g['channels']}, {s.few_channels}")
    )
    by_runs = f.both(several, RunsPlan.of(f, s, g).possible)
    driver = f.select("ptr", by_runs, f"@correlate_runs_{t.dtype}", f"@correlate_taps_{t.dtype}")
    f.do(f"call void {driver}({correlate_arguments(t).replace(' noalias', '')})")
    return f.text()
