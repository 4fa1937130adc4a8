"""Loops over the steps of a sequence, as one node of the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphc.ir.errors import ArgumentError
from graphc.ops.promotion import tensor
from graphc.tensor import Tensor
from graphc.trace import active

Step = Callable[[list[Tensor], list[Tensor]], tuple[Sequence[Any], Sequence[Any]]]


def scan(
    step: Step, carries: Sequence[Any], sequences: Sequence[Any], reverse: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """`step(carries, slices) -> (new carries, pieces)` for each slice of `sequences` along their first axis.

    Only within a layer's `call`, or a function that is being compiled. `step` runs once, on traced tensors;
    it may use tensors and variables from outside, but not assign to variables.

    Args:
        step: gets lists of tensors; new carries have the types of the old ones.
        carries: what goes from step to step: at first these.
        sequences: at least one; all of one length.
        reverse: from the last slice to the first; pieces keep their slice's place.

    Returns:
        The last carries, and the pieces stacked along a first axis.

    Raises:
        ArgumentError: it is called outside of a trace, or without a sequence.
    """
    trace = active()
    if trace is None or not sequences:
        raise ArgumentError("scan needs a sequence, and runs in a layer's call only.")
    start, rows = [tensor(c) for c in carries], [tensor(x) for x in sequences]
    with trace.region("step") as region:
        builder = region.builder
        given = [trace.tensor(builder.input(f"carry{i}", c.type)) for i, c in enumerate(start)]
        slices = [
            trace.tensor(builder.input(f"x{i}", x.type.with_shape(x.type.shape[1:])))
            for i, x in enumerate(rows)
        ]
        new, pieces = step(given, slices)
        ends = [tensor(value, c.dtype) for value, c in zip(new, start, strict=True)]
        builder.output(*(trace.expr(t) for t in (*ends, *map(tensor, pieces))))
        body = builder.build()
    constants = [trace.tensor(expr) for expr in region.captured.values()]
    results = trace.loop(
        "scan",
        [*start, *rows, *constants],
        body,
        carries=len(start),
        scanned=len(rows),
        length=rows[0].type.shape[0],
        reverse=reverse,
    )
    return list(results[: len(start)]), list(results[len(start) :])
