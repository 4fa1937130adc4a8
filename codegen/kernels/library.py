"""The library of products for one element type and target: one module, compiled once per machine."""

from __future__ import annotations

import functools

from graphc.codegen import cache
from graphc.codegen.kernels.large import large_driver
from graphc.codegen.kernels.packers import packers
from graphc.codegen.kernels.product import narrow_driver, narrow_rows, product
from graphc.codegen.kernels.row import ROWS, add_rows, row_driver
from graphc.codegen.kernels.strategy import Strategy, strategy
from graphc.codegen.kernels.stream import finish, stream_driver
from graphc.codegen.kernels.tiles import KINDS, constants, edge, microkernels, table
from graphc.codegen.loader import Code, compile_object
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
    ]
    return module(*functions, target=target, top="\n".join([*tables, constants(s), narrow_rows(s)]))


def product_scratch_bytes(dtype: str, target: Target) -> int:
    """The size of the scratch buffer (64-byte aligned) that `product_<dtype>` needs, whatever the shapes."""
    return strategy(dtype, target).scratch_bytes


def library_object(dtype: str, target: Target, store: cache.Cache | None = None) -> bytes:
    """The object file of the library, from the cache if it is there."""
    store = cache.default() if store is None else store
    key = cache.key_of(target, "product library", dtype)
    entry = store.get(key)
    if entry is None:
        data = compile_object(library_text(strategy(dtype, target), target), target)
        entry = cache.Entry({"object": data})
        store.put(key, entry)
    return entry.sections["object"]


@functools.cache
def library(dtype: str, target: Target) -> Code:
    """The loaded library, once per process."""
    return Code([library_object(dtype, target)], target)


def product_symbols(dtype: str, target: Target) -> dict[str, int]:
    """What generated code that calls `product_<dtype>` binds when it is loaded."""
    name = f"product_{dtype}"
    return {name: library(dtype, target).address(name)}
