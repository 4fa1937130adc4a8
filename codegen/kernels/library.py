"""The library of products: a module for each driver, element type and target, compiled once per machine, and
only when code that calls it is loaded; of products of matrices, part by part as their sizes want it.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Iterable, Mapping

from graphc.codegen import cache, elf
from graphc.codegen.forks import free_in_children
from graphc.codegen.kernels.parts import DRIVERS, Call, parts, parts_for, tiles_of
from graphc.codegen.kernels.strategy import strategy
from graphc.codegen.kernels.tiles import FULL, LARGE, PLAIN, kernel_name, sizes, table_place
from graphc.codegen.loader import Code, stored_object
from graphc.codegen.target import Target
from graphc.ir import dims

_LENDER = {"correlate": "product", "winograd": "convolve"}
"""Whose tiles and packers a driver calls, instead of having its own."""

_LOCK = free_in_children(threading.Lock())


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


class ProductLibrary:
    """Products of one element type: the core, and the parts that were wanted so far."""

    def __init__(self, dtype: str, target: Target, store: cache.Cache | None = None) -> None:
        self.dtype, self.target, self.store = dtype, target, store
        self.strategy = strategy(dtype, target)
        self.core = Code([library_object("product", dtype, target, store)], target)
        self._loaded: dict[str, Code] = {}
        self._lock = free_in_children(threading.Lock())

    def require(self, wanted: Iterable[str]) -> None:
        """Load parts; products that use them are quicker from now on."""
        for part in wanted:
            if part not in self._loaded:
                with self._lock:
                    if part not in self._loaded:
                        self._loaded[part] = self._part(part)

    def _part(self, part: str) -> Code:
        code = _borrowing(part, self.dtype, self.target, self.store, self.core)
        self.core.hold(code)  # its tables refer to the part, whoever keeps the core
        if part in DRIVERS:
            self._enter("drivers", DRIVERS.index(part), code.address(f"product_{part}_{self.dtype}"))
        s, packed = self.strategy, sizes(self.strategy, FULL)
        for kind, nrv, mr in tiles_of(s, part):
            address = code.address(kernel_name(kind, s.t, nrv, mr))
            self._enter(f"tiles_{kind.name}", table_place(s, nrv, mr), address)
            if kind is PLAIN and (nrv, mr) not in packed:
                for large in LARGE:
                    self._enter(f"tiles_{large.name}", table_place(s, nrv, mr), address)
        return code

    def _enter(self, table: str, place: int, address: int) -> None:
        """Write one entry of a table: at once, as other threads may be reading it."""
        start = self.core.address(f"{table}_{self.dtype}")
        ctypes.c_int64.from_address(start + 8 * place).value = address


def product_library(dtype: str, target: Target, store: cache.Cache | None = None) -> ProductLibrary:
    """The library of an element type, once per process: code calls the one whose parts are loaded."""
    with _LOCK:
        return _products(dtype, target, store)


@functools.cache
def _products(dtype: str, target: Target, store: cache.Cache | None) -> ProductLibrary:
    return ProductLibrary(dtype, target, store)


def library(driver: str, dtype: str, target: Target, store: cache.Cache | None = None) -> Code:
    """The loaded module of a driver with all of its parts, once per process."""
    if driver != "product":
        return _module(driver, dtype, target, store)
    products = product_library(dtype, target, store)
    products.require(parts(products.strategy))
    return products.core


@functools.cache
def _module(driver: str, dtype: str, target: Target, store: cache.Cache | None) -> Code:
    lender = library(_LENDER[driver], dtype, target, store) if driver in _LENDER else None
    return _borrowing(driver, dtype, target, store, lender)


def _borrowing(name: str, dtype: str, target: Target, store: cache.Cache | None, lender: Code | None) -> Code:
    """A module that refers to symbols of another one."""
    data = library_object(name, dtype, target, store)
    if lender is None:
        return Code([data], target)
    wanted = [symbol for symbol in elf.symbols(data).undefined if symbol.endswith(f"_{dtype}")]
    return Code([data], target, {symbol: lender.address(symbol) for symbol in wanted}, keep=[lender])


def driver_symbols(names: Iterable[str], target: Target, whole: bool = True) -> dict[str, int]:
    """What generated code binds that calls these drivers (`product_f32`, `product.near_f32`, ...). If not
    `whole`, there is only the core of products: then `prepare` loads what calls want.
    """
    found = {}
    for name in names:
        driver, dtype = _parted(name)[0], name.split("_")[1]
        if driver == "product" and not whole:
            found[name] = product_library(dtype, target).core.address(name)
        else:
            found[name] = library(driver, dtype, target).address(name)
    return found


def prepare(calls: Iterable[Call], sizes: Mapping[str, int], target: Target) -> None:
    """Load the parts that products use where symbols have these values."""
    for call in calls:
        products = product_library(call.name.split("_")[1], target)
        m, n, k = (dims.evaluate(size, sizes) for size in (call.m, call.n, call.k))
        products.require(parts_for(products.strategy, _parted(call.name)[1], m, n, k, call.along))


def _parted(name: str) -> tuple[str, str]:
    """The driver and the policy of a function: `product.near_f32` is ("product", ".near")."""
    driver, dot, policy = name.split("_")[0].partition(".")
    return driver, dot + policy
