"""The rules of a memory plan, checked without trusting the planner: for tests, and for whoever changes it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, pairwise

from graphc.ir import dims
from graphc.ir.dims import product
from graphc.ir.errors import VerifyError
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.clusters import partition
from graphc.passes.in_place import may_overwrite
from graphc.passes.joins import channels
from graphc.passes.plan import Layout, Plan, Strip
from graphc.passes.plan_walk import walk
from graphc.passes.schedule import is_alias, may_raise, roots_of
from graphc.passes.times import times_of


def check_plan(graph: Graph, plan: Plan, sizes: Mapping[str, int], transactional: bool = True) -> None:
    """VerifyError if a value would be lost, overwritten too early or misplaced at these sizes."""
    layout = plan.layout(sizes)
    _check_layout(plan, layout, sizes)
    _check_values(graph, plan, sizes)
    _check_strips(graph, plan)
    for a, b in _successions(graph, plan):
        _check_succession(graph, a, b)
    _check_updates(graph, plan, transactional)
    for turns, choice in ((0, 0), (1, 1), (2, 0), (3, 1)) if plan.controls else ((1, 0),):
        walk(graph, plan, turns, choice, _safe)


def _fail(text: str) -> None:
    raise VerifyError(f"memory plan: {text}")


def _check_layout(plan: Plan, layout: Layout, sizes: Mapping[str, int]) -> None:
    """Slots that live at one time do not share bytes; every slot begins at a cache line, inside the arena."""
    spans = []
    for i, (slot, offset) in enumerate(zip(plan.slots, layout.offsets)):
        if (offset >= 0) != (slot.kind == "arena"):
            _fail(f"slot {i} is of the kind {slot.kind}, but its offset is {offset}")
        if offset >= 0:
            end = offset + dims.evaluate(slot.size, sizes)
            if offset % 64 or end > layout.arena_bytes:
                _fail(f"slot {i} at {offset} .. {end} is not aligned or outside of the arena")
            spans.append((slot, i, offset, end))
    for (a, i, start_a, end_a), (b, j, start_b, end_b) in combinations(spans, 2):
        same_time = a.first <= b.last and b.first <= a.last
        if same_time and max(start_a, start_b) < min(end_a, end_b):
            _fail(f"slots {i} and {j} share bytes while both live")


def _check_values(graph: Graph, plan: Plan, sizes: Mapping[str, int]) -> None:
    """Every value has a slot of its size that lives as long as the value."""
    first, last = _lifetimes(graph)
    root = roots_of(graph)
    for v in graph.values():
        if root[v] is not v:
            if plan.places[v.name] != plan.places[root[v].name]:
                _fail(f"%{v.name} is an alias of %{root[v].name}, but lies elsewhere")
            continue
        slot = plan.slots[plan.places[v.name]]
        shape = v.type.shape
        rows = shape if v.name not in plan.strips else (*shape[:-1], plan.strips[v.name].width)
        if dims.evaluate(slot.size, sizes) != dims.evaluate(product(rows), sizes) * v.type.dtype.itemsize:
            _fail(f"%{v.name} does not fit the size of its slot")
        if first[v] < slot.first or last[v] > slot.last or v.name not in slot.values:
            _fail(
                f"%{v.name} lives from {first[v]} to {last[v]}, but its slot from {slot.first} to {slot.last}"
            )
    for step, names in enumerate(plan.scratch):
        for name, i in names.items():
            slot = plan.slots[i]
            if slot.kind != "arena" or (slot.first, slot.last) != (step, step):
                _fail(f"the scratch value %{name} of step {step} is not in a slot of its own step")


def _check_strips(graph: Graph, plan: Plan) -> None:
    """Strips of one slot that live at one time have no column in common, or one is a concatenation of the
    other; what is joined has its operands side by side.
    """
    root = roots_of(graph)
    first, last = _lifetimes(graph)
    within: dict[str, str] = {}
    for node in graph.nodes:
        for r in node.results:
            if r.name in plan.joined:
                within.update((root[v].name, r.name) for v in node.operands)
                _check_joined(node, plan)
    strips = [v for v in graph.values() if root[v] is v and v.name in plan.strips]
    for p, q in combinations(strips, 2):
        a, b = sorted((p, q), key=lambda v: plan.strips[v.name].column)
        end = plan.strips[a.name].column + channels(a)
        apart = plan.places[a.name] != plan.places[b.name] or end <= plan.strips[b.name].column
        same_time = first[p] <= last[q] and first[q] <= last[p]
        if same_time and not apart and not (_is_within(a, b, within) or _is_within(b, a, within)):
            _fail(f"%{a.name} and %{b.name} share columns while both live")


def _is_within(a: Value, b: Value, within: Mapping[str, str]) -> bool:
    """Whether a is a part of the concatenation b, or of one that is."""
    name: str | None = a.name
    while name is not None and name != b.name:
        name = within.get(name)
    return name == b.name


def _check_joined(node: Node, plan: Plan) -> None:
    """A concatenation without code is where its operands are, one beside the other."""
    (result,), (region,) = node.results, node.regions
    given = dict(zip(region.inputs, node.operands))
    whole = plan.strips.get(result.name, Strip(channels(result), 0))
    column = whole.column
    for v in region.nodes[-1].operands:
        expected = Strip(whole.width, column)
        here = plan.places[given[v].name] == plan.places[result.name]
        if not here or plan.strips.get(given[v].name) != expected:
            _fail(f"%{given[v].name} is not in its columns of %{result.name}")
        column += channels(v)


def _lifetimes(graph: Graph) -> tuple[dict[Value, int], dict[Value, int]]:
    root = roots_of(graph)
    first = dict.fromkeys(graph.parameters, -1)
    last = dict(first)
    for node, (begin, end) in times_of(graph).nodes.items():
        first.update(dict.fromkeys(node.results, begin))
        last.update(dict.fromkeys(node.results, end))
        if not is_alias(node):
            last.update((root[v], end) for v in node.operands)
    return first, last


def _successions(graph: Graph, plan: Plan) -> list[tuple[Value, Value]]:
    """Pairs of values of which the second takes over the first one's slot."""
    by_name = {v.name: v for v in graph.values()}
    pairs = []
    for slot in (plan.slots[i] for i in sorted(set(plan.places.values()))):
        named = [by_name[name] for name in slot.values if name in by_name]
        values = [v for v in named if v.name not in plan.strips]
        pairs += list(pairwise(values))
    return pairs


def _check_succession(graph: Graph, old: Value, new: Value) -> None:
    _, last = _lifetimes(graph)
    root = roots_of(graph)
    node = graph.producers[new]
    begin, end = times_of(graph).nodes[node]
    if old in {root[v] for v in graph.outputs} or last[old] > end:
        _fail(f"%{new.name} overwrites %{old.name}, which is needed after step {end}")
    if last[old] >= begin and not _safe(node, old, new, root):
        _fail(f"%{new.name} overwrites %{old.name} while {node!r} still reads it")


def _safe(node: Node, old: Value, new: Value, root: Mapping[Value, Value]) -> bool:
    if node.op.kind is Kind.CONTROL:
        read_at = [i for i, v in enumerate(node.operands) if root[v] is old]
        if node.op.name == "cond":  # the walk through both branches finds what is read too late
            return len(read_at) == 1 and read_at[0] > 0
        carried = [i for i, r in enumerate(node.results[: node.attrs.get("carries", 0)]) if r is new]
        return read_at == carried
    if node.op.kind is not Kind.KERNEL:
        return False
    region = node.regions[0]
    parts = partition(region)
    inner = region.outputs[node.results.index(new)]
    read = [v for v, o in zip(region.inputs, node.operands) if root[o] is old]
    return all(may_overwrite(parts, v, inner) for v in read)


def _check_updates(graph: Graph, plan: Plan, transactional: bool) -> None:
    """Weights hold their new values after the copies, outputs theirs, and nothing fails once a weight is
    written.
    """
    times = times_of(graph).nodes
    failing = [end for n, (_, end) in times.items() if may_raise(n)] if transactional else []
    root = roots_of(graph)
    producers = graph.producers
    holds = {i: s.values[-1] if s.values else "" for i, s in enumerate(plan.slots)}
    for i, slot in enumerate(plan.slots):
        for name in slot.values[1:] if slot.kind == "weight" else ():
            step = next(times[n][0] for v, n in producers.items() if v.name == name)
            if any(f >= step for f in failing):
                _fail(f"%{name} is written to its weight at step {step}, but a later step can fail")
        if slot.kind == "output" and plan.places[root[graph.outputs[slot.index]].name] != i:
            holds[i] = ""
    for copy in plan.copies:
        holds[copy.target] = holds[copy.source]
    for i, v in enumerate(graph.outputs):
        buffer = next(j for j, s in enumerate(plan.slots) if s.kind == "output" and s.index == i)
        if holds[buffer] != root[v].name:
            _fail(f"output {i} should be %{root[v].name}, but its buffer holds %{holds[buffer]}")
    expected = {w.value: w.value.name for w in graph.weights}
    expected |= {u.target: root[u.new].name for u in graph.updates}
    for weight, name in expected.items():
        held = holds[plan.places[weight.name]]
        if held != name:
            _fail(f"the weight %{weight.name} should become %{name}, but holds %{held}")
