"""Control ops as native functions: loops and branches around the calls of kernels.

    i64 @control.scan(ptr %buffers, ptr %sizes, i64 %member, i64 %count)

`buffers` is the table of the whole step, or of the control op around this one. A control op has a table of
pointers of its own on the stack, in which its kernels find their buffers; what one turn of a loop changes is
some of these pointers. Behind them stand that of scratch memory and that of the step's table. The status is
that of the step: number of the kernel << 32 | its status. One member does it, and calls the team for long
kernels (`team_control`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphc.codegen.control_steps import ControlStep, RegionSteps, Step, controls_in
from graphc.codegen.emit_frame import ARGUMENTS, Frame
from graphc.codegen.kernel_list import KernelStep
from graphc.codegen.layout import Layout
from graphc.codegen.loops import Kernel
from graphc.codegen.target import Target
from graphc.codegen.text import Function, Operand
from graphc.passes.dce import can_fail
from graphc.passes.plan import Carry, Slice


def kernel_symbol(step: KernelStep) -> str:
    """The LLVM name of a kernel: none of the C library's."""
    return f"kernel.{step.name}"


def control_symbol(step: ControlStep) -> str:
    """The LLVM name of a control op's function."""
    return f"control.{step.name}"


def control_texts(
    steps: Iterable[Step],
    layout: Layout,
    target: Target,
    prefix: str = "",
    shared: Mapping[str, str] | None = None,
) -> list[str]:
    """The functions of all control ops among the steps, and inside their regions; `prefix` comes before the
    names of what they call, or `shared` has the name of the function that is called for a kernel.
    """
    outer = {inner.name: s for s in controls_in(steps) for r in s.regions for inner in r.steps}
    names = shared or {}
    return [_Writer(s, outer.get(s.name), layout, target, prefix, names).text() for s in controls_in(steps)]


def call_control(f: Function, step: ControlStep, buffers: str, sizes: str, prefix: str = "") -> None:
    """Call a control op's function; if it fails, return its status."""
    call = f"call i64 @{prefix}{control_symbol(step)}(ptr {buffers}, ptr {sizes}, i64 0, i64 1)"
    if not can_fail(step.node):
        f(call)
        return
    status = f(call)
    f.give_up(f(f"icmp ne i64 {status}, 0"), f"i64 {status}")


class _Writer:
    def __init__(
        self,
        step: ControlStep,
        outer: Step | None,
        layout: Layout,
        target: Target,
        prefix: str,
        shared: Mapping[str, str],
    ) -> None:
        self.step, self.layout, self.prefix, self.shared = step, layout, prefix, shared
        self.outer = outer.table if isinstance(outer, ControlStep) else {}
        self.f = Function(control_symbol(step), ARGUMENTS, "i64", linkage="internal")
        symbols = {name: i for i, name in enumerate(layout.symbols)}
        self.frame = Frame(Kernel("", (), ()), target, self.f, {}, symbols)
        self.pointers: dict[int, str] = {}
        with self.frame.start():
            self.table = self.f(f"alloca [{len(step.table) + 2} x ptr], align 64")
            self.step_table = "%buffers"
            if isinstance(outer, ControlStep):
                self.step_table = self.f.load("ptr", self.f.at("ptr", "%buffers", len(outer.table) + 1))

    def text(self) -> str:
        """The whole function."""
        self._fill()
        if self.step.node.op.name == "scan":
            self._scan()
        elif self.step.node.op.name == "while":
            self._while()
        else:
            self._cond()
        self.f.lines[1:1] = self.frame.head
        return self.f.text("i64 0")

    # -- pointers --------------------------------------------------------------------------------------------
    def pointer(self, slot: int) -> str:
        """The pointer of a slot that this op does not move."""
        if slot not in self.pointers:
            with self.frame.start():
                place = self.layout.places[slot]
                base, at = ("%buffers", self.outer[slot]) if place < 0 else (self.step_table, place)
                self.pointers[slot] = self.f.load("ptr", self.f.at("ptr", base, at))
        return self.pointers[slot]

    def _place(self, slot: int) -> str:
        return self.f.at("ptr", self.table, self.step.table[slot])

    def _set(self, slot: int, pointer: str) -> None:
        """What stands in the op's table; a slot that no region uses has no place there."""
        if slot in self.step.table:
            self.f.store("ptr", pointer, self._place(slot))

    def _now(self, slot: int) -> str:
        """The pointer of a slot at this moment."""
        return self.f.load("ptr", self._place(slot)) if slot in self.step.owned else self.pointer(slot)

    def _fill(self) -> None:
        """The pointers that stay."""
        for slot in self.step.table:
            if slot not in self.step.owned:
                self._set(slot, self.pointer(slot))
        scratch = self.f.load("ptr", self.f.at("ptr", self.step_table, self.layout.scratch_at))
        self.f.store("ptr", scratch, self.f.at("ptr", self.table, len(self.step.table)))
        self.f.store("ptr", self.step_table, self.f.at("ptr", self.table, len(self.step.table) + 1))

    def _bytes(self, slot: int) -> Operand:
        return self.frame.size(self.layout.plan.slots[slot].size)

    def _copy(self, target: str, source: str, size: Operand) -> None:
        self.f.do(f"call void @llvm.memmove.p0.p0.i64(ptr {target}, ptr {source}, i64 {size}, i1 false)")

    def _bring(self, carry: Carry, source: str) -> None:
        """Copy a carry's value to its home if it is not there."""
        home = self.pointer(carry.home)
        with self.f.when(self.f(f"icmp ne ptr {home}, {source}")):
            self._copy(home, source, self._bytes(carry.home))

    # -- what runs -------------------------------------------------------------------------------------------
    def _run(self, region: RegionSteps) -> None:
        f = self.f
        for step in region.steps:
            if isinstance(step, ControlStep):
                call_control(f, step, self.table, "%sizes", self.prefix)
                continue
            symbol = self.shared.get(kernel_symbol(step), self.prefix + kernel_symbol(step))
            call = f"call i64 @{symbol}(ptr {self.table}, ptr %sizes, i64 0, i64 1)"
            if not step.kernel.failures:
                f(call)
                continue
            status = f(call)
            failed = f(f"icmp ne i64 {status}, 0")
            f.give_up(failed, f"i64 {f(f'or i64 {status}, {step.number << 32}')}")
        for copy in region.plan.copies:
            self._copy(self._now(copy.target), self._now(copy.source), self._bytes(copy.source))

    def _cond(self) -> None:
        holds = self._holds(self.pointer(self.step.operands[0]))
        first, second = self.step.regions
        with self.f.when(holds):
            self._run(first)
        with self.f.when(self.f.negate(holds)):
            self._run(second)

    def _holds(self, pointer: str) -> str:
        return self.f(f"icmp ne i8 {self.f.load('i8', pointer)}, 0")

    def _way(self, *ways: str) -> list[Carry]:
        return [c for c in self.step.plan.carries if c.way in ways]

    # -- scans -----------------------------------------------------------------------------------------------
    def _scan(self) -> None:
        f, plan = self.f, self.step.plan
        length = self.frame.size(self.step.node.attrs["length"])
        reverse = bool(self.step.node.attrs["reverse"])
        for carry in self._way("over"):
            self._bring(carry, self.pointer(carry.first))
        self._begin_histories(length, reverse)
        with f.loop(0, length, 1, self._start(length)) as loop:
            index = f.sub(f.sub(length, 1), loop.i) if reverse else loop.i
            for moved in (*plan.scanned, *plan.pieces):
                self._set(moved.moved, self._slice(moved, index))
            for carry in self._way("history"):
                self._set(carry.then, self._next_slice(carry, loop.i, index, length, reverse))
            self._set_carried(loop.values)
            self._run(self.step.regions[0])
            loop.next = self._turned(loop.values, index)
        self._end(loop.results)
        for carry in self._way("history"):
            with f.when(f.less(length, 1)):
                self._copy(self.pointer(carry.home), self.pointer(carry.first), self._bytes(carry.home))

    def _slice(self, moved: Slice, index: Operand) -> str:
        offset = self.f.mul(index, self._bytes(moved.moved))
        return self.f(f"getelementptr i8, ptr {self.pointer(moved.array)}, i64 {offset}")

    def _begin_histories(self, length: Operand, reverse: bool) -> None:
        """The first value of a carry that lies in stacked pieces is put there."""
        f = self.f
        for carry in self._way("history"):
            with f.when(f.less(0, length)):
                start = self._slice(self.step.plan.pieces[carry.piece], f.sub(length, 1) if reverse else 0)
                self._copy(start, self.pointer(carry.first), self._bytes(carry.home))

    def _next_slice(self, carry: Carry, turn: str, index: Operand, length: Operand, reverse: bool) -> str:
        """Where the next turn looks for the carry; in the last turn its home."""
        f = self.f
        following = self._slice(self.step.plan.pieces[carry.piece], f.add(index, -1 if reverse else 1))
        return f.select("ptr", f.equal(f.add(turn, 1), length), self.pointer(carry.home), following)

    def _start(self, length: Operand | None) -> list[tuple[str, str]]:
        """What loops carry in registers: of each swap the pointers of now, then and spare,
        of each carry that follows a piece that of now.

        A swap begins so that its last turn writes to its home, if the length is known; if the first value
        lies there, the first turn must write elsewhere.
        """
        found = []
        for carry in self._way("swap"):
            first, home, spare = (self.pointer(s) for s in (carry.first, carry.home, carry.spare))
            then = (spare, home)
            if length is not None:
                odd = self.f(f"trunc i64 {length} to i1")
                direct = self.f.both(odd, self.f(f"icmp ne ptr {first}, {home}"))
                then = (
                    self.f.select("ptr", direct, home, spare),
                    self.f.select("ptr", direct, spare, home),
                )
            found += [first, *then]
        found += [self.pointer(c.first) for c in self._way("follows")]
        return [("ptr", p) for p in found]

    def _set_carried(self, values: Sequence[str]) -> None:
        swaps = self._way("swap")
        for i, carry in enumerate(swaps):
            self._set(carry.now, values[3 * i])
            self._set(carry.then, values[3 * i + 1])
        for carry, value in zip(self._way("follows"), values[3 * len(swaps) :], strict=True):
            self._set(carry.now, value)

    def _turned(self, values: Sequence[str], index: Operand) -> list[str]:
        """What the next turn carries."""
        found = []
        for i in range(len(self._way("swap"))):
            _, then, spare = values[3 * i : 3 * i + 3]
            found += [then, spare, then]
        return found + [self._slice(self.step.plan.pieces[c.piece], index) for c in self._way("follows")]

    def _end(self, values: Sequence[str]) -> None:
        """Bring the last values of carries home."""
        swaps = self._way("swap")
        for i, carry in enumerate(swaps):
            self._bring(carry, values[3 * i])
        for carry, value in zip(self._way("follows"), values[3 * len(swaps) :], strict=True):
            self._bring(carry, value)
        for carry in self._way("stays"):
            self._bring(carry, self.pointer(carry.first))

    # -- loops until a condition fails -----------------------------------------------------------------------
    def _while(self) -> None:
        f = self.f
        for carry in self._way("over"):
            self._bring(carry, self.pointer(carry.first))
        condition, body = self.step.regions
        start = self._start(None)
        before, head, turn, done = f.block, f.label("head"), f.label("turn"), f.label("done")
        f.do(f"br label %{head}")
        f.begin(head)
        where, values = len(f.lines), [f.name() for _ in start]
        self._set_carried(values)
        self._run(condition)
        f.do(f"br i1 {self._holds(self._now(condition.first_output))}, label %{turn}, label %{done}")
        f.begin(turn)
        self._run(body)
        following = self._turned(values, 0)
        f.lines[where:where] = [
            f"  {name} = phi ptr [{first}, %{before}], [{later}, %{f.block}]"
            for name, (_, first), later in zip(values, start, following, strict=True)
        ]
        f.do(f"br label %{head}")
        f.begin(done)
        self._end(values)
