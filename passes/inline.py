"""Undo fusion: kernels are replaced by the nodes of their regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from graphc.ir import Builder
from graphc.ir.graph import Graph, Node, Update, Value
from graphc.ir.opdef import Kind
from graphc.passes.manager import register


@register("inline")
def inline(graph: Graph) -> Graph:
    """The graph with every kernel's nodes in its place; nodes that several kernels compute stand several
    times.

    Values keep their names where those are free: the kernels' results always do.
    """
    graph = map_regions(graph, inline)
    if all(node.op.kind is not Kind.KERNEL for node in graph.nodes):
        return graph
    names = Builder()
    for value in graph.values():
        names.fresh(value.name)
    new: dict[Value, Value] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        operands = tuple(new.get(v, v) for v in node.operands)
        if node.op.kind is Kind.KERNEL:
            nodes += _unpacked(node, operands, names, new)
        else:
            nodes.append(replace(node, operands=operands))
    return replace(
        graph,
        nodes=tuple(nodes),
        updates=tuple(Update(u.target, new.get(u.new, u.new)) for u in graph.updates),
        outputs=tuple(new.get(v, v) for v in graph.outputs),
    )


def map_regions(graph: Graph, function: Callable[[Graph], Graph]) -> Graph:
    """The graph with the regions of its control ops replaced; the same object if the function keeps them."""
    nodes = []
    for node in graph.nodes:
        regions = tuple(map(function, node.regions)) if node.op.kind is Kind.CONTROL else node.regions
        same = all(a is b for a, b in zip(regions, node.regions))
        nodes.append(node if same else replace(node, regions=regions))
    same = all(a is b for a, b in zip(nodes, graph.nodes))
    return graph if same else replace(graph, nodes=tuple(nodes))


def _unpacked(
    kernel: Node, operands: tuple[Value, ...], names: Builder, new: dict[Value, Value]
) -> list[Node]:
    """The region's nodes on the kernel's operands. `new` learns what stands for the kernel's results."""
    (region,) = kernel.regions
    inner = dict(zip(region.inputs, operands))
    for result, output in zip(kernel.results, region.outputs):
        if output in inner:
            new[result] = inner[output]
        else:
            inner[output] = result
    nodes = []
    for node in region.nodes:
        for r in node.results:
            if r not in inner:
                inner[r] = Value(names.fresh(r.name), r.declared)
        nodes.append(
            replace(
                node,
                operands=tuple(inner[v] for v in node.operands),
                results=tuple(inner[r] for r in node.results),
            )
        )
    return nodes
