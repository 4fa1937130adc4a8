"""A kernel in loop-nest form as LLVM text in final form: no IR pass needs to look at it.

    module_text(kernels, target, slots, symbols)         every kernel and `i64 @step(ptr %frame, i64 %member,
    i64 %count)`

A kernel is `i64 @name(ptr %buffers, ptr %sizes, i64 %member, i64 %count)`, and so is each of its phases
where it has several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.codegen.emit_frame import ARGUMENTS, Frame, table_text, total_bytes
from graphc.codegen.emit_nest import emit_nest
from graphc.codegen.emit_product import declarations, emit_product, product_scratch
from graphc.codegen.loops import Kernel, Nest
from graphc.codegen.module_text import module
from graphc.codegen.phases import phases
from graphc.codegen.target import Target
from graphc.codegen.text import Function
from graphc.ir.dims import Dim, maximum


@dataclass(frozen=True)
class KernelText:
    """A kernel's function, the globals that it needs (constant tables, declarations), and further functions
    that it calls; `phases` names the functions of its phases, between which members have to meet.
    """

    function: str
    globals: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()


def scratch(kernel: Kernel, target: Target, members: int = 1) -> Dim:
    """Bytes of scratch memory that a kernel wants for so many members."""
    return total_bytes(kernel.shared_temporaries) + members * own_scratch(kernel, target)


def own_scratch(kernel: Kernel, target: Target) -> Dim:
    """Bytes that each member wants for itself: its temporaries, and packed operands of products."""
    packed: Dim = 0
    for part in kernel.parts:
        if not isinstance(part, Nest):
            packed = maximum(packed, product_scratch(part, target))
    return total_bytes(kernel.own_temporaries) + packed


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
    helpers: list[str] = []
    functions: list[str] = []
    groups = phases(kernel, slots)
    names = phase_names(kernel.name, len(groups))
    own = own_scratch(kernel, target)
    for name, parts in zip(names, groups):
        f = Function(name, ARGUMENTS, "i64")
        frame = Frame(kernel, target, f, slots, symbols, own)
        for part in parts:
            if isinstance(part, Nest):
                emit_nest(frame, part)
            else:
                helpers += emit_product(frame, part, len(helpers))
        functions.append(frame.text())
    if len(groups) > 1:
        functions.append(_whole(kernel.name, names))
    tables = tuple(table_text(kernel, t) for t in kernel.tables)
    *before, last = functions
    return KernelText(last, (*tables, *declarations(kernel, target)), (*helpers, *before), names)


def phase_names(kernel: str, count: int) -> tuple[str, ...]:
    """The functions of a kernel's phases; a kernel of one phase is that phase."""
    return (kernel,) if count == 1 else tuple(f"{kernel}.phase{i}" for i in range(count))


def _whole(name: str, names: Sequence[str]) -> str:
    """All phases in order, for one member: several would have to wait for each other between them."""
    f = Function(name, ARGUMENTS, "i64")
    for phase in names:
        status = f(f"call i64 @{phase}(ptr %buffers, ptr %sizes, i64 %member, i64 %count)")
        f.give_up(f(f"icmp ne i64 {status}, 0"), f"i64 {status}")
    return f.text("i64 0")


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
