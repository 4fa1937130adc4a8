"""The loops of `correlate.py` where the windows of a line follow each other pixel by pixel: every pixel is
packed once, and not for each of its taps.

    jb  N in blocks of nc
     pc  K blocks: some lines of windows
      cc  blocks of channels                        their pixels, packed here: [tile of channels][pixel][rows]
       jc  panels                                   B panel, packed with the first channels: L1
        taps
         ir  tiles of channels                      runs of the packed pixels, moved by the tap

The lines of a block's windows are `runs`: the places of their first pixels, and their lengths. For another
tap all of them begin as many pixels later.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.element import Element
from graphc.codegen.kernels.cuts import Cut, balanced, piece
from graphc.codegen.kernels.geometry import Geometry, read_geometry, tap_of, window_at
from graphc.codegen.kernels.packers import call_pack_b
from graphc.codegen.kernels.product import Block, k_block, k_blocks, see_panel, see_tile
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.tiles import RUNS, Tile, call_tile, find_kernel, new_parameters, set_parameters
from graphc.codegen.text import Function

LEAST_WIDTH = 8
"""Windows of a line that are worth the turns around it."""
_AREA = (
    "ptr noalias %geometry, ptr noalias %x, i64 %first, i64 %count, i64 %channel, i64 %length, "
    "i64 %pitch, ptr noalias %runs, ptr noalias %out"
)


@dataclass(frozen=True)
class RunsPlan:
    """How a block's pixels are packed: pixels of a line, elements between tiles, the blocks of channels, and
    whether all this is possible.
    """

    line: str
    pitch: str
    channels: Cut
    possible: str

    @staticmethod
    def of(f: Function, s: Strategy, g: Geometry) -> RunsPlan:
        """What the geometry allows. A block of windows touches at most so many lines of so many images."""
        line = f.add(g["out_width"], f.mul(f.sub(g["taps_wide"], 1), g["dilation_x"]))
        more = f.add(f.mul(f.sub(g["taps_high"], 1), g["dilation_y"]), 1)
        width = f.maximum(g["out_width"], 1)
        lines = f.add(f.ceildiv(s.kc, width), 1)
        images = f.add(f.ceildiv(s.kc, f.maximum(f.mul(width, g["out_height"]), 1)), 1)
        pixels = f.mul(line, f.add(f.mul(lines, g["stride_y"]), f.mul(images, more)))
        pitch = f.add(f.mul(pixels, s.rows), s.tile_gap)
        room = f.minimum(f.udiv(s.a_elements - s.tile_gap, pitch), s.mc // s.rows)
        channels = balanced(f, g["channels"], f.mul(f.maximum(room, 1), s.rows))
        possible = f.both(f.equal(g["stride_x"], 1), f(f"icmp sge i64 {g['out_width']}, {LEAST_WIDTH}"))
        possible = f.both(possible, f(f"icmp sge i64 {room}, {s.few_channels // s.rows}"))
        for length in (channels.size, f.add(channels.size, 1)):
            rows = f.udiv(length, f.ceildiv(f.maximum(length, 1), s.rows))
            possible = f.both(possible, f(f"icmp sge i64 {rows}, {s.rows - 1}"))
        return RunsPlan(line, pitch, channels, possible)


def pack_area(s: Strategy) -> str:
    """The pixels of windows first .. first + count as tiles of channels, image after image, and the windows'
    runs; how many these are.
    """
    t = s.t
    f = Function(f"pack_area_{t.dtype}", _AREA, ret="i64", linkage="internal")
    g = read_geometry(f)
    start, last = window_at(f, g, "%first"), window_at(f, g, f.sub(f.add("%first", "%count"), 1))
    line = RunsPlan.of(f, s, g).line
    stop = f.add(last.image, 1)
    with f.loop(start.image, stop, 1, [("i64", "0"), ("i64", "0")]) as image:
        base, number = image.values
        begins, ends = f.equal(image.i, start.image), f.equal(image.i, last.image)
        top = f.select("i64", begins, start.y, 0)
        bottom = f.select("i64", ends, f.add(last.y, 1), g["out_height"])
        with f.loop(top, bottom, 1) as y:
            left = f.select("i64", f.both(begins, f.equal(y.i, start.y)), start.x, 0)
            right = f.select("i64", f.both(ends, f.equal(y.i, last.y)), f.add(last.x, 1), g["out_width"])
            down = f.mul(f.sub(y.i, top), g["stride_y"])
            entry = f.at("i64", "%runs", f.mul(f.add(number, f.sub(y.i, top)), 2))
            f.store("i64", f.add(base, f.add(f.mul(down, line), left)), entry)
            f.store("i64", f.sub(right, left), f.at("i64", entry, 1))
        lines = f.add(
            f.mul(f.sub(f.sub(bottom, top), 1), g["stride_y"]),
            f.add(f.mul(f.sub(g["taps_high"], 1), g["dilation_y"]), 1),
        )
        first = f.sub(f.mul(top, g["stride_y"]), g["low_y"])
        _pack_lines(f, s, g, (image.i, first, lines), (base, line))
        image.next = [f.add(base, f.mul(lines, line)), f.add(number, f.sub(bottom, top))]
    return f.text(f"i64 {image.results[1]}")


def _pack_lines(
    f: Function, s: Strategy, g: Geometry, which: tuple[str, str, str], place: tuple[str, str]
) -> None:
    """Lines of an image from (image, line, how many) on, to the pixels from `place` on."""
    t, (image, first, lines), (base, width) = s.t, which, place
    tiles = balanced(f, "%length", s.rows)
    more = f.add(tiles.size, 1)
    skipped = f.mul(tiles.larger, more), f.mul(tiles.larger, "%pitch")
    masks = [[f.lanes_below(t, f.sub(n, at)) for at in range(0, s.rows, t.lanes)] for n in (more, tiles.size)]
    with f.loop(0, lines, 1) as row:
        y = f.add(first, row.i)
        here = f(f"icmp ult i64 {y}, {g['height']}")
        start = f.mul(f.add(f.mul(image, g["height"]), y), g["width"])
        to = f.add(base, f.mul(row.i, width))
        with f.loop(0, width, 1) as column:
            x = f.sub(column.i, g["low_x"])
            there = f.both(here, f(f"icmp ult i64 {x}, {g['width']}"))
            element = f.add(f.mul(f.add(start, x), g["pixel"]), "%channel")
            source = f.at(t.name, "%x", f.select("i64", there, element, 0))
            source = f.select("ptr", there, source, f"@zero_pixel_{t.dtype}")
            pixel = f.add(to, column.i)
            scatter(
                f,
                t,
                (source, f.at(t.name, "%out", f.mul(pixel, more))),
                (more, "%pitch"),
                tiles.larger,
                masks[0],
            )
            out = f.at(t.name, "%out", f.add(skipped[1], f.mul(pixel, tiles.size)))
            rest = f.sub(tiles.count, tiles.larger)
            source = f.at(t.name, source, skipped[0])
            scatter(f, t, (source, out), (tiles.size, "%pitch"), rest, masks[1])


def scatter(
    f: Function,
    t: Element,
    places: tuple[str, str],
    steps: tuple[str, str],
    tiles: str,
    masks: list[str],
) -> None:
    """The channels of a pixel to tiles; whole vectors are written, the next pixel's are written over what is
    too much.
    """
    with f.loop(0, tiles, 1, [("ptr", place) for place in places]) as l:
        source, out = l.values
        for i, mask in enumerate(masks):
            x = f.vload(t, f.at(t.name, source, i * t.lanes), mask)
            f.vstore(t, x, f.at(t.name, out, i * t.lanes))
        l.next = [f.at(t.name, source, steps[0]), f.at(t.name, out, steps[1])]


def runs_driver(s: Strategy, arguments: str) -> str:
    """The loops; see the module."""
    t = s.t
    f = Function(f"correlate_runs_{t.dtype}", arguments, linkage="internal")
    parameters = new_parameters(f, t, {"c_row": "%c_row", "alpha": "%alpha"})
    g = read_geometry(f)
    plan = RunsPlan.of(f, s, g)
    runs = f.at("i8", "%scratch", s.scratch_bytes)
    blocks = k_blocks(f, s)
    with f.loop(0, "%n", s.nc) as jb:
        columns = f.minimum(f.sub("%n", jb.i), s.nc)
        with f.loop(0, blocks.count, 1) as pc:
            block = k_block(f, t, pc.i, blocks)
            set_parameters(f, t, parameters, block.parameters)
            with f.loop(0, plan.channels.count, 1) as cc:
                channel, length = piece(f, cc.i, plan.channels)
                windows = f"i64 {f.add('%first', block.start)}, i64 {block.length}"
                rest = f"i64 {channel}, i64 {length}, i64 {plan.pitch}, ptr {runs}, ptr %scratch"
                count = f(f"call i64 @pack_area_{t.dtype}(ptr %geometry, ptr %x, {windows}, {rest})")
                set_parameters(f, t, parameters, {"taps": count})
                part = Channels(channel, balanced(f, length, s.rows), f.equal(cc.i, 0))
                _panels(f, s, g, plan, block, (jb.i, columns), part, (runs, parameters))
    return f.text()


@dataclass(frozen=True)
class Channels:
    """A block of channels: the first one, its tiles, and whether it is the first block."""

    start: str
    tiles: Cut
    first: str


def _panels(
    f: Function,
    s: Strategy,
    g: Geometry,
    plan: RunsPlan,
    block: Block,
    columns: tuple[str, str],
    part: Channels,
    tables: tuple[str, str],
) -> None:
    t = s.t
    panels = balanced(f, f.ceildiv(columns[1], t.lanes), s.vectors)
    with f.loop(0, panels.count, 1) as jc:
        vectors = piece(f, jc.i, panels)
        inner, width = f.mul(vectors[0], t.lanes), f.mul(vectors[1], t.lanes)
        column, n = f.add(columns[0], inner), f.minimum(width, f.sub(columns[1], inner))
        b = f.at(t.name, f.at(t.name, "%scratch", s.a_elements), f.mul(inner, block.length))
        with f.when(part.first):
            source = f.add(f.mul(block.start, "%b_row"), f.mul(column, "%b_col"))
            call_pack_b(f, s, f.at(t.name, "%b", source), b, width, n, block.length)
        see_panel(f, part.first, b, width, block, column, n)
        with f.loop(0, "%taps", 1) as tap:
            y, x, _ = tap_of(f, g, f.add("%tap", tap.i))
            shift = f.add(f.mul(y, plan.line), x)
            first = f.add(f.mul(tap.i, g["channels"]), part.start)
            with f.loop(0, part.tiles.count, 1) as ir:
                above, mr = piece(f, ir.i, part.tiles)
                row = f.add(first, above)
                c = f.at(t.name, "%c", f.add(column, f.mul(row, "%c_row")))
                init = f.at(t.name, block.init, f.add(column, f.mul(row, block.init_row)))
                a = f.at(t.name, "%scratch", f.add(f.mul(ir.i, plan.pitch), f.mul(shift, mr)))
                tile = Tile(a, b, c, init, tables[0], n)
                whole = f.equal(n, width)
                call_tile(f, s, find_kernel(f, s, RUNS, vectors[1], mr), (mr, whole), tile, tables[1])
                see_tile(f, block, c, row, column, mr, n)
