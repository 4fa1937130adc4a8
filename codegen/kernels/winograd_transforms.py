"""The three transforms of Winograd's F(2x2, 3x3): 2 x 2 results are y = A^T [(G g G^T) * (B^T d B)] A, of a
tile d of 4 x 4 pixels and a kernel g of 3 x 3 taps (Lavin and Gray 2015, arXiv 1509.09308, section 4.1).

          1  0 -1  0          1    0    0
    B^T = 0  1  1  0     G = 1/2  1/2  1/2    A^T = 1  1  1  0
          0 -1  1  0         1/2 -1/2  1/2          0  1 -1 -1
          0  1  0 -1          0    0    1

Vectors are along channels (of pixels) or columns (of kernels and results), so that each transform is sums of
whole vectors. A value of 16 *positions* lies position by position.

Seven taps in a line are three, three and one (F(2, 3) twice, and a plain product): 10 multiplications for two
results, where sums of products need 14.
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
_LINE = "ptr noalias %d, i64 %step, i64 %channels, ptr noalias %v, i64 %pitch"
_LINE_OUTPUT = (
    "ptr noalias %m, i64 %pitch, ptr %c, i64 %c_next, i64 %c_second, ptr %init, i64 %init_next, "
    "i64 %init_second, ptr noalias %rest, {T} %alpha, {T} %floor, i64 %tiles, i64 %pairs"
)
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
            for j, v in enumerate(_four(f, t, x)):
                f.vstore(t, v, f.at(t.name, out, f.mul("%pitch", 4 * i + j)))

        second, third = row(1), row(2)
        store(1, [_add(f, t, a, b) for a, b in zip(second, third)])
        store(2, [_sub(f, t, b, a) for a, b in zip(second, third)])
        store(0, [_sub(f, t, a, b) for a, b in zip(row(0), third)])
        store(3, [_sub(f, t, a, b) for a, b in zip(second, row(3))])
    return f.text()


def _taps(f: Function, t: Element, a: str, b: str, c: str) -> list[str]:
    """G times three taps."""
    half = splat(t, 0.5)
    outer = f(f"fmul {t.vec} {_add(f, t, a, c)}, {half}")
    middle = f(f"fmul {t.vec} {b}, {half}")
    return [a, _add(f, t, outer, middle), _sub(f, t, outer, middle), c]


def transform_taps(f: Function, t: Element, g: Sequence[str]) -> list[list[str]]:
    """G g G^T of nine vectors, a value for each of sixteen positions."""
    columns = [_taps(f, t, g[j], g[3 + j], g[6 + j]) for j in range(3)]
    return [[x] for i in range(4) for x in _taps(f, t, *(columns[j][i] for j in range(3)))]


def transform_line_taps(f: Function, t: Element, g: Sequence[str]) -> list[list[str]]:
    """Seven taps in a line as three, three and one, for four positions: those of each three, and the last tap
    for the first and the last position.
    """
    parts = list(zip(_taps(f, t, *g[:3]), _taps(f, t, *g[3:6])))
    return [[*x, g[6]] if p in (0, 3) else [*x] for p, x in enumerate(parts)]


def transform_input_line(t: Element) -> str:
    """The eight pixels of two windows of seven, %step apart, for the four positions: B^T of the first four,
    of four from the fourth on, and the last two, for the first and, negated, the second result.
    """
    f = Function(f"transform_input.lines_{t.dtype}", _LINE, linkage="internal")
    with f.loop(0, "%channels", t.lanes) as l:
        at = f(f"freeze i64 {l.i}")
        d = [f.vload(t, f.at(t.name, f.at(t.name, "%d", f.mul("%step", i)), at)) for i in range(8)]
        out = f.at(t.name, "%v", at)
        for part in range(2):
            a = d[3 * part : 3 * part + 4]
            for p, x in enumerate(_four(f, t, a)):
                f.vstore(t, x, f.at(t.name, out, f.add(f.mul("%pitch", p), f.mul("%channels", part))))
        last = f(f"fneg {t.vec} {d[7]}")
        for p, x in ((0, d[6]), (3, last)):
            f.vstore(t, x, f.at(t.name, out, f.add(f.mul("%pitch", p), f.mul("%channels", 2))))
    return f.text()


def _four(f: Function, t: Element, x: Sequence[str]) -> tuple[str, ...]:
    """B^T times four vectors."""
    return _sub(f, t, x[0], x[2]), _add(f, t, x[1], x[2]), _sub(f, t, x[2], x[1]), _sub(f, t, x[1], x[3])


def transform_output_line(s: Strategy, nrv: int) -> str:
    """c = max(init + alpha * A^T m, floor) for %tiles tiles, the first %pairs of which have two results;
    tiles are %c_next elements apart, results %c_second.
    """
    t = s.t
    arguments = _LINE_OUTPUT.format(T=t.name)
    f = Function(f"transform_output.lines_{t.dtype}_{nrv}", arguments, linkage="internal")
    alpha, floor = f.broadcast(t, "%alpha"), f.broadcast(t, "%floor")
    with f.loop(0, "%tiles", 1, [("ptr", "%m"), ("ptr", "%c"), ("ptr", "%init")]) as tile:
        m, *starts = tile.values
        pair = f.less(tile.i, "%pairs")
        second = [
            f.select("ptr", pair, f.at(t.name, start, f"%{n}_second"), "%rest")
            for start, n in zip(starts, ("c", "init"))
        ]
        for place in (starts[0], second[0]):
            f.prefetch(f.at(t.name, place, f.mul("%c_next", AHEAD)))
        for v in range(nrv):
            x = [_product(f, t, m, nrv, p, v) for p in range(4)]
            for i, (c, init) in enumerate((starts, second)):
                to, start = (f.at(t.name, place, v * t.lanes) for place in (c, init))
                _finish(f, t, _outer(f, t, i, x), (alpha, floor), start, to)
        following = (f.at(t.name, start, f"%{n}_next") for start, n in zip(starts, ("c", "init")))
        tile.next = [f.at(t.name, m, "%pitch"), *following]
    return f.text()


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
