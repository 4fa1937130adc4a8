"""The LLVM module of a whole step: its kernels, `i64 @step(ptr table)`, which calls them in order, the
entry.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.codegen.call_entry import ENTRY, STEP, call_entry_text, call_globals
from graphc.codegen.control_steps import ControlStep, Step, kernels_in
from graphc.codegen.control_text import call_control, control_texts, kernel_symbol
from graphc.codegen.emit_llvm import KernelText, module_text
from graphc.codegen.layout import Layout
from graphc.codegen.shared_kernels import kernel_texts
from graphc.codegen.target import Target
from graphc.codegen.team_control import shared_in, team_steps
from graphc.codegen.team_step import GLOBALS
from graphc.codegen.text import Function


def native_text(
    steps: Sequence[Step], layout: Layout, target: Target, release_gil: bool, members: int = 1
) -> str:
    """The module of a step, at which so many members of the team work."""
    texts = kernel_texts(kernels_in(steps), layout, target)
    shared = shared_in(steps) if members > 1 else {}
    texts += [KernelText(text) for text in control_texts(steps, layout, target, shared=shared)]
    entry = call_entry_text(ENTRY, STEP, layout, release_gil)
    *helpers, step = [step_text(steps, layout)]
    if members > 1:
        *helpers, step = team_steps(STEP, steps, layout, target, members)
    texts.append(KernelText(step, (*call_globals().splitlines(), *GLOBALS), tuple(helpers)))
    return module_text(texts, target, [entry])


def step_text(steps: Sequence[Step], layout: Layout, prefix: str = "", copies: bool = True) -> str:
    """Kernels and control ops in order; the first status that is not 0 ends the step. Final copies follow
    if they are wanted. `prefix` comes before the names of what is called.
    """
    f = Function(STEP, "ptr %table", "i64")
    sizes = f.at("i64", "%table", layout.symbols_at)
    for step in steps:
        if isinstance(step, ControlStep):
            call_control(f, step, "%table", sizes, prefix)
            continue
        symbol = prefix + kernel_symbol(step)
        status = f(f"call i64 @{symbol}(ptr %table, ptr {sizes}, i64 0, i64 1)")
        failed = f(f"icmp ne i64 {status}, 0")
        number = step.number << 32
        f.give_up(failed, f"i64 {f(f'or i64 {status}, {number}')}" if number else f"i64 {status}")
    for i, copy in enumerate(layout.plan.copies if copies else ()):
        size = f.load("i64", f.at("i64", "%table", layout.copies_at + i))
        here, there = (
            f.load("ptr", f.at("ptr", "%table", layout.places[slot])) for slot in (copy.source, copy.target)
        )
        f.do(f"call void @llvm.memmove.p0.p0.i64(ptr {there}, ptr {here}, i64 {size}, i1 false)")
    return f.text("i64 0")
