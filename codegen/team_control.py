"""Steps with control ops for several members: what stands between control ops is done by the team in one go;
in the regions of control ops, which the caller goes through alone, the team is called for each long kernel.

    i64 @team.kernel.add(buffers, sizes, member, count)      `kernel.add` by the team, if it takes long enough

Kernels that may fail are the caller's own there: they may have overwritten what they read, and could not be
run again to find the first error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

from graphc.codegen.control_steps import ControlStep, Step, controls_in
from graphc.codegen.control_text import call_control, kernel_symbol
from graphc.codegen.emit_frame import ARGUMENTS, Frame
from graphc.codegen.kernel_list import KernelStep
from graphc.codegen.layout import Layout
from graphc.codegen.loops import Kernel
from graphc.codegen.target import Target
from graphc.codegen.team_step import Phase, is_shared, kernel_phases, phases_of, team_step
from graphc.codegen.team_text import GRAIN_AT, STATE
from graphc.codegen.text import Function

TEAM = "team."


def shared_in(steps: Iterable[Step]) -> dict[str, str]:
    """The kernels of regions for which the team may be called, and the functions that do it."""
    return {kernel_symbol(k): TEAM + kernel_symbol(k) for _, k in _shared(steps)}


def _shared(steps: Iterable[Step]) -> Iterator[tuple[ControlStep, KernelStep]]:
    for control in controls_in(steps):
        for step in (s for region in control.regions for s in region.steps):
            if isinstance(step, KernelStep) and _may_be_divided(step.kernel):
                yield control, step


def _may_be_divided(kernel: Kernel) -> bool:
    return not kernel.failures and any(map(is_shared, kernel.parts))


def team_steps(name: str, steps: Sequence[Step], layout: Layout, target: Target, threads: int) -> list[str]:
    """The functions of the step; the step itself comes last."""
    if not any(isinstance(s, ControlStep) for s in steps):
        return team_step(name, phases_of(steps, layout, target), layout, target, threads)
    texts: list[str] = []
    for control, kernel in _shared(steps):
        found = list(kernel_phases(kernel, layout, target))
        symbol, behind = TEAM + kernel_symbol(kernel), len(control.table) + 1
        texts += team_step(f"{symbol}.step", found, layout, target, threads, copies=False, behind=behind)
        texts.append(_by_team(symbol, kernel_symbol(kernel), found, layout, target))
    f = Function(name, "ptr %table", "i64")
    sizes = f.at("i64", "%table", layout.symbols_at)
    for number, (run, behind_it) in enumerate(_runs(steps)):
        last = behind_it is None
        if run or last:
            part = f"{name}.part{number}"
            texts += team_step(part, phases_of(run, layout, target), layout, target, threads, copies=last)
            status = f(f"call i64 @{part}(ptr %table)")
            f.give_up(f(f"icmp ne i64 {status}, 0"), f"i64 {status}")
        if behind_it is not None:
            call_control(f, behind_it, "%table", sizes)
    return [*texts, f.text("i64 0")]


def _runs(steps: Sequence[Step]) -> Iterator[tuple[list[Step], ControlStep | None]]:
    """Kernels that follow each other, and the control op behind them."""
    run: list[Step] = []
    for step in steps:
        if isinstance(step, ControlStep):
            yield run, step
            run = []
        else:
            run.append(step)
    yield run, None


def _by_team(symbol: str, kernel: str, found: Sequence[Phase], layout: Layout, target: Target) -> str:
    """A kernel by the team, if one of its phases takes as long as the grain; else alone."""
    f = Function(symbol, ARGUMENTS, "i64", linkage="internal")
    symbols = {name: i for i, name in enumerate(layout.symbols)}
    frame = Frame(Kernel("", (), ()), target, f, {}, symbols)
    grain = f.load("i64", f.at("i8", f"@{STATE}", GRAIN_AT))
    times = dict.fromkeys(p.time for p in found if p.time != 0)
    long = reduce(f.either, [f(f"icmp sge i64 {frame.size(time)}, {grain}") for time in times], "false")
    with f.when(long, [("i64", "0")]) as team:
        team.next = [f(f"call i64 @{symbol}.step(ptr %buffers)")]
    with f.when(f.negate(long), [("i64", team.results[0])]) as alone:
        alone.next = [f(f"call i64 @{kernel}(ptr %buffers, ptr %sizes, i64 0, i64 1)")]
    return frame.text(f"i64 {alone.results[0]}")
