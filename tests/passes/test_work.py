"""The work of each pass, of the memory plan and of the lowering grows with the number of nodes, no faster.

Work is the number of calls of functions, which is the same at each run; times are not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from graphc.ir import Builder, Expr, Graph, get_op, tensor
from graphc.passes import all_passes
from graphc.passes.memory import plan
from graphc.passes.pipelines import pass_names

SIZES = (8, 16, 64)
SLACK = 1.5
"""From the second size to the third, six times as much is added as before. That may cost six times as much,
and half as much more; the square would cost twenty times as much.
"""
SMALL = 500
"""Calls that are not worth looking at."""


class Counter:
    """Counts calls of Python's and of built-in functions."""

    calls = 0

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        self.calls += event in ("call", "c_call")


@contextmanager
def counted() -> Iterator[Counter]:
    counter, before = Counter(), sys.getprofile()
    sys.setprofile(counter)
    try:
        yield counter
    finally:
        sys.setprofile(before)


def deep(n: int) -> Graph:
    """A training step of n dense layers."""
    b = Builder("deep")
    x, y = b.input("x", tensor("f32", "B", 16)), b.input("y", tensor("i64", "B"))
    weights: list[Expr] = []
    for i in range(n):
        weights += [b.weight(f"k{i}", tensor("f32", 16, 16)), b.weight(f"b{i}", tensor("f32", 16))]
        x = b.relu(b.matmul(x, weights[-2]) + weights[-1])
    loss = b.mean(b.sparse_softmax_cross_entropy(x, y), axes=(0,))
    for weight, gradient in zip(weights, b.op("gradient", loss, 1.0, *weights, outputs=1), strict=True):
        b.update(weight, weight - gradient * 0.1)
    b.output(loss)
    return b.build()


def wide(n: int) -> Graph:
    """n products of one array, each with loops behind it, and a sum of all."""
    b = Builder("wide")
    x = b.input("x", tensor("f32", "B", 16))
    columns, total = [], b.exp(x)
    for i in range(n):
        y = b.relu(b.matmul(x, b.weight(f"w{i}", tensor("f32", 16, 16))))
        columns.append(b.sum(y * y + float(i), axes=(0,)))
        total = total + b.sigmoid(y)
    b.output(total, b.sum(x, axes=(0,)), *columns)
    return b.build()


def long(n: int) -> Graph:
    """A chain of elementwise work and folds."""
    b = Builder("long")
    x = b.input("x", tensor("f32", "B", 16))
    for i in range(4 * n):
        x = b.tanh(x * 1.5 + float(i)) if i % 3 else x - b.mean(x, axes=(1,), keepdims=True)
    b.output(x)
    return b.build()


def many_scans(n: int) -> Graph:
    """A training step of n recurrent layers."""
    b = Builder("scans")
    xs = b.input("xs", tensor("f32", 7, "B", 4))
    zero = b.input("zero", tensor("f32", "B", 4))
    weights = []
    for i in range(n // 3):
        weights.append(b.weight(f"w{i}", tensor("f32", 4, 4)))
        xs = scanned(b, zero, xs, weights[-1])
    loss = b.sum(xs * xs, axes=(0, 1, 2))
    for weight, gradient in zip(weights, b.op("gradient", loss, 1.0, *weights, outputs=1), strict=True):
        b.update(weight, weight - gradient * 0.1)
    b.output(loss)
    return b.build()


def scanned(b: Builder, first: Expr, xs: Expr, w: Expr) -> Expr:
    """h = tanh(x + h @ w) over the first axis of xs: all h."""
    body = Builder()
    h, x, k = (body.input(name, v.type) for name, v in (("h", first), ("x", first), ("k", w)))
    new = body.tanh(x + body.matmul(h, k))
    body.output(new, new)
    node = b.node(
        get_op("scan"),
        (first, xs, w),
        {"carries": 1, "scanned": 1, "length": 7, "reverse": False},
        (body.build(),),
    )
    return Expr(b, node.results[1])


def work(make: Callable[[int], Graph], n: int) -> dict[str, int]:
    """The calls of each step of a compile, by its name."""
    graph, found = make(n), {}
    for i, name in enumerate([*pass_names(None), "memory"]):
        with counted() as counter:
            after: Any = plan(graph) if name == "memory" else all_passes()[name](graph)
        graph = graph if name == "memory" else after
        found[f"{i} {name}"] = counter.calls
    return found


@pytest.mark.parametrize("make", [deep, wide, long, many_scans])
def test_work_is_linear_in_the_number_of_nodes(make: Callable[[int], Graph]) -> None:
    work(make, SIZES[0])  # rules are parsed when they are first met
    small, middle, large = (work(make, n) for n in SIZES)
    allowed = SLACK * (SIZES[2] - SIZES[1]) / (SIZES[1] - SIZES[0])
    steeper = {
        name: (small[name], middle[name], large[name])
        for name in large
        if large[name] - middle[name] > allowed * (middle[name] - small[name]) + SMALL
    }
    assert not steeper
