"""Reading windows: a table of the places of their taps, or a copy of the taps side by side.

    find_taps   where taps are from the first one of their window
    point_at    for tiles of windows: [tile][tap][row of the tile] -> where the tap's channels are
    gather      windows as the rows of a matrix [windows, taps * channels]

Taps outside of the image are zeros, which stand at @zero_pixel.
"""

from __future__ import annotations

from collections.abc import Callable

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
from graphc.codegen.text import Function, Operand

_WINDOWS = "ptr noalias %geometry, ptr noalias %x, i64 %first, i64 %count, ptr noalias %places, i64 %taps, "


def zero_pixel(s: Strategy) -> str:
    """The global that is read where there is no pixel: as many zeros as any tile reads of one tap."""
    size = max(s.kc, s.mc) + s.t.lanes
    return f"@zero_pixel_{s.t.dtype} = internal constant [{size} x {s.t.name}] zeroinitializer, align 64"


def find_taps(s: Strategy) -> str:
    """The table of places of the taps tap .. tap + taps: rows and columns from a window's first tap, and
    elements; as many entries each as a block can have taps.
    """
    f = Function(
        f"find_taps_{s.t.dtype}",
        "ptr noalias %geometry, i64 %tap, i64 %taps, ptr noalias %places",
        linkage="internal",
    )
    g = read_geometry(f)
    with f.loop(0, "%taps", 1) as l:
        for i, value in enumerate(tap_of(f, g, f.add("%tap", l.i))):
            f.store("i64", value, f.at("i64", "%places", f.add(l.i, i * s.places)))
    return f.text()


def _place_of(f: Function, s: Strategy, tap: str) -> tuple[str, str, str]:
    y, x, ahead = (f.load("i64", f.at("i64", "%places", f.add(tap, i * s.places))) for i in range(3))
    return y, x, ahead


def _tap(f: Function, s: Strategy, g: Geometry, start: Corner, first: str, tap: str) -> str:
    """Where a tap's channels are, or zeros."""
    t = s.t
    y, x, ahead = _place_of(f, s, tap)
    there = inside(f, g, start, y, x)
    place = f.at(t.name, "%x", f.select("i64", there, f.add(first, ahead), 0))
    return f.select("ptr", there, place, f"@zero_pixel_{t.dtype}")


def _inner_tap(f: Function, s: Strategy, base: str, tap: str) -> str:
    """Where a tap's channels are, of a window that lies inside and has its first tap at `base`."""
    return f.at(s.t.name, base, _place_of(f, s, tap)[2])


def point_at(s: Strategy) -> str:
    """The table for the windows first .. first + count: of taps that `find_taps` found, from a channel on."""
    f = Function(f"point_at_{s.t.dtype}", f"{_WINDOWS}i64 %channel, ptr noalias %table", linkage="internal")
    g = read_geometry(f)
    tiles = balanced(f, "%count", s.rows)
    pitch = f.mul("%taps", s.rows)
    with f.loop(0, tiles.count, 1, window_at(f, g, "%first").carried) as tile:
        _, rows = piece(f, tile.i, tiles)
        table = f.at("ptr", "%table", f.mul(tile.i, pitch))
        with f.loop(0, rows, 1, list(zip(["i64"] * 3, tile.values))) as row:
            window = Window(*row.values)
            _point_row(f, s, g, corner(f, g, window), f.at("ptr", table, row.i))
            row.next = [name for _, name in window.next(f, g).carried]
        tile.next = row.results
    return f.text()


def _point_row(f: Function, s: Strategy, g: Geometry, start: Corner, out: str) -> None:
    """The entries of one window."""
    first = f.add(start.element, "%channel")
    with f.when(start.inside):
        base = f.at(s.t.name, "%x", first)
        with f.loop(0, "%taps", 1) as l:
            f.store("ptr", _inner_tap(f, s, base, l.i), f.at("ptr", out, f.mul(l.i, s.rows)))
    with f.when(f.negate(start.inside)), f.loop(0, "%taps", 1) as l:
        f.store("ptr", _tap(f, s, g, start, first, l.i), f.at("ptr", out, f.mul(l.i, s.rows)))


def gather(s: Strategy) -> str:
    """The windows first .. first + count as rows: of taps that `find_taps` found, `length` channels each.
    `joined`: these are whole lines of a window, and a line lies in memory in one run.

    Rows follow one another without gaps; up to a vector more is written after the last.
    """
    t = s.t
    arguments = f"{_WINDOWS}i64 %channel, i64 %length, i1 %joined, ptr noalias %out"
    f = Function(f"gather_{t.dtype}", arguments, linkage="internal")
    g = read_geometry(f)
    width = f.mul("%taps", "%length")
    step = f.select("i64", "%joined", g["taps_wide"], 1)
    run = f.mul(step, "%length")
    with f.loop(0, "%count", 1, window_at(f, g, "%first").carried) as row:
        window = Window(*row.values)
        start = corner(f, g, window)
        first = f.add(start.element, "%channel")
        out = f.at(t.name, "%out", f.mul(row.i, width))
        with f.when(start.inside):
            base = f.at(t.name, "%x", first)
            _copy_taps(f, t, (step, run), out, lambda tap: _inner_tap(f, s, base, tap))
        with f.when(f.negate(start.inside)):
            _copy_taps(f, t, (1, "%length"), out, lambda tap: _tap(f, s, g, start, first, tap))
        row.next = [name for _, name in window.next(f, g).carried]
    return f.text()


def are_joined(f: Function, g: Geometry, tap: str, taps: str, length: str) -> str:
    """Whether taps are whole lines of a window, each of which lies in memory in one run."""
    lines = f.both(f.equal(f.urem(tap, g["taps_wide"]), 0), f.equal(f.urem(taps, g["taps_wide"]), 0))
    return f.both(lines, f.both(f.equal(g["dilation_x"], 1), f.equal(length, g["pixel"])))


def _copy_taps(
    f: Function, t: Element, cut: tuple[Operand, str], out: str, find: Callable[[str], str]
) -> None:
    """Runs of so many taps and elements. Whole vectors are written: what is too much, the next run writes
    again.
    """
    step, run = cut
    main = f(f"and i64 {run}, {-t.lanes}")
    mask = f.lanes_below(t, f.sub(run, main))
    rest = f.less(main, run)
    with f.loop(0, "%taps", step) as l:
        source, target = find(l.i), f.at(t.name, out, f.mul(l.i, "%length"))
        with f.loop(0, main, t.lanes) as vector:
            f.vstore(t, f.vload(t, f.at(t.name, source, vector.i)), f.at(t.name, target, vector.i))
        with f.when(rest):
            f.vstore(t, f.vload(t, f.at(t.name, source, main), mask), f.at(t.name, target, main))
