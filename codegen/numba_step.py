"""A whole step as one Python function: every kernel's loops in order, in the user's words and places.

    @njit(error_model="numpy", nogil=True)
    def step(x, w, out, B):
        relu = np.empty(B*512, np.float32)

        # 1  matmul, add, relu    train.py:8 'hidden'
        product((x, 0, 784, 1), (w, 0, 512, 1), (relu, 0, 512, 1), None, (B, 512, 784), 1, None)
        ...
        return 0

Arguments are flat arrays: inputs, weights, outputs; then the sizes. The function returns 0, or the number of
the kernel that failed << 32 | its status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.codegen.control_steps import ControlStep, Step
from graphc.codegen.emit_numba import HEADER, Names, Writer
from graphc.codegen.numba_control import write_control
from graphc.ir.graph import Graph
from graphc.ir.types import dtype_of
from graphc.passes.plan import Plan, Slot

PARAMETERS = ("input", "weight", "output")


@dataclass(frozen=True)
class StepSource:
    """The source, and the function's name in it."""

    text: str
    function: str


def step_source(graph: Graph, steps: Sequence[Step], plan: Plan) -> StepSource:
    """The Python source of a final graph's step."""
    function = Names().new(graph.name or "step")
    names = Names((*graph.symbols, function))
    slots = [names.new(_slot_name(s)) for s in plan.slots]
    parameters = [slots[i] for i in parameter_order(plan.slots)]
    writer = Writer(names, {v: slots[i] for v, i in plan.places.items()})
    for name, slot in zip(slots, plan.slots):
        if slot.kind == "arena" and slot.values:
            dtype = dtype_of(slot.dtype)
            writer.put(f"{name} = np.empty({slot.size // dtype.itemsize}, np.{dtype.numpy})")
    for step in steps:
        writer.lines.append("")
        writer.put(_comment(step))
        if isinstance(step, ControlStep):
            write_control(writer, step, plan.slots, slots, _comment)
            continue
        writer.failure = step.number << 32
        writer.kernel(step.kernel)
    for copy in plan.copies:
        writer.put(f"{slots[copy.target]}[:] = {slots[copy.source]}")
    writer.put("return 0")
    head = [
        '@njit(error_model="numpy", nogil=True)',
        f"def {function}({', '.join([*parameters, *graph.symbols])}):",
    ]
    return StepSource("\n".join([HEADER, *writer.tables, "", *head, *writer.lines]) + "\n", function)


def parameter_order(slots: Sequence[Slot]) -> list[int]:
    """The slots that are arguments of a step: inputs, weights, outputs, each in the order of the graph."""
    numbered = [(PARAMETERS.index(s.kind), s.index, i) for i, s in enumerate(slots) if s.kind in PARAMETERS]
    return [i for _, _, i in sorted(numbered)]


def _comment(step: Step) -> str:
    if isinstance(step, ControlStep):
        return f"# {step.node.op.name}    {step.node.location}".rstrip()
    return f"# {step.number + 1}  {step.note}"


def _slot_name(slot: Slot) -> str:
    return slot.values[0] if slot.values else f"{slot.kind}.{slot.index}"
