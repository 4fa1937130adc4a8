"""The stages of one compile: the graph after each pass that changed it, run when first asked for."""

from __future__ import annotations

import difflib
import os
import threading
from dataclasses import dataclass

from graphc import passes
from graphc.codegen.forks import free_in_children
from graphc.codegen.options import Options
from graphc.codegen.report import Text, table
from graphc.ir.errors import ArgumentError
from graphc.ir.graph import Graph
from graphc.passes.log import wants


@dataclass(frozen=True)
class Stage:
    """A pass that changed the graph: its name, the number of nodes after it, the milliseconds it took."""

    name: str
    ops: int
    ms: float


class StageList(list[Stage]):
    """Stages in order; prints as a table."""

    def __repr__(self) -> str:
        rows = [(s.name, s.ops, f"{s.ms:.2f}") for s in self]
        return table(["stage", "ops", "ms"], rows, right="lrr")

    __str__ = __repr__


class Stages:
    """The traced graph and what each pass made of it. A warm cache never asks for more than the first."""

    def __init__(self, traced: Graph, options: Options) -> None:
        self.traced, self.options = traced, options
        self._lock = free_in_children(threading.Lock())
        self._all: list[passes.Stage] = []
        self._kept: list[passes.Stage] = []

    def run(self) -> list[passes.Stage]:
        """The traced stage, and each stage that a pass changed; the passes run at the first call."""
        with self._lock:
            if not self._kept:
                from graphc.passes.observers import from_environment

                self._all = passes.PassManager(self.options.passes, from_environment()).run(self.traced)
                self._kept = [s for i, s in enumerate(self._all) if s.changed or not i]
            return self._kept

    def show(self) -> None:
        """Run the passes at once if the environment wants to see them; a warm cache would not need them."""
        if os.environ.get("GRAPHC_DUMP") or any(wants(topic) for topic in ("compile", "fusion")):
            self.run()

    @property
    def final(self) -> Graph:
        """The graph after the last pass."""
        return self.run()[-1].graph

    def graph(self, name: str) -> Graph:
        """The graph at a stage: "traced", a pass (one that changed nothing gives what it got), or "final".

        Raises
        ------
        ArgumentError
            There is no such stage; the message lists those that there are.
        """
        if name == "traced":
            return self.traced
        if name == "final":
            return self.final
        changed = self.run()
        found = {s.name: s.graph for s in self._all}
        if name not in found:
            listed = ", ".join((*(s.name for s in changed), "final"))
            raise ArgumentError(
                f"@{self.traced.name} has no stage {name!r}; the stages that changed it are {listed}."
            )
        return found[name]

    def listed(self) -> StageList:
        """Name, number of nodes and time of each stage."""
        return StageList(Stage(s.name, s.ops, s.milliseconds) for s in self.run())

    def diff(self, before: str, after: str) -> Text:
        """The lines that differ between two stages, with their surroundings."""
        left, right = (str(self.graph(name)).splitlines() for name in (before, after))
        return Text("\n".join(difflib.unified_diff(left, right, before, after, lineterm="")))
