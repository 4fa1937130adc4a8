"""Passes by name, and the manager that runs a pipeline of them and keeps each stage.

    @register("cse")
    def cse(graph: Graph) -> Graph: ...

    stages = PassManager("simplify, cse", [verify_each]).run(graph)

A pass that finds nothing to do gives back the same object.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from graphc.ir.errors import ArgumentError
from graphc.ir.graph import Graph

Pass = Callable[[Graph], Graph]


@dataclass(frozen=True)
class Stage:
    """The graph after a pass: `name` is the pass's (`cse`, the second time `cse.1`), or "traced" for the
    first.
    """

    name: str
    graph: Graph
    milliseconds: float
    changed: bool

    @property
    def ops(self) -> int:
        """The number of nodes."""
        return len(self.graph.nodes)


Observer = Callable[[Stage, Stage], None]
"""Called with the stage before and the stage after each pass, and first of all with the traced stage
twice.
"""

_registered: dict[str, Pass] = {}


def register(name: str) -> Callable[[Pass], Pass]:
    """Decorator that gives a pass its name in pipelines."""

    def add(function: Pass) -> Pass:
        if name in _registered:
            raise ArgumentError(f"there is a pass {name!r} already")
        _registered[name] = function
        return function

    return add


def all_passes() -> Mapping[str, Pass]:
    """All passes by name. Their files are imported at the first call: with a warm cache there is none."""
    from graphc.passes import every  # noqa: F401, its imports register them

    return _registered


def get_pass(name: str) -> Pass:
    """The pass called `name`; ArgumentError lists those that there are."""
    known = all_passes()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
    raise ArgumentError(f"there is no pass {name!r}; {hint}")


class PassManager:
    """Runs the passes of a pipeline in order; observers see each stage."""

    def __init__(self, pipeline: str | None = None, observers: Iterable[Observer] = ()) -> None:
        from graphc.passes.pipelines import pass_names

        self.names = pass_names(pipeline)
        self.observers = tuple(observers)
        self._passes = [get_pass(name) for name in self.names]

    def run(self, graph: Graph) -> list[Stage]:
        """The traced stage and the stage after each pass."""
        stages = [Stage("traced", graph, 0.0, False)]
        self._tell(stages[0], stages[0])
        seen: dict[str, int] = {}
        for name, function in zip(self.names, self._passes):
            before = stages[-1]
            start = time.perf_counter()
            after = function(before.graph)
            elapsed = (time.perf_counter() - start) * 1000
            title = f"{name}.{seen[name]}" if name in seen else name
            seen[name] = seen.get(name, 0) + 1
            stages.append(Stage(title, after, elapsed, after is not before.graph))
            self._tell(before, stages[-1])
        return stages

    def _tell(self, before: Stage, after: Stage) -> None:
        for observer in self.observers:
            observer(before, after)
