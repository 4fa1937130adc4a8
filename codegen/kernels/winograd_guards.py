"""What must hold of pixels and taps for Winograd's algorithm to be as good as sums of products.

With 2 x 2 results in a tile, only pixels of its window have a part in a result, rounding included: with rows
d0 .. d3, the first is a sum of d0 - d2, d1 + d2 and d2 - d1, the second of the last two and d1 - d3. So NaN,
infinity and large numbers stay in the windows that have them, and a window of zeros gives zeros. But sums
over a window take place before its taps are multiplied: infinite pixels would cancel to NaN, and where a tap
is 0, as in the kernel of a masked convolution, its pixel leaves the error of a pixel that counts. So

- pixels are finite, and at most `MOST`: then nothing overflows that a direct sum could hold;
- of a channel and a column, all taps are 0 or none is;
- of each column, the *norm* (the greatest magnitude of all channels) of the greatest tap is at most `SPREAD`
  times that of the least, and between `LEAST` and `MOST`, where nothing overflows or vanishes; or all are 0.

Magnitudes are compared as integers, their bits, of which those of NaN are the greatest.
"""

from __future__ import annotations

from graphc.codegen.element import Element, splat
from graphc.codegen.kernels.geometry import read_geometry
from graphc.codegen.text import Function

SPREAD = 64.0
LEAST, MOST = 2.0**-100, 2.0**50
_MAGNITUDE = 0x7FFFFFFF
_PIXELS = "ptr noalias %geometry, ptr noalias %x, i64 %image, i64 %top, i64 %left, i64 %rows, i64 %columns"


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


def some_zero(f: Function, t: Element, taps: list[str]) -> str:
    """All bits where some of the magnitudes are 0 and others are not, else 0."""
    i, top, low = t.integer, taps[0], taps[0]
    for tap in taps[1:]:
        top, low = f(f"or {i.vec} {top}, {tap}"), least(f, t, low, tap)
    some = f(f"icmp eq {i.vec} {low}, zeroinitializer")
    others = f(f"icmp ne {i.vec} {top}, zeroinitializer")
    return f(f"sext {t.mask} {f(f'and {t.mask} {some}, {others}')} to {i.vec}")


def taps_fit(f: Function, t: Element, norms: list[str], holes: str) -> str:
    """Whether the nine norms of each column's taps are close, or all zero, and `holes` has no bits; one truth
    value.
    """
    i, top, low = t.integer, norms[0], norms[0]
    for norm in norms[1:]:
        top, low = greatest(f, t, top, norm), least(f, t, low, norm)
    a, b = (f(f"bitcast {i.vec} {x} to {t.vec}") for x in (top, low))
    close = f(f"fcmp ole {t.vec} {a}, {f(f'fmul {t.vec} {b}, {splat(t, SPREAD)}')}")
    ordinary = f(f"and {t.mask} {close}, {f(f'fcmp ole {t.vec} {a}, {splat(t, MOST)}')}")
    ordinary = f(f"and {t.mask} {ordinary}, {f(f'fcmp oge {t.vec} {a}, {splat(t, LEAST)}')}")
    fits = f(f"or {t.mask} {ordinary}, {f(f'icmp eq {i.vec} {top}, zeroinitializer')}")
    fits = f(f"and {t.mask} {fits}, {f(f'icmp eq {i.vec} {holes}, zeroinitializer')}")
    return f(f"call i1 @llvm.vector.reduce.and.v{t.lanes}i1({t.mask} {fits})")


def pixels_fit(t: Element, unit: int) -> str:
    """Whether some rows and columns of an image from pixel (top, left) on, those that there are, are at most
    MOST; channels are a multiple of `unit`.
    """
    f = Function(f"pixels_fit_{t.dtype}", _PIXELS, ret="i1", linkage="internal")
    g, i = read_geometry(f), t.integer
    rows, columns = (
        (f.maximum(low, 0), f.minimum(f.add(low, count), g[size]))
        for low, count, size in (("%top", "%rows", "height"), ("%left", "%columns", "width"))
    )
    with f.loop(*rows, 1, [(i.vec, "zeroinitializer")]) as row:
        line = f.mul(f.add(f.mul("%image", g["height"]), row.i), g["width"])
        with f.loop(*columns, 1, [(i.vec, row.values[0])]) as column:
            pixel = f.at(t.name, "%x", f.mul(f.add(line, column.i), g["pixel"]))
            with f.loop(0, g["channels"], unit, [(i.vec, column.values[0])], sure=True) as l:
                (top,) = l.values
                here = f.at(t.name, pixel, l.i)
                for at in range(0, unit, t.lanes):
                    top = greatest(f, t, top, magnitude(f, t, f.vload(t, f.at(t.name, here, at))))
                l.next = [top]
            column.next = l.results
        row.next = column.results
    top = f(f"call {i.name} @llvm.vector.reduce.smax.{i.suffix}({i.vec} {row.results[0]})")
    top = f(f"bitcast {i.name} {top} to {t.name}")
    return f.text(f"i1 {f(f'fcmp ole {t.name} {top}, {splat(t.scalar(), MOST)}')}")
