"""Fusion keeps every bit, can be undone, and reaches the numbers of kernels that it is meant to."""

from __future__ import annotations

import pytest

from graphc.ir import Builder, Graph, Kind, Location, symbol, tensor
from graphc.ir.errors import ArgumentError
from graphc.ir.graph import Node, Value
from graphc.ir.literals import literal_text
from graphc.ir.types import F32, I64
from graphc.passes import run
from graphc.passes.clusters import partition
from graphc.passes.cse import COMMUTE_EXACTLY, cse
from graphc.passes.dce import dce
from graphc.passes.fuse import fuse, fusion
from graphc.passes.inline import inline


def structure(graph: Graph) -> tuple:
    """What a graph computes, without names and order: equal for equal graphs after cse."""
    known: dict[Value, int] = {v: hash(v.name) for v in graph.parameters}
    for node in graph.nodes:
        operands = [known[v] for v in node.operands]
        operands = sorted(operands) if node.op.name in COMMUTE_EXACTLY else operands
        attrs = tuple((k, literal_text(v)) for k, v in node.attrs.items())
        for i, r in enumerate(node.results):
            known[r] = hash((node.op.name, tuple(operands), attrs, node.regions, i))
    checks = sorted(known[n.results[0]] for n in graph.nodes if n.op.can_fail)
    return [known[v] for v in graph.outputs], {u.target.name: known[u.new] for u in graph.updates}, checks


def kernels(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes if n.op.kind is Kind.KERNEL]


def test_fusion_keeps_every_bit(any_program, assert_same_values):
    fused = fuse(any_program)
    fused.verify()
    assert_same_values(any_program, fused)


def test_inline_undoes_fusion(any_program, assert_same_values):
    restored = inline(fuse(any_program))
    restored.verify()
    assert_same_values(any_program, restored)
    expected = cse(dce(any_program))
    assert structure(cse(restored)) == structure(expected)
    assert len(cse(restored).nodes) == len(expected.nodes)


def test_inline_without_kernels_gives_the_same_object(any_program):
    assert inline(any_program) is any_program


def test_only_aliases_and_loops_stay_outside(any_program):
    assert {n.op.name for n in fuse(any_program).nodes} <= {"kernel", "reshape", "scan"}


def test_fusing_twice_changes_nothing(any_program):
    fused = fuse(any_program)
    assert fuse(fused) is fused


def test_results_keep_their_names(any_program):
    fused = fuse(any_program)
    assert [v.name for v in fused.outputs] == [v.name for v in any_program.outputs]
    assert [u.new.name for u in fused.updates] == [u.new.name for u in any_program.updates]


def test_fusion_is_deterministic(programs):
    assert str(fuse(programs["mlp_adam"]())) == str(fuse(programs["mlp_adam"]()))


COUNTS = {
    "mlp_sgd": ["contract"] * 8,
    "mlp_adam": ["contract"] * 8,
    "softmax": ["rows"],
    "layer_norm_both_ways": ["rows"],
    "batch_norm_training": ["reduce"],
    "attention": ["contract", "rows", "contract"],
    "scalars_only": ["map"],
}


@pytest.mark.parametrize("name", COUNTS)
def test_number_of_kernels(programs, name):
    assert [k.attrs["strategy"] for k in kernels(fuse(programs[name]()))] == COUNTS[name]


def test_epilogues_and_siblings_of_a_training_step(programs):
    """Bias and relu in the forward products; the weight's and the bias's update in the product of the
    gradient.
    """
    fused = kernels(fuse(programs["mlp_sgd"]()))
    assert [n.op.name for n in fused[0].regions[0].nodes] == ["matmul", "add", "relu"]
    inner = [n.op.name for n in fused[-1].regions[0].nodes]
    assert sorted(inner) == sorted(["matmul", "sum", "multiply", "multiply", "subtract", "subtract"])


def test_nodes_without_loops_of_ours_stay_as_they_are():
    b = Builder("f")
    b.output(b.reshape(b.input("x", tensor("f32", "B", 4)), shape=(2, 2, symbol("B"))))
    graph = b.build()
    assert fuse(graph) is graph


def test_a_value_that_leads_out_and_back_splits_kernels():
    """exp feeds a product and the sum with its result: no kernel may wait for itself."""
    b = Builder("f")
    x = b.input("x", tensor("f32", "N", "N"))
    e = b.exp(x)
    b.output(b.reverse(b.matmul(e, x), axes=(0,)) + e)
    fused = fuse(b.build())
    assert [k.attrs["strategy"] for k in kernels(fused)] == ["map", "contract", "map"]
    fused.verify()


def test_a_long_chain_is_cut_into_loops():
    """Code for very many values in one loop compiles slowly, so such a chain has several loops."""
    b = Builder("f")
    x = b.input("x", tensor("f32", "B"))
    for _ in range(450):
        x = b.sin(x)
    b.output(x)
    (record,) = fusion(b.build()).kernels
    assert [len(part.nodes) for part in record.parts] == [200, 200, 50]


def test_work_grows_with_the_number_of_nodes():
    """Ten times the layers give ten times the kernels: no quadratic search, told by the count of refusals."""
    counts = [len(fusion(_deep_network(n)).refusals) for n in (20, 200)]
    assert counts[1] <= 11 * counts[0]


def _deep_network(layers: int) -> Graph:
    b = Builder("deep")
    h = b.input("x", tensor("f32", "B", 16))
    for i in range(layers):
        w, c = b.weight(f"w{i}", tensor("f32", 16, 16)), b.weight(f"c{i}", tensor("f32", 16))
        h = h + b.relu(b.matmul(h, w) + c)
    b.output(h)
    return b.build()


def test_locations_survive():
    b = Builder("f")
    x = b.input("x", tensor("f32", "B", 4))
    with b.at(Location("train.py", 8, "hidden")):
        product = b.matmul(x, b.weight("w", tensor("f32", 4, 4)))
    with b.at(Location("train.py", 9, "act")):
        b.output(b.relu(product))
    (kernel,) = fuse(b.build()).nodes
    assert str(kernel.location) == "train.py:8 'hidden'"
    assert [str(n.location) for n in kernel.regions[0].nodes] == ["train.py:8 'hidden'", "train.py:9 'act'"]


def test_cheap_values_are_computed_again_instead_of_stored():
    """The product is stored once, not also times two other values, for the loops that need those."""
    b = Builder("f")
    x, scale = b.input("x", tensor("f32", "B", 80)), b.input("scale", tensor("f32", "B", 80))
    y = x @ b.weight("w", tensor("f32", 80, 80))
    b.output(b.sum(y * scale, axes=(0,), keepdims=False), b.sum(y, axes=(1,), keepdims=False))
    first, *rest = kernels(fuse(b.build()))
    assert [v.name for v in first.results] == ["matmul"]
    assert "multiply" in {n.op.name for k in rest for n in k.regions[0].nodes}


def test_dear_values_are_stored_once():
    b = Builder("f")
    x = b.input("x", tensor("f32", "B", 80))
    e = b.exp(x)
    b.output(b.sum(e, axes=(0,), keepdims=False), b.sum(e, axes=(1,), keepdims=False))
    nodes = [n.op.name for k in kernels(fuse(b.build())) for n in k.regions[0].nodes]
    assert nodes.count("exp") == 1


def test_layer_norm_reads_its_input_again_backwards(programs):
    """Between the passes over rows only numbers per row are stored."""

    (kernel,) = fuse(programs["layer_norm_both_ways"]()).nodes
    region = kernel.regions[0]
    stored = {v for part in partition(region) for v in part.outputs} - set(region.outputs)
    assert all(v.type.shape[-1] == 1 for v in stored)


def test_random_bits_are_made_again_backwards():
    b = Builder("f")
    x, w = b.input("x", tensor("f32", "B", 80)), b.weight("w", tensor("f32", 80, 80))
    seed, step = (b.weight(n, tensor("i64")) for n in ("seed", "step"))
    y = b.dropout(x @ w, seed, step, rate=0.5, call=0)
    gradient = b.op("gradient", y, b.input("ct", y.type), w, outputs=1)
    b.output(y, gradient)
    graph = run(b.build(), "autodiff, decompose, simplify, cse, dce, fuse")
    assert [[n.op.name for n in k.regions[0].nodes].count("threefry") for k in kernels(graph)] == [1, 1, 0]
    assert {v.type.dtype for v in graph.values()} == {F32, I64}


def test_broken_reshapes_can_not_be_in_a_kernel():
    b = Builder("f")
    b.output(b.reshape(b.exp(b.input("x", tensor("f32", 6))), shape=(2, 3)))
    with pytest.raises(ArgumentError, match="reshape can't be computed in a kernel"):
        partition(b.build())


def test_dead_nodes_are_dropped_and_dead_checks_are_kernel_results():
    b = Builder("f")
    x = b.input("x", tensor("f32", 4))
    b.gather(x, b.input("rows", tensor("i64", "B")), axis=0)
    b.exp(x)
    b.output(b.relu(x))
    fused = fuse(b.build())
    assert [v.name for k in kernels(fused) for v in k.results] == ["gather", "relu"]


def test_bodies_of_loops_are_fused(programs):
    (loop,) = [n for n in fuse(programs["recurrence"]()).nodes if n.op.name == "scan"]
    assert [n.attrs.get("strategy") for n in loop.regions[0].nodes] == ["contract"]
