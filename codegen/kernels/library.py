"""The library of products: a module for each driver, element type and target, compiled once per machine, and
only when code that calls it is loaded.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from graphc.codegen import cache, elf
from graphc.codegen.kernels.strategy import strategy
from graphc.codegen.loader import Code, stored_object
from graphc.codegen.target import Target

_LENDER = {"correlate": "product", "winograd": "convolve"}
"""Whose tiles and packers a driver calls, instead of having its own."""


def product_scratch_bytes(dtype: str, target: Target) -> int:
    """The size of the scratch buffer (64-byte aligned) that `product_<dtype>` needs, whatever the shapes."""
    return strategy(dtype, target).scratch_bytes


def windows_scratch_bytes(dtype: str, target: Target) -> int:
    """The same for `convolve_<dtype>` and `correlate_<dtype>`."""
    return strategy(dtype, target).windows_bytes


def library_object(driver: str, dtype: str, target: Target, store: cache.Cache | None = None) -> bytes:
    """The object file of a driver (product, convolve, correlate), from the cache if it is there."""

    def text() -> str:
        from graphc.codegen.kernels.library_text import library_text

        return library_text(driver, strategy(dtype, target), target)

    return stored_object(f"{driver}_{dtype}", text, target, store)


@functools.cache
def library(driver: str, dtype: str, target: Target, store: cache.Cache | None = None) -> Code:
    """The loaded module of a driver, once per process."""
    data = library_object(driver, dtype, target, store)
    if driver not in _LENDER:
        return Code([data], target)
    lender = library(_LENDER[driver], dtype, target, store)
    wanted = [name for name in elf.symbols(data).undefined if name.endswith(f"_{dtype}")]
    return Code([data], target, {name: lender.address(name) for name in wanted}, keep=[lender])


def driver_symbols(names: Iterable[str], target: Target) -> dict[str, int]:
    """What generated code binds that calls these drivers (`product_f32`, `product.near_f32`, ...)."""
    found = {}
    for name in names:
        driver, dtype = name.split("_")
        found[name] = library(driver.split(".")[0], dtype, target).address(name)
    return found
