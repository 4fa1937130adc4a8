"""The steps of a final graph: kernels, and control ops with the steps of their regions.

steps_of(graph, plan) -> [KernelStep, ControlStep, ...]
kernels_in(steps)     -> every kernel, those of regions included, in the order of their numbers
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from graphc.codegen.choices import Choices
from graphc.codegen.kernel_list import KernelStep, in_place
from graphc.codegen.kernels.strategy import FAST
from graphc.codegen.lower import lower
from graphc.ir.dims import Dim
from graphc.ir.graph import Graph, Node
from graphc.ir.opdef import Kind
from graphc.passes.plan import ControlPlan, Plan, RegionPlan
from graphc.passes.schedule import is_alias
from graphc.passes.times import region_times, times_of


@dataclass(frozen=True)
class RegionSteps:
    """The steps of a region, in order, and where its values are."""

    graph: Graph
    plan: RegionPlan
    steps: tuple[Step, ...]

    @property
    def first_output(self) -> int:
        """The slot of the region's first output."""
        return self.plan.places[self.graph.outputs[0].name]


@dataclass(frozen=True)
class ControlStep:
    """A control op with what its regions run. `times` are its steps in the memory plan, `operands` are slots.

    `table` says where the pointer of each slot that the regions use stands in the op's own table of pointers;
    the last pointer there is that of scratch memory.
    """

    node: Node
    name: str
    times: tuple[int, int]
    operands: tuple[int, ...]
    plan: ControlPlan
    table: Mapping[int, int]
    regions: tuple[RegionSteps, ...]

    @property
    def owned(self) -> frozenset[int]:
        """The slots that this op moves."""
        moved = {s.moved for s in (*self.plan.scanned, *self.plan.pieces)}
        carries = [c for c in self.plan.carries if c.way in ("swap", "follows", "history")]
        return frozenset(moved | {slot for c in carries for slot in (c.now, c.then)})


Step = KernelStep | ControlStep


def steps_of(graph: Graph, plan: Plan, choices: Choices | None = None, fast: bool = False) -> list[Step]:
    """The steps of a final graph with its memory plan; `fast`: with `fast_math`."""
    return _Maker(plan, choices or {}, FAST if fast else "").steps(graph, 0, plan.places, None, "", 1)


def kernels_in(steps: Iterable[Step]) -> Iterator[KernelStep]:
    """Every kernel; kernel `i` has the number i."""
    for step in steps:
        if isinstance(step, KernelStep):
            yield step
        else:
            for region in step.regions:
                yield from kernels_in(region.steps)


def controls_in(steps: Iterable[Step]) -> Iterator[ControlStep]:
    """Every control op, those of regions before the ones around them."""
    for step in steps:
        if isinstance(step, ControlStep):
            for region in step.regions:
                yield from controls_in(region.steps)
            yield step


def names_by_time(steps: Iterable[Step]) -> dict[int, str]:
    """What runs at each step of the memory plan."""
    found: dict[int, str] = {}
    for step in steps:
        if isinstance(step, KernelStep):
            found[step.time] = step.name
        else:
            found.update(dict.fromkeys(range(step.times[0], step.times[1] + 1), step.name))
            for region in step.regions:
                found |= names_by_time(region.steps)
    return found


class _Maker:
    """Numbers kernels and gives every step a name of its own."""

    def __init__(self, plan: Plan, choices: Choices, policy: str) -> None:
        self.plan, self.choices, self.policy = plan, choices, policy
        self.count = 0
        self.names: set[str] = set()

    def steps(
        self,
        graph: Graph,
        start: int,
        places: Mapping[str, int],
        table: Mapping[int, int] | None,
        path: str,
        trips: Dim,
    ) -> list[Step]:
        """The steps of a graph, or of a region whose first node runs at the time `start`."""
        slots = None
        if table is not None:
            slots = {name: table[slot] for name, slot in places.items()} | {"scratch": len(table)}
        found: list[Step] = []
        for node, times in times_of(graph, start).nodes.items():
            if is_alias(node):
                continue
            name = self._name(path + (node.results[0].name if node.results else node.op.name))
            if node.op.kind is Kind.CONTROL:
                found.append(self._control(node, times, places, name, trips))
                continue
            strips, joined = (self.plan.strips, self.plan.joined) if table is None else ({}, frozenset())
            if node.results and node.results[0].name in joined:
                continue
            mine = {v.name: strips[v.name] for v in (*node.operands, *node.results) if v.name in strips}
            policy = self.choices.get(self.count, self.policy)
            kernel = lower(node, name, in_place(node, places, mine), mine, policy)
            found.append(KernelStep(node, kernel, self.count, times[0], slots, trips, mine, policy))
            self.count += 1
        return found

    def _name(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self.names:
            name, number = f"{wanted}.{number}", number + 1
        self.names.add(name)
        return name

    def _control(
        self, node: Node, times: tuple[int, int], places: Mapping[str, int], name: str, trips: Dim
    ) -> ControlStep:
        plan = self.plan.controls[times[0]]
        slots = dict.fromkeys(slot for region in plan.regions for slot in region.places.values())
        slots |= dict.fromkeys(copy.target for region in plan.regions for copy in region.copies)
        table = {slot: i for i, slot in enumerate(slots)}
        starts = [region.start for region in region_times(node, times[0])]
        trips = trips * node.attrs["length"] if node.op.name == "scan" else trips
        regions = tuple(
            RegionSteps(graph, r, tuple(self.steps(graph, start, r.places, table, f"{name}.", trips)))
            for graph, r, start in zip(node.regions, plan.regions, starts, strict=True)
        )
        operands = tuple(places[v.name] for v in node.operands)
        return ControlStep(node, name, times, operands, plan, table, regions)
