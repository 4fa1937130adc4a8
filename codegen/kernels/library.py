"""The library of products for one element type and target: one module, compiled once per machine."""

from __future__ import annotations

import functools

from graphc.codegen import cache
from graphc.codegen.kernels.strategy import strategy
from graphc.codegen.loader import Code, compile_object
from graphc.codegen.target import Target

DRIVERS = ("product", "convolve", "correlate")


def product_scratch_bytes(dtype: str, target: Target) -> int:
    """The size of the scratch buffer (64-byte aligned) that `product_<dtype>` needs, whatever the shapes."""
    return strategy(dtype, target).scratch_bytes


def windows_scratch_bytes(dtype: str, target: Target) -> int:
    """The same for `convolve_<dtype>` and `correlate_<dtype>`."""
    return strategy(dtype, target).windows_bytes


def library_object(dtype: str, target: Target, store: cache.Cache | None = None) -> bytes:
    """The object file of the library, from the cache if it is there."""
    store = cache.default() if store is None else store
    key = cache.key_of(target, "product library", dtype)
    entry = store.get(key)
    if entry is None:
        from graphc.codegen.kernels.library_text import library_text

        data = compile_object(library_text(strategy(dtype, target), target), target)
        entry = cache.Entry({"object": data})
        store.put(key, entry)
    return entry.sections["object"]


@functools.cache
def library(dtype: str, target: Target) -> Code:
    """The loaded library, once per process."""
    return Code([library_object(dtype, target)], target)


def product_symbols(dtype: str, target: Target) -> dict[str, int]:
    """What generated code that calls the drivers of a type binds when it is loaded."""
    code = library(dtype, target)
    return {name: code.address(name) for name in (f"{driver}_{dtype}" for driver in DRIVERS)}
