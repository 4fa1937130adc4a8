"""Graphs as text: one node a line, in columns; `parse` reads it back.

    >>> from graphc.ir import Builder, tensor
    >>> b = Builder("f")
    >>> b.output(b.relu(b.input("x", tensor("f32", "B", 3)) * 2))
    >>> print(print_graph(b.build()))
    graph @f(%x: f32[B, 3])
    {
      %constant : f32[]     = constant {value = 2.0, dtype = f32}
      %multiply : f32[B, 3] = multiply %x, %constant
      %relu     : f32[B, 3] = relu %multiply
      return %relu
    }

Attributes that have their op's default value are left out. Names that are not plain words are quoted:
`%"a/b"`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from graphc.ir.graph import Graph, Node, Update, Value
from graphc.ir.literals import NAME, literal_text, quoted

LINE_LENGTH = 110
NAME_COLUMN, TYPE_COLUMN, LOCATION_COLUMN = 28, 28, 76


@dataclass(frozen=True)
class Line:
    """A line of a graph's text and what it shows: a node, an update, or the graph itself for its frame."""

    text: str
    subject: Graph | Node | Update


def print_graph(graph: Graph, locations: bool = True) -> str:
    """The graph's text; without locations two graphs have the same text exactly when they are equal."""
    return "\n".join(line.text.rstrip() for line in print_lines(graph, locations))


def print_lines(graph: Graph, locations: bool = True) -> list[Line]:
    """The lines of the graph's text, each with what it shows."""
    name = f" @{name_text(graph.name)}" if graph.name else " "
    head = _listed(f"graph{name}(", [_typed(v) for v in graph.inputs], ")", "  ")
    head += _header(graph, "  ")
    return [
        *(Line(text, graph) for text in (*head, "{")),
        *_body(graph, "  ", locations),
        Line("}", graph),
    ]


def name_text(name: str) -> str:
    """A name as it stands after `%` or `@`."""
    return name if NAME.fullmatch(name) else json.dumps(name)


def reference(value: Value) -> str:
    """`%name`."""
    return f"%{name_text(value.name)}"


def _references(values: Iterable[Value]) -> str:
    return ", ".join(map(reference, values))


def _typed(value: Value) -> str:
    return reference(value) if value.declared is None else f"{reference(value)}: {value.declared}"


def _listed(start: str, items: list[str], end: str, indent: str) -> list[str]:
    """`start a, b end` on one line, or an item a line where that would be too long."""
    text = f"{start}{', '.join(items)}{end}"
    if len(text) <= LINE_LENGTH or not items:
        return [text]
    return [start, *(f"{indent}  {item}," for item in items[:-1]), f"{indent}  {items[-1]}{end}"]


def _header(graph: Graph, indent: str) -> list[str]:
    lines = []
    if graph.weights:
        weights = [f"{_typed(w.value)} {quoted(w.path)}" for w in graph.weights]
        lines += _listed(f"{indent}weights (", weights, ")", indent)
    if graph.requirements:
        listed = [
            f"{r.left} == {r.right}" + (f" {json.dumps(r.reason)}" if r.reason else "")
            for r in graph.requirements
        ]
        lines += _listed(f"{indent}requires (", listed, ")", indent)
    return lines


def _body(graph: Graph, indent: str, locations: bool) -> list[Line]:
    single = [n.result for n in graph.nodes if len(n.results) == 1]
    names = _width((len(reference(v)) for v in single), NAME_COLUMN)
    types = _width((len(str(v.declared)) for v in single if v.declared), TYPE_COLUMN)
    blocks = [_statement(n, names, types, indent, locations) for n in graph.nodes]
    if locations:
        column = _width((len(b[-1].text) for b in blocks if len(b) == 1), LOCATION_COLUMN)
        blocks = [_located(block, node, column) for block, node in zip(blocks, graph.nodes)]
    lines = [line for block in blocks for line in block]
    for u in graph.updates:
        lines.append(Line(f"{indent}update {reference(u.target)} <- {reference(u.new)}", u))
    lines.append(Line(f"{indent}return {_references(graph.outputs)}", graph))
    return lines


def _width(widths: Iterable[int], limit: int) -> int:
    """The column's width: a few very long entries stick out and do not push everything to the right."""
    return max((w for w in widths if w <= limit), default=0)


def _located(block: list[Line], node: Node, column: int) -> list[Line]:
    if not node.location:
        return block
    place = "".join(c if c.isprintable() else " " for c in str(node.location))
    width = column if len(block) == 1 else 0
    return [*block[:-1], replace(block[-1], text=f"{block[-1].text:<{width}}  @ {place}")]


def _statement(node: Node, names: int, types: int, indent: str, locations: bool) -> list[Line]:
    words = [indent + _defined(node.results, names, types) + node.op.name]
    if node.operands:
        words.append(_references(node.operands))
    shown = _shown_attributes(node)
    if shown:
        words.append(f"{{{', '.join(f'{k} = {text}' for k, text in shown.items())}}}")
    if not node.regions:
        return [Line(" ".join(words), node)]
    lines: list[Line] = []
    start = " ".join(words)
    for region in node.regions:
        name = f" @{name_text(region.name)}" if region.name else " "
        head = _listed(f"{start}{name}(", [_typed(v) for v in region.inputs], ")", indent)
        head += _header(region, indent + "  ")
        lines += [Line(text, node) for text in (*head[:-1], head[-1] + " {")]
        lines += _body(region, indent + "  ", locations)
        start = indent + "}"
    return [*lines, Line(start, node)]


def _defined(results: tuple[Value, ...], names: int, types: int) -> str:
    if not results:
        return ""
    if len(results) > 1:
        return ", ".join(_result(r, 0, 0) for r in results) + " = "
    return f"{_result(results[0], names, types)} = "


def _result(value: Value, names: int, types: int) -> str:
    typed = f" : {value.declared!s:<{types}}" if value.declared is not None else ""
    return f"{reference(value):<{names}}{typed}"


def _shown_attributes(node: Node) -> Mapping[str, str]:
    dtype = node.attrs.get("dtype") if node.op.name == "constant" else None
    texts = {k: literal_text(v, dtype) for k, v in node.attrs.items()}
    defaults: dict[str, Any] = node.op.defaults
    return {k: t for k, t in texts.items() if k not in defaults or t != literal_text(defaults[k])}
