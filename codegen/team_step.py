"""The step of a graph for several members: `i64 @step(ptr table)` calls the team, of which each member goes
through all phases of all kernels.

A phase that is worth it is divided in a piece for each member; any other, and a control op, is member 0's.
Before a phase members wait for those before it that touch the same memory, if one of these or the phase
itself is divided: what member 0 does in order it need not wait for. All wait for a phase that may fail, and
leave if it did. As a failed step has changed nothing, it is run again by one member: which of several errors
is told does not depend on the number of members.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from graphc.codegen.control_steps import Step, kernels_in
from graphc.codegen.control_text import control_symbol, kernel_symbol
from graphc.codegen.emit_frame import ARGUMENTS, Frame
from graphc.codegen.emit_llvm import phase_names, scratch
from graphc.codegen.emit_shares import is_divided
from graphc.codegen.kernel_list import KernelStep
from graphc.codegen.kernel_time import BYTE, picoseconds
from graphc.codegen.layout import Layout
from graphc.codegen.loops import Kernel, Nest, Part
from graphc.codegen.phases import Place, Touched, phases, place_in, touched
from graphc.codegen.target import Target
from graphc.codegen.team_text import AWAIT, FINISH, GRAIN_AT, RECORD, RUN, SHARE, STATE, STATUS_AT
from graphc.codegen.text import Function
from graphc.ir.dims import Dim

COPIES = "step.copies"
CONTEXT = 16
"""Bytes before the records of phases in what members are handed: the table, the grain."""
GLOBALS = (f"@{STATE} = external global i8",)


@dataclass(frozen=True)
class Phase:
    """A function that members call: that of a control op, or of kernel `number`; what it touches, and how
    long it takes alone. `waits`: for everything before it.
    """

    symbol: str
    number: int
    fallible: bool
    touched: Touched
    time: Dim
    control: bool = False
    waits: bool = False
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
            found += kernel_phases(step, layout, target)
        else:
            fallible = any(k.kernel.failures for k in kernels_in([step]))
            found.append(Phase(control_symbol(step), 0, fallible, Touched(), 0, control=True))
    return _with_lifetimes(found, layout)


def kernel_phases(step: KernelStep, layout: Layout, target: Target) -> Iterator[Phase]:
    """The phases of one kernel."""
    slots = layout.slot_of if step.slots is None else step.slots
    groups = phases(step.kernel, slots)
    own: frozenset[Place] = frozenset({"scratch"} if scratch(step.kernel, target) != 0 else ())
    for symbol, parts in zip(phase_names(kernel_symbol(step), len(groups)), groups):
        memory = Touched(own, own)
        for part in parts:
            memory |= touched(part, place_in(slots))
        yield Phase(symbol, step.number, bool(step.kernel.failures), memory, _time(parts, target))


def _time(parts: Sequence[Part], target: Target) -> Dim:
    """Picoseconds that can be divided: what one member must do in order counts nothing."""
    total: Dim = 0
    for part in filter(is_shared, parts):
        total = total + picoseconds(part, target)
    return total


def is_shared(part: Part) -> bool:
    """Whether members can divide a part."""
    return not isinstance(part, Nest) or is_divided(part)


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


def team_step(
    name: str,
    found: Sequence[Phase],
    layout: Layout,
    target: Target,
    threads: int,
    copies: bool = True,
    behind: int | None = None,
) -> list[str]:
    """The functions of the step, or of some phases of it without the final copies. `behind`: where the table
    that they work on has the pointer to that of the step, if it is that of a control op.
    """
    texts: list[str] = []
    if layout.plan.copies and copies:
        texts.append(copies_text(layout))
        found = [*found, _copies(found, layout)]
    task = _Task(f"{name}.member", found, layout, target, behind).text()
    return [*texts, task, _step_text(name, found, layout, target, threads, behind)]


def _copies(found: Sequence[Phase], layout: Layout) -> Phase:
    """The final copies, which come after everything."""
    time: Dim = 0
    for copy in layout.plan.copies:
        time = time + layout.plan.slots[copy.source].size * (2 * BYTE)
    every = frozenset(place for p in found for place in p.touched.reads | p.touched.writes)
    return Phase(COPIES, 0, False, Touched(every, every), time, waits=True)


def copies_text(layout: Layout) -> str:
    """The final copies, in order: each member copies a range of each, in whole cache lines."""
    f = Function(COPIES, ARGUMENTS, "i64", linkage="internal")
    for i, copy in enumerate(layout.plan.copies):
        size = f.load("i64", f.at("i64", "%buffers", layout.copies_at + i))
        share = f.mul(f.ceildiv(f.ceildiv(size, "%count"), 64), 64)
        start = f.minimum(f.mul("%member", share), size)
        length = f.sub(f.minimum(f.add(start, share), size), start)
        here, there = (
            f.at("i8", f.load("ptr", f.at("ptr", "%buffers", layout.places[slot])), start)
            for slot in (copy.source, copy.target)
        )
        f.do(f"call void @llvm.memmove.p0.p0.i64(ptr {there}, ptr {here}, i64 {length}, i1 false)")
    return f.text("i64 0")


# -- the caller ----------------------------------------------------------------------------------------------


def _step_text(
    name: str,
    found: Sequence[Phase],
    layout: Layout,
    target: Target,
    threads: int,
    behind: int | None,
) -> str:
    f = Function(name, "ptr %table", "i64")
    frame = _frame(f, layout, target, behind)
    size = CONTEXT + RECORD * len(found)
    context = f(f"alloca [{size} x i8], align 64")
    grain = f.load("i64", f.at("i8", f"@{STATE}", GRAIN_AT))
    _begin(f, context, grain, size)
    some = "false"
    for time in dict.fromkeys(p.time for p in found if p.time != 0):
        some = f.either(some, f(f"icmp sge i64 {frame.size(time)}, {grain}"))
    wanted = f.select("i64", some, threads, 1)
    task = f"{name}.member"
    f.do(f"call void @{RUN}(i64 {wanted}, ptr @{task}, ptr {context})")
    with f.when(f.both(some, f(f"icmp ne i64 {_status(f, context, found)}, 0"))):
        _begin(f, context, grain, size)
        f.do(f"call void @{task}(i64 0, i64 1, ptr {context})")
    return frame.text(f"i64 {_status(f, context, found)}")


def _begin(f: Function, context: str, grain: str, size: int) -> None:
    """The context before a run: nothing is done."""
    f.do(f"call void @llvm.memset.p0.i64(ptr align 64 {context}, i8 0, i64 {size}, i1 false)")
    f.store("ptr", "%table", context)
    f.store("i64", grain, f.at("i64", context, 1))


def _record(f: Function, context: str, number: int) -> str:
    return f.at("i8", context, CONTEXT + RECORD * number)


def _status(f: Function, context: str, found: Sequence[Phase]) -> str:
    """The first status that is not 0, with the number of its kernel."""
    status = "0"
    for i, phase in reversed(list(enumerate(found))):
        if phase.fallible:
            mine = f.load("i64", f.at("i8", _record(f, context, i), STATUS_AT))
            full = f(f"or i64 {mine}, {phase.number << 32}") if phase.number else mine
            status = f.select("i64", f.equal(mine, 0), status, full)
    return status


def _frame(f: Function, layout: Layout, target: Target, behind: int | None) -> Frame:
    """The sizes of a call; `%table` is there."""
    symbols = {name: i for i, name in enumerate(layout.symbols)}
    frame = Frame(Kernel(f.head, (), ()), target, f, {}, symbols)
    with frame.start():
        table = "%table" if behind is None else f.load("ptr", f.at("ptr", "%table", behind))
        f.do(f"%sizes = getelementptr i64, ptr {table}, i64 {layout.symbols_at}")
    return frame


# -- what each member does -----------------------------------------------------------------------------------


class _Task:
    """`void @step.member(i64 %member, i64 %pieces, ptr %context)`.

    `pending`: a phase of `group` is divided. `stale`: member 0 did phases before those in `group`, of which
    `behind` is the last, and nobody waited for them.
    """

    def __init__(
        self, name: str, found: Sequence[Phase], layout: Layout, target: Target, behind: int | None
    ) -> None:
        self.found = found
        self.f = f = Function(name, "i64 %member, i64 %pieces, ptr %context", linkage="internal")
        self.frame = _frame(f, layout, target, behind)
        self.frame.head.insert(0, "  %table = load ptr, ptr %context")
        self.several = f("icmp sgt i64 %pieces, 1")
        self.first = f.equal("%member", 0)
        self.grain = f.load("i64", f.at("i64", "%context", 1))
        self.pending, self.stale = "false", "false"
        self.group: list[int] = []
        self.behind = 0
        self.divided: dict[Dim, str] = {}
        self.marks: list[str] = []

    def text(self) -> str:
        for number, phase in enumerate(self.found):
            divided = self._divided(phase.time)
            self.marks.append(divided)
            if phase.waits or phase.must_wait([self.found[i] for i in self.group]):
                self._wait(divided)
            else:
                self._go_on(divided)
            self.group.append(number)
            self._run(number, divided)
        self._await(self.pending, self.group)
        return self.frame.text("void")

    def _divided(self, time: Dim) -> str:
        """Whether a phase that takes so long is divided."""
        if time == 0:
            return "false"
        if time not in self.divided:
            long = self.f(f"icmp sge i64 {self.frame.size(time)}, {self.grain}")
            self.divided[time] = self.f.both(long, self.several)
        return self.divided[time]

    def _record(self, number: int) -> str:
        return _record(self.f, "%context", number)

    # -- waiting ---------------------------------------------------------------------------------------------
    def _await(self, condition: str, group: Sequence[int]) -> None:
        if condition == "false" or not group:
            return
        with self.f.when(condition):
            for i in group:
                pieces = self.f.select("i64", self.marks[i], "%pieces", 1)
                self.f.do(f"call void @{AWAIT}(ptr {self._record(i)}, i64 {pieces})")

    def _wait(self, divided: str) -> None:
        """For the group, unless all of it was member 0's, and this is, too."""
        meets = self.f.either(self.pending, divided)
        self._await(meets, self.group)
        self.pending = divided
        if self.group:
            self.stale, self.behind = self.f.negate(meets), self.group[-1]
        self.group = []

    def _go_on(self, divided: str) -> None:
        """Nothing in the group has to be waited for; but what member 0 did before the group must be."""
        if self.stale != "false":
            self._await(self.f.both(self.stale, divided), [self.behind])
            self.stale = self.f.both(self.stale, self.f.negate(divided))
        self.pending = self.f.either(self.pending, divided)

    # -- running ---------------------------------------------------------------------------------------------
    def _run(self, number: int, divided: str) -> None:
        """All pieces by all members, or all of it by member 0."""
        f, phase, record = self.f, self.found[number], self._record(number)
        symbol = phase.symbol
        if divided != "false":
            with f.when(divided):
                arguments = f"ptr @{symbol}, ptr %table, ptr %sizes, i64 %member, i64 %pieces, ptr {record}"
                f.do(f"call void @{SHARE}({arguments})")
        with f.when(f.both(f.negate(divided), self.first)):
            status = f(f"call i64 @{symbol}(ptr %table, ptr %sizes, i64 0, i64 1)")
            f.do(f"call void @{FINISH}(ptr {record}, i64 {status})")
        if phase.fallible:
            self._await(self.several, self.group)
            status = f.load("i64", f.at("i8", record, STATUS_AT))
            f.give_up(f(f"icmp ne i64 {status}, 0"), "void")
            self.pending, self.stale, self.group = "false", "false", []
