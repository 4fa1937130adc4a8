"""One element of each row, read or written by its number: a choice by column, which is part of a row kernel.

    gather(reshape(x), iota * columns + y)                   sum(select(column == y, x, 0), columns)
    reshape(scatter_add(zeros, iota * columns + y, u))       select(column == y, u, 0)

So a softmax cross-entropy with integer labels, and its gradient, are one kernel: as a gather and a scatter
they would be three, with the scores and the zeros in memory between. The numbers y must be checked before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Dim
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.ir.ops.index import is_class
from graphc.passes.manager import register
from graphc.passes.rewrite import Rewriter, in_regions

MOST = 1 << 31
"""Columns, which are numbered by i32."""


@register("row_picks")
def row_picks(graph: Graph) -> Graph:
    """The graph with choices by column for elements that are picked one from each row."""
    rewriter = Rewriter(graph)
    spent: set[Value] = set()
    for node in graph.nodes:
        done = node.op.name == "gather" and _gather(rewriter, node)
        if not (done or (node.op.name == "reshape" and _scatter(rewriter, node, spent))):
            rewriter.keep(node, in_regions(node, row_picks))
    # scatters may fail, so nobody else leaves them out; the numbers of these are checked
    nodes = rewriter.builder.nodes
    spent.difference_update(*(n.operands for n in nodes), map(rewriter.value, graph.results))
    nodes[:] = [n for n in nodes if spent.isdisjoint(n.results)]
    return rewriter.finish()


class Rows(NamedTuple):
    """`columns` of each row, and in which of them the element is."""

    shape: tuple[Dim, int]
    column: Value


def _gather(rewriter: Rewriter, node: Node) -> bool:
    flat, indices = map(rewriter.value, node.operands)
    reshape = rewriter.producer(flat)
    if node.attrs["axis"] or reshape is None or reshape.op.name != "reshape":
        return False
    x = reshape.operands[0]
    rows = _rows(rewriter, indices, x.type.shape)
    maker = rewriter.producer(x)
    if rows is None or not x.type.dtype.is_floating or maker is None or maker.op.kind is not Kind.ELEMENTWISE:
        return False  # what lies in memory anyway is not read as a whole

    def made(b: Builder, /, *_: Expr, **__: object) -> Expr:
        chosen = b.select(_is_column(b, rows), Expr(b, x), b.constant(0.0, x.type.dtype))
        return b.sum(chosen, axes=(1,))

    return rewriter.replace(node, made)


def _scatter(rewriter: Rewriter, node: Node, spent: set[Value]) -> bool:
    scatter = rewriter.producer(rewriter.value(node.operands[0]))
    if scatter is None or scatter.op.name != "scatter_add" or scatter.attrs["axis"]:
        return False
    zeros, indices, updates = scatter.operands
    rows = _rows(rewriter, indices, node.result.type.shape)
    if rows is None or zeros.type.rank != 1 or not _is_zero(rewriter, zeros):
        return False

    def made(b: Builder, /, *_: Expr, **__: object) -> Expr:
        u = b.reshape(Expr(b, updates), shape=(rows.shape[0], 1))
        return b.select(_is_column(b, rows), u, b.constant(0.0, u.dtype))

    if not updates.type.dtype.is_floating or not rewriter.replace(node, made):
        return False
    spent.add(scatter.result)
    return True


def _is_column(b: Builder, rows: Rows) -> Expr:
    """Where the row's element is, as a table of bools."""
    return is_class(b, b.cast(Expr(b, rows.column), dtype="i32"), rows.shape[1])


def _rows(rewriter: Rewriter, indices: Value, shape: tuple[Dim, ...]) -> Rows | None:
    """What flat indices pick from an array of that shape, if it is one element of each row."""
    if len(shape) != 2 or not isinstance(shape[1], int) or shape[1] >= MOST or indices.type.rank != 1:
        return None
    if indices.type.shape != shape[:1]:
        return None
    total = rewriter.producer(indices)
    if total is None or total.op.name != "add":
        return None
    for first, column in (total.operands, total.operands[::-1]):
        if _starts_of_rows(rewriter, first, shape) and _is_checked(rewriter, column, shape[1]):
            return Rows((shape[0], shape[1]), column)
    return None


def _starts_of_rows(rewriter: Rewriter, value: Value, shape: tuple[Dim, ...]) -> bool:
    """Whether a value is 0, columns, 2 * columns, ..."""
    node = rewriter.producer(value)
    if node is None or node.op.name != "multiply":
        return False
    iota, step = (rewriter.producer(v) for v in node.operands)
    if iota is None or iota.op.name != "iota" or iota.attrs["shape"] != shape[:1]:
        return False
    return _constant(step) == shape[1]


def _is_checked(rewriter: Rewriter, value: Value, columns: int) -> bool:
    """Whether a value is select(y < 0, y + columns, y) of checked numbers from -columns to columns - 1."""
    select = rewriter.producer(value)
    if select is None or select.op.name != "select":
        return False
    check = rewriter.producer(select.operands[2])
    if check is None or check.op.name != "check":
        return False
    y, both = check.operands[0], rewriter.producer(check.operands[1])
    if both is None or both.op.name != "logical_and":
        return False
    bounds = {_with_constant(rewriter, v) for v in both.operands}
    below, wrapped = (_with_constant(rewriter, v) for v in select.operands[:2])
    return (
        bounds == {("greater_equal", y, -columns), ("less", y, columns)}
        and below == ("less", check.result, 0)
        and wrapped == ("add", check.result, columns)
    )


def _with_constant(rewriter: Rewriter, value: Value) -> tuple[str, Value, int | None] | None:
    """The operation on a value and a constant that a value is."""
    node = rewriter.producer(value)
    if node is None or len(node.operands) != 2:
        return None
    return node.op.name, node.operands[0], _constant(rewriter.producer(node.operands[1]))


def _constant(node: Node | None) -> int | None:
    """The integer that a node is."""
    if node is None or node.op.name != "constant":
        return None
    value = node.attrs["value"]
    return int(value) if isinstance(value, (int, np.integer)) else None


def _is_zero(rewriter: Rewriter, value: Value) -> bool:
    node = rewriter.producer(value)
    while node is not None and node.op.name in ("broadcast", "reshape"):
        node = rewriter.producer(node.operands[0])
    return node is not None and node.op.name == "constant" and not np.any(node.attrs["value"])
