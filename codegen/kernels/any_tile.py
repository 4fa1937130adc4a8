"""The microkernel for a tile of any size, one vector after the other: what stands in for those that are not
loaded (`parts`). Its sums are the same in the same order.
"""

from __future__ import annotations

from graphc.codegen.element import Element
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.tiles import ARGUMENTS, get_parameter, write_vector
from graphc.codegen.text import Function


def any_tile_name(t: Element) -> str:
    """The symbol of the microkernel."""
    return f"tile_any_{t.dtype}"


def any_tile(s: Strategy) -> str:
    """c[rows, vectors * lanes] as `tiles.microkernel` computes it, the sizes being parameters."""
    t = s.t
    f = Function(any_tile_name(t), ARGUMENTS, linkage="dso_local")
    names = ("a_row", "a_col", "b_row", "c_row", "init_row", "start_row", "k", "rows", "vectors")
    p = {name: get_parameter(f, t, name) for name in names}
    alpha, floor = (f.broadcast(t, get_parameter(f, t, name)) for name in ("alpha", "floor"))
    with f.loop(0, p["rows"], 1) as row, f.loop(0, p["vectors"], 1) as vector:
        column = f.mul(vector.i, t.lanes)
        a, b = f.at(t.name, "%a", f.mul(row.i, p["a_row"])), f.at(t.name, "%b", column)
        c, init, start = (
            f.at(t.name, base, f.add(f.mul(row.i, p[stride]), column))
            for base, stride in (("%c", "c_row"), ("%init", "init_row"), ("%extra", "start_row"))
        )
        with f.loop(0, p["k"], 1, [(t.vec, f.vload(t, start))]) as l:
            x = f.broadcast(t, f.load(t.name, f.at(t.name, a, f.mul(l.i, p["a_col"])), t.size))
            l.next = [f.fma(t, x, f.vload(t, f.at(t.name, b, f.mul(l.i, p["b_row"]))), l.values[0])]
        write_vector(f, t, (alpha, floor), l.results[0], init, c)
    return f.text()


def foreign_tile(s: Strategy) -> str:
    """The declaration for a module that does not define it."""
    return f"declare void @{any_tile_name(s.t)}({ARGUMENTS})"
