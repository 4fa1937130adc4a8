"""Control ops in the Python source of a step: loops and branches around the loops of kernels.

    # scan    model.py:4 'rnn'
    last[:] = start
    now, then = last, spare
    for turn in range(T):
        x = xs[turn*12:(turn + 1)*12]
        ...
        now, then = then, now
    last[:] = now

What moves from turn to turn are views of flat arrays; what does not lies where the memory plan says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.codegen.control_steps import ControlStep, RegionSteps, Step
from graphc.codegen.emit_numba import Writer
from graphc.codegen.kernel_list import KernelStep
from graphc.ir.types import dtype_of
from graphc.passes.plan import Carry, Slot


def write_control(
    writer: Writer,
    step: ControlStep,
    slots: Sequence[Slot],
    names: Sequence[str],
    note: Callable[[Step], str],
) -> None:
    """The statements of a control op; `names` are the identifiers of the slots, `note` describes a step.

    Memory is taken before the outermost loop.
    """
    outside, outermost, start = writer.buffers, writer.before is None, len(writer.lines)
    writer.before = [] if outermost else writer.before
    _Writer(writer, step, slots, names, note).write()
    writer.buffers = outside
    if outermost:
        writer.lines[start:start] = ["    " * writer.depth + line for line in writer.before or ()]
        writer.before = None


class _Writer:
    def __init__(
        self,
        writer: Writer,
        step: ControlStep,
        slots: Sequence[Slot],
        names: Sequence[str],
        note: Callable[[Step], str],
    ) -> None:
        self.writer, self.step, self.slots, self.names, self.note = writer, step, slots, names, note
        self.put = writer.put

    def write(self) -> None:
        """The whole op."""
        if self.step.node.op.name == "cond":
            self._cond()
            return
        for carry in self.step.plan.carries:
            self._begin(carry)
        (self._scan if self.step.node.op.name == "scan" else self._while)()
        for carry in self.step.plan.carries:
            self._end(carry)

    def _run(self, region: RegionSteps) -> None:
        writer = self.writer
        if not region.steps and not region.plan.copies:
            self.put("pass")
        for step in region.steps:
            writer.put(self.note(step))
            writer.buffers = {v: self.names[i] for v, i in region.plan.places.items()}
            if isinstance(step, KernelStep):
                writer.failure = step.number << 32
                writer.kernel(step.kernel)
            else:
                write_control(writer, step, self.slots, self.names, self.note)
        for copy in region.plan.copies:
            self._copy(copy.target, copy.source)

    def _copy(self, target: int, source: int) -> None:
        if target != source:
            self.put(f"{self.names[target]}[:] = {self.names[source]}")

    def _cond(self) -> None:
        for word, region in zip((f"if {self.names[self.step.operands[0]]}[0]:", "else:"), self.step.regions):
            self.put(word)
            self.writer.depth += 1
            self._run(region)
            self.writer.depth -= 1

    # -- loops -----------------------------------------------------------------------------------------------
    def _begin(self, carry: Carry) -> None:
        if carry.way in ("over", "swap", "follows"):
            self._copy(carry.home, carry.first)
        if carry.way == "swap":
            now, then = self.names[carry.now], self.names[carry.then]
            self.put(f"{now}, {then} = {self.names[carry.home]}, {self.names[carry.spare]}")
        elif carry.way == "follows":
            self.put(f"{self.names[carry.now]} = {self.names[carry.home]}")

    def _turn(self, carry: Carry) -> None:
        now, then = self.names[carry.now], self.names[carry.then]
        if carry.way == "swap":
            self.put(f"{now}, {then} = {then}, {now}")
        elif carry.way == "follows":
            self.put(f"{now} = {then}")

    def _end(self, carry: Carry) -> None:
        if carry.way in ("swap", "follows"):
            self._copy(carry.home, carry.now)
        elif carry.way == "stays":
            self._copy(carry.home, carry.first)

    def _while(self) -> None:
        condition, body = self.step.regions
        self.put("while True:")
        self.writer.depth += 1
        self._run(condition)
        self.put(f"if not {self.names[condition.first_output]}[0]:")
        self.put("    break")
        self._run(body)
        for carry in self.step.plan.carries:
            self._turn(carry)
        self.writer.depth -= 1

    def _scan(self) -> None:
        plan, attrs = self.step.plan, self.step.node.attrs
        length, turn = attrs["length"], self.writer.names.new("turn")
        first, last = (f"{length} - 1", "0") if attrs["reverse"] else ("0", f"{length} - 1")
        histories = [c for c in plan.carries if c.way == "history"]
        for carry in histories:
            piece = plan.pieces[carry.piece]
            self.put(f"if {length} > 0:")
            self.put(f"    {self._slice(piece.array, carry.home, first)}[:] = {self.names[carry.first]}")
            if carry.first != carry.home:
                self.put("else:")
                self.put(f"    {self.names[carry.home]}[:] = {self.names[carry.first]}")
        turns = f"range({length} - 1, -1, -1)" if attrs["reverse"] else f"range({length})"
        self.put(f"for {turn} in {turns}:")
        self.writer.depth += 1
        for moved in (*plan.scanned, *plan.pieces):
            self.put(f"{self.names[moved.moved]} = {self._slice(moved.array, moved.moved, turn)}")
        for carry in histories:
            following = f"{turn} - 1" if attrs["reverse"] else f"{turn} + 1"
            view = self._slice(plan.pieces[carry.piece].array, carry.home, following)
            home = self.names[carry.home]
            self.put(f"{self.names[carry.then]} = {home} if {turn} == {last} else {view}")
        self._run(self.step.regions[0])
        for carry in plan.carries:
            self._turn(carry)
        self.writer.depth -= 1

    def _slice(self, array: int, like: int, at: str) -> str:
        """The view of one slice of an array; it is as large as the slot `like`."""
        slot = self.slots[like]
        size = f"({slot.size // dtype_of(slot.dtype).itemsize})"
        return f"{self.names[array]}[({at})*{size}:({at} + 1)*{size}]"
