"""What two scans compute alike is computed once.

The gradient of a scan runs its steps again to keep the carries, and once more, backwards, for the values that
the reverse sweep reads. `merge_scans` makes one scan of those that carry the same values; `recall` lets a
scan read what an earlier one computed, stacked, instead of computing it again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace

from graphc.ir.graph import Graph, Node, Value
from graphc.ir.literals import literal_text
from graphc.ir.opdef import Kind
from graphc.passes.dce import can_fail, dce
from graphc.passes.manager import register
from graphc.passes.rewrite import in_regions
from graphc.passes.roles import COSTS, DEAR
from graphc.passes.scan_form import ScanForm, has_scans, names_of, replaced, with_nodes

CHEAP = 1
"""Elementwise ops of at most this cost (see `roles`) are computed again rather than stored."""


@register("merge_scans")
def merge_scans(graph: Graph) -> Graph:
    """One scan in the place of those that carry the same values over the same steps."""
    return _over_pairs(graph, _merged, merge_scans)


@register("recall")
def recall(graph: Graph) -> Graph:
    """Scans that read what earlier scans computed, where computing it again is dear."""
    return _over_pairs(graph, _recalled, recall)


Join = Callable[[ScanForm, ScanForm, dict[Value, Value]], bool]


def _over_pairs(graph: Graph, join: Join, again: Callable[[Graph], Graph]) -> Graph:
    """Try a function on each scan and every earlier one of the same length that reads or makes an array that
    the scan reads, here and in all regions.
    """
    if not has_scans(graph):
        return graph
    names = names_of(graph)
    forms: dict[int, ScanForm] = {}
    arrays: dict[int, set[Value]] = {}
    changed: set[int] = set()
    new: dict[Value, Value] = {}
    for i, node in enumerate(graph.nodes):
        if node.op.name != "scan":
            continue
        later = ScanForm.of(replaced(node, new), names)
        for j, earlier in list(forms.items()):
            related = not later.xs or any(x.operand in arrays[j] for x in later.xs)
            if related and earlier.length == later.length and join(earlier, later, new):
                changed |= {i, j}
                arrays[j] = _arrays(earlier)
        if not set(node.results) & new.keys():
            forms[i], arrays[i] = later, _arrays(later)
    nodes = [
        _cleaned(forms[i]) if i in changed else _inside(n, again)
        for i, n in enumerate(graph.nodes)
        if n.op.name != "scan" or i in forms
    ]
    same = len(nodes) == len(graph.nodes) and all(a is b for a, b in zip(nodes, graph.nodes))
    return graph if same else with_nodes(graph, nodes, new)


def _arrays(form: ScanForm) -> set[Value]:
    """The arrays that a scan goes over, slice by slice, and those that it stacks."""
    return {x.operand for x in form.xs} | {p.result for p in form.pieces}


def _inside(node: Node, function: Callable[[Graph], Graph]) -> Node:
    if node.op.kind is not Kind.CONTROL:
        return node
    regions = in_regions(node, function)
    return node if all(a is b for a, b in zip(regions, node.regions)) else replace(node, regions=regions)


def _cleaned(form: ScanForm) -> Node:
    """The scan without nodes that nothing needs."""
    node = form.build()
    return replace(node, regions=(dce(node.regions[0]),))


# -- which values are the same -----------------------------------------------------------------------------


def _key(node: Node, operands: Iterable[Value]) -> Hashable:
    attrs = tuple((name, literal_text(value)) for name, value in node.attrs.items())
    return node.op.name, tuple(operands), attrs, node.regions


def _matched(earlier: ScanForm, later: ScanForm, known: dict[Value, Value]) -> None:
    """Enter for each value of the later region, made of known ones, the value of the earlier that it is."""
    table = {_key(n, n.operands): n for n in earlier.nodes}
    for node in later.nodes:
        if all(v in known for v in node.operands):
            same = table.get(_key(node, (known[v] for v in node.operands)))
            if same is not None:
                known.update(zip(node.results, same.results))


def _given(earlier: ScanForm, later: ScanForm) -> dict[Value, Value]:
    """The later region's slices and constants that are values of the earlier region."""
    slices = {x.operand: x.parameter for x in earlier.xs}
    slices |= {p.result: p.output for p in earlier.pieces}
    constants = {c.operand: c.parameter for c in earlier.constants}
    known = {x.parameter: slices[x.operand] for x in later.xs if x.operand in slices}
    return known | {c.parameter: constants[c.operand] for c in later.constants if c.operand in constants}


# -- the passes --------------------------------------------------------------------------------------------


def _merged(earlier: ScanForm, later: ScanForm, new: dict[Value, Value]) -> bool:
    """Let the results of the later scan be results of the earlier, if all of its values are."""
    if earlier.node.attrs["reverse"] != later.node.attrs["reverse"] or set(later.node.results) & new.keys():
        return False
    known = _given(earlier, later)
    partners = []
    for k, carry in enumerate(later.carries):
        fitting = [c for c in earlier.carries[k : k + 1] if c.first is carry.first]
        fitting += [c for c in earlier.carries if c.first is carry.first]
        if not fitting:
            return False
        partners.append(fitting[0])
        known[carry.parameter] = fitting[0].parameter
    _matched(earlier, later, known)
    if any(known.get(c.output) is not p.output for c, p in zip(later.carries, partners)):
        return False
    if any(p.output not in known for p in later.pieces) or any(can_fail(n) for n in later.nodes):
        return False
    new.update((c.result, p.result) for c, p in zip(later.carries, partners))
    new.update((p.result, earlier.piece(known[p.output])) for p in later.pieces)
    return True


def _recalled(earlier: ScanForm, later: ScanForm, new: dict[Value, Value]) -> bool:
    """Let the later scan read stacked values of the earlier one."""
    known = _given(earlier, later)
    if not any(x.parameter in known for x in later.xs):
        return False
    _matched(earlier, later, known)
    producers = later.producers()
    todo = [v for n in later.nodes if not all(r in known for r in n.results) for v in n.operands]
    todo += later.outputs
    found: dict[Value, Value] = {}
    seen: set[Value] = set()
    while todo:
        value = todo.pop()
        node = producers.get(value)
        if value in seen or value not in known or node is None:
            continue
        seen.add(value)
        if is_cheap(node):
            todo += node.operands
        else:
            found[value] = later.scanned(earlier.piece(known[value]))
    later.replace(found)
    return bool(found)


def is_cheap(node: Node) -> bool:
    """Whether a node is better computed again than stored."""
    if node.op.kind in (Kind.VIEW, Kind.CREATION):
        return True
    return node.op.kind is Kind.ELEMENTWISE and COSTS.get(node.op.name, DEAR) <= CHEAP
