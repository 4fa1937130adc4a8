"""A second step for the kernels of a loaded program: what it calls looks at the clock before and after.

    i64 @timed.step(ptr table)                               as `step`, but calls
    i64 @timed.kernel.add(buffers, sizes, member, count)     which times `kernel.add`, whose machine code is
                                                             that of the program, by its address

With several threads each kernel outside of control ops is done by the team alone, as phases of a step of its
own. Times and numbers of calls are added up in an array of marks. Kernels that take long are measured in CPU
time of the thread, since on a busy machine they would never run undisturbed; that clock costs most of a
microsecond.
"""

from __future__ import annotations

import ctypes

import numpy as np

from graphc.codegen.call_entry import STEP
from graphc.codegen.control_steps import Step, controls_in, kernels_in
from graphc.codegen.control_text import control_symbol, control_texts, kernel_symbol
from graphc.codegen.emit_frame import ARGUMENTS
from graphc.codegen.emit_llvm import phase_names
from graphc.codegen.kernel_list import KernelStep
from graphc.codegen.kernel_time import kernel_picoseconds
from graphc.codegen.loader import Code, load
from graphc.codegen.module_text import module
from graphc.codegen.native import NativeProgram
from graphc.codegen.native_text import step_text
from graphc.codegen.phases import phases
from graphc.codegen.signature import Sizes
from graphc.codegen.team import symbols_for
from graphc.codegen.team_step import COPIES, GLOBALS, copies_text, phases_of, team_step
from graphc.codegen.text import Function
from graphc.ir import dims

TIMED, TEAM, NOTHING, EMPTY = "timed.", "team.", "nothing", "clock.empty"
CLOCKS = {"clock.wall": 1, "clock.cpu": 3}
"""Functions that look at a clock, and its number on Linux: the monotonic one, and CPU time of this thread."""
WALL, CPU = CLOCKS
LONG = 50_000_000
"""Picoseconds that a kernel is expected to take from which on it is measured in CPU time."""
_TRIES = 1000


class TimedStep:
    """The timed step of a program for some sizes. `marks` has nanoseconds and calls: a row for each kernel by
    its number, for each control op, for the last copies, and for nothing at all by each clock, from which
    `overhead` is known.
    """

    def __init__(self, program: NativeProgram, sizes: Sizes) -> None:
        lowered = program.lowered
        self.program, self.steps = program, lowered.steps
        self.kernels, self.controls = list(kernels_in(self.steps)), list(controls_in(self.steps))
        self.copies = len(self.kernels) + len(self.controls)
        self.marks = np.zeros((self.copies + 1 + len(CLOCKS), 2), np.int64)
        self.estimates = [
            dims.evaluate(kernel_picoseconds(k.kernel, program.target), sizes) for k in self.kernels
        ]
        symbols = symbols_for(lowered.members, program.target)
        self.code: Code = load([self._text()], program.target, 0, symbols)
        self.run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(self.code.address(f"{TIMED}step"))
        costs = {clock: self._cost(clock) for clock in CLOCKS}
        self.overhead = np.array([costs[self.clock(row)] for row in range(self.copies + 1)])
        """Nanoseconds that a call of each row counts too much, and takes as long again outside of it."""

    def row_of(self, step: Step) -> int:
        """The row of a kernel or a control op in `marks`."""
        if isinstance(step, KernelStep):
            return step.number
        return len(self.kernels) + next(i for i, c in enumerate(self.controls) if c is step)

    def clock(self, row: int) -> str:
        """What a row is measured by."""
        alone = row < len(self.kernels) and self.kernels[row].slots is None
        if alone and self.program.lowered.members == 1 and self.estimates[row] >= LONG:
            return CPU
        return WALL

    def _cost(self, clock: str) -> float:
        """Nanoseconds that a mark by this clock counts too much."""
        empty, row = self.code.function(f"{EMPTY}.{clock}", "i"), self._empty_row(clock)
        best = np.inf
        for _ in range(5):
            self.marks[:] = 0
            empty(_TRIES)
            best = min(best, self.marks[row, 0] / _TRIES)
        return float(best)

    def _empty_row(self, clock: str) -> int:
        return self.copies + 1 + list(CLOCKS).index(clock)

    # -- text ------------------------------------------------------------------------------------------------
    def _text(self) -> str:
        lowered, target = self.program.lowered, self.program.target
        layout, members = lowered.layout, lowered.members
        texts = [_nothing(), *(t for clock in CLOCKS for t in self._clock(clock))]
        for kernel in self.kernels:
            texts += self._addresses(kernel)
            symbol = called = kernel_symbol(kernel)
            if members > 1 and kernel.slots is None:
                called = f"{TEAM}{symbol}"
                found = phases_of([kernel], layout, target)
                texts += team_step(f"{called}.step", found, layout, target, members, copies=False)
                texts.append(_by_team(called))
            texts.append(self._timed(symbol, called, kernel.number, self.clock(kernel.number)))
        texts += control_texts(self.steps, layout, target, TIMED)
        texts += [self._timed(s := control_symbol(c), s, self.row_of(c)) for c in self.controls]
        texts += [copies_text(layout), self._timed(COPIES, COPIES, self.copies)]
        texts += [step_text(self.steps, layout, TIMED, copies=False), self._timed_step()]
        return module(*texts, target=target, top=GLOBALS[0] if members > 1 else "")

    def _addresses(self, kernel: KernelStep) -> list[str]:
        """The functions of a kernel and its phases, which go on where the program has them."""
        symbol = kernel_symbol(kernel)
        count = len(phases(kernel.kernel, self.program.lowered.layout.slot_of)) if kernel.slots is None else 1
        texts = []
        for name in dict.fromkeys((symbol, *phase_names(symbol, count))):
            f = Function(name, ARGUMENTS, "i64", linkage="internal")
            address = self.program.code.address(name)
            arguments = "ptr %buffers, ptr %sizes, i64 %member, i64 %count"
            texts.append(f.text(f"i64 {f(f'call i64 inttoptr (i64 {address} to ptr)({arguments})')}"))
        return texts

    def _timed(self, symbol: str, called: str, row: int, clock: str = WALL) -> str:
        """A function that counts a call and the time it takes."""
        f = Function(TIMED + symbol, ARGUMENTS, "i64", linkage="internal")
        start = f(f"call i64 @{clock}()")
        status = f(f"call i64 @{called}(ptr %buffers, ptr %sizes, i64 %member, i64 %count)")
        elapsed = f.sub(f(f"call i64 @{clock}()"), start)
        for column, amount in enumerate((elapsed, "1")):
            place = f"inttoptr (i64 {self.marks.ctypes.data + 16 * row + 8 * column} to ptr)"
            f.store("i64", f.add(f.load("i64", place), amount), place)
        return f.text(f"i64 {status}")

    def _timed_step(self) -> str:
        f = Function(f"{TIMED}step", "ptr %table", "i64")
        status = f(f"call i64 @{STEP}(ptr %table)")
        f.give_up(f(f"icmp ne i64 {status}, 0"), f"i64 {status}")
        if self.program.lowered.layout.plan.copies:
            f(f"call i64 @{TIMED}{COPIES}(ptr %table, ptr null, i64 0, i64 1)")
        return f.text("i64 0")

    def _clock(self, clock: str) -> tuple[str, str, str]:
        """A function that gives nanoseconds, one that times nothing by it, and many calls of that."""
        now, many = Function(clock, "", "i64", linkage="internal"), Function(f"{EMPTY}.{clock}", "i64 %n")
        place = now("alloca [2 x i64], align 8")
        now(f"call i32 @clock_gettime(i32 {CLOCKS[clock]}, ptr {place})")
        seconds, rest = (now.load("i64", now.at("i64", place, i)) for i in (0, 1))
        symbol = f"{NOTHING}.{clock}"
        with many.loop(0, "%n", 1):
            many(f"call i64 @{TIMED}{symbol}(ptr null, ptr null, i64 0, i64 1)")
        text = now.text(f"i64 {now.add(now.mul(seconds, 1_000_000_000), rest)}")
        return text, self._timed(symbol, NOTHING, self._empty_row(clock), clock), many.text()


def _nothing() -> str:
    return Function(NOTHING, ARGUMENTS, "i64", linkage="internal").text("i64 0")


def _by_team(name: str) -> str:
    f = Function(name, ARGUMENTS, "i64", linkage="internal")
    return f.text(f"i64 {f(f'call i64 @{name}.step(ptr %buffers)')}")
