"""Loops and branches without what nobody needs: results that nothing reads, and what only they are made of;
carries that no turn changes are constants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.dce import can_fail, dce
from graphc.passes.manager import register
from graphc.passes.rewrite import in_regions
from graphc.passes.scan_form import Given, ScanForm, names_of, with_nodes


@register("trim")
def trim(graph: Graph) -> Graph:
    """The graph with smaller scans and conds; the same object if there is nothing to leave out."""
    if all(n.op.kind is not Kind.CONTROL for n in graph.nodes):
        return graph
    new: dict[Value, Value] = {}
    nodes: list[Node] = []
    needed = set(graph.results)
    names = names_of(graph)
    for node in reversed(graph.nodes):
        if node.op.name in TRIMMED and (can_fail(node) or not needed.isdisjoint(node.results)):
            node = TRIMMED[node.op.name](node, needed, new, names)
            if not node.results and not can_fail(node):
                continue
        if node.op.kind is Kind.CONTROL:
            regions = in_regions(node, trim)
            same = all(a is b for a, b in zip(regions, node.regions))
            node = node if same else replace(node, regions=regions)
        needed.update(node.operands)
        nodes.append(node)
    nodes.reverse()
    if len(nodes) == len(graph.nodes) and all(a is b for a, b in zip(nodes, graph.nodes)):
        return graph
    return with_nodes(graph, nodes, _resolved(new))


def _resolved(new: dict[Value, Value]) -> dict[Value, Value]:
    """What stands for a value may itself have a stand-in."""

    def last(value: Value) -> Value:
        while value in new:
            value = new[value]
        return value

    return {old: last(old) for old in new}


def _scan(node: Node, needed: set[Value], new: dict[Value, Value], names: Callable[[str], str]) -> Node:
    """Pieces and carries that are needed; scanned arrays and constants that are read, each once."""
    form = ScanForm.of(node, names)
    for c in [c for c in form.carries if c.output is c.parameter]:
        form.carries.remove(c)
        form.constants.append(Given(c.first, c.parameter))
        new[c.result] = c.first
        if c.result in needed:
            needed.add(c.first)
    form.pieces = [p for p in form.pieces if p.result in needed]
    _drop_carries(form, needed)
    form.nodes = list(
        dce(replace(node.regions[0], nodes=tuple(form.nodes), outputs=tuple(form.outputs))).nodes
    )
    for given in (form.xs, form.constants):
        _merge_same(form, given)
    read = {v for n in form.nodes for v in n.operands} | set(form.outputs)
    form.xs = [x for x in form.xs if x.parameter in read]
    form.constants = [x for x in form.constants if x.parameter in read]
    built = form.build()
    same = (built.operands, built.results, built.regions[0].nodes) == (
        node.operands,
        node.results,
        node.regions[0].nodes,
    )
    return node if same else built


def _drop_carries(form: ScanForm, needed: set[Value]) -> None:
    """Leave out carries that nothing but their own next values is made of."""
    producers = form.producers()
    live: set[Value] = set()
    todo = [p.output for p in form.pieces]
    todo += [c.output for c in form.carries if c.result in needed]
    todo += [v for n in form.nodes if can_fail(n) for v in n.operands]
    next_value = {c.parameter: c.output for c in form.carries}
    while todo:
        value = todo.pop()
        if value in live:
            continue
        live.add(value)
        if value in next_value:
            todo.append(next_value[value])
        if value in producers:
            todo += producers[value].operands
    form.carries = [c for c in form.carries if c.result in needed or c.parameter in live]


def _merge_same(form: ScanForm, given: list[Given]) -> None:
    first: dict[Value, Value] = {}
    again: dict[Value, Value] = {}
    for g in list(given):
        if g.operand in first:
            again[g.parameter] = first[g.operand]
            given.remove(g)
        else:
            first[g.operand] = g.parameter
    if again:
        form.replace(again)


def _cond(node: Node, needed: set[Value], new: dict[Value, Value], names: Callable[[str], str]) -> Node:
    """Results that are needed, and operands that a branch reads."""
    kept = [i for i, r in enumerate(node.results) if r in needed]
    regions = [dce(replace(g, outputs=tuple(g.outputs[i] for i in kept))) for g in node.regions]
    read = {v for g in regions for n in g.nodes for v in n.operands} | {v for g in regions for v in g.outputs}
    places = [i for i in range(len(node.operands) - 1) if any(g.inputs[i] in read for g in regions)]
    if len(kept) == len(node.results) and len(places) == len(node.operands) - 1:
        return node
    regions = [replace(g, inputs=tuple(g.inputs[i] for i in places)) for g in regions]
    operands = (node.operands[0], *(node.operands[1 + i] for i in places))
    results = tuple(node.results[i] for i in kept)
    return replace(node, operands=operands, results=results, regions=tuple(regions))


TRIMMED = {"scan": _scan, "cond": _cond}
