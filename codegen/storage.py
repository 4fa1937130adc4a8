"""Where each value of a final graph lives: slots of memory, and the copies that end a step.

A value outside of kernels (a reshape) is another name for its operand's slot.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.ir.dims import Dim
from graphc.ir.errors import CompileError
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.types import DType


@dataclass(frozen=True)
class Slot:
    """A piece of memory: `kind` is input, weight, output or arena; `number` which of those."""

    name: str
    kind: str
    number: int
    dtype: DType
    size: Dim


@dataclass(frozen=True)
class Storage:
    """The slots, the slot of each value by name, and (from, to) of the copies at the end of a step."""

    slots: tuple[Slot, ...]
    slot_of: dict[str, int]
    copies: tuple[tuple[int, int], ...]


ALIASES = ("reshape", "stop_gradient")


def storage_of(graph: Graph) -> Storage:
    """A slot of its own for each value; new values of weights are copied to their weights at the end."""
    build = _Building(graph)
    for i, v in enumerate(graph.inputs):
        build.add(v, "input", i)
    for i, w in enumerate(graph.weights):
        build.add(w.value, "weight", i)
    roots = {v: _root(graph, v) for v in graph.values()}
    taken: dict[Value, int] = {}
    for i, v in enumerate(graph.outputs):
        root = roots[v]
        if root in graph.producers and root not in taken:
            taken[root] = i
    for v in graph.values():
        if v in graph.producers and roots[v] is v:
            number = taken.get(v)
            build.add(v, "arena" if number is None else "output", number or 0)
    for v, root in roots.items():
        build.slot_of[v.name] = build.slot_of[root.name]
    return build.finish(roots, taken)


class _Building:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.slots: list[Slot] = []
        self.slot_of: dict[str, int] = {}

    def add(self, v: Value, kind: str, number: int, name: str = "") -> int:
        self.slots.append(Slot(name or v.name, kind, number, v.type.dtype, v.type.size))
        if not name:
            self.slot_of[v.name] = len(self.slots) - 1
        return len(self.slots) - 1

    def finish(self, roots: dict[Value, Value], taken: dict[Value, int]) -> Storage:
        copies = []
        for i, v in enumerate(self.graph.outputs):
            if taken.get(roots[v]) != i:
                copies.append((self.slot_of[v.name], self.add(v, "output", i, f"{v.name}.result")))
        for u in self.graph.updates:
            copies.append((self.slot_of[u.new.name], self.slot_of[u.target.name]))
        return Storage(tuple(self.slots), self.slot_of, tuple(copies))


def _root(graph: Graph, v: Value) -> Value:
    """The value whose memory this one is."""
    node = graph.producers.get(v)
    while node is not None and node.op.name != "kernel":
        v = _aliased(node)
        node = graph.producers.get(v)
    return v


def _aliased(node: Node) -> Value:
    if node.op.name not in ALIASES:
        place = f" at {node.location}" if node.location else ""
        raise CompileError(f"'{node.op.name}'{place} was left outside of all kernels: no kernel computes it.")
    return node.operands[0]
