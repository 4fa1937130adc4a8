"""What is native and what stays NumPy's, in an order with few changes between them.

A first translation of the whole log finds what the IR can say. Then steps are taken in turns: all native
nodes whose operands are there, then all NumPy calls, until nothing is left. Nodes are pure apart from the
impure ones, which keep their order, so any order that respects operands has the same meaning.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from graphc.npjit.log import Node, Parts, follow, mutate, pick
from graphc.npjit.native.operands import Operand, Unexpressed
from graphc.npjit.native.rounding import shown
from graphc.npjit.native.structure import uses
from graphc.npjit.native.symbols import Symbols
from graphc.npjit.native.translate import Translator

TOO_LITTLE = "too little work for a native call"
ROUNDING = "float64 results show how NumPy rounds float32"


@dataclass
class Step:
    """Nodes that run together: one native call, or NumPy calls one after the other."""

    native: bool
    nodes: list[Node] = field(default_factory=list)


@dataclass
class Schedule:
    """The steps of a log, and why nodes stayed NumPy's. `whole`: the translation of all nodes, if all are one
    native step.
    """

    steps: list[Step]
    reasons: dict[Node, str]
    whole: Translator | None = None


def schedule(
    nodes: Sequence[Node],
    wanted: Sequence[Node],
    name: str,
    written: Collection[Node] = (),
    symbols: Symbols | None = None,
    always: bool = False,
) -> Schedule:
    """Steps for a log; `written` inputs become weights if the whole log is one native step. `always`: native
    steps need not be worth it.
    """
    reasons, translator = classify(nodes, wanted, name, written, symbols)
    steps = in_turns(nodes, reasons)
    for step in steps:
        if step.native and not always and not worth_it(step.nodes):
            reasons.update(dict.fromkeys(step.nodes, TOO_LITTLE))
            step.native = False
    whole = translator if not reasons and len(steps) == 1 else None
    return Schedule(joined(steps), reasons, whole)


def classify(
    nodes: Sequence[Node],
    wanted: Sequence[Node],
    name: str,
    written: Collection[Node] = (),
    symbols: Symbols | None = None,
) -> tuple[dict[Node, str], Translator]:
    """The nodes that the IR can't say, each with the reason, and the translation of the others."""
    reasons: dict[Node, str] = dict.fromkeys(shown(nodes, wanted), ROUNDING)
    first = len(reasons)
    while True:
        before = len(reasons)
        translator = Translator(name, written, symbols)
        for node in nodes:
            if node in reasons:
                continue
            if node.impure:
                reasons[node] = "it has an effect"
                continue
            try:
                translator.translate(node)
            except Unexpressed as e:
                reasons[node] = str(e)
        _needed_whole(nodes, wanted, translator, reasons)
        if len(reasons) == before or (before == first and not _has_parts(translator)):
            return reasons, translator


def _has_parts(translator: Translator) -> bool:
    """Whether some values can't leave the graph, so that who uses them matters."""
    return any(type(v) is not Operand or v.mask is not None for v in translator.values.values())


def _needed_whole(
    nodes: Sequence[Node], wanted: Sequence[Node], translator: Translator, reasons: dict[Node, str]
) -> None:
    """Values that can't leave a graph must not be needed outside it: then NumPy makes them too."""
    outside = [*wanted, *(u for n in nodes if n in reasons for u in uses(n))]
    for node in outside:
        value = translator.values.get(node)
        if value is None or node in reasons or node.fn is None:
            continue
        if type(value) is not Operand or value.mask is not None:
            reasons[node] = "its result has no one shape, and NumPy needs it"


def in_turns(nodes: Sequence[Node], reasons: dict[Node, str]) -> list[Step]:
    """Steps in turns; each takes what its operands allow. Native ones come first unless there are fewer turns
    the other way: random numbers, say, may be drawn before all else.
    """
    return min((_in_turns(nodes, reasons, native) for native in (True, False)), key=len)


def _in_turns(nodes: Sequence[Node], reasons: dict[Node, str], native: bool) -> list[Step]:
    waiting = {n: {u for u in uses(n) if u.fn is not None} for n in nodes}
    _keep_order([n for n in nodes if n.impure], waiting)
    readers: dict[Node, list[Node]] = {}
    for n, needed in waiting.items():
        for u in needed:
            readers.setdefault(u, []).append(n)
    steps: list[Step] = []
    ready = {
        native: [n for n in nodes if not waiting[n] and (n not in reasons) == native]
        for native in (True, False)
    }
    while ready[True] or ready[False]:
        step = Step(native)
        while ready[native]:
            node = ready[native].pop()
            step.nodes.append(node)
            for reader in readers.get(node, ()):
                waiting[reader].discard(node)
                if not waiting[reader]:
                    ready[reader not in reasons].append(reader)
        if step.nodes:
            steps.append(step)
        native = not native
    place = {n: i for i, n in enumerate(nodes)}
    for step in steps:
        step.nodes.sort(key=place.__getitem__)
    return steps


def _keep_order(impure: list[Node], waiting: dict[Node, set[Node]]) -> None:
    for before, after in pairwise(impure):
        waiting[after].add(before)


def joined(steps: Sequence[Step]) -> list[Step]:
    """Steps of one kind that follow each other become one."""
    found: list[Step] = []
    for step in steps:
        if found and found[-1].native == step.native:
            found[-1].nodes.extend(step.nodes)
        else:
            found.append(Step(step.native, list(step.nodes)))
    return found


SMALL = 2048
"""Elements up to which one NumPy call costs about as much as a native call."""


def worth_it(nodes: Sequence[Node]) -> bool:
    """Whether a native call saves something: not for a view or two, nor for one call on little data."""
    working = [n for n in nodes if n.fn not in (follow, pick)]
    if len(working) > 1:
        return True
    return any(n.fn is not mutate and elements(n.meta) > SMALL for n in working)


def elements(meta: Any) -> int:
    """How many elements a value has."""
    if isinstance(meta, Parts) or meta.shape is None or None in meta.shape:
        return 0
    count = 1
    for d in meta.shape:
        count *= d
    return count
