"""What was fused with what, and for each pair of neighbours that was not: why, as `fuse` itself gave the
reason.

>>> from graphc.ir import Builder, tensor
>>> b = Builder("f")
>>> x = b.input("x", tensor("f32", "B", 80))
>>> b.output(b.matmul(b.exp(x), b.weight("w", tensor("f32", 80, 80))))
>>> print(explain(b.build()))
@f: 2 nodes in 2 kernels
  1  exp (map)
       map [B, 80]: exp
  2  matmul (contract)
       contract [B, 80]: matmul
not fused
  exp -> matmul  a product reads its operands from memory
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.ir.graph import Graph, Node
from graphc.ir.opdef import Kind
from graphc.passes.clusters import PRODUCT_OPERAND, Part
from graphc.passes.fuse import Fusion, KernelRecord, fusion


@dataclass(frozen=True)
class Boundary:
    """Two neighbours, by the names of their first results, that are not one kernel, and the reason."""

    first: str
    second: str
    reason: str


@dataclass(frozen=True)
class Explanation:
    """A fused graph's kernels and what lies between them; prints as text."""

    name: str
    nodes: int
    kernels: tuple[KernelRecord, ...]
    boundaries: tuple[Boundary, ...]

    def __str__(self) -> str:
        count = len(self.kernels)
        lines = [f"@{self.name}: {self.nodes} nodes in {count} kernel{'s' * (count != 1)}"]
        for number, record in enumerate(self.kernels, 1):
            place = f"  @ {record.node.location}" if record.node.location else ""
            lines.append(f"  {number}  {_name(record.node)} ({record.node.attrs['strategy']}){place}")
            lines += [f"       {_describe(part)}" for part in record.parts]
        pairs = [(f"{b.first} -> {b.second}", b.reason) for b in self.boundaries]
        width = max((len(pair) for pair, _ in pairs), default=0)
        lines += ["not fused"] if pairs else []
        lines += [f"  {pair:<{width}}  {reason}" for pair, reason in pairs]
        return "\n".join(lines)


def explain(graph: Graph) -> Explanation:
    """Fuse a graph (as it is before the pass `fuse`) and tell what came about, and why."""
    made = fusion(graph)
    return Explanation(graph.name, len(graph.nodes), made.kernels, tuple(_boundaries(made)))


def _boundaries(made: Fusion) -> list[Boundary]:
    """A boundary for every pair of nodes of the fused graph of which the second reads the first."""
    home = {n: record.node for record in made.kernels for n in record.nodes}
    reasons: dict[tuple[Node, Node], str] = {}
    for refusal in made.refusals:
        producer = made.graph.producers.get(refusal.value)
        consumer = home.get(refusal.consumer, refusal.consumer)
        # that a product reads memory says more than what its other loops could do
        if producer is not None and reasons.get((producer, consumer)) != PRODUCT_OPERAND:
            reasons[producer, consumer] = refusal.reason
    return [
        Boundary(_name(first), _name(second), reasons[first, second])
        for first in made.graph.nodes
        for second in dict.fromkeys(u for r in first.results for u in made.graph.users[r])
    ]


def _name(node: Node) -> str:
    return node.results[0].name


def _describe(part: Part) -> str:
    ops = [n.op.name for n in part.nodes if n.op.kind is not Kind.CREATION]
    shape = f"[{', '.join(map(str, part.shape))}]"
    folded = f" over axes {', '.join(map(str, part.reduced))}" if part.reduced else ""
    return f"{part.kind} {shape}{folded}: {', '.join(ops) or part.nodes[-1].op.name}"
