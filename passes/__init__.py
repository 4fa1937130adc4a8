"""Graph to graph: what happens between a traced graph and one that is a list of kernels.

In comes a verified `Graph` (coarse ops, `gradient` nodes, maybe untyped); out goes the same function as
`kernel` nodes. `manager` runs passes by name and keeps the stages, `pipelines` has the default order,
`observers` watch (verify, dump, log, compare), `rewrite` is the walker and `patterns` the rule driver. The
passes, in order: `infer`, `autodiff`, `updates`, `simplify`, `cse`, `decompose`, `fold`, `epilogues`,
`fold_norm`, `trim`, `merge_scans`, `recall`, `hoist`, `thin`, `straighten`, `row_sums`, `dce`, `fuse`,
`schedule`; then `memory` plans buffers.
"""

from __future__ import annotations

from graphc.ir.graph import Graph
from graphc.passes.manager import Observer, PassManager, Stage, all_passes, register

__all__ = ["Observer", "PassManager", "Stage", "all_passes", "register", "run"]


def run(graph: Graph, pipeline: str | None = None) -> Graph:
    """The graph after a pipeline's passes: `passes.run(graph, "simplify,cse,fuse")`.

    Every compile starts here, so `GRAPHC_DUMP` and `GRAPHC_LOG` are heeded.
    """
    from graphc.passes import observers

    return PassManager(pipeline, observers.from_environment()).run(graph)[-1].graph
