"""From the status of a kernel to an exception that says what was wrong, where, and in whose code.

A kernel only knows that a check failed. The evaluator, run on the same arrays, knows which value and where.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphc.codegen.kernel_list import KernelStep
from graphc.codegen.program import Arrays
from graphc.ir.errors import ArgumentError, CompileError, GraphcError, IndexRangeError, NumericsError
from graphc.ir.evaluate import run
from graphc.ir.graph import Graph
from graphc.ir.locations import Location

ERRORS: dict[str, type[GraphcError]] = {
    "index": IndexRangeError,
    "value": ArgumentError,
    "numerics": NumericsError,
}


def failure(
    graph: Graph, steps: list[KernelStep], status: int, inputs: Arrays, weights: Arrays
) -> GraphcError:
    """The exception for the status of a step (kernel number << 32 | kernel's status) on these arrays."""
    names = [v.name for v in graph.parameters]
    try:
        run(graph, dict(zip(names, (*inputs, *weights))))
    except GraphcError as error:
        return error
    step = steps[status >> 32]
    meaning = step.kernel.failures[(status & 0xFFFFFFFF) - 1]
    return ERRORS.get(meaning.error, CompileError)(f"{meaning.message}{location_lines(step.locations)}")


def location_lines(locations: Iterable[Location]) -> str:
    """A line for each place, to be put below a message."""
    return "".join(f"\n  at {place}" for place in locations)
