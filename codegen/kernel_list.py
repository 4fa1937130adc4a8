"""The kernels of a final graph: each with its node, its loop nests and the places it came from."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.codegen.loops import Kernel
from graphc.codegen.lower import lower
from graphc.ir.errors import ArgumentError
from graphc.ir.graph import Graph, Node
from graphc.ir.locations import Location
from graphc.passes.plan import Plan
from graphc.passes.schedule import is_alias


@dataclass(frozen=True)
class KernelStep:
    """One kernel of a step: the node of the final graph and its loop nests."""

    node: Node
    kernel: Kernel

    @property
    def name(self) -> str:
        """The kernel's name: that of the first value it computes."""
        return self.kernel.name

    @property
    def locations(self) -> tuple[Location, ...]:
        """Where the nodes of the kernel come from, each place once."""
        (region,) = self.node.regions
        found = dict.fromkeys(n.location for n in region.nodes if n.location)
        return tuple(found) or ((self.node.location,) if self.node.location else ())

    @property
    def operations(self) -> str:
        """The operations inside, constants left out."""
        (region,) = self.node.regions
        counts: dict[str, int] = {}
        for n in region.nodes:
            if n.op.name != "constant":
                counts[n.op.name] = counts.get(n.op.name, 0) + 1
        return ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())

    @property
    def note(self) -> str:
        """The operations inside, and the places they came from, in one line."""
        places = dict.fromkeys(_place(x) for x in self.locations)
        return f"{self.operations}    {', '.join(p for p in places if p)}".rstrip()


def _place(location: Location) -> str:
    return str(Location(location.file, location.line, location.layer))


def left_outside(graph: Graph) -> Node | None:
    """The first node of a final graph that is neither a kernel nor another name for memory that is there."""
    return next((n for n in graph.nodes if n.op.name != "kernel" and not is_alias(n)), None)


def kernels_of(graph: Graph, plan: Plan) -> list[KernelStep]:
    """Lower every kernel node of a final graph; the plan says which results overwrite operands."""
    kernels = [node for node in graph.nodes if node.op.name == "kernel"]
    return [KernelStep(n, lower(n, n.results[0].name, _in_place(n, plan))) for n in kernels]


def _in_place(node: Node, plan: Plan) -> dict[str, str]:
    operands = {plan.places[v.name]: v.name for v in node.operands}
    places = {r.name: plan.places[r.name] for r in node.results}
    return {name: operands[place] for name, place in places.items() if place in operands}


def find(kernels: list[KernelStep], name: str | int) -> KernelStep:
    """The kernel of that name or number; ArgumentError lists them.

    Raises
    ------
    ArgumentError
        There is no such kernel.
    """
    if isinstance(name, int) and 0 <= name < len(kernels):
        return kernels[name]
    for step in kernels:
        if step.name == name:
            return step
    listed = ", ".join(k.name for k in kernels) or "none"
    raise ArgumentError(f"there is no kernel {name!r}; the kernels are {listed}.")
