"""Floating-point errors of native code: the processor's flags tell that NumPy may have to warn.

Native code raises the same flags as NumPy's loops: by a quotient by zero, by what is too large, by inf - inf.
Now and then it raises one more, by elements that only fill a register, or for a NaN. So where a flag is up,
NumPy computes the operations once, without what they leave behind, and is asked whether it warns. If it does,
NumPy does this and all later calls; if it does not, less is asked from then on. Where native code has written
arrays of the caller, the next call is the one that is looked at. Other threads' flags are not seen, nor those
of logarithms, which give -inf without: a number that is not finite is taken for a flag.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.codegen import target as targets
from graphc.codegen.entry import layout_is_known, python_callable, symbols
from graphc.codegen.loader import Code, stored_object
from graphc.npjit.warned import QUIET

LOGARITHMS = frozenset([np.log, np.log2, np.log10, np.log1p])
RARER = 8
"""How many times more flags are passed over after each false alarm."""
_TEXT = """
@graphc_true = external global i8
@graphc_false = external global i8
declare void @Py_IncRef(ptr)
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)

define ptr @raised(ptr %self, ptr %args, i64 %count) nounwind {
entry:
  %slot = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %slot)
  %state = load i32, ptr %slot
  %flags = and i32 %state, 13
  %any = icmp ne i32 %flags, 0
  br i1 %any, label %some, label %none
some:
  %clean = and i32 %state, -64
  store i32 %clean, ptr %slot
  call void @llvm.x86.sse.ldmxcsr(ptr %slot)
  call void @Py_IncRef(ptr @graphc_true)
  ret ptr @graphc_true
none:
  call void @Py_IncRef(ptr @graphc_false)
  ret ptr @graphc_false
}
"""


@functools.cache
def raised() -> Callable[[], bool] | None:
    """A function that tells whether one of the flags of this thread is up (invalid, divided by zero, too
    large), and takes them down; None for other processors.
    """
    machine = targets.host()
    if not layout_is_known() or not machine.triple.startswith("x86_64"):
        return None
    bound: dict[str, Any] = {"graphc_true": id(True), "graphc_false": id(False)}
    bound["Py_IncRef"] = symbols()["Py_IncRef"]
    code = Code([stored_object(_TEXT, lambda: _TEXT, machine)], machine, bound)
    return python_callable(code, "raised")


class NoisyError(Exception):
    """NumPy warns of what native code has just computed."""


class Alarm:
    """What is known of the flags of one native function. `probe` computes by NumPy, and leaves nothing."""

    def __init__(self, probe: Callable[[tuple[Any, ...], dict[str, Any]], Any]) -> None:
        self.probe = probe
        self.off = self.suspect = False
        self.passed = self.false = 0

    def warns(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether NumPy warns in this call."""
        self.suspect = False
        if self.passed:
            self.passed -= 1
            return False
        state = np.geterr()
        heard: list[None] = []
        modes: Any = {k: "call" for k, v in state.items() if v == "warn"}
        if not modes or not QUIET.issuperset(state.values()):
            return False
        with warnings.catch_warnings(), np.errstate(call=lambda *_: heard.append(None), **modes):
            warnings.simplefilter("ignore")
            self.probe(args, kwargs)
        if heard:
            self.off = True
        else:
            self.false += 1
            self.passed = RARER**self.false
        return bool(heard)


def guarded(lines: Sequence[str], results: Sequence[str], in_place: bool) -> list[str]:
    """The lines of native runs, with the flags looked at; `results`: numbers that must be finite."""
    evidence = " or ".join(["raised()", *(f"not isfinite({r})" for r in results)])
    if in_place:
        return ["raised()", *lines, f"if {evidence}: alarm.suspect = True"]
    return ["raised()", *lines, f"if ({evidence}) and alarm.warns(args, kw): raise NoisyError"]


SCOPE: dict[str, Any] = {"NoisyError": NoisyError, "isfinite": math.isfinite}
"""What these lines call, besides `raised` and `alarm`."""
