"""A second step for the kernels of a loaded program: what it calls looks at the clock before and after.

    i64 @timed.step(ptr table)                               as `step`, but calls
    i64 @timed.kernel.add(buffers, sizes, member, count)     which times `kernel.add`, whose machine code is
                                                             that of the program, by its address

With several threads each kernel outside of control ops is done by the team alone, as phases of a step of its
own. Times and numbers of calls are added up in an array of marks.
"""

from __future__ import annotations

import ctypes

import numpy as np

from graphc.codegen.control_steps import Step, controls_in, kernels_in
from graphc.codegen.control_text import control_symbol, control_texts, kernel_symbol
from graphc.codegen.emit_frame import ARGUMENTS
from graphc.codegen.emit_llvm import phase_names
from graphc.codegen.kernel_list import KernelStep
from graphc.codegen.loader import Code, load
from graphc.codegen.native import NativeProgram
from graphc.codegen.native_text import step_text
from graphc.codegen.phases import phases
from graphc.codegen.team import symbols_for
from graphc.codegen.team_step import GLOBALS, phases_of, team_step
from graphc.codegen.text import Function, module

TIMED, TEAM, NOW, NOTHING, EMPTY = "timed.", "team.", "clock.now", "nothing", "clock.empty"
_MONOTONIC, _TRIES = 1, 2000


class TimedStep:
    """The timed step of a program. `marks` has nanoseconds and calls: a row for each kernel by its number,
    for each control op, for the whole step, and one for nothing at all, from which `overhead` is known.
    """

    def __init__(self, program: NativeProgram) -> None:
        lowered = program.lowered
        self.program, self.steps = program, lowered.steps
        self.kernels, self.controls = list(kernels_in(self.steps)), list(controls_in(self.steps))
        self.whole = len(self.kernels) + len(self.controls)
        self.marks = np.zeros((self.whole + 2, 2), np.int64)
        self.code: Code = load(
            [self._text()], program.target, 0, symbols_for(lowered.members, program.target)
        )
        self.run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(self.code.address(f"{TIMED}step"))
        self.overhead = self._overhead()

    def row_of(self, step: Step) -> int:
        """The row of a kernel or a control op in `marks`."""
        if isinstance(step, KernelStep):
            return step.number
        return len(self.kernels) + next(i for i, c in enumerate(self.controls) if c is step)

    def _overhead(self) -> float:
        """Nanoseconds that a mark counts too much."""
        empty = self.code.function(EMPTY, "i")
        best = np.inf
        for _ in range(5):
            self.marks[:] = 0
            empty(_TRIES)
            best = min(best, self.marks[-1, 0] / _TRIES)
        return float(best)

    # -- text ------------------------------------------------------------------------------------------------
    def _text(self) -> str:
        lowered, target = self.program.lowered, self.program.target
        layout, members = lowered.layout, lowered.members
        texts = [_now(), _nothing(), self._timed(NOTHING, NOTHING, self.whole + 1), self._empty()]
        for kernel in self.kernels:
            texts += self._addresses(kernel)
            symbol = called = kernel_symbol(kernel)
            if members > 1 and kernel.slots is None:
                called = f"{TEAM}{symbol}"
                found = phases_of([kernel], layout, target)
                texts += team_step(f"{called}.step", found, layout, target, members, copies=False)
                texts.append(_by_team(called))
            texts.append(self._timed(symbol, called, kernel.number))
        texts += control_texts(self.steps, layout, target, TIMED)
        texts += [self._timed(s := control_symbol(c), s, self.row_of(c)) for c in self.controls]
        texts += [step_text(self.steps, layout, TIMED), self._timed_step()]
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

    def _timed(self, symbol: str, called: str, row: int) -> str:
        f = Function(TIMED + symbol, ARGUMENTS, "i64", linkage="internal")
        start = f(f"call i64 @{NOW}()")
        status = f(f"call i64 @{called}(ptr %buffers, ptr %sizes, i64 %member, i64 %count)")
        self._mark(f, start, row)
        return f.text(f"i64 {status}")

    def _mark(self, f: Function, start: str, row: int) -> None:
        """Add the time since `start`, and one call."""
        for column, amount in enumerate((f.sub(f(f"call i64 @{NOW}()"), start), 1)):
            address = self.marks.ctypes.data + 16 * row + 8 * column
            place = f"inttoptr (i64 {address} to ptr)"
            f.store("i64", str(f.add(f.load("i64", place), amount)), place)

    def _timed_step(self) -> str:
        f = Function(f"{TIMED}step", "ptr %table", "i64")
        start = f(f"call i64 @{NOW}()")
        status = f("call i64 @step(ptr %table)")
        self._mark(f, start, self.whole)
        return f.text(f"i64 {status}")

    def _empty(self) -> str:
        f = Function(EMPTY, "i64 %n")
        with f.loop(0, "%n", 1):
            f(f"call i64 @{TIMED}{NOTHING}(ptr null, ptr null, i64 0, i64 1)")
        return f.text()


def _now() -> str:
    """Nanoseconds of the monotonic clock."""
    f = Function(NOW, "", "i64", linkage="internal")
    place = f("alloca [2 x i64], align 8")
    f(f"call i32 @clock_gettime(i32 {_MONOTONIC}, ptr {place})")
    seconds, rest = (f.load("i64", f.at("i64", place, i)) for i in (0, 1))
    return f.text(f"i64 {f.add(f.mul(seconds, 1_000_000_000), rest)}")


def _nothing() -> str:
    return Function(NOTHING, ARGUMENTS, "i64", linkage="internal").text("i64 0")


def _by_team(name: str) -> str:
    f = Function(name, ARGUMENTS, "i64", linkage="internal")
    return f.text(f"i64 {f(f'call i64 @{name}.step(ptr %buffers)')}")
