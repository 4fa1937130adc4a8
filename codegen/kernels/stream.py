"""The driver for few rows, where reading B from memory is all that counts: B is read in place, row after row.

    jb  N in blocks of `run` columns                 accumulators, few_rows x run, in L1
     pc  K blocks
      kk  `depth` rows of B at a time                that many long runs of B, which the prefetcher follows
       jc  panels of vectors                         depth x panel in L1, for all rows
        ir  tiles

The accumulators of a tile rest in scratch between the steps of kk, so each element is the same sum in the
same order as elsewhere.
"""

from __future__ import annotations

from graphc.codegen.element import Element, const
from graphc.codegen.kernels.cuts import balanced, piece
from graphc.codegen.kernels.packers import call_pack_b
from graphc.codegen.kernels.product import Block, arguments, k_block, k_blocks, see_panel, see_tile
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.tiles import (
    PLAIN,
    Tile,
    call_tile,
    find_or_any,
    new_parameters,
    set_parameters,
)
from graphc.codegen.text import Function, Operand

_FINISH = "ptr %sums, i64 %sums_row, ptr %c, i64 %c_row, i64 %m, i64 %n, ptr %init, i64 %init_row"
_VALUES = ", {T} %alpha, {T} %floor"


def finish(t: Element) -> str:
    """c = max(init + alpha * sums, floor)."""
    f = Function(f"finish_{t.dtype}", _FINISH + _VALUES.format(T=t.name), linkage="internal")
    with f.loop(0, "%m", 1) as row:
        sums, c, init = (f.at(t.name, f"%{x}", f.mul(row.i, f"%{x}_row")) for x in ("sums", "c", "init"))

        def body(i: str, lanes: int, mask: str | None, values: list[str]) -> list[str]:
            u = t.with_lanes(lanes)
            total, start = f.vload(u, f.at(t.name, sums, i)), f.vload(u, f.at(t.name, init, i), mask)
            x = f.fma(u, f.broadcast(u, "%alpha"), total, start)
            floor = f.broadcast(u, "%floor")
            above = f(f"fcmp ogt {u.vec} {floor}, {x}")
            f.vstore(u, f(f"select {u.mask} {above}, {u.vec} {floor}, {u.vec} {x}"), f.at(t.name, c, i), mask)
            return []

        f.vector_loop("%n", t.lanes, body, masked=True)
    return f.text()


def stream_driver(s: Strategy) -> str:
    """The loops jb, pc, kk, jc; see the module."""
    t = s.t
    f = Function(f"product_stream_{t.dtype}", arguments(t), linkage="dso_local")
    blocks = k_blocks(f, s)
    parameters = new_parameters(f, t, _sums(s))
    with f.loop(0, "%n", s.run) as jb:
        n = f.minimum(f.sub("%n", jb.i), s.run)
        panels = balanced(f, f.ceildiv(n, t.lanes), s.few_vectors)
        with f.loop(0, blocks.count, 1) as pc:
            block = k_block(f, t, pc.i, blocks)
            b = f.at(t.name, "%b", f.add(f.mul(block.start, "%b_row"), jb.i))
            see_panel(f, "true", b, "%b_row", block, jb.i, n)
            size = f.mul("%m", s.run * t.size)
            f.do(f"call void @llvm.memset.p0.i64(ptr %scratch, i8 0, i64 {size}, i1 false)")
            with f.loop(0, block.length, s.depth) as kk:
                depth = f.minimum(f.sub(block.length, kk.i), s.depth)
                rows = (f.add(block.start, kk.i), f.at(t.name, b, f.mul(kk.i, "%b_row")), depth)
                with f.loop(0, panels.count, 1) as jc:
                    _panel(f, s, rows, n, piece(f, jc.i, panels), parameters)
            finish_block(f, s, block, jb.i, n)
    return f.text()


def _sums(s: Strategy) -> dict[str, Operand]:
    """The parameters of tiles that add to accumulators: what they begin with is what they write, as it is."""
    one, least = const(s.t, 1.0), const(s.t, float("-inf"))
    strides: dict[str, Operand] = {"a_row": "%a_row", "a_col": "%a_col", "c_row": s.run, "start_row": s.run}
    return strides | {"init_row": 0, "alpha": one, "floor": least}


def _panel(
    f: Function, s: Strategy, rows: tuple[str, str, str], n: str, vectors: tuple[str, str], parameters: str
) -> None:
    """Add `depth` rows of a panel to the accumulators; a partial panel is packed beside zeros."""
    t, (k0, b, depth), nrv = s.t, rows, vectors[1]
    column, width = f.mul(vectors[0], t.lanes), f.mul(nrv, t.lanes)
    inside = f.minimum(width, f.sub(n, column))
    source, slot, whole = (
        f.at(t.name, b, column),
        f.at(t.name, "%scratch", s.few_rows * s.run),
        f.equal(inside, width),
    )
    with f.when(f.negate(whole)):
        call_pack_b(f, s, source, slot, width, inside, depth)
    panel, panel_row = f.select("ptr", whole, source, slot), f.select("i64", whole, "%b_row", width)
    set_parameters(f, t, parameters, {"b_row": panel_row, "k": depth})
    tiles = balanced(f, "%m", f.load("i64", f.at("i64", f"@narrow_rows_{t.dtype}", nrv)))
    with f.loop(0, tiles.count, 1) as ir:
        row, mr = piece(f, ir.i, tiles)
        a = f.at(t.name, "%a", f.add(f.mul(row, "%a_row"), f.mul(k0, "%a_col")))
        sums = f.at(t.name, "%scratch", f.add(column, f.mul(row, s.run)))
        tile = Tile(a, panel, sums, f"@negative_zeros_{t.dtype}", sums, inside)
        set_parameters(f, t, parameters, {"rows": mr, "vectors": nrv})
        call_tile(f, s, find_or_any(f, s, PLAIN, nrv, mr), (mr, "true"), tile, parameters)


def finish_block(f: Function, s: Strategy, block: Block, column: str, n: str) -> None:
    """Write a block of c from the sums in scratch, and show it to on_tile."""
    t = s.t
    c, init = f.at(t.name, "%c", column), f.at(t.name, block.init, column)
    values = f"{t.name} %alpha, {t.name} {block.floor}"
    rows = f"ptr {c}, i64 %c_row, i64 %m, i64 {n}, ptr {init}, i64 {block.init_row}"
    f.do(f"call void @finish_{t.dtype}(ptr %scratch, i64 {s.run}, {rows}, {values})")
    see_tile(f, block, c, "0", column, "%m", n)
