"""cse, dce and fold: what goes, what stays, and why."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import passes
from graphc.ir import Builder, Graph, parse, tensor
from graphc.ir.evaluate import run


def ops(graph: Graph) -> list[str]:
    return [n.op.name for n in graph.nodes]


def apply(pipeline: str, text: str) -> Graph:
    before = passes.run(parse(text), "infer")
    before.verify()
    after = passes.run(before, pipeline)
    after.verify()
    arrays = {}
    for v in before.inputs:
        arrays[v.name] = (
            np.arange(1, 1 + int(np.prod(v.type.shape))).reshape(v.type.shape).astype(v.type.dtype.numpy)
        )
    for x, y in zip(run(before, arrays).outputs, run(after, arrays).outputs):
        assert x.tobytes() == y.tobytes()
    return after


def test_cse_merges_equal_nodes() -> None:
    after = apply(
        "cse",
        """graph @f(%x: f32[3], %y: f32[3]) {
          %a = add %x, %y
          %b = add %y, %x
          %c = exp %a
          %d = exp %b
          %e = multiply %c, %d
          return %e, %b }""",
    )
    assert (
        str(after)
        == """\
graph @f(%x: f32[3], %y: f32[3])
{
  %a : f32[3] = add %x, %y
  %c : f32[3] = exp %a
  %e : f32[3] = multiply %c, %c
  return %e, %a
}"""
    )


@pytest.mark.parametrize(
    "lines",
    [
        "%a = maximum %x, %y %b = maximum %y, %x",  # 0.0 and -0.0
        "%a = subtract %x, %y %b = subtract %y, %x",
        "%a = sum %x {axes = (0,)} %b = sum %x {axes = (1,)}",
        "%a = constant {value = 0.0, dtype = f32} %b = constant {value = -0.0, dtype = f32}",
        "%a = constant {value = 1.0, dtype = f32} %b = constant {value = 1.0, dtype = f64}",
        "%a = random_uniform %s, %s {shape = (3,), call = 0, low = 0.0, high = 1.0, dtype = f32}"
        "%b = random_uniform %s, %s {shape = (3,), call = 1, low = 0.0, high = 1.0, dtype = f32}",
        '%a = kernel %x {strategy = "map"} (%i) { return %i }'
        '%b = kernel %x {strategy = "map"} (%i) { %r = relu %i return %r }',
    ],
)
def test_cse_keeps_what_differs(lines: str) -> None:
    text = f"graph @f(%x: f32[3, 3], %y: f32[3, 3], %s: i64[]) {{ {lines} return %a, %b }}"
    assert len(apply("cse", text).nodes) == 2


def test_cse_merges_kernels_and_looks_into_them() -> None:
    region = "(%i) { %r = relu %i %s = relu %i %t = add %r, %s return %t }"
    kernels = f'%a = kernel %x {{strategy = "map"}} {region} %b = kernel %x {{strategy = "map"}} {region}'
    after = apply("cse", f"graph @f(%x: f32[3]) {{ {kernels} return %a, %b }}")
    assert ops(after) == ["kernel"]
    assert ops(after.nodes[0].regions[0]) == ["relu", "add"]


def test_folds_that_differ_in_keepdims_are_one() -> None:
    text = """graph @f(%x: f32[3, 4]) {
      %a = sum %x {axes = (1,), keepdims = true} %b = sum %x {axes = (1,)} return %a, %b }"""
    after = apply("cse", text)
    assert ops(after) == ["sum", "reshape"]
    assert [v.name for v in after.outputs] == ["a", "b"]


def test_dce_keeps_what_is_needed_and_what_can_fail() -> None:
    after = apply(
        "dce",
        """graph @f(%x: f32[3], %i: i64[3]) {
          %unused = exp %x
          %also = sin %unused
          %size = constant {value = 100, dtype = i64}
          %ok = less %i, %size
          %checked = check %i, %ok {message = "too large", error = "index"}
          %kept = cos %x
          %new = add %kept, %x
          return %new }""",
    )
    assert ops(after) == ["constant", "less", "check", "cos", "add"]


def test_dce_looks_at_updates_and_into_regions() -> None:
    text = """graph @f(%x: f32[3]) weights (%w: f32[3]) {
      %k : f32[3] = kernel %x {strategy = "map"} (%a: f32[3]) {
        %b : f32[3] = exp %a
        %c : f32[3] = sin %a
        return %c
      }
      update %w <- %k
      return }"""
    after = passes.run(parse(text), "dce")
    assert ops(after) == ["kernel"]
    assert ops(after.nodes[0].regions[0]) == ["sin"]


@pytest.mark.parametrize(
    "name", ["cse", "dce", "fold", "simplify", "decompose", "autodiff", "updates", "infer"]
)
def test_nothing_to_do_gives_the_same_object(name: str) -> None:
    graph = parse("graph @f(%x: f32[3]) { %a : f32[3] = exp %x return %a }")
    assert passes.run(graph, name) is graph


def test_fold_computes_constants() -> None:
    after = apply(
        "fold, dce",
        """graph @f(%x: f32[3]) {
          %a = constant {value = 2.0, dtype = f32}
          %b = constant {value = array(f32[3], 1.0, -2.0, nan), dtype = f32}
          %c = multiply %a, %b
          %d = sum %b {axes = (0,)}
          %e = add %c, %d
          %f = add %x, %e
          return %f }""",
    )
    assert (
        str(after)
        == """\
graph @f(%x: f32[3])
{
  %e : f32[3] = constant {value = array(f32[3], nan, nan, nan), dtype = f32}
  %f : f32[3] = add %x, %e
  return %f
}"""
    )


def test_fold_takes_any_attribute_name() -> None:
    text = "graph @f() { %c = constant {value = 1.0, dtype = f32} %a = squareplus %c {b = 4.0} return %a }"
    assert ops(apply("fold, dce", text)) == ["constant"]


@pytest.mark.parametrize(
    "lines",
    [
        "%a = iota {shape = (3,), dtype = i64}",
        "%c = constant {value = 1.0, dtype = f32} %a = broadcast %c {shape = (3,)}",
        "%c = constant {value = B, dtype = f32} %a = negative %c",
        "%c = constant {value = 5, dtype = i64} %d = constant {value = false, dtype = bool}"
        '%a = check %c, %d {message = "no", error = "value"}',
        "%c = constant {value = array(f32[2], 1.0, 2.0), dtype = f32} %a = pad %c {low = (99,), high = (0,)}",
    ],
)
def test_fold_leaves_what_would_cost_or_fail(lines: str) -> None:
    graph = passes.run(parse(f"graph @f(%x: f32[B]) {{ {lines} return %a }}"), "infer")
    assert passes.run(graph, "fold") is graph


def test_dropouts_stay_two() -> None:
    b = Builder("f")
    x, seed, step = (
        b.input("x", tensor("f32", 64)),
        b.input("seed", tensor("i64")),
        b.input("step", tensor("i64")),
    )
    b.output(*(b.dropout(x, seed, step, rate=0.5, call=call) for call in (0, 1, 1)))
    after = passes.run(b.build(), "cse, decompose, cse, dce")
    one, two, again = after.evaluate(x=np.ones(64, np.float32), seed=3, step=0)
    assert not np.array_equal(one, two)
    assert after.outputs[1] is after.outputs[2]
    np.testing.assert_array_equal(two, again)
