"""Which concatenations need no code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graphc import passes
from graphc.ir import Builder, Expr, Graph, tensor
from graphc.passes.memory import plan
from graphc.passes.plan import Strip
from graphc.passes.plan_check import check_plan


def image(b: Builder, name: str, channels: int) -> Expr:
    return b.input(name, tensor("f32", "B", 4, 4, channels))


def block(make: Callable[[Builder], Expr]) -> Graph:
    """The fused graph of a program whose result is read by a product."""
    b = Builder(make.__name__)
    x = make(b)
    b.output(b.matmul(x, b.weight("out", tensor("f32", x.shape[-1], 2))))
    return passes.run(b.build())


def two(b: Builder) -> Expr:
    return b.concatenate(b.tanh(image(b, "x", 3)), b.exp(image(b, "y", 5)), axis=3)


def nested(b: Builder) -> Expr:
    """As in DenseNet: the concatenation so far, and something new."""
    x = two(b)
    new = b.matmul(b.tanh(x), b.weight("w", tensor("f32", 8, 2)))
    return b.concatenate(x, new, b.tanh(new), axis=3)


def test_operands_are_strips_of_the_result():
    graph = block(two)
    memory = plan(graph)
    assert memory.joined == {"concatenate"}
    assert memory.strips == {"tanh": Strip(8, 0), "exp": Strip(8, 3)}
    assert len({memory.places[n] for n in ("tanh", "exp", "concatenate")}) == 1
    check_plan(graph, memory, {"B": 2})


def test_a_concatenation_of_concatenations_is_one_buffer():
    graph = block(nested)
    memory = plan(graph)
    assert memory.joined == {"concatenate", "concatenate.1"}
    assert memory.strips["concatenate"] == Strip(12, 0)
    assert memory.strips["exp"] == Strip(12, 3)
    assert memory.strips["matmul"] == Strip(12, 8)
    check_plan(graph, memory, {"B": 2})


def of_an_input(b: Builder) -> Expr:
    return b.concatenate(image(b, "x", 3), b.exp(image(b, "y", 5)), axis=3)


def of_the_same_twice(b: Builder) -> Expr:
    x = b.exp(image(b, "x", 3))
    return b.concatenate(x, x, axis=3)


def of_a_result(b: Builder) -> Expr:
    x = b.exp(image(b, "x", 3))
    b.output(x)
    return b.concatenate(x, b.tanh(x), axis=3)


def of_rows_that_become_longer(b: Builder) -> Expr:
    x = b.exp(image(b, "x", 3))
    flat = b.reshape(x, shape=(x.shape[0], 48))
    b.output(b.matmul(flat, b.weight("flat", tensor("f32", 48, 2))))
    return b.concatenate(x, b.tanh(x), axis=3)


@pytest.mark.parametrize(
    "make",
    [of_an_input, of_the_same_twice, of_a_result, of_rows_that_become_longer],
    ids=lambda f: f.__name__,
)
def test_others_are_copied(make):
    graph = block(make)
    memory = plan(graph)
    assert not memory.joined
    assert not memory.strips
    assert sum(n.op.name == "kernel" and n.attrs["strategy"] == "join" for n in graph.nodes) == 1
    check_plan(graph, memory, {"B": 2})


def test_one_of_two_concatenations_of_a_value_is_in_place():
    def twice(b: Builder) -> Expr:
        x, y = b.exp(image(b, "x", 3)), b.tanh(image(b, "y", 5))
        return b.concatenate(x, y, axis=3) * b.concatenate(y, x, axis=3)

    memory = plan(block(twice))
    assert len(memory.joined) == 1


@pytest.mark.parametrize(
    ("shape", "axis"), [((4, 3), 1), ((4, 4, 1), 2), ((4, 4, 3), 1)], ids=["rank 2", "one channel", "rows"]
)
def test_concatenations_of_other_axes_stay_in_loops(shape, axis):
    b = Builder("f")
    x = b.input("x", tensor("f32", *shape))
    b.output(b.concatenate(b.exp(x), b.tanh(x), axis=axis) + 1.0)
    kernels = [n for n in passes.run(b.build()).nodes if n.op.name == "kernel"]
    assert {k.attrs["strategy"] for k in kernels} == {"map"}
