"""Inputs that a graph only reads one after the other are one input: `packed(graph)`.

A loop over a list of numbers or of small arrays is scanned over them all; handed over one by one they would
cost more than the loop, and another number of them would be another graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.ir.builder import Builder
from graphc.ir.graph import Graph, Node, Value
from graphc.npjit.native.call import Retry

LEAST = 3
"""Inputs that are worth an array."""


@dataclass(frozen=True)
class Pack:
    """Several inputs, by their numbers in the old graph, as rows of one array."""

    places: tuple[int, ...]
    dtype: np.dtype


Argument = int | Pack
"""An input of the new graph: one of the old graph, or several."""


def pack(dtype: np.dtype, values: tuple[Any, ...]) -> np.ndarray:
    """Numbers, or arrays of one shape, as rows.

    Raises
    ------
    Retry
        A number does not fit.
    """
    try:
        return np.array(values, dtype)
    except (OverflowError, ValueError, TypeError) as e:
        raise Retry(str(e)) from e


def packed(graph: Graph) -> tuple[Graph, list[Argument]]:
    """The graph with packs, and what its inputs are."""
    found = {n: rows for n in graph.nodes for rows in [_rows(graph, n)] if rows}
    if not found:
        return graph, list(range(len(graph.inputs)))
    numbers = {v: i for i, v in enumerate(graph.inputs)}
    gone = {v for n in found for v in n.operands}
    kept = [v for v in graph.inputs if _is_read(graph, v, gone, found)]
    b = Builder(graph.name)
    new: dict[Value, Value] = {v: b.input(v.name, v.type).value for v in kept}
    arguments: list[Argument] = [numbers[v] for v in kept]
    for n, rows in found.items():
        places = tuple([numbers[v] for v in rows])
        arguments.append(Pack(places, n.result.type.dtype.numpy))
        new[n.result] = b.input("rows", n.result.type).value
    new.update((w.value, b.weight(w.value.name, w.value.type, w.path).value) for w in graph.weights)
    for n in graph.nodes:
        unread = all(r in gone for r in n.results) and not any(_is_used(graph, r, found) for r in n.results)
        if n in found or unread:
            continue
        names, types = [r.name for r in n.results], [r.type for r in n.results]
        made = b.node(n.op, [new[v] for v in n.operands], n.attrs, n.regions, names, types, n.location)
        new.update(zip(n.results, made.results, strict=True))
    for u in graph.updates:
        b.update(new[u.target], new[u.new])
    b.output(*(new[v] for v in graph.outputs))
    for r in graph.requirements:
        b.require(r.left, r.right, r.reason)
    return b.build(), arguments


def _rows(graph: Graph, node: Node) -> Sequence[Value]:
    """The inputs that a node puts one after the other along a new axis; nothing if it is another node."""
    if node.op.name != "concatenate" or node.attrs["axis"] or len(node.operands) < LEAST:
        return ()
    makers = [graph.producers.get(v) for v in node.operands]
    inputs = set(graph.inputs)
    rows = [
        m.operands[0]
        for m in makers
        if m is not None
        and m.op.name == "reshape"
        and m.operands[0] in inputs
        and m.result.type.shape == (1, *m.operands[0].type.shape)
    ]
    return rows if len(rows) == len(makers) else ()


def _is_used(graph: Graph, v: Value, found: dict[Node, Any]) -> bool:
    return v in graph.results or any(n not in found for n in graph.users[v])


def _is_read(graph: Graph, v: Value, gone: set[Value], found: dict[Node, Any]) -> bool:
    """Whether an input is read by itself."""
    if v in graph.results or not graph.users[v]:
        return True
    return any(
        n.op.name != "reshape" or n.result not in gone or _is_used(graph, n.result, found)
        for n in graph.users[v]
    )
