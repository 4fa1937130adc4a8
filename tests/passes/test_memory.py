"""Memory plans keep every rule, and running a graph in the planned buffers gives the same bits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphc.ir import Builder, Graph, tensor
from graphc.ir.errors import VerifyError
from graphc.ir.evaluate import run
from graphc.passes import run as passes_run
from graphc.passes.fuse import fuse
from graphc.passes.memory import plan
from graphc.passes.plan import Plan
from graphc.passes.plan_check import check_plan
from graphc.passes.schedule import schedule


def final(graph: Graph) -> Graph:
    return schedule(fuse(graph))


SIZES = [{"B": 5, "N": 7, "T": 3}, {"B": 1, "N": 4, "T": 1}, {"B": 64, "N": 65, "T": 17}]


@pytest.mark.parametrize("sizes", SIZES)
def test_plans_keep_the_rules(any_program, sizes):
    graph = final(any_program)
    check_plan(graph, plan(graph), sizes)


def test_running_in_the_planned_buffers_gives_the_same_bits(any_program, arrays_for, same_bits, machine):
    arrays = arrays_for(any_program)
    graph = final(any_program)
    same_bits(run(any_program, arrays), machine(graph, plan(graph), arrays).run())


def test_plans_go_through_json(any_program):
    memory = plan(final(any_program))
    assert Plan.from_json(memory.to_json()) == memory


def in_place(memory: Plan) -> set[str]:
    return {name for s in memory.slots if s.kind == "weight" for name in s.values[1:]}


def test_a_training_step_updates_all_weights_in_place(programs):
    graph = final(programs["mlp_sgd"]())
    memory = plan(graph)
    assert in_place(memory) == {u.new.name for u in graph.updates}
    assert memory.copies == ()


def test_nothing_is_updated_in_place_under_nan_checks(programs):
    memory = plan(final(programs["mlp_sgd"]()), nan_checks=True)
    assert in_place(memory) == set()
    assert len(memory.copies) == 8


def guarded() -> Graph:
    """A weight's update and a node that can fail, which do not depend on each other."""
    b = Builder("f")
    x, rows, w = (
        b.input("x", tensor("f32", 4)),
        b.input("i", tensor("i64", "B")),
        b.weight("w", tensor("f32", 4)),
    )
    b.update(w, w + x)
    b.output(b.gather(x, rows, axis=0))
    return b.build()


def test_what_can_fail_comes_before_updates():
    graph = final(guarded())
    assert [n.results[0].name for n in graph.nodes] == ["gather", "add"]
    memory = plan(graph)
    check_plan(graph, memory, {"B": 3})
    assert in_place(memory) == {"add"}


def test_a_kernel_that_can_fail_updates_nothing_in_place():
    b = Builder("f")
    rows, w = b.input("i", tensor("i64", 4)), b.weight("w", tensor("f32", 4))
    b.update(w, w + b.gather(b.input("x", tensor("f32", 9)), rows, axis=0))
    graph = final(b.build())
    assert in_place(plan(graph)) == set()
    assert in_place(plan(graph, transactional=False)) == {"add"}


def test_a_weight_that_is_read_later_is_not_overwritten():
    """Both products read both weights, so one of them can't be updated before the other is made."""
    b = Builder("f")
    v, w = (b.weight(n, tensor("f32", 80, 80)) for n in "vw")
    first, second = v @ w, w @ v
    b.update(v, first)
    b.update(w, second)
    graph = final(b.build())
    memory = plan(graph)
    check_plan(graph, memory, {})
    assert in_place(memory) == set()


def test_a_product_does_not_overwrite_its_operands():
    b = Builder("f")
    x = b.input("x", tensor("f32", 80, 80))
    y = b.exp(x)
    b.output(b.exp(y @ y) @ x)
    memory = plan(final(b.build()))
    assert all(len(s.values) == 1 for s in memory.slots)


def test_an_epilogue_overwrites_what_it_reads_at_the_same_place():
    b = Builder("f")
    x = b.input("x", tensor("f32", 80, 80))
    y = (x @ x) @ x
    z = b.exp(y) @ x + y
    b.output(z @ x)
    memory = plan(final(b.build()))
    assert any(len(s.values) == 2 for s in memory.slots if s.kind == "arena")


@pytest.mark.parametrize("order", ["a kernel of one pixel", "a row"])
def test_axes_of_one_element_do_not_prevent_overwriting(order):
    b = Builder("f")
    x, ct = b.input("x", tensor("f32", 30, 64)), b.input("ct", tensor("f32", 30, 48))
    shape = (1, 1, 64, 48) if order == "a kernel of one pixel" else (64, 1, 48, 1)
    w = b.weight("w", tensor("f32", *shape))
    step = b.reshape(b.matmul(x, ct, transpose_a=True), shape=shape)
    b.update(w, b.tanh(w) - 0.5 * step)
    graph = schedule(fuse(passes_run(b.build(), "simplify,epilogues,cse,dce")))
    memory = plan(graph)
    check_plan(graph, memory, {})
    assert memory.copies == ()


def test_transposing_axes_prevents_overwriting():
    b = Builder("f")
    x, ct = b.input("x", tensor("f32", 30, 48)), b.input("ct", tensor("f32", 30, 48))
    w = b.weight("w", tensor("f32", 48, 1, 48))
    turned = b.reshape(b.transpose(w, axes=(2, 1, 0)), shape=(48, 48))
    b.update(w, b.reshape(turned - b.matmul(x, ct, transpose_a=True), shape=(48, 1, 48)))
    assert len(plan(final(b.build())).copies) == 1


def test_a_view_of_the_operand_prevents_overwriting():
    b = Builder("f")
    x = b.input("x", tensor("f32", 80, 80))
    y = x @ x
    b.output((b.transpose(y, axes=(1, 0)) + b.exp(y)) @ x)
    memory = plan(final(b.build()))
    assert memory.places["add"] == memory.places["exp"] != memory.places["matmul"]


def test_the_arena_of_a_chain_holds_two_values():
    b = Builder("f")
    x = b.input("x", tensor("f32", "B", 80))
    for i in range(6):
        x = x @ b.weight(f"w{i}", tensor("f32", 80, 80))
    b.output(x)
    assert plan(final(b.build())).layout({"B": 16}).arena_bytes == 2 * 16 * 80 * 4


def test_empty_buffers_take_no_room():
    b = Builder("f")
    x = b.input("x", tensor("f32", "B", 80))
    w = b.weight("w", tensor("f32", 80, 80))
    b.output((x @ w) @ w)
    assert plan(final(b.build())).layout({"B": 0}).arena_bytes == 0


def test_the_checker_sees_broken_plans(programs):
    graph = final(programs["mlp_sgd"]())
    good = plan(graph)
    arena = [i for i, s in enumerate(good.slots) if s.kind == "arena"]
    early = replace(good.slots[arena[0]], last=good.slots[arena[0]].first)
    broken = [
        replace(good, slots=tuple(early if i == arena[0] else s for i, s in enumerate(good.slots))),
        replace(good, places=dict(good.places) | {"relu": arena[1]}),
        replace(good, slots=tuple(replace(s, size=s.size + 4) for s in good.slots)),
    ]
    for memory in broken:
        with pytest.raises(VerifyError, match="memory plan"):
            check_plan(graph, memory, {"B": 3})
    backwards = replace(graph, nodes=graph.nodes[:2] + graph.nodes[4:5] + graph.nodes[2:4] + graph.nodes[5:])
    with pytest.raises(VerifyError):
        check_plan(backwards, good, {"B": 3})


def test_code_that_is_not_ours_may_raise():
    """A coarse op without kernels runs its NumPy definition, which may stop the call."""
    b = Builder("f")
    x, w = b.input("x", tensor("f32", 4, 4)), b.weight("w", tensor("f32", 4, 4))
    b.update(w, w + b.softmax(b.relu(x), axis=1))
    b.output(b.softmax(b.tanh(x) * w, axis=0))
    graph = final(b.build())
    assert [n.op.name for n in graph.nodes].count("softmax") == 2
    assert graph.nodes[-1].results[0].name == "add"
    assert in_place(plan(graph)) == {"add"}
