"""The three transforms of Winograd's F(2x2, 3x3): 2 x 2 results are y = A^T [(G g G^T) * (B^T d B)] A, of a
tile d of 4 x 4 pixels and a kernel g of 3 x 3 taps (Lavin and Gray 2015, arXiv 1509.09308, section 4.1).

          1  0 -1  0          1    0    0
    B^T = 0  1  1  0     G = 1/2  1/2  1/2    A^T = 1  1  1  0
          0 -1  1  0         1/2 -1/2  1/2          0  1 -1 -1
          0  1  0 -1          0    0    1

Vectors are along channels (of pixels) or columns (of kernels and results), so that each transform is sums of
whole vectors. A value of 16 *positions* lies position by position.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.codegen.element import Element, splat
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.text import Function

POSITIONS = 16
AHEAD = 6
"""Tiles whose results are fetched before they are written."""
_INPUT = "ptr noalias %d, i64 %down, i64 %right, i64 %channels, ptr noalias %v, i64 %pitch"
_OUTPUT = (
    "ptr noalias %m, i64 %pitch, ptr %c, i64 %c_down, i64 %c_right, ptr %init, i64 %init_down, "
    "i64 %init_right, ptr noalias %rest, {T} %alpha, {T} %floor, i64 %high, i64 %wide"
)


def _add(f: Function, t: Element, a: str, b: str) -> str:
    return f(f"fadd {t.vec} {a}, {b}")


def _sub(f: Function, t: Element, a: str, b: str) -> str:
    return f(f"fsub {t.vec} {a}, {b}")


def transform_input(t: Element) -> str:
    """B^T d B for all channels of a tile: pixels lie %right elements apart, rows %down; position p goes to
    %v + p * %pitch. Channels are whole vectors.
    """
    f = Function(f"transform_input_{t.dtype}", _INPUT, linkage="internal")
    with f.loop(0, "%channels", t.lanes) as l:
        at = f(f"freeze i64 {l.i}")
        rows = [f.at(t.name, f.at(t.name, "%d", f.mul("%down", i)), at) for i in range(4)]
        out = f.at(t.name, "%v", at)

        def row(i: int, rows: list[str] = rows) -> list[str]:
            return [f.vload(t, f.at(t.name, rows[i], f.mul("%right", j))) for j in range(4)]

        def store(i: int, x: Sequence[str], out: str = out) -> None:
            found = (
                _sub(f, t, x[0], x[2]),
                _add(f, t, x[1], x[2]),
                _sub(f, t, x[2], x[1]),
                _sub(f, t, x[1], x[3]),
            )
            for j, v in enumerate(found):
                f.vstore(t, v, f.at(t.name, out, f.mul("%pitch", 4 * i + j)))

        second, third = row(1), row(2)
        store(1, [_add(f, t, a, b) for a, b in zip(second, third)])
        store(2, [_sub(f, t, b, a) for a, b in zip(second, third)])
        store(0, [_sub(f, t, a, b) for a, b in zip(row(0), third)])
        store(3, [_sub(f, t, a, b) for a, b in zip(second, row(3))])
    return f.text()


def transform_taps(f: Function, t: Element, g: Sequence[str]) -> list[str]:
    """G g G^T of nine vectors, as sixteen."""
    half = splat(t, 0.5)

    def column(a: str, b: str, c: str) -> list[str]:
        outer = f(f"fmul {t.vec} {_add(f, t, a, c)}, {half}")
        middle = f(f"fmul {t.vec} {b}, {half}")
        return [a, _add(f, t, outer, middle), _sub(f, t, outer, middle), c]

    columns = [column(g[j], g[3 + j], g[6 + j]) for j in range(3)]
    return [x for i in range(4) for x in column(*(columns[j][i] for j in range(3)))]


def transform_output(s: Strategy, nrv: int) -> str:
    """c = max(init + alpha * A^T m A, floor) for a line of tiles, whose results are %high x %wide, and `nrv`
    vectors of columns; a tile is %pitch elements of M. Results that there are none of go to %rest.
    """
    t = s.t
    f = Function(f"transform_output_{t.dtype}_{nrv}", _OUTPUT.format(T=t.name), linkage="internal")
    alpha, floor = f.broadcast(t, "%alpha"), f.broadcast(t, "%floor")
    places = [("c", i, j) for i in range(2) for j in range(2)]
    places += [("init", i, j) for i in range(2) for j in range(2)]
    steps = [f.add(f.mul(f"%{n}_down", i), f.mul(f"%{n}_right", j)) for n, i, j in places]
    with f.loop(0, "%wide", 2, [("ptr", "%m"), ("ptr", "%c"), ("ptr", "%init")]) as tile:
        m, c, init = tile.values
        single = f.both(f.less(1, "%high"), f.less(f.add(tile.i, 1), "%wide"))
        there = ["true", f.less(f.add(tile.i, 1), "%wide"), f.less(1, "%high"), single] * 2
        found = [f.at(t.name, c if n == "c" else init, step) for (n, _, _), step in zip(places, steps)]
        found = [f.select("ptr", sure, p, "%rest") for sure, p in zip(there, found)]
        ahead = f.mul("%c_right", 2 * AHEAD)
        for p in found[:4]:
            f.prefetch(f.at(t.name, p, ahead))
        for v in range(nrv):
            at = v * t.lanes
            for i in range(2):
                sums = [
                    _outer(f, t, i, [_product(f, t, m, nrv, 4 * k + j, v) for k in range(4)])
                    for j in range(4)
                ]
                for j in range(2):
                    to, start = (f.at(t.name, found[k + 2 * i + j], at) for k in (0, 4))
                    _finish(f, t, _outer(f, t, j, sums), (alpha, floor), start, to)
        m = f.at(t.name, m, "%pitch")
        tile.next = [m, *(f.at(t.name, p, f.mul(f"%{n}_right", 2)) for p, n in ((c, "c"), (init, "init")))]
    return f.text()


def _product(f: Function, t: Element, m: str, nrv: int, position: int, v: int) -> str:
    return f.vload(t, f.at(t.name, m, (position * nrv + v) * t.lanes))


def _outer(f: Function, t: Element, i: int, x: Sequence[str]) -> str:
    """Row i of A^T, times four vectors."""
    if i == 0:
        return _add(f, t, _add(f, t, x[0], x[1]), x[2])
    return _sub(f, t, _sub(f, t, x[1], x[2]), x[3])


def _finish(f: Function, t: Element, y: str, ends: tuple[str, str], start: str, to: str) -> None:
    """Write a vector of one result."""
    alpha, floor = ends
    x = f.fma(t, alpha, y, f.vload(t, start))
    above = f(f"fcmp ogt {t.vec} {floor}, {x}")  # false for NaN, which therefore stays
    f.vstore(t, f(f"select {t.mask} {above}, {t.vec} {floor}, {t.vec} {x}"), to)
