"""A kernel in loop-nest form as LLVM text in final form: no IR pass needs to look at it.

    module_text(kernels, target, slots, symbols)         every kernel and `i64 @step(ptr %frame, i64 %member,
    i64 %count)`

A kernel is `i64 @name(ptr %buffers, ptr %sizes, i64 %member, i64 %count)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.codegen.emit_frame import ARGUMENTS, Frame, scratch_bytes, table_text
from graphc.codegen.emit_nest import emit_nest
from graphc.codegen.emit_product import declarations, emit_product, product_scratch
from graphc.codegen.loops import Kernel, Nest
from graphc.codegen.target import Target
from graphc.codegen.text import Function, module
from graphc.ir.dims import Dim, maximum


@dataclass(frozen=True)
class KernelText:
    """A kernel's function, the globals that it needs (constant tables, declarations), and further functions
    that it calls.
    """

    function: str
    globals: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()


def scratch(kernel: Kernel, target: Target) -> Dim:
    """Bytes of scratch memory that a kernel wants for each member: temporaries, and packed operands of
    products.
    """
    total: Dim = 0
    for temporary in kernel.temporaries:
        total = total + scratch_bytes(temporary)
    packed: Dim = 0
    for part in kernel.parts:
        if not isinstance(part, Nest):
            packed = maximum(packed, product_scratch(part, target))
    return total + packed


def emit_kernel(
    kernel: Kernel,
    target: Target,
    slots: Mapping[str, int] | None = None,
    symbols: Mapping[str, int] | None = None,
) -> KernelText:
    """The text of one kernel.

    `slots` has the place of each buffer in the pointer table, and of `scratch` where the kernel wants any; by
    default buffers come in the kernel's order and scratch is the last. `symbols` has the place of each symbol
    in the table of sizes, by default in alphabetical order.
    """
    slots = slots if slots is not None else default_slots(kernel)
    symbols = symbols if symbols is not None else default_symbols(kernel)
    f = Function(kernel.name, ARGUMENTS, "i64")
    frame = Frame(kernel, target, f, slots, symbols, scratch(kernel, target))
    helpers: list[str] = []
    if frame.alone:
        f.give_up(f("icmp ne i64 %member, 0"), "i64 0")
    for part in kernel.parts:
        if isinstance(part, Nest):
            emit_nest(frame, part)
        else:
            helpers += emit_product(frame, part, len(helpers))
    tables = tuple(table_text(kernel, t) for t in kernel.tables)
    return KernelText(frame.text(), (*tables, *declarations(kernel, target)), tuple(helpers))


def default_slots(kernel: Kernel) -> dict[str, int]:
    """Buffers in the kernel's order, scratch after them."""
    return {name: i for i, name in enumerate([*(b.name for b in kernel.buffers), "scratch"])}


def default_symbols(kernel: Kernel) -> dict[str, int]:
    """The symbols of a kernel's sizes in alphabetical order."""
    return {name: i for i, name in enumerate(sorted(kernel.symbols))}


def module_text(texts: Sequence[KernelText], target: Target, more: Sequence[str] = ()) -> str:
    """Kernels, and more functions, as one module."""
    top = "\n".join(dict.fromkeys(g for t in texts for g in t.globals))
    functions = [text for t in texts for text in (*t.helpers, t.function)]
    return module(*functions, *more, target=target, top=top)
