"""The products of Winograd's algorithm: for a position, tiles @ columns, by microkernels whose sums go to
memory as they are.
"""

from __future__ import annotations

from dataclasses import replace

from graphc.codegen.element import Element
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.tiles import WALK, walk
from graphc.codegen.kernels.winograd_transforms import POSITIONS
from graphc.codegen.text import Function, Operand

_ARGUMENTS = "ptr noalias %a, i64 %a_row, ptr noalias %b, ptr noalias %m, i64 %count, i64 %k, i1 %add"
UNIT = 16
"""What channels and columns are multiples of."""
RUN = 128
"""Channels that are summed one after the other, at most: longer sums would be less exact than direct ones."""
GAP = 16
"""Elements between positions, or tiles, so that they do not all fall into one set of a cache."""


def _name(t: Element, nrv: int, mr: int) -> str:
    return f"position_{t.dtype}_{nrv}_{mr}"


def widths(s: Strategy) -> list[int]:
    """The vectors of panels, where columns are whole units."""
    each = UNIT // s.t.lanes
    return [s.vectors] if each % s.vectors == 0 else list(range(1, s.vectors + 1))


def _sizes(s: Strategy) -> list[tuple[int, int]]:
    return [(nrv, mr) for nrv in widths(s) for mr in range(1, s.rows + 1)]


def position_kernel(s: Strategy, nrv: int, mr: int) -> str:
    """%count times m[mr, nrv * lanes] = a[mr, k] @ b[k, nrv * lanes], one below the other; the rows of m are
    the places of one position in tiles. k is a multiple of UNIT; `add`: to what is there.
    """
    t = s.t
    f = Function(_name(t, nrv, mr), _ARGUMENTS, linkage="internal")
    pitch = tile_pitch(nrv * t.lanes)
    # blocks of few tiles are rare: less code to compile
    kind = WALK if mr > s.rows // 2 else replace(WALK, unroll=1)
    start = [("ptr", "%b"), ("ptr", "%b"), *[(t.vec, "zeroinitializer")] * (mr * nrv)]
    with f.loop(0, "%count", 1, [("ptr", "%a"), ("ptr", "%m")]) as group:
        a, m = group.values
        rows = [f.at(t.name, a, f.mul("%a_row", i)) for i in range(mr)]
        with f.loop(0, "%k", kind.unroll, start, sure=True) as l:
            l.next = walk(f, t, kind, nrv, rows, l.i, l.values, {})
        places = [f.at(t.name, m, i * pitch + v * t.lanes) for i in range(mr) for v in range(nrv)]
        with f.when("%add", [(t.vec, x) for x in l.results[2:]]) as w:
            w.next = [f(f"fadd {t.vec} {f.vload(t, at)}, {x}") for at, x in zip(places, l.results[2:])]
        for at, x in zip(places, w.results):
            f.vstore(t, x, at)
        group.next = [f.at(t.name, a, f.mul("%a_row", mr)), f.at(t.name, m, mr * pitch)]
    return f.text()


def tile_pitch(width: int) -> int:
    """Elements from one tile to the next in M, where a panel has so many columns."""
    return POSITIONS * width + GAP


def position_kernels(s: Strategy) -> list[str]:
    """Every one of them."""
    return [position_kernel(s, nrv, mr) for nrv, mr in _sizes(s)]


def position_table(s: Strategy) -> str:
    """The table of them by (vectors, rows)."""
    width = s.rows + 1
    entries = ["ptr null"] * ((s.vectors + 1) * width)
    for nrv, mr in _sizes(s):
        entries[nrv * width + mr] = f"ptr @{_name(s.t, nrv, mr)}"
    return (
        f"@positions_{s.t.dtype} = internal constant [{len(entries)} x ptr] [{', '.join(entries)}], align 64"
    )


def find_position_kernel(f: Function, s: Strategy, nrv: Operand, mr: Operand) -> str:
    """The microkernel for so many vectors and rows."""
    place = f.add(f.mul(nrv, s.rows + 1), mr)
    return f.load("ptr", f.at("ptr", f"@positions_{s.t.dtype}", place))
