"""The product c = max(init + alpha * a @ b, floor): its interface, and the driver for few rows or few
columns.

    @product_f32(a, a_row, a_col, b, b_row, b_col, c, c_row, m, n, k, init, init_row, alpha, floor,
                 scratch, on_tile, tile_context, on_panel, panel_context)

Strides and sizes are in elements. a[m, k] and b[k, n] may have any strides (one of 1 is fast), c's columns
are contiguous. `init` is a row (init_row = 0), a matrix, or c itself; floor is 0 for relu and -inf for
nothing; `scratch` is 64-byte aligned, of `product_scratch_bytes`. k = 0 gives max(init, floor). Every
element of c is the same sum in the same order, whatever m and n are.

Hooks are functions (context, block, stride, row, col, rows, n); a null context switches one off.
on_tile     a finished tile of c, just written and in L1; all of c at once if it is small
on_panel    a panel of b (rows of b are k), once, before its first use, for increasing k; for k = 0 once
with no rows
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.element import Element, const
from graphc.codegen.kernels.cuts import Cut, balanced, piece
from graphc.codegen.kernels.packers import call_pack_b
from graphc.codegen.kernels.parts import DRIVERS
from graphc.codegen.kernels.strategy import CLOSE, NEAR, Strategy
from graphc.codegen.kernels.tiles import (
    PLAIN,
    Tile,
    call_tile,
    find_or_any,
    new_parameters,
    set_parameters,
)
from graphc.codegen.text import Function, Operand

_OPERANDS = (
    "ptr noalias %a, i64 %a_row, i64 %a_col, ptr noalias %b, i64 %b_row, i64 %b_col, ptr %c, i64 %c_row, "
    "i64 %m, i64 %n, i64 %k, ptr %init, i64 %init_row, {T} %alpha, {T} %floor, ptr noalias %scratch"
)
SMALL = 16384  # bytes of c that stay in L1 until all is done
_HOOKS = ", ptr %on_tile, ptr %tile_context, ptr %on_panel, ptr %panel_context"
HOOK_ARGUMENTS = "ptr %context, ptr %block, i64 %stride, i64 %row, i64 %col, i64 %rows, i64 %n"


def arguments(t: Element) -> str:
    """The parameters of a product of that element type."""
    return _OPERANDS.format(T=t.name) + _HOOKS


@dataclass(frozen=True)
class Block:
    """A block of K: where it starts, its length, and what a tile begins and ends with in it."""

    start: str
    length: str
    init: str
    init_row: str
    floor: str
    finish: str

    @property
    def parameters(self) -> dict[str, Operand]:
        """What the tiles of the block share."""
        return {"init_row": self.init_row, "k": self.length, "floor": self.floor}


def k_block(f: Function, t: Element, i: str, cut: Cut) -> Block:
    """Block i of K. Later blocks add to c; only the last one clamps and calls on_tile."""
    start, length = piece(f, i, cut)
    first, last = f.equal(i, 0), f.equal(f.add(i, 1), cut.count)
    return Block(
        start,
        length,
        f.select("ptr", first, "%init", "%c"),
        f.select("i64", first, "%init_row", "%c_row"),
        f.select(t.name, last, "%floor", const(t, float("-inf"))),
        f.both(last, f("icmp ne ptr %tile_context, null")),
    )


def k_blocks(f: Function, s: Strategy) -> Cut:
    """K in balanced blocks; one of length 0 if K is 0, which writes max(init, floor)."""
    cut = balanced(f, "%k", s.kc)
    return Cut(f.maximum(cut.count, 1), cut.size, cut.larger)


def see_panel(f: Function, wanted: str, b: str, b_row: str, block: Block, column: str, n: str) -> None:
    """Call on_panel."""
    with f.when(f.both(wanted, f("icmp ne ptr %panel_context, null"))):
        operands = f"ptr {b}, i64 {b_row}, i64 {block.start}, i64 {column}, i64 {block.length}, i64 {n}"
        f.do(f"call void %on_panel(ptr %panel_context, {operands})")


def see_tile(f: Function, block: Block, c: str, row: str, column: str, mr: str, n: str) -> None:
    """Call on_tile after the last block of K."""
    with f.when(block.finish):
        operands = f"ptr {c}, i64 %c_row, i64 {row}, i64 {column}, i64 {mr}, i64 {n}"
        f.do(f"call void %on_tile(ptr %tile_context, {operands})")


def worth_fetching(f: Function, s: Strategy, tiles: str, length: str, columns: str) -> str:
    """Whether the next panel of B should be on its way to L2 while some tiles of this one are computed: B is
    large, and the fetches of a tile are few enough.
    """
    large = f.less(CLOSE // s.t.size, f.mul(length, columns))
    return f.both(large, f.less(4, tiles))


def fetch_rows(s: Strategy) -> str:
    """Fetch a panel of B into L2: behind the first tile, which packs the panel before, each fetches its
    share.
    """
    t = s.t
    arguments = "ptr %b, i64 %b_row, i64 %length, i64 %tile, i64 %tiles"
    f = Function(f"fetch_rows_{t.dtype}", arguments, linkage="internal", attrs="noinline #0")
    share = f.ceildiv("%length", f.maximum(f.sub("%tiles", 1), 1))
    low = f.mul(f.sub("%tile", 1), share)
    with f.loop(f.maximum(low, 0), f.minimum(f.add(low, share), "%length"), 1) as row:
        place = f.at(t.name, "%b", f.mul(row.i, "%b_row"))
        for at in range(0, s.width, 64 // t.size):
            f.prefetch(f.at(t.name, place, at), 2)
    return f.text()


def narrow_driver(s: Strategy) -> str:
    """Few rows, or few columns: A in place, B in place where its rows are contiguous and a whole panel is
    there.

    pc  K blocks | jc  panels, wide ones if the rows are few | ir  tiles
    """
    t = s.t
    f = Function(f"product_narrow_{t.dtype}", arguments(t), linkage="dso_local")
    parameters = new_parameters(
        f,
        t,
        {"a_row": "%a_row", "a_col": "%a_col", "c_row": "%c_row", "start_row": 0, "alpha": "%alpha"},
    )
    few = f(f"icmp sle i64 %m, {s.few_rows}")
    widest = f.select("i64", few, s.few_vectors, s.vectors)
    panels = balanced(f, f.ceildiv("%n", t.lanes), widest)
    blocks = k_blocks(f, s)
    with f.loop(0, blocks.count, 1) as pc:
        block = k_block(f, t, pc.i, blocks)
        set_parameters(f, t, parameters, block.parameters)
        with f.loop(0, panels.count, 1) as jc:
            _narrow_panel(f, s, block, piece(f, jc.i, panels), parameters)
    return f.text()


def _narrow_panel(f: Function, s: Strategy, block: Block, vectors: tuple[str, str], parameters: str) -> None:
    t, nrv = s.t, vectors[1]
    column, width = f.mul(vectors[0], t.lanes), f.mul(nrv, t.lanes)
    n = f.minimum(width, f.sub("%n", column))
    source = f.at(t.name, "%b", f.add(f.mul(block.start, "%b_row"), f.mul(column, "%b_col")))
    whole = f.equal(n, width)
    in_place = f.both(f.equal("%b_col", 1), whole)
    with f.when(f.negate(in_place)):
        call_pack_b(f, s, source, "%scratch", width, n, block.length)
    b, b_row = f.select("ptr", in_place, source, "%scratch"), f.select("i64", in_place, "%b_row", width)
    set_parameters(f, t, parameters, {"b_row": b_row})
    see_panel(f, "true", b, b_row, block, column, n)
    tiles = balanced(f, "%m", f.load("i64", f.at("i64", f"@narrow_rows_{t.dtype}", nrv)))
    with f.loop(0, tiles.count, 1) as ir:
        row, mr = piece(f, ir.i, tiles)
        a = f.at(t.name, "%a", f.add(f.mul(row, "%a_row"), f.mul(block.start, "%a_col")))
        c = f.at(t.name, "%c", f.add(column, f.mul(row, "%c_row")))
        init = f.at(t.name, block.init, f.add(column, f.mul(row, block.init_row)))
        tile = Tile(a, b, c, init, f"@zeros_{t.dtype}", n)
        set_parameters(f, t, parameters, {"rows": mr, "vectors": nrv})
        call_tile(f, s, find_or_any(f, s, PLAIN, nrv, mr), (mr, whole), tile, parameters)
        see_tile(f, block, c, row, column, mr, n)


def narrow_rows(s: Strategy) -> str:
    """The global table of the rows of a narrow tile by its vectors."""
    rows = [f"i64 {s.narrow.get(v, 0)}" for v in range(max(s.narrow) + 1)]
    return f"@narrow_rows_{s.t.dtype} = internal constant [{len(rows)} x i64] [{', '.join(rows)}]"


def product(s: Strategy, policy: str = "") -> str:
    """The entry: chooses one of the drivers that are loaded, by a policy; all of them give the same bits."""
    t = s.t
    f = Function(f"product{policy}_{t.dtype}", arguments(t))
    few = f(f"icmp sle i64 %m, {s.few_rows}")
    small = f(f"icmp sle i64 {f.mul('%m', '%n')}, {SMALL // t.size}")
    at_once = f.both(small, f("icmp ne ptr %tile_context, null"))
    context = f.select("ptr", small, "null", "%tile_context")
    names = arguments(t).replace(" noalias", "").replace("%tile_context", context)
    in_place = f.either(few, _is_thin(f, s, policy))
    driver = _loaded(f, s, "narrow", in_place, f"@product_large_{t.dtype}")
    along = f.both(few, f.equal("%b_col", 1))
    if policy != NEAR:
        far = f.less(CLOSE // t.size, f.mul("%k", "%n"))
        driver = _loaded(f, s, "stream", f.both(along, far), driver)
    driver = _loaded(f, s, "row", f.both(along, f.equal("%m", 1)), driver)
    f.do(f"call void {driver}({names})")
    with f.when(at_once):
        f.do("call void %on_tile(ptr %tile_context, ptr %c, i64 %c_row, i64 0, i64 0, i64 %m, i64 %n)")
    return f.text()


def driver_table(s: Strategy) -> str:
    """The table of the drivers that are parts of their own, which is filled as they are loaded."""
    return f"@drivers_{s.t.dtype} = dso_local global [{len(DRIVERS)} x ptr] zeroinitializer"


def _loaded(f: Function, s: Strategy, name: str, wanted: str, otherwise: str) -> str:
    """A driver, if it is wanted and loaded."""
    found = f.load("ptr", f.at("ptr", f"@drivers_{s.t.dtype}", DRIVERS.index(name)))
    there = f(f"icmp ne ptr {found}, null")
    return f.select("ptr", f.both(wanted, there), found, otherwise)


def _is_thin(f: Function, s: Strategy, policy: str) -> str:
    """Whether columns are so few that A is better read in place, once for each panel of them, than packed."""
    few = f(f"icmp sle i64 %n, {4 * s.width}")
    if policy == NEAR:
        return few
    close = f(f"icmp sle i64 {f.mul('%m', '%k')}, {2 * CLOSE // s.t.size}")
    return f.either(f(f"icmp sle i64 %n, {s.width}"), f.both(close, few))
