"""The texts of the library, a module for each driver; apart from their loading, since most processes find
them in the cache.
"""

from __future__ import annotations

from collections.abc import Callable

from graphc.codegen.kernels.any_tile import any_tile, foreign_tile
from graphc.codegen.kernels.convolve import convolve
from graphc.codegen.kernels.correlate import (
    correlate,
    correlate_arguments,
    find_pixels,
    pack_tap,
    pack_windows,
    tap_driver,
)
from graphc.codegen.kernels.edge import edge
from graphc.codegen.kernels.large import large_driver
from graphc.codegen.kernels.packers import pack_a_blocks, pack_b_panels
from graphc.codegen.kernels.parts import tiles_of
from graphc.codegen.kernels.pixels import find_taps, gather, point_at, zero_pixel
from graphc.codegen.kernels.product import (
    driver_table,
    fetch_rows,
    narrow_driver,
    narrow_rows,
    product,
)
from graphc.codegen.kernels.row import ROWS, add_rows, row_driver
from graphc.codegen.kernels.runs import pack_area, runs_driver
from graphc.codegen.kernels.strategy import POLICIES, Strategy
from graphc.codegen.kernels.stream import finish, stream_driver
from graphc.codegen.kernels.tiles import (
    COPY,
    FULL,
    PLAIN,
    RUNS,
    WALKS,
    constants,
    foreign_table,
    microkernel,
    microkernels,
    open_table,
    table,
)
from graphc.codegen.kernels.winograd import winograd_parts
from graphc.codegen.module_text import module
from graphc.codegen.target import Target

Parts = tuple[list[str], list[str]]  # globals, functions


def _product(s: Strategy) -> Parts:
    """The core: what can do every product."""
    tops = [*(open_table(s, kind) for kind in (FULL, COPY, PLAIN)), driver_table(s), constants(s)]
    tiles = [any_tile(s), edge(s), fetch_rows(s)]
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


def _convolve(s: Strategy) -> Parts:
    tops = [*(table(s, kind) for kind in WALKS), constants(s), zero_pixel(s)]
    tiles = [*microkernels(s, WALKS), edge(s), fetch_rows(s)]
    return tops, [*tiles, *pack_b_panels(s), find_taps(s), point_at(s), gather(s), convolve(s)]


def _correlate(s: Strategy) -> Parts:
    """Packers, and most tiles, are those of `product`."""
    tops = [*(foreign_table(s, kind) for kind in (FULL, COPY)), foreign_tile(s), table(s, RUNS)]
    tops += [constants(s), zero_pixel(s)]
    packing = [find_taps(s), gather(s), pack_windows(s), find_pixels(s), pack_tap(s), pack_area(s)]
    drivers = [tap_driver(s), runs_driver(s, correlate_arguments(s.t)), correlate(s)]
    return tops, [*microkernels(s, (RUNS,)), fetch_rows(s), *packing, *drivers]


def _winograd(s: Strategy) -> Parts:
    """What falls back is computed by `convolve`."""
    tops, functions = winograd_parts(s)
    return tops, [*pack_b_panels(s), *functions]


_MODULES: dict[str, Callable[[Strategy], Parts]] = {
    "product": _product,
    "convolve": _convolve,
    "correlate": _correlate,
    "winograd": _winograd,
    "narrow": _narrow,
    "stream": _stream,
    "row": _row,
}


def library_text(name: str, s: Strategy, target: Target) -> str:
    """The module that defines `<name>_<dtype>`, or that has the microkernels of a part (`parts`)."""
    if name in _MODULES:
        tops, functions = _MODULES[name](s)
    else:
        tops, functions = [], [microkernel(s, kind, nrv, mr) for kind, nrv, mr in tiles_of(s, name)]
    return module(*functions, target=target, top="\n".join(tops))
