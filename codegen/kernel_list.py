"""The kernels of a final graph: each with its node, its loop nests and the places it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.codegen.loops import Kernel
from graphc.ir.dims import Dim
from graphc.ir.errors import ArgumentError
from graphc.ir.graph import Graph, Node
from graphc.ir.locations import Location
from graphc.ir.opdef import Kind
from graphc.passes.plan import Strip
from graphc.passes.schedule import is_alias


@dataclass(frozen=True)
class KernelStep:
    """One kernel of a step: the node of the final graph, or of a region in it, and its loop nests.

    `number` counts the kernels, `time` is the kernel's step in the memory plan. `slots` has the places of its
    pointers in the table of the control op around it (None: in that of the whole step), `trips` how often it
    runs, as far as the lengths of scans say. `strips` has the operands and results that are columns of wider
    rows, `policy` what was measured of its product (`choices`).
    """

    node: Node
    kernel: Kernel
    number: int = 0
    time: int = 0
    slots: Mapping[str, int] | None = None
    trips: Dim = 1
    strips: Mapping[str, Strip] = field(default_factory=dict)
    policy: str = ""

    @property
    def name(self) -> str:
        """The kernel's name: that of the first value it computes."""
        return self.kernel.name

    @property
    def locations(self) -> tuple[Location, ...]:
        """Where the nodes of the kernel come from, each place once; constants, which layers share, left
        out.
        """
        (region,) = self.node.regions
        nodes = [n for n in region.nodes if n.location and n.op.name != "constant"]
        found = dict.fromkeys(n.location for n in nodes)
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
    """The first node of a final graph, or of a control op's region, that is neither a kernel nor a control op
    nor another name for memory that is there.
    """
    for node in graph.nodes:
        if node.op.kind is Kind.CONTROL:
            found = next((n for n in map(left_outside, node.regions) if n is not None), None)
            if found is not None:
                return found
        elif node.op.kind is not Kind.KERNEL and not is_alias(node):
            return node
    return None


def in_place(
    node: Node, places: Mapping[str, int], strips: Mapping[str, Strip] | None = None
) -> dict[str, str]:
    """Which results of a kernel lie where which operand lies, if values have these slots; strips of one slot
    lie side by side.
    """
    beside = strips or {}
    operands = {places[v.name]: v.name for v in node.operands}
    found = {r.name: places[r.name] for r in node.results if r.name not in beside}
    return {name: operands[place] for name, place in found.items() if place in operands}


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
