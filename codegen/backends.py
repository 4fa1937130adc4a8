"""Which program runs a compiled graph: a table of backends, and the checking runner in front of them."""

from __future__ import annotations

import importlib

from graphc.codegen.options import Options
from graphc.codegen.program import Program
from graphc.codegen.stages import Stages
from graphc.codegen.stats import STATS
from graphc.ir.graph import Graph
from graphc.ir.opdef import Kind
from graphc.passes.log import log

MODULES = {"llvm": "native", "numba": "numba_program", "reference": "reference"}


def build(pipeline: Stages, options: Options) -> Program:
    """The program for the graph of a pipeline."""
    module = importlib.import_module(f"{__package__}.{_module(pipeline, options)}")
    try:
        return module.build(pipeline, options)
    except AssertionError:
        return importlib.import_module(f"{__package__}.reference").build(pipeline, options)


def _module(pipeline: Stages, options: Options) -> str:
    if options.backend == "reference":
        return MODULES["reference"]
    reason = why_not_native(pipeline.traced)
    if reason is not None:
        STATS.count("reference_fallbacks")
        log("compile", f"@{pipeline.traced.name} runs by the reference evaluator: {reason}")
        return MODULES["reference"]
    return "checked" if options.check else MODULES[options.backend]


def why_not_native(graph: Graph) -> str | None:
    """Why the graph can't become one native step; None if it can.

    >>> from graphc.ir import Builder
    >>> why_not_native(Builder("f").build())
    """
    for node in graph.nodes:
        if node.op.kind is Kind.CONTROL:
            place = f" at {node.location}" if node.location else ""
            return f"'{node.op.name}'{place} runs its region a number of times that is known at run time only"
    return None
