"""What `explain` says, word for word, and that it has a reason for every pair of neighbours."""

from __future__ import annotations

from graphc.ir import Builder, Location, tensor
from graphc.passes.explain import explain
from graphc.passes.fuse import fuse


def test_text_of_a_training_step(programs, golden):
    golden("explain/mlp_sgd.txt", f"{explain(programs['mlp_sgd']())}\n")


def test_fused_text_of_a_training_step(programs, golden):
    golden("explain/mlp_sgd.gir", f"{fuse(programs['mlp_sgd']())}\n")


def test_every_pair_of_neighbours_has_a_reason(any_program):
    fused = fuse(any_program)
    pairs = {(u, n) for n in fused.nodes for r in n.results for u in fused.users[r]}
    explanation = explain(any_program)
    assert len(explanation.boundaries) == len(pairs)
    assert all(boundary.reason for boundary in explanation.boundaries)


def test_reasons_for_reshapes_scatters_folds_and_cycles():
    b = Builder("f")
    x, rows = b.input("x", tensor("f32", "B", 80)), b.input("rows", tensor("i64", "B"))
    with b.at(Location("model.py", 3, "act")):
        e = b.exp(x)
    b.output(b.reshape(e, shape=(x.shape[0], 8, 10)))
    scattered = b.scatter_add(b.broadcast(b.constant(0.0, "f32"), shape=(100, 80)), rows, e, axis=0)
    b.output(scattered * 2.0)
    b.output(b.reverse(b.matmul(e, b.weight("w", tensor("f32", 80, 80))), axes=(0,)) + e)
    text = str(explain(b.build()))
    assert "exp (map)  @ model.py:3 'act'" in text
    reasons = {line.split("  ")[-1].strip() for line in text.split("not fused\n")[1].splitlines()}
    assert reasons == {
        "a reshape is another view of the same memory",
        "scatters and running folds have kernels of their own",
        "a product reads its operands from memory",
        "the product's result is wider than a tile, so other loops read it from memory",
        "another kernel needs the one and is needed by the other",
    }
