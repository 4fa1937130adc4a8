"""A final graph on its way to code: memory plan, kernels, layout, and the texts. Each part is made when
first asked for.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from graphc.codegen.choices import Choices
from graphc.codegen.control_steps import Step, kernels_in, steps_of
from graphc.codegen.emit_llvm import scratch
from graphc.codegen.emit_product import calls, drivers
from graphc.codegen.kernel_list import KernelStep, left_outside
from graphc.codegen.layout import Layout, layout_of
from graphc.codegen.native_text import native_text
from graphc.codegen.stages import Stages
from graphc.codegen.target import Target
from graphc.codegen.team import members
from graphc.ir.errors import CompileError
from graphc.ir.graph import Graph
from graphc.passes.memory import plan
from graphc.passes.plan import Plan

if TYPE_CHECKING:
    from graphc.codegen.numba_step import StepSource


class Lowered:
    """Everything between the final graph and machine code, for one target.

    `fallible`: any kernel may fail (check="nan"), so no weight is written before the end. `passed`: the
    weights come with each call, after the inputs. `choices`: what was measured to be quickest.
    """

    def __init__(
        self,
        pipeline: Stages,
        target: Target,
        fallible: bool = False,
        passed: bool = False,
        choices: Choices | None = None,
    ) -> None:
        self.pipeline, self.target, self.fallible, self.passed = pipeline, target, fallible, passed
        self.choices = choices

    @property
    def members(self) -> int:
        """How many members of the team work at a call."""
        return members(self.pipeline.options.threads, self.target)

    @property
    def final(self) -> Graph:
        """The graph after the last pass."""
        return self.pipeline.final

    @cached_property
    def plan(self) -> Plan:
        """Where every value lives."""
        found = plan(self.final, nan_checks=self.fallible)
        # kernels keep what only they need in their own scratch memory
        own = {slot for names in found.scratch for slot in names.values()}
        slots = (replace(s, size=0, values=()) if i in own else s for i, s in enumerate(found.slots))
        return replace(found, slots=tuple(slots))

    @cached_property
    def steps(self) -> list[Step]:
        """Kernels and control ops, in order."""
        return steps_of(self.final, self.plan, self.choices, self.pipeline.options.fast_math)

    @cached_property
    def kernels(self) -> list[KernelStep]:
        """The kernels, those in regions of control ops included, in order."""
        return list(kernels_in(self.steps))

    @cached_property
    def layout(self) -> Layout:
        """The table that native code works on."""
        kernels = [k.kernel for k in self.kernels]
        wanted = [scratch(kernel, self.target, self.members) for kernel in kernels]
        return layout_of(self.final, self.plan, wanted, drivers(kernels), calls(kernels), self.passed)

    @cached_property
    def llvm(self) -> str:
        """The module of the step as LLVM text."""
        self._require_kernels()
        return native_text(self.steps, self.layout, self.target, True, self.members)

    @cached_property
    def python(self) -> StepSource:
        """The step as Python source."""
        from graphc.codegen.numba_step import step_source

        self._require_kernels()
        return step_source(self.final, self.steps, self.plan)

    def _require_kernels(self) -> None:
        """CompileError if a node is no kernel: code of the kernels alone would leave it out in silence."""
        node = left_outside(self.final)
        if node is not None:
            place = f"\n  at {node.location}" if node.location else ""
            name = self.final.name or "the graph"
            raise CompileError(f"{name} can't become one step: '{node.op.name}' is no kernel.{place}")
