"""The order of kernels: memory, failures, weights."""

from __future__ import annotations

from dataclasses import replace

from graphc.ir import Builder, Graph, tensor
from graphc.passes.memory import plan
from graphc.passes.schedule import schedule


def names(graph: Graph) -> list[str]:
    return [n.results[0].name for n in graph.nodes]


def test_a_good_order_stays_the_same_object(programs):
    graph = schedule(programs["softmax"]())
    assert schedule(graph) is graph


def test_every_order_is_a_valid_one(any_program):
    graph = schedule(any_program)
    graph.verify()
    assert sorted(names(graph)) == sorted(names(any_program))


def test_branches_run_one_after_the_other():
    """Each branch makes a large value and folds it: two large values never live at once."""
    b = Builder("f")
    x = b.input("x", tensor("f32", 8))
    large = [b.broadcast(x + float(i), shape=(1000, 8)) for i in range(4)]
    b.output(*(b.sum(v, axes=(0, 1), keepdims=False) for v in large))
    order = [n.op.name for n in schedule(b.build()).nodes if n.op.name in ("broadcast", "sum")]
    assert order == ["broadcast", "sum"] * 4


def test_readers_of_a_weight_come_before_its_update():
    b = Builder("f")
    x, w = b.input("x", tensor("f32", 80, 80)), b.weight("w", tensor("f32", 80, 80))
    b.update(w, w - x)
    b.output(b.matmul(x, w))
    graph = schedule(b.build())
    assert names(graph) == ["matmul", "subtract"]


def test_a_failing_node_that_needs_an_update_does_not_block():
    b = Builder("f")
    w, rows = b.weight("w", tensor("f32", 4)), b.input("rows", tensor("i64", 2))
    new = w * 2.0
    b.update(w, new)
    b.output(b.gather(new, rows, axis=0))
    assert names(schedule(b.build()))[-2:] == ["multiply", "gather"]


def test_the_order_does_not_depend_on_the_order_before(programs):
    """Any valid order before gives a plan that is as small."""
    graph = schedule(programs["mlp_sgd"]())
    sizes = {"B": 32}
    late = replace(graph, nodes=_latest_first(graph))
    assert _arena(schedule(late), sizes) <= 1.2 * _arena(graph, sizes)


def _arena(graph: Graph, sizes: dict[str, int]) -> int:
    from graphc.passes.fuse import fuse

    return plan(schedule(fuse(graph))).layout(sizes).arena_bytes


def _latest_first(graph: Graph) -> tuple:
    """A valid order that takes the latest node that may run."""
    order: list = []
    known = set(graph.parameters)
    rest = list(graph.nodes)
    while rest:
        node = next(n for n in reversed(rest) if known.issuperset(n.operands))
        rest.remove(node)
        order.append(node)
        known.update(node.results)
    return tuple(order)
