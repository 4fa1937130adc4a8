"""Which program runs a compiled graph: a table of backends, the checking runner, and the evaluator for the
rest.

A graph that has no native form (a kernel that can't be lowered) runs by the evaluator:
slower, with the same values. That is logged and counted (`reference_fallbacks` of `graphc.stats()`).
"""

from __future__ import annotations

import importlib

from graphc.codegen.custom import is_opaque
from graphc.codegen.errors import LinkError
from graphc.codegen.options import Options
from graphc.codegen.program import Program
from graphc.codegen.stages import Stages
from graphc.codegen.stats import STATS
from graphc.ir.errors import CompileError
from graphc.ir.graph import Graph
from graphc.passes.log import log

MODULES = {"llvm": "native", "numba": "numba_program", "reference": "reference"}


def build(pipeline: Stages, options: Options) -> tuple[Program, str]:
    """The program for the graph of a pipeline, and why it is the evaluator if nobody asked for that."""
    pipeline.show()
    if options.backend == "reference" and options.check is None:
        return _made("reference", pipeline, options), ""
    mixed = why_mixed(pipeline.traced) or why_unfused(pipeline, options)
    if mixed is not None:
        log("compile", f"@{pipeline.traced.name} runs kernel by kernel: {mixed}")
    try:
        by_kernel = options.check is not None or mixed is not None
        return _made("checked" if by_kernel else MODULES[options.backend], pipeline, options), ""
    except LinkError:
        raise
    except CompileError as error:
        reason = str(error)
    STATS.count("reference_fallbacks")
    log("compile", f"@{pipeline.traced.name} runs by the reference evaluator: {reason}")
    return _made("reference", pipeline, options), reason


def why_unfused(pipeline: Stages, options: Options) -> str | None:
    """Why passes that the caller chose leave nodes that are no kernels; None if they leave none."""
    if options.passes is None:
        return None
    from graphc.codegen.kernel_list import left_outside

    node = left_outside(pipeline.final)
    return None if node is None else f"the passes leave '{node.op.name}' as it is"


def _made(module: str, pipeline: Stages, options: Options) -> Program:
    program: Program = importlib.import_module(f"{__package__}.{module}").build(pipeline, options)
    return program


def why_mixed(graph: Graph) -> str | None:
    """Why the graph can't become one native step, but kernels with other nodes between; None if it can.

    >>> from graphc.ir import Builder
    >>> why_mixed(Builder("f").build())
    """
    for node in graph.nodes:
        if is_opaque(node.op):
            place = f" at {node.location}" if node.location else ""
            return f"'{node.op.name}'{place} is no kernel"
        inside = next(filter(None, map(why_mixed, node.regions)), None)
        if inside is not None:
            return inside
    return None
