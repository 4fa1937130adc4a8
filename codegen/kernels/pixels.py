"""Reading windows: a table of the places of their taps, or a copy of the taps side by side.

    point_at    for tiles of windows: [tile][tap][row of the tile] -> where the tap's channels are
    gather      windows as the rows of a matrix [windows, taps * channels]

Taps outside of the image are zeros, which stand at @zero_pixel.
"""

from __future__ import annotations

from graphc.codegen.element import Element
from graphc.codegen.kernels.cuts import balanced, piece
from graphc.codegen.kernels.geometry import (
    Corner,
    Geometry,
    Window,
    corner,
    inside,
    read_geometry,
    tap_of,
    window_at,
)
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.text import Function

_WINDOWS = (
    "ptr noalias %geometry, ptr noalias %x, i64 %first, i64 %count, i64 %tap, i64 %taps, i64 %channel, "
)


def zero_pixel(s: Strategy) -> str:
    """The global that is read where there is no pixel: as many zeros as any tile reads of one tap."""
    size = max(s.kc, s.mc) + s.t.lanes
    return f"@zero_pixel_{s.t.dtype} = internal constant [{size} x {s.t.name}] zeroinitializer, align 64"


def point_at(s: Strategy) -> str:
    """The table for the windows first .. first + count: of the taps tap .. tap + taps, from a channel on."""
    t = s.t
    f = Function(f"point_at_{t.dtype}", f"{_WINDOWS}ptr noalias %table", linkage="internal")
    places = f(f"alloca [{3 * s.most_taps} x i64], align 64")
    g = read_geometry(f)
    with f.loop(0, "%taps", 1) as l:
        for i, value in enumerate(tap_of(f, g, f.add("%tap", l.i))):
            f.store("i64", value, f.at("i64", places, f.add(l.i, i * s.most_taps)))
    tiles = balanced(f, "%count", s.rows)
    pitch = f.mul("%taps", s.rows)
    with f.loop(0, tiles.count, 1, window_at(f, g, "%first").carried) as tile:
        _, rows = piece(f, tile.i, tiles)
        table = f.at("ptr", "%table", f.mul(tile.i, pitch))
        with f.loop(0, rows, 1, list(zip(["i64"] * 3, tile.values))) as row:
            window = Window(*row.values)
            _point_row(f, s, g, corner(f, g, window), places, f.at("ptr", table, row.i))
            row.next = [name for _, name in window.next(f, g).carried]
        tile.next = row.results
    return f.text()


def _point_row(f: Function, s: Strategy, g: Geometry, start: Corner, places: str, out: str) -> None:
    """The entries of one window."""
    t, first = s.t, f.add(start.element, "%channel")
    distance = f.at("i64", places, 2 * s.most_taps)
    with f.when(start.inside):
        base = f.at(t.name, "%x", first)
        with f.loop(0, "%taps", 1) as l:
            place = f.at(t.name, base, f.load("i64", f.at("i64", distance, l.i)))
            f.store("ptr", place, f.at("ptr", out, f.mul(l.i, s.rows)))
    with f.when(f.negate(start.inside)), f.loop(0, "%taps", 1) as l:
        y, x, ahead = (f.load("i64", f.at("i64", places, f.add(l.i, i * s.most_taps))) for i in range(3))
        there = inside(f, g, start, y, x)
        place = f.at(t.name, "%x", f.select("i64", there, f.add(first, ahead), 0))
        place = f.select("ptr", there, place, f"@zero_pixel_{t.dtype}")
        f.store("ptr", place, f.at("ptr", out, f.mul(l.i, s.rows)))


def gather(s: Strategy) -> str:
    """The windows first .. first + count as rows: of the taps tap .. tap + taps, `length` channels each.

    Rows follow one another without gaps; up to a vector more is written after the last.
    """
    t = s.t
    f = Function(f"gather_{t.dtype}", f"{_WINDOWS}i64 %length, ptr noalias %out", linkage="internal")
    g = read_geometry(f)
    width = f.mul("%taps", "%length")
    joined = _joined(f, g)
    with f.loop(0, "%count", 1, window_at(f, g, "%first").carried) as row:
        window = Window(*row.values)
        start = corner(f, g, window)
        out = f.at(t.name, "%out", f.mul(row.i, width))
        long = f.both(joined, start.inside)
        with f.when(long):
            _copy_lines(f, t, g, start, out)
        with f.when(f.negate(long)):
            _copy_taps(f, t, g, start, out)
        row.next = [name for _, name in window.next(f, g).carried]
    return f.text()


def _joined(f: Function, g: Geometry) -> str:
    """Whether whole lines of a window are asked for, and lie in memory in one run."""
    lines = f.both(f.equal(f.urem("%tap", g["taps_wide"]), 0), f.equal(f.urem("%taps", g["taps_wide"]), 0))
    run = f.both(f.equal(g["dilation_x"], 1), f.equal("%length", g["pixel"]))
    return f.both(lines, run)


def _copy_lines(f: Function, t: Element, g: Geometry, start: Corner, out: str) -> None:
    length = f.mul(g["taps_wide"], "%length")
    step = f.mul(f.mul(g["dilation_y"], g["width"]), g["pixel"])
    first = f.udiv("%tap", g["taps_wide"])
    with f.loop(0, f.udiv("%taps", g["taps_wide"]), 1) as line:
        source = f.add(start.element, f.mul(f.add(first, line.i), step))
        _copy(f, t, f.at(t.name, "%x", source), f.at(t.name, out, f.mul(line.i, length)), length)


def _copy_taps(f: Function, t: Element, g: Geometry, start: Corner, out: str) -> None:
    with f.loop(0, "%taps", 1) as l:
        y, x, ahead = tap_of(f, g, f.add("%tap", l.i))
        there = inside(f, g, start, y, x)
        source = f.add(f.add(start.element, ahead), "%channel")
        place = f.at(t.name, "%x", f.select("i64", there, source, 0))
        place = f.select("ptr", there, place, f"@zero_pixel_{t.dtype}")
        _copy(f, t, place, f.at(t.name, out, f.mul(l.i, "%length")), "%length")


def _copy(f: Function, t: Element, source: str, out: str, length: str) -> None:
    """Whole vectors are written: what is too much, the next copy writes again."""

    def body(i: str, lanes: int, mask: str | None, values: list[str]) -> list[str]:
        f.vstore(t, f.vload(t, f.at(t.name, source, i), mask), f.at(t.name, out, i))
        return []

    f.vector_loop(length, t.lanes, body, masked=True)
