"""What must hold of pixels and taps for Winograd's algorithm to be as good as sums of products.

A result of a tile is a sum over all of its 16 pixels in which those outside of its window cancel, so their
size, not that of the window, bounds its error; the same is true of the taps of a kernel. So in a tile the
*norm* (the greatest magnitude of all channels) of the greatest pixel may be at most `SPREAD` times that of
the greatest one in each window, and in a column of a kernel the norm of the greatest tap `SPREAD` times that
of the least. NaN and infinity are refused, and what might overflow or vanish between.

Magnitudes are compared as integers, their bits, of which those of NaN are the greatest.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.codegen.element import Element, splat
from graphc.codegen.kernels.geometry import read_geometry
from graphc.codegen.kernels.packers import transpose
from graphc.codegen.text import Function

SPREAD = 64.0
LEAST, MOST = 2.0**-100, 2.0**50
"""Between these a kernel's norms lie (or all are 0); pixels may be as large."""
_MAGNITUDE, _NONE = 0x7FFFFFFF, 0x7FFFFFFF
_NORMS = (
    "ptr noalias %geometry, ptr noalias %x, i64 %image, i64 %y, i64 %left, i64 %rows, i64 %columns, "
    "ptr noalias %out"
)
_FIT = "ptr noalias %norms, i64 %tiles_high, i64 %tiles_wide, i64 %high, i64 %wide"


def magnitude(f: Function, t: Element, x: str) -> str:
    """The bits of |x|."""
    i = t.integer
    return f(f"and {i.vec} {f(f'bitcast {t.vec} {x} to {i.vec}')}, {splat(i, _MAGNITUDE)}")


def greatest(f: Function, t: Element, a: str, b: str) -> str:
    """The greater of two magnitudes."""
    i = t.integer
    return f(f"call {i.vec} @llvm.smax.{i.suffix}({i.vec} {a}, {i.vec} {b})")


def least(f: Function, t: Element, a: str, b: str) -> str:
    """The lesser of two magnitudes."""
    i = t.integer
    return f(f"call {i.vec} @llvm.smin.{i.suffix}({i.vec} {a}, {i.vec} {b})")


def over_lanes(f: Function, t: Element, kind: str, x: str) -> str:
    """smax or smin of the lanes of magnitudes."""
    i = t.integer
    if i.lanes == 1:
        return x
    return f(f"call {i.name} @llvm.vector.reduce.{kind}.{i.suffix}({i.vec} {x})")


def are_close(f: Function, t: Element, top: str, low: str) -> str:
    """Whether magnitudes are at most SPREAD apart, and at most MOST."""
    a, b = (f(f"bitcast {t.integer.vec} {x} to {t.vec}") for x in (top, low))
    near = f(f"fcmp ole {t.vec} {a}, {f(f'fmul {t.vec} {b}, {splat(t, SPREAD)}')}")
    finite = f(f"fcmp ole {t.vec} {a}, {splat(t, MOST)}")
    return f(f"and {t.mask} {near}, {finite}")


def taps_fit(f: Function, t: Element, norms: list[str]) -> str:
    """Whether the nine norms of each column's taps are close, or all zero; one truth value."""
    top, low = norms[0], norms[0]
    for norm in norms[1:]:
        top, low = greatest(f, t, top, norm), least(f, t, low, norm)
    a = f(f"bitcast {t.integer.vec} {top} to {t.vec}")
    ordinary = f(f"fcmp oge {t.vec} {a}, {splat(t, LEAST)}")
    fits = f(f"and {t.mask} {ordinary}, {are_close(f, t, top, low)}")
    fits = f(f"or {t.mask} {fits}, {f(f'icmp eq {t.integer.vec} {top}, zeroinitializer')}")
    return fits if t.lanes == 1 else f(f"call i1 @llvm.vector.reduce.and.v{t.lanes}i1({t.mask} {fits})")


def pixel_norms(t: Element, unit: int) -> str:
    """For some rows and columns of pixels of an image, from pixel (y, left) on, the magnitudes of channels:
    lane i has the greatest of channels i, i + lanes, ...; 0 outside. There are a multiple of `unit` channels.
    """
    f = Function(f"pixel_norms_{t.dtype}", _NORMS, linkage="internal")
    g, i = read_geometry(f), t.integer
    begin = f.minimum(f.maximum(f.sub(0, "%left"), 0), "%columns")
    end = f.maximum(f.minimum("%columns", f.sub(g["width"], "%left")), begin)
    with f.loop(0, "%rows", 1) as row:
        y = f.add("%y", row.i)
        there = f(f"icmp ult i64 {y}, {g['height']}")
        line = f.add(f.mul(f.add(f.mul("%image", g["height"]), y), g["width"]), "%left")
        line = f.at(t.name, "%x", f.mul(line, g["pixel"]))
        out = f.at(t.name, "%out", f.mul(f.mul(row.i, "%columns"), t.lanes))
        for start, stop in ((0, f.select("i64", there, begin, "%columns")), (end, "%columns")):
            with f.loop(start, stop, 1) as column:
                f.vstore(i, "zeroinitializer", f.at(t.name, out, f.mul(column.i, t.lanes)))
        with f.loop(begin, f.select("i64", there, end, begin), 1) as column:
            pixel = f.at(t.name, line, f.mul(column.i, g["pixel"]))
            with f.loop(0, g["channels"], unit, [(i.vec, "zeroinitializer")], sure=True) as l:
                (norm,) = l.values
                for at in range(0, unit, t.lanes):
                    here = f.vload(t, f.at(t.name, f.at(t.name, pixel, l.i), at))
                    norm = greatest(f, t, norm, magnitude(f, t, here))
                l.next = [norm]
            f.vstore(i, l.results[0], f.at(t.name, out, f.mul(column.i, t.lanes)))
    return f.text()


def tiles_fit(t: Element) -> str:
    """Whether pixels are close in each tile of a block, whose results are %high x %wide."""
    f = Function(f"tiles_fit_{t.dtype}", _FIT, ret="i1", linkage="internal")
    columns = f.mul(f.add(f.mul("%tiles_wide", 2), 2), t.lanes)
    with f.loop(0, "%tiles_high", 1, [("i1", "true")]) as row:
        norms = f.at(t.name, "%norms", f.mul(f.mul(row.i, 2), columns))
        below = _missing(f, row.i, "%high")
        with f.loop(0, "%tiles_wide", 1, [("i1", row.values[0])]) as tile:
            here = f.at(t.name, norms, f.mul(tile.i, 2 * t.lanes))
            lines = [f.at(t.name, here, f.mul(columns, i)) for i in range(4)]
            fits = _tile_fits(f, t, lines, below, _missing(f, tile.i, "%wide"))
            tile.next = [f.both(tile.values[0], fits)]
        row.next = tile.results
    return f.text(f"i1 {row.results[0]}")


def _missing(f: Function, tile: str, count: str) -> str:
    """The greatest integer where the second result of a tile is none, else 0."""
    return f.select("i32", f.less(f.add(f.mul(tile, 2), 1), count), 0, _NONE)


def _tile_fits(f: Function, t: Element, lines: list[str], below: str, beside: str) -> str:
    pixels = [[f.vload(t.integer, f.at(t.name, line, j * t.lanes)) for line in lines] for j in range(4)]
    upper, lower = zip(*(_threes(f, t, column) for column in pixels))
    windows = [x for side in (upper, lower) for x in _threes(f, t, side)]
    four = t.with_lanes(4)
    rows = transpose(f, four.integer, [_four_lanes(f, t, x) for x in windows])
    norms = rows[0]
    for x in rows[1:]:
        norms = greatest(f, four, norms, x)
    none = "zeroinitializer"
    for lane, x in ((1, beside), (2, below), (3, f(f"or i32 {below}, {beside}"))):
        none = f(f"insertelement {four.integer.vec} {none}, i32 {x}, i64 {lane}")
    there = f(f"or {four.integer.vec} {norms}, {none}")
    return are_close(f, t.scalar(), over_lanes(f, four, "smax", norms), over_lanes(f, four, "smin", there))


def _threes(f: Function, t: Element, x: Sequence[str]) -> tuple[str, str]:
    """The greatest of the first three, and of the last three, of four."""
    middle = greatest(f, t, x[1], x[2])
    return greatest(f, t, x[0], middle), greatest(f, t, middle, x[3])


def _four_lanes(f: Function, t: Element, x: str) -> str:
    """The greatest of lanes i, i + 4, ..."""
    while t.lanes > 4:
        half = t.lanes // 2
        low, high = (f.shuffle(t.integer, x, x, range(at, at + half)) for at in (0, half))
        t = t.with_lanes(half)
        x = greatest(f, t, low, high)
    return x
