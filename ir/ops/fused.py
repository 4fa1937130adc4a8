"""What fusion makes: a node that is one compiled kernel."""

from __future__ import annotations

from graphc.ir.errors import ArgumentError
from graphc.ir.opdef import Kind, op

STRATEGIES = ("map", "reduce", "rows", "contract", "scatter", "scan", "join")


def match_parameters(region, types):
    """ArgumentError unless a region's parameters have the types of the operands that it gets."""
    expected = tuple(v.type for v in region.inputs)
    if expected != tuple(types):
        raise ArgumentError(f"the region takes {expected}, but the operands are {tuple(types)}")


@op("kernel", Kind.KERNEL, regions=1)
class Kernel:
    """A region that runs as one kernel; the results are the region's outputs.

    `strategy` says how it is laid out in loops.
    """

    def infer(*operands, strategy, regions):
        if strategy not in STRATEGIES:
            raise ArgumentError(f"there is no strategy {strategy!r}; there are {', '.join(STRATEGIES)}")
        match_parameters(regions[0], operands)
        return tuple(v.type for v in regions[0].outputs)

    def evaluate(*operands, strategy, regions):
        return regions[0](*operands)
