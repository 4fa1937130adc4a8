"""The step of a graph for several members: `i64 @step(ptr table)` calls the team, of which each member goes
through all phases of all kernels.

A phase that is worth it is divided among all members; any other, and a control op, is member 0's. Members
meet before a phase if it, or what ran since they last met, was divided and the two touch the same memory;
behind a phase that may fail they meet in any case, and all leave if it did. As a failed step has changed
nothing, it is run again by one member: which of several errors is told does not depend on their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from graphc.codegen.control_steps import Step, kernels_in
from graphc.codegen.control_text import control_symbol, kernel_symbol
from graphc.codegen.emit_frame import Frame
from graphc.codegen.emit_llvm import phase_names, scratch
from graphc.codegen.kernel_list import KernelStep
from graphc.codegen.kernel_time import picoseconds
from graphc.codegen.layout import Layout
from graphc.codegen.loops import Kernel, Nest, Part
from graphc.codegen.phases import Place, Touched, phases, place_in, touched
from graphc.codegen.target import Target
from graphc.codegen.team_text import BARRIER, GRAIN_AT, RUN, STATE
from graphc.codegen.text import Function
from graphc.ir.dims import Dim

TASK = "step.member"
CONTEXT = 2
"""Fields before the statuses in what members are handed: the table, the grain."""
GLOBALS = (f"@{STATE} = external global i8",)


@dataclass(frozen=True)
class Phase:
    """A function that members call: that of a control op, or of kernel `number`; what it touches, and how long
    it takes alone.
    """

    symbol: str
    number: int
    fallible: bool
    touched: Touched
    time: Dim
    control: bool = False
    born: bool = False
    dies: bool = False

    def must_wait(self, before: Sequence[Phase]) -> bool:
        """Whether it touches what earlier phases touch; buffers that die leave their memory to others."""
        if any(p.control or self.control or p.touched.meets(self.touched) for p in before):
            return True
        return self.born and any(p.dies for p in before)


def phases_of(steps: Sequence[Step], layout: Layout, target: Target) -> list[Phase]:
    """The phases of all steps, in order."""
    found: list[Phase] = []
    for step in steps:
        if isinstance(step, KernelStep):
            found += _kernel_phases(step, layout, target)
        else:
            fallible = any(k.kernel.failures for k in kernels_in([step]))
            found.append(Phase(control_symbol(step), 0, fallible, Touched(), 0, control=True))
    return _with_lifetimes(found, layout)


def _kernel_phases(step: KernelStep, layout: Layout, target: Target) -> Iterator[Phase]:
    groups = phases(step.kernel, layout.slot_of)
    own: frozenset[Place] = frozenset({"scratch"} if scratch(step.kernel, target) != 0 else ())
    for symbol, parts in zip(phase_names(kernel_symbol(step), len(groups)), groups):
        memory = Touched(own, own)
        for part in parts:
            memory |= touched(part, place_in(layout.slot_of))
        yield Phase(symbol, step.number, bool(step.kernel.failures), memory, _time(parts, target))


def _time(parts: Sequence[Part], target: Target) -> Dim:
    """Picoseconds that can be divided: what one member must do in order counts nothing."""
    total: Dim = 0
    for part in parts:
        if not isinstance(part, Nest) or (part.outer and not part.ordered):
            total = total + picoseconds(part, target)
    return total


def _with_lifetimes(found: list[Phase], layout: Layout) -> list[Phase]:
    """Each phase with whether buffers of the arena are first and last touched by it."""
    arena = {p for p, slot in zip(layout.places, layout.plan.slots) if slot.kind == "arena"}
    first: dict[Place, int] = {}
    last: dict[Place, int] = {}
    used = [(p.touched.reads | p.touched.writes) & arena for p in found]
    for i, places in enumerate(used):
        for place in places:
            first.setdefault(place, i)
            last[place] = i
    return [
        replace(p, born=any(first[x] == i for x in places), dies=any(last[x] == i for x in places))
        for i, (p, places) in enumerate(zip(found, used))
    ]


def team_step(name: str, found: Sequence[Phase], layout: Layout, target: Target, threads: int) -> list[str]:
    """The functions of the step."""
    return [_Task(found, layout, target).text(), _step_text(name, found, layout, target, threads)]


# -- the caller ----------------------------------------------------------------------------------------------


def _step_text(name: str, found: Sequence[Phase], layout: Layout, target: Target, threads: int) -> str:
    f = Function(name, "ptr %table", "i64")
    frame = _frame(f, layout, target)
    failing = [p for p in found if p.fallible]
    context = f(f"alloca [{CONTEXT + len(failing)} x i64], align 64")
    f.store("ptr", "%table", context)
    grain = f.load("i64", f.at("i8", f"@{STATE}", GRAIN_AT))
    f.store("i64", grain, f.at("i64", context, 1))
    _forget(f, context, failing)
    some = "false"
    for time in dict.fromkeys(p.time for p in found if p.time != 0):
        some = f.either(some, f(f"icmp sge i64 {frame.size(time)}, {grain}"))
    wanted = f.select("i64", some, threads, 1)
    f.do(f"call void @{RUN}(i64 {wanted}, ptr @{TASK}, ptr {context})")
    with f.when(f.both(some, f(f"icmp ne i64 {_status(f, context, failing)}, 0"))):
        _forget(f, context, failing)
        f.do(f"call void @{TASK}(i64 0, i64 1, ptr {context})")
    return frame.text(f"i64 {_status(f, context, failing)}")


def _frame(f: Function, layout: Layout, target: Target) -> Frame:
    """The sizes of a call; `%table` is there."""
    symbols = {name: i for i, name in enumerate(layout.symbols)}
    frame = Frame(Kernel(f.head, (), ()), target, f, {}, symbols)
    with frame.start():
        f.do(f"%sizes = getelementptr i64, ptr %table, i64 {layout.symbols_at}")
    return frame


def _forget(f: Function, context: str, failing: Sequence[Phase]) -> None:
    for i in range(len(failing)):
        f.store("i64", "0", f.at("i64", context, CONTEXT + i))


def _status(f: Function, context: str, failing: Sequence[Phase]) -> str:
    """The first status that is not 0."""
    status = "0"
    for i in reversed(range(len(failing))):
        mine = f.load("i64", f.at("i64", context, CONTEXT + i))
        status = f.select("i64", f.equal(mine, 0), status, mine)
    return status


# -- what each member does -----------------------------------------------------------------------------------


class _Task:
    """`void @step.member(i64 %member, i64 %count, ptr %context)`.

    `pending`: something was divided since the members met. `stale`: member 0 did something before the phases
    in `group`, and nobody waited for it.
    """

    def __init__(self, found: Sequence[Phase], layout: Layout, target: Target) -> None:
        self.found, self.layout = found, layout
        self.f = f = Function(TASK, "i64 %member, i64 %count, ptr %context", linkage="internal")
        self.frame = _frame(f, layout, target)
        self.frame.head.insert(0, "  %table = load ptr, ptr %context")
        self.several = f("icmp sgt i64 %count, 1")
        self.grain = f.load("i64", f.at("i64", "%context", 1))
        self.pending, self.stale = "false", "false"
        self.group: list[Phase] = []
        self.divided: dict[Dim, str] = {}
        self.failing = 0

    def text(self) -> str:
        for phase in self.found:
            divided = self._divided(phase.time)
            if phase.must_wait(self.group):
                self._meet_if_needed(divided)
            else:
                self._go_on(divided)
            self.group.append(phase)
            self._call(phase, divided)
        self._copies()
        return self.frame.text("void")

    def _divided(self, time: Dim) -> str:
        """Whether a phase that takes so long is divided."""
        if time == 0:
            return "false"
        if time not in self.divided:
            with self.frame.start():
                size = self.frame.size(time)
            long = self.f(f"icmp sge i64 {size}, {self.grain}")
            self.divided[time] = self.f.both(long, self.several)
        return self.divided[time]

    def _meet(self, condition: str) -> None:
        with self.f.when(condition):
            self.f.do(f"call void @{BARRIER}(i64 %count)")

    def _meet_if_needed(self, divided: str) -> None:
        meets = self.f.either(self.pending, divided)
        self._meet(meets)
        self.pending, self.stale = divided, self.f.negate(meets)
        self.group = []

    def _go_on(self, divided: str) -> None:
        """Nothing in the group has to be waited for; but what member 0 did before the group must be."""
        meets = self.f.both(self.stale, divided)
        self._meet(meets)
        self.stale = self.f.both(self.stale, self.f.negate(divided))
        self.pending = self.f.either(self.pending, divided)

    def _call(self, phase: Phase, divided: str) -> None:
        f = self.f
        count = f.select("i64", divided, "%count", 1)
        status = CONTEXT + self.failing
        with f.when(f.less("%member", count)):
            outer = "ptr %table, " if phase.control else ""
            arguments = f"ptr %table, {outer}ptr %sizes, i64 %member, i64 {count}"
            result = f(f"call i64 @{phase.symbol}({arguments})")
            if phase.fallible:
                with f.when(f(f"icmp ne i64 {result}, 0")):
                    full = f(f"or i64 {result}, {phase.number << 32}") if phase.number else result
                    f.store("i64", full, f.at("i64", "%context", status))
        if phase.fallible:
            self.failing += 1
            self._meet(self.several)
            found = f.load("i64", f.at("i64", "%context", status))
            f.give_up(f(f"icmp ne i64 {found}, 0"), "void")
            self.pending, self.stale, self.group = "false", "false", []

    def _copies(self) -> None:
        """The final copies: each member copies a range of each, in whole cache lines."""
        f, layout = self.f, self.layout
        if not layout.plan.copies:
            return
        self._meet(self.several)
        for i, copy in enumerate(layout.plan.copies):
            size = f.load("i64", f.at("i64", "%table", layout.copies_at + i))
            share = f.mul(f.ceildiv(f.ceildiv(size, "%count"), 64), 64)
            start = f.minimum(f.mul("%member", share), size)
            length = f.sub(f.minimum(f.add(start, share), size), start)
            here, there = (
                f.at("i8", f.load("ptr", f.at("ptr", "%table", layout.places[slot])), start)
                for slot in (copy.source, copy.target)
            )
            f.do(f"call void @llvm.memmove.p0.p0.i64(ptr {there}, ptr {here}, i64 {length}, i1 false)")
