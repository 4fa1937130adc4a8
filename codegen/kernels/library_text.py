"""The texts of the library, a module for each driver (those of windows are in `windows_text`); apart from
their loading, since most processes find them in the cache.
"""

from __future__ import annotations

from collections.abc import Callable

from graphc.codegen.kernels.any_tile import any_tile, foreign_tile
from graphc.codegen.kernels.edge import edge
from graphc.codegen.kernels.large import large_driver
from graphc.codegen.kernels.packers import pack_a_blocks, pack_b_panels
from graphc.codegen.kernels.parts import parts, tiles_of
from graphc.codegen.kernels.product import (
    driver_table,
    narrow_driver,
    narrow_rows,
    product,
)
from graphc.codegen.kernels.row import ROWS, add_rows, row_driver
from graphc.codegen.kernels.strategy import POLICIES, Strategy
from graphc.codegen.kernels.stream import finish, stream_driver
from graphc.codegen.kernels.tiles import (
    COPY,
    LARGE,
    PLAIN,
    constants,
    foreign_table,
    microkernel,
    open_table,
)
from graphc.codegen.module_text import module
from graphc.codegen.target import Target

Parts = tuple[list[str], list[str]]  # globals, functions


def _product(s: Strategy) -> Parts:
    """The core: what can do every product."""
    tops = [*(open_table(s, kind) for kind in (*LARGE, COPY, PLAIN)), driver_table(s), constants(s)]
    tiles = [any_tile(s), edge(s)]
    entries = [product(s, policy) for policy in POLICIES]
    return tops, [*tiles, *pack_b_panels(s), *pack_a_blocks(s), large_driver(s), *entries]


def _driver(s: Strategy, *functions: str) -> Parts:
    """A driver that is a part of its own."""
    return [foreign_table(s, PLAIN), foreign_tile(s), constants(s), narrow_rows(s)], list(functions)


def _narrow(s: Strategy) -> Parts:
    return _driver(s, narrow_driver(s))


def _stream(s: Strategy) -> Parts:
    return _driver(s, finish(s.t), stream_driver(s))


def _row(s: Strategy) -> Parts:
    return _driver(s, finish(s.t), add_rows(s.t, 1), add_rows(s.t, ROWS), row_driver(s))


_MODULES: dict[str, Callable[[Strategy], Parts]] = {
    "product": _product,
    "narrow": _narrow,
    "stream": _stream,
    "row": _row,
}


def library_text(name: str, s: Strategy, target: Target) -> str:
    """The module that defines `<name>_<dtype>`, or that has the microkernels of a part (`parts`)."""
    tops, functions = _module(name, s)
    return module(*functions, target=target, top="\n".join(tops))


def _module(name: str, s: Strategy) -> Parts:
    if name in _MODULES:
        return _MODULES[name](s)
    if name in parts(s):
        return [], [microkernel(s, kind, nrv, mr) for kind, nrv, mr in tiles_of(s, name)]
    from graphc.codegen.kernels.windows_text import MODULES  # most programs have no windows

    return MODULES[name](s)
