"""The texts of the library's drivers for products of windows."""

from __future__ import annotations

from collections.abc import Callable

from graphc.codegen.kernels.any_tile import foreign_tile
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
from graphc.codegen.kernels.packers import pack_b_panels
from graphc.codegen.kernels.pixels import find_taps, gather, point_at, zero_pixel
from graphc.codegen.kernels.product import fetch_rows
from graphc.codegen.kernels.runs import pack_area, runs_driver
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.tiles import (
    COPY,
    FETCH,
    FULL,
    RUNS,
    WALKS,
    constants,
    foreign_table,
    microkernels,
    table,
)
from graphc.codegen.kernels.winograd import winograd_parts

Parts = tuple[list[str], list[str]]  # globals, functions


def _convolve(s: Strategy) -> Parts:
    tops = [*(table(s, kind) for kind in WALKS), constants(s), zero_pixel(s)]
    tiles = [*microkernels(s, WALKS), edge(s), fetch_rows(s)]
    return tops, [*tiles, *pack_b_panels(s), find_taps(s), point_at(s), gather(s), convolve(s)]


def _correlate(s: Strategy) -> Parts:
    """Packers, and most tiles, are those of `product`."""
    tops = [*(foreign_table(s, kind) for kind in (FULL, FETCH, COPY)), foreign_tile(s), table(s, RUNS)]
    tops += [constants(s), zero_pixel(s)]
    packing = [find_taps(s), gather(s), pack_windows(s), find_pixels(s), pack_tap(s), pack_area(s)]
    drivers = [tap_driver(s), runs_driver(s, correlate_arguments(s.t)), correlate(s)]
    return tops, [*microkernels(s, (RUNS,)), *packing, *drivers]


def _winograd(s: Strategy) -> Parts:
    """What falls back is computed by `convolve`."""
    tops, functions = winograd_parts(s)
    return tops, [*pack_b_panels(s), *functions]


MODULES: dict[str, Callable[[Strategy], Parts]] = {
    "convolve": _convolve,
    "correlate": _correlate,
    "winograd": _winograd,
}
