"""The text of the library of products; apart from its loading, since most processes find it in the cache."""

from __future__ import annotations

from graphc.codegen.kernels.convolve import convolve
from graphc.codegen.kernels.correlate import correlate, find_pixels, pack_tap, pack_windows
from graphc.codegen.kernels.large import large_driver
from graphc.codegen.kernels.packers import packers
from graphc.codegen.kernels.pixels import find_taps, gather, point_at, zero_pixel
from graphc.codegen.kernels.product import narrow_driver, narrow_rows, product
from graphc.codegen.kernels.row import ROWS, add_rows, row_driver
from graphc.codegen.kernels.strategy import Strategy
from graphc.codegen.kernels.stream import finish, stream_driver
from graphc.codegen.kernels.tiles import KINDS, constants, edge, microkernels, table
from graphc.codegen.target import Target
from graphc.codegen.text import module


def library_text(s: Strategy, target: Target) -> str:
    """The module that defines `product_<dtype>`: microkernels, packers, drivers."""
    tables = [table(s, kind) for kind in KINDS]
    functions = [
        *microkernels(s),
        edge(s),
        *packers(s),
        finish(s.t),
        add_rows(s.t, 1),
        add_rows(s.t, ROWS),
        row_driver(s),
        stream_driver(s),
        narrow_driver(s),
        large_driver(s),
        product(s),
        find_taps(s),
        point_at(s),
        gather(s),
        convolve(s),
        pack_windows(s),
        find_pixels(s),
        pack_tap(s),
        correlate(s),
    ]
    top = "\n".join([*tables, constants(s), narrow_rows(s), zero_pixel(s)])
    return module(*functions, target=target, top=top)
