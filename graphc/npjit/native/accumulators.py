"""Sums of matrix products over the iterations of a loop, as one product of all iterations behind it.

In `dw += z[t].T @ d[t]` the loop adds many thin products to a large array. Stacked, the factors of all
iterations give the sum in one product, whose terms are as many times more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from graphc.ir.builder import Builder, Expr
from graphc.ir.graph import Node, Value
from graphc.npjit.native.rolling import Carried, Local, Loop, Origin, Scanned

Place = tuple[int, int]
Factor = Local | Scanned


@dataclass(frozen=True)
class Accumulator:
    """`total` is carried from iteration to iteration by the node `adds`, which adds the product of the two
    factors that the node `multiplies` makes. `turned`: whether each factor has the summed axis last (left) or
    first (right), and so must be turned before it is stacked.
    """

    adds: int
    multiplies: int
    first: Value
    factors: tuple[Factor, Factor]
    turned: tuple[bool, bool]


def accumulators(nodes: tuple[Node, ...], loop: Loop, read: dict[Place, set[int]]) -> Iterator[Accumulator]:
    """The accumulators of a loop. `read`: the places that are read behind it, and of which iterations."""
    uses = Counter(o for k, os in enumerate(loop.origins) if k not in loop.lifted for o in os)
    places = Counter[Place]()
    for o, count in uses.items():
        if isinstance(o, Local | Carried):
            places[o.place] += count
    for k, origins in enumerate(loop.origins):
        if k in loop.lifted or nodes[k].op.name != "add" or not origins:
            continue
        for carried, product in (origins, origins[::-1]):
            found = _accumulator(nodes, loop, k, carried, product)
            own = (k, 0), (found.multiplies, 0) if found else (k, 0)
            last_only = read.get((k, 0), {loop.stretch.trips - 1}) == {loop.stretch.trips - 1}
            if found and last_only and own[1] not in read and all(places[p] == 1 for p in own):
                yield found
                break


def _accumulator(
    nodes: tuple[Node, ...], loop: Loop, k: int, carried: Origin, product: Origin
) -> Accumulator | None:
    if not isinstance(carried, Carried) or carried.place != (k, 0) or len(carried.first) != 1:
        return None
    if not isinstance(product, Local) or nodes[k].results[0].type != carried.first[0].type:
        return None
    m = product.place[0]
    node, factors = nodes[m], loop.origins[m]
    if node.results[0].type != nodes[k].results[0].type or node.results[0].type.dtype.kind != "f":
        return None
    turned = _turned(node)
    if turned is None or m in loop.lifted:
        return None
    left, right = factors
    if not isinstance(left, Local | Scanned) or not isinstance(right, Local | Scanned):
        return None
    return Accumulator(k, m, carried.first[0], (left, right), turned)


def _turned(node: Node) -> tuple[bool, bool] | None:
    """For a product of two matrices, or of a column and a row."""
    shapes = [v.type.shape for v in node.operands]
    if any(len(s) != 2 for s in shapes):
        return None
    if node.op.name == "matmul":
        return not node.attrs["transpose_a"], bool(node.attrs["transpose_b"])
    if node.op.name == "multiply" and shapes[0][1] == 1 and shapes[1][0] == 1:
        return True, False
    return None


def total(b: Builder, first: Expr, left: Expr, right: Expr, turned: tuple[bool, bool]) -> Expr:
    """The first value plus the products of all iterations, from the stacked factors."""
    rows = [_rows(b, x, turn) for x, turn in zip((left, right), turned, strict=True)]
    return first + b.matmul(*rows, transpose_a=True)


def _rows(b: Builder, x: Expr, turn: bool) -> Expr:
    """Stacked factors as one matrix, whose rows are the terms of the sum."""
    count, high, wide = x.shape
    if turn:
        if wide != 1:
            x = b.transpose(x, axes=(0, 2, 1))
        high, wide = wide, high
    return b.reshape(x, shape=(count * high, wide))
