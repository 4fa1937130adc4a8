"""Copies of blocks of A and B in the order in which the microkernels read them.

    A, a block [m, k]     -> tiles of at most `rows` rows: [tile][k][rows of the tile], each tile `rows * k
    + gap` after the last B, a panel [k, width] -> [k][width], zeros beside a partial panel

Either way round: along the contiguous direction it is a copy, across it blocks of lanes x lanes are
transposed in registers. Stores of whole vectors may write past their row: later stores cover the surplus,
and the last surplus falls into a gap.
"""

from __future__ import annotations

from collections.abc import Callable

from graphc.codegen.element import Element, const
from graphc.codegen.kernels.cuts import balanced, piece
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.text import Function

AHEAD = 8  # rows that a packer prefetches
FOUR, TWO = 4, 2  # a tile of four to six rows is copied as its first four and its last two elements
_B_ARGUMENTS = "ptr noalias %b, i64 %stride, ptr noalias %out, i64 %width, i64 %n, i64 %k"
_A_ARGUMENTS = "ptr noalias %a, i64 %stride, ptr noalias %out, i64 %m, i64 %k"


def transpose(f: Function, t: Element, x: list[str]) -> list[str]:
    """lanes x lanes transpose in log2(lanes) rounds; a round swaps bit s of the row number with bit s of
    the lane number.
    """
    lanes = t.lanes
    for s in (1 << bit for bit in range(len(x).bit_length() - 1)):
        low = [i if not i & s else lanes + (i & ~s) for i in range(lanes)]
        high = [i | s if not i & s else lanes + i for i in range(lanes)]
        y = list(x)
        for i in (i for i in range(len(x)) if not i & s):
            y[i], y[i | s] = f.shuffle(t, x[i], x[i | s], low), f.shuffle(t, x[i], x[i | s], high)
        x = y
    return x


def pack_b_rows(t: Element) -> str:
    """A panel of B whose rows are contiguous: b[k, n] -> out[k, width], 2 vectors of a row at a time."""
    f = Function(f"pack_b_rows_{t.dtype}", _B_ARGUMENTS, linkage="internal")
    step = 2 * t.lanes
    with f.loop(0, "%width", step) as column:
        left = [f.sub("%n", f.add(column.i, v * t.lanes)) for v in range(2)]
        room = f.less(f.add(column.i, t.lanes), "%width")
        masks = [f.lanes_below(t, n) for n in left]
        source, out = f.at(t.name, "%b", column.i), f.at(t.name, "%out", column.i)
        with f.loop(0, "%k", 1) as row:
            p = f.at(t.name, source, f.mul(row.i, "%stride"))
            q = f.at(t.name, out, f.mul(row.i, "%width"))
            f.prefetch(f.at(t.name, p, f.mul("%stride", AHEAD)))
            f.vstore(t, f.vload(t, p, masks[0]), q)
            second = f.vload(t, f.at(t.name, p, t.lanes), masks[1])
            with f.when(room):
                f.vstore(t, second, f.at(t.name, q, t.lanes))
    return f.text()


def _blocks(f: Function, t: Element, block: Callable[[str], None]) -> None:
    """Blocks of lanes along k, the last of which ends with k: what two of them share is written twice."""
    with f.loop(0, "%k", t.lanes) as l:
        block(f(f"freeze i64 {f.minimum(l.i, f.sub('%k', t.lanes))}"))  # loads count from one number


def pack_b_columns(t: Element) -> str:
    """A panel of B whose columns are contiguous: b[n, k] -> out[k, width]."""
    f = Function(f"pack_b_columns_{t.dtype}", _B_ARGUMENTS, linkage="internal")
    enough = f.less(t.lanes - 1, "%k")
    with f.when(enough), f.loop(0, "%width", t.lanes) as column:
        numbers = [f.minimum(f.add(column.i, r), f.sub("%n", 1)) for r in range(t.lanes)]
        rows = [f.at(t.name, "%b", f.mul(number, "%stride")) for number in numbers]
        inside = f.lanes_below(t, f.sub("%n", column.i))

        def block(at: str) -> None:
            q = f.at(t.name, "%out", f.add(f.mul(at, "%width"), column.i))
            for v in transpose(f, t, [f.vload(t, f.at(t.name, row, at)) for row in rows]):
                f.vstore(t, f(f"select {t.mask} {inside}, {t.vec} {v}, {t.vec} zeroinitializer"), q)
                q = f.at(t.name, q, "%width")

        _blocks(f, t, block)
    with f.when(f.negate(enough)):
        operands = "ptr %out, i64 %width, i64 %n, i64 %k"
        f.do(f"call void @pack_b_any_{t.dtype}(ptr %b, i64 1, i64 %stride, {operands})")
    return f.text()


def pack_b_any(t: Element) -> str:
    """A panel of B with any two strides, element by element."""
    arguments = _B_ARGUMENTS.replace("i64 %stride", "i64 %b_row, i64 %b_col")
    f = Function(f"pack_b_any_{t.dtype}", arguments, linkage="internal")
    with f.loop(0, "%k", 1) as row, f.loop(0, "%width", 1) as column:
        with f.when(f.less(column.i, "%n"), [(t.name, const(t, 0.0))]) as w:
            p = f.at(t.name, "%b", f.add(f.mul(row.i, "%b_row"), f.mul(column.i, "%b_col")))
            w.next = [f.load(t.name, p, t.size)]
        f.store(t.name, w.results[0], f.at(t.name, "%out", f.add(f.mul(row.i, "%width"), column.i)), t.size)
    return f.text()


def tile_slot(f: Function, s: Strategy, tile: str, k: str) -> str:
    """Where the packed tile of that number starts, in elements."""
    return f.mul(tile, f.add(f.mul(k, s.rows), s.tile_gap))


def pack_a_rows(s: Strategy) -> str:
    """One tile of A whose rows are contiguous: a[m, k] -> out[k, m] for m <= rows."""
    t = s.t
    f = Function(f"pack_a_rows_{t.dtype}", _A_ARGUMENTS, linkage="internal")
    groups = -(-s.rows // t.lanes)
    last = f.sub("%m", 1)
    rows = [f.at(t.name, "%a", f.mul(f.minimum(i, last), "%stride")) for i in range(groups * t.lanes)]

    def block(at: str) -> None:
        x = [f.vload(t, f.at(t.name, r, at)) for r in rows]
        columns = [transpose(f, t, x[g * t.lanes : (g + 1) * t.lanes]) for g in range(groups)]
        q = f.at(t.name, "%out", f.mul(at, "%m"))
        for i in range(t.lanes):
            for g in range(groups):
                f.vstore(t, columns[g][i], f.at(t.name, q, g * t.lanes))
            q = f.at(t.name, q, "%m")

    enough = f.less(t.lanes - 1, "%k")
    with f.when(enough):
        _blocks(f, t, block)
    with f.when(f.negate(enough)):
        operands = "ptr %out, i64 %m, i64 %k"
        f.do(f"call void @pack_a_any_{t.dtype}(ptr %a, i64 %stride, i64 1, {operands})")
    return f.text()


def pack_a_columns(s: Strategy) -> str:
    """One tile of A whose columns are contiguous: a[k, m] -> out[k, m] for m <= rows."""
    t = s.t
    f = Function(f"pack_a_columns_{t.dtype}", _A_ARGUMENTS, linkage="dso_local")
    groups = -(-s.rows // t.lanes)
    masks = [f.lanes_below(t, f.sub("%m", g * t.lanes)) for g in range(groups)]
    with f.loop(0, "%k", 1) as l:
        p, q = f.at(t.name, "%a", f.mul(l.i, "%stride")), f.at(t.name, "%out", f.mul(l.i, "%m"))
        f.prefetch(f.at(t.name, p, f.mul("%stride", AHEAD)))
        for g, mask in enumerate(masks):
            f.vstore(t, f.vload(t, f.at(t.name, p, g * t.lanes), mask), f.at(t.name, q, g * t.lanes))
    return f.text()


def pack_a_across(s: Strategy) -> str:
    """A block whose columns are contiguous, all tiles of which have at least four rows: a[k, m] is read line
    by line, since each may be on a page of its own.
    """
    t = s.t
    f = Function(f"pack_a_across_{t.dtype}", _A_ARGUMENTS, linkage="internal")
    tiles, slot = balanced(f, "%m", s.rows), tile_slot(f, s, "1", "%k")
    rest = f.sub(tiles.count, tiles.larger)
    with f.loop(0, "%k", 1) as l:
        p, out = f.at(t.name, "%a", f.mul(l.i, "%stride")), "%out"
        for count, m in ((tiles.larger, f.add(tiles.size, 1)), (rest, tiles.size)):
            q = f.at(t.name, out, f.mul(l.i, m))
            with f.loop(0, count, 1, [("ptr", p), ("ptr", q)]) as tile:
                source, target = tile.values
                f.prefetch(f.at(t.name, source, "%stride"))
                for lanes, at in ((FOUR, "0"), (TWO, f.sub(m, TWO))):
                    u = t.with_lanes(lanes)
                    f.vstore(u, f.vload(u, f.at(t.name, source, at)), f.at(t.name, target, at))
                tile.next = [f.at(t.name, source, m), f.at(t.name, target, slot)]
            p, out = tile.results[0], f.at(t.name, "%out", f.mul(tiles.larger, slot))
    return f.text()


def pack_a_any(s: Strategy) -> str:
    """One tile of A with any two strides, element by element."""
    t = s.t
    f = Function(
        f"pack_a_any_{t.dtype}",
        _A_ARGUMENTS.replace("i64 %stride", "i64 %a_row, i64 %a_col"),
        linkage="internal",
    )
    with f.loop(0, "%k", 1) as l, f.loop(0, "%m", 1) as row:
        p = f.at(t.name, "%a", f.add(f.mul(row.i, "%a_row"), f.mul(l.i, "%a_col")))
        q = f.at(t.name, "%out", f.add(f.mul(l.i, "%m"), row.i))
        f.store(t.name, f.load(t.name, p, t.size), q, t.size)
    return f.text()


def pack_a(s: Strategy) -> str:
    """The block a[m, k] by tiles, in the way that its strides allow; the tiles are balanced as the driver's
    are.
    """
    t = s.t
    arguments = _A_ARGUMENTS.replace("i64 %stride", "i64 %a_row, i64 %a_col")
    f = Function(f"pack_a_{t.dtype}", arguments, linkage="internal")
    along, tiles = f.equal("%a_col", 1), balanced(f, "%m", s.rows)
    across = f.both(f.negate(along), f.both(f.equal("%a_row", 1), f.less(FOUR - 1, tiles.size)))
    with f.when(across):
        f.do(f"call void @pack_a_across_{t.dtype}(ptr %a, i64 %a_col, ptr %out, i64 %m, i64 %k)")
    with f.loop(0, f.select("i64", across, 0, tiles.count), 1) as l:
        start, rows = piece(f, l.i, tiles)
        a, out = f.at(t.name, "%a", f.mul(start, "%a_row")), f.at(t.name, "%out", tile_slot(f, s, l.i, "%k"))
        operands = f"ptr {out}, i64 {rows}, i64 %k"
        with f.when(along):
            f.do(f"call void @pack_a_rows_{t.dtype}(ptr {a}, i64 %a_row, {operands})")
        with f.when(f.negate(along)):
            f.do(f"call void @pack_a_any_{t.dtype}(ptr {a}, i64 %a_row, i64 %a_col, {operands})")
    return f.text()


def pack_b(s: Strategy) -> str:
    """The panel b[k, n] to out[k, width], in the way that its strides allow."""
    t = s.t
    f = Function(
        f"pack_b_{t.dtype}",
        _B_ARGUMENTS.replace("i64 %stride", "i64 %b_row, i64 %b_col"),
        linkage="dso_local",
    )
    along, across = f.equal("%b_col", 1), f.equal("%b_row", 1)
    operands = "ptr %out, i64 %width, i64 %n, i64 %k"
    with f.when(along):
        f.do(f"call void @pack_b_rows_{t.dtype}(ptr %b, i64 %b_row, {operands})")
    rest = f.negate(along)
    with f.when(f.both(rest, across)):
        f.do(f"call void @pack_b_columns_{t.dtype}(ptr %b, i64 %b_col, {operands})")
    with f.when(f.both(rest, f.negate(across))):
        f.do(f"call void @pack_b_any_{t.dtype}(ptr %b, i64 %b_row, i64 %b_col, {operands})")
    return f.text()


def call_pack_b(f: Function, s: Strategy, source: str, slot: str, width: str, n: str, k: str) -> None:
    """Pack a panel of the driver's B."""
    operands = f"ptr {slot}, i64 {width}, i64 {n}, i64 {k}"
    f.do(f"call void @pack_b_{s.t.dtype}(ptr {source}, i64 %b_row, i64 %b_col, {operands})")


def pack_a_blocks(s: Strategy) -> list[str]:
    """Every packer of A."""
    return [pack_a_rows(s), pack_a_columns(s), pack_a_across(s), pack_a_any(s), pack_a(s)]


def pack_b_panels(s: Strategy) -> list[str]:
    """Every packer of B."""
    return [pack_b_rows(s.t), pack_b_columns(s.t), pack_b_any(s.t), pack_b(s)]
