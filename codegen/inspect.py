"""The views of a compiled graph: source, LLVM IR, machine code, memory, and the story of its fusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.codegen.control_steps import names_by_time
from graphc.codegen.emit_llvm import KernelText, module_text
from graphc.codegen.emit_numba import HEADER, kernel_source
from graphc.codegen.kernel_list import find
from graphc.codegen.loader import assembly, optimised_llvm
from graphc.codegen.lowered import Lowered
from graphc.codegen.memory_report import MemoryReport, memory_report
from graphc.codegen.report import Text
from graphc.codegen.shared_kernels import kernel_text
from graphc.codegen.signature import Sizes
from graphc.ir.errors import StateError

if TYPE_CHECKING:
    from graphc.codegen.compiled import Compiled


def source(lowered: Lowered, kernel: str | int | None) -> Text:
    """The step, or one kernel, as Python source that runs as it stands."""
    if kernel is None:
        return Text(lowered.python.text)
    step = find(lowered.kernels, kernel)
    return Text(f"{HEADER}\n\n{kernel_source(step.kernel, lowered.final.symbols, step.note)}")


def llvm(lowered: Lowered, kernel: str | int | None) -> Text:
    """The LLVM IR of the step, or of one kernel, verified and in its final form."""
    return Text(optimised_llvm(_module(lowered, kernel), lowered.target))


def asm(lowered: Lowered, kernel: str | int | None) -> Text:
    """The machine code of the step, or of one kernel."""
    return Text(assembly(_module(lowered, kernel), lowered.target))


def _module(lowered: Lowered, kernel: str | int | None) -> str:
    if kernel is None:
        return lowered.llvm
    text: KernelText = kernel_text(find(lowered.kernels, kernel), lowered.layout, lowered.target)
    return module_text([text], lowered.target)


def memory(lowered: Lowered, sizes: Sizes) -> MemoryReport:
    """The memory of a call with these sizes; StateError if one is missing."""
    missing = [s for s in lowered.final.symbols if s not in sizes]
    if missing:
        listed = ", ".join(f"{s}=32" for s in missing)
        raise StateError(
            f"memory depends on {', '.join(missing)}: call the function first, or use f.memory({listed})."
        )
    return memory_report(names_by_time(lowered.steps), lowered.layout, sizes)


def explain(compiled: Compiled) -> Text:
    """Kernels and what is in them, what was not fused and why, and the cache."""
    lowered = compiled.lowered
    lines = [f"{lowered.final.name or 'the graph'}: {len(lowered.kernels)} kernels"]
    for number, step in enumerate(lowered.kernels, 1):
        strategy = step.node.attrs["strategy"]
        lines.append(f"  {number}  {step.name} ({strategy}): {step.note}")
    lines += _refusals(compiled)
    choices = getattr(compiled.program, "choices", {})
    lines += [f"measured: {lowered.kernels[k].name} is {policy[1:]}" for k, policy in choices.items()]
    story = getattr(compiled.program, "story", "")
    return Text("\n".join([*lines, story] if story else lines))


def _refusals(compiled: Compiled) -> list[str]:
    from graphc.passes.explain import explain as explain_fusion

    run = compiled.pipeline.run()
    before = next((run[i - 1].graph for i, s in enumerate(run) if s.name == "fuse"), None)
    if before is None:
        return []
    reasons = [f"  {b.second} does not join {b.first}: {b.reason}" for b in explain_fusion(before).boundaries]
    return ["not fused:", *reasons] if reasons else []
