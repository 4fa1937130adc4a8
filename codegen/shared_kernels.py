"""Kernels of one structure are written and compiled once: names and places in the source do not count.

The shared function finds its pointers in a table of its own order. Each kernel is then a few lines that
gather its pointers from the table of the step and call the shared function.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace

from graphc.codegen.control_text import kernel_symbol
from graphc.codegen.emit_frame import ARGUMENTS
from graphc.codegen.emit_llvm import KernelText, emit_kernel, phase_names
from graphc.codegen.kernel_list import KernelStep, in_place
from graphc.codegen.layout import Layout
from graphc.codegen.loops import Kernel
from graphc.codegen.lower import lower
from graphc.codegen.object_cache import canonical_text
from graphc.codegen.target import Target
from graphc.codegen.text import Function
from graphc.passes.plan import Strip

GATHER = "pointers.gather"  # the names of kernels begin with "kernel."


def kernel_text(step: KernelStep, layout: Layout, target: Target) -> KernelText:
    """One kernel, which finds its buffers by the layout."""
    kernel = replace(step.kernel, name=kernel_symbol(step))
    return emit_kernel(kernel, target, _slots(step, layout), _symbols(layout))


def kernel_texts(steps: Iterable[KernelStep], layout: Layout, target: Target) -> list[KernelText]:
    """All kernels, in order; those of one structure share a function."""
    found: dict[Hashable, list[KernelStep]] = {}
    for step in steps:
        found.setdefault(_structure(step, layout), []).append(step)
    texts = [KernelText(_gather())] if any(len(same) > 1 for same in found.values()) else []
    for number, same in enumerate(found.values()):
        if len(same) == 1:
            texts.append(kernel_text(same[0], layout, target))
            continue
        kernel = _from_pointers(same[0], f"shared.{number}", layout)
        shared = emit_kernel(kernel, target, _own_slots(same[0], layout), _symbols(layout))
        texts += [shared, *(_caller(step, shared, kernel.name, layout) for step in same)]
    return texts


def _symbols(layout: Layout) -> dict[str, int]:
    return {name: i for i, name in enumerate(layout.symbols)}


def _slots(step: KernelStep, layout: Layout) -> Mapping[str, int]:
    """The places of the pointers in the table that the kernel is called with."""
    return layout.slot_of if step.slots is None else step.slots


def _own_slots(step: KernelStep, layout: Layout) -> dict[str, int]:
    """Places in a table of the kernel's own; buffers that begin at one address have one place."""
    slots = _slots(step, layout)
    numbers: dict[Hashable, int] = {}
    names = [*(b.name for b in step.kernel.buffers), "scratch"]
    return {n: numbers.setdefault((slots[n], _start(step, n)), len(numbers)) for n in names}


def _start(step: KernelStep, name: str) -> int:
    """How many bytes behind the pointer of its slot a value begins."""
    if name not in step.strips:
        return 0
    return step.strips[name].column * step.kernel.buffer(name).dtype.itemsize


def _from_pointers(step: KernelStep, name: str, layout: Layout) -> Kernel:
    """The kernel, where the columns of strips are a part of the pointers."""
    if all(strip.column == 0 for strip in step.strips.values()):
        return replace(step.kernel, name=name)
    strips = {n: Strip(strip.width, 0) for n, strip in step.strips.items()}
    places = in_place(step.node, _slots(step, layout), step.strips)
    return lower(step.node, name, places, strips, step.policy)


def _structure(step: KernelStep, layout: Layout) -> Hashable:
    """What the code of a kernel follows from."""
    own = _own_slots(step, layout)
    operands = (*step.node.operands, *step.node.results)
    widths = {name: strip.width for name, strip in step.strips.items()}
    places = tuple((own[v.name], widths.get(v.name)) for v in operands)
    return canonical_text(step.node.regions[0]), places, step.policy


def _caller(step: KernelStep, shared: KernelText, name: str, layout: Layout) -> KernelText:
    """The functions under the kernel's own names."""
    slots, own = _slots(step, layout), _own_slots(step, layout)
    pointers = dict(sorted((own[name], (slots[name], _start(step, name))) for name in own))
    symbol = kernel_symbol(step)
    phases = phase_names(symbol, len(shared.phases))
    pairs = list(zip(phases, shared.phases))
    if len(pairs) > 1:
        pairs.append((symbol, name))
    *before, last = (_call(mine, theirs, symbol, len(pointers)) for mine, theirs in pairs)
    places = ", ".join(f"i64 {number}" for pointer in pointers.values() for number in pointer)
    table = f"@{symbol}.slots = internal constant [{2 * len(pointers)} x i64] [{places}]"
    return KernelText(last, (table,), tuple(before), phases)


def _call(name: str, shared: str, symbol: str, count: int) -> str:
    f = Function(name, ARGUMENTS, "i64")
    table = f(f"alloca [{count} x ptr], align 8")
    f.do(f"call void @{GATHER}(ptr %buffers, ptr @{symbol}.slots, ptr {table}, i64 {count})")
    return f.text(f"i64 {f(f'call i64 @{shared}(ptr {table}, ptr %sizes, i64 %member, i64 %count)')}")


def _gather() -> str:
    """Pointers from some places of a table, each some bytes further on, one after the other in a table."""
    f = Function(GATHER, "ptr %from, ptr %slots, ptr %to, i64 %n", linkage="internal")
    with f.loop(0, "%n", 1) as loop:
        place = f.mul(loop.i, 2)
        slot, start = (f.load("i64", f.at("i64", "%slots", f.add(place, i))) for i in range(2))
        pointer = f.at("i8", f.load("ptr", f.at("ptr", "%from", slot)), start)
        f.store("ptr", pointer, f.at("ptr", "%to", loop.i))
    return f.text("void")
