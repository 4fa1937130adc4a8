"""Passes over scans: what is left out, merged, read again, and taken out of the loop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphc import passes
from graphc.ir import Builder, Expr, Graph, get_op, parse, tensor
from graphc.ir.evaluate import run
from graphc.ir.graph import Node
from graphc.passes.infer import infer


def scans(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes if n.op.name == "scan"]


def ops(node: Node) -> list[str]:
    return sorted(n.op.name for n in node.regions[0].nodes)


def check_values(before: Graph, after: Graph, exact: bool = False) -> None:
    after.verify()
    assert parse(str(after)) == after
    for length in (0, 1, 5):
        rng = np.random.default_rng(length)
        arrays = {}
        for v in before.parameters:
            shape = tuple({"T": length, "B": 3}.get(str(d), d) for d in v.type.shape)
            arrays[v.name] = rng.normal(size=shape).astype(v.type.dtype.numpy)
        for x, y in zip(run(before, arrays).outputs, run(after, arrays).outputs, strict=True):
            np.testing.assert_allclose(y, x, rtol=0 if exact else 1e-12, atol=0 if exact else 1e-12)


TRIMMED = """\
graph @f(%h: f64[3], %s: f64[3], %xs: f64[T, 3], %ys: f64[T, 3])
{
  %a, %b, %c, %p, %q = scan %h, %s, %h, %xs, %ys, %xs, %h {carries = 3, scanned = 3, length = T} (
    %u, %v, %w, %x, %y, %z, %k) {
    %next = add %u, %x
    %again = multiply %next, %z
    %dead = add %v, %y
    %sine = sin %y
    return %again, %dead, %w, %sine, %k
  }
  return %a, %c
}"""


def test_trim_leaves_out_what_nobody_needs() -> None:
    before = infer(parse(TRIMMED))
    after = passes.run(before, "trim")
    check_values(before, after, exact=True)
    (scan,) = scans(after)
    assert [v.name for v in scan.operands] == ["h", "xs"]
    assert [v.name for v in scan.results] == ["a"]
    assert (scan.attrs["carries"], scan.attrs["scanned"]) == (1, 1)
    assert ops(scan) == ["add", "multiply"]
    assert [v.name for v in after.outputs] == ["a", "h"]
    assert passes.run(after, "trim") is after


def test_trim_of_a_cond() -> None:
    text = """\
    graph @f(%p: bool[], %x: f64[3], %y: f64[3], %z: f64[3])
    {
      %a, %b = cond %p, %x, %y, %z (%x, %y, %z) {
        %s = sin %x
        %t = add %y, %z
        return %s, %t
      } (%x, %y, %z) {
        %s = mul %x
        return %x, %z
      }
      return %a
    }""".replace("%s = mul %x", "%s = cos %x")
    before = infer(parse(text))
    (cond,) = passes.run(before, "trim").nodes
    assert [v.name for v in cond.operands] == ["p", "x"]
    assert [len(r.nodes) for r in cond.regions] == [1, 0]


def test_a_scan_that_fails_stays() -> None:
    text = """\
    graph @f(%h: i64[], %xs: i64[T])
    {
      %a = scan %h, %xs {carries = 1, scanned = 1, length = T} (%u, %x) {
        %fine = equal %x, %x
        %c = check %x, %fine {message = "no", error = "value"}
        return %u
      }
      return %h
    }"""
    after = passes.run(infer(parse(text)), "trim, dce")
    assert [ops(n) for n in scans(after)] == [["check", "equal"]]


def test_a_branch_that_only_checks_keeps_its_operands() -> None:
    text = """\
    graph @f(%x: f64[], %y: f64[3])
    {
      %zero = constant {value = 0.0, dtype = f64}
      %more = greater %x, %zero
      %z = cond %more, %y (%v) {
        %fine = equal %v, %v
        %c = check %v, %fine {message = "no", error = "value"}
        return %c
      } (%v) {
        return %v
      }
      return %y
    }"""
    after = passes.run(infer(parse(text)))
    after.verify()
    assert [n.op.name for n in after.nodes] == ["kernel", "cond"]
    assert after.nodes[1].results == ()


def recurrent(gradient: bool, reverse: bool = False) -> Graph:
    """A simple recurrent layer: h = tanh(x @ w + h @ u + b), with the squares of all h as its loss."""
    b = Builder("rnn")
    shapes = {"h": ("B", 4), "xs": ("T", "B", 5), "w": (5, 4), "u": (4, 4), "b": (4,)}
    h, xs, w, u, bias = (b.input(n, tensor("f64", *s)) for n, s in shapes.items())
    cell = Builder("cell")
    inner = [cell.input(v.value.name, v.type) for v in (h, w, u, bias)]
    inner.insert(1, cell.input("x", xs.type.with_shape(xs.shape[1:])))
    cell.inputs = [x.value for x in inner]
    new = cell.tanh(cell.matmul(inner[1], inner[2]) + cell.matmul(inner[0], inner[3]) + inner[4])
    cell.output(new, new)
    attrs = {"carries": 1, "scanned": 1, "length": xs.shape[0], "reverse": reverse}
    node = b.node(get_op("scan"), [h, xs, w, u, bias], attrs, (cell.build(),))
    last, rows = (Expr(b, r) for r in node.results)
    loss = b.sum(b.square(rows), axes=(0, 1, 2)) + b.sum(last, axes=(0, 1))
    found = b.op("gradient", loss, b.constant(1.0, "f64"), h, xs, w, u, bias, outputs=1) if gradient else ()
    b.output(loss, *found)
    return b.build()


@pytest.mark.parametrize("last", ["dce.1", "hoist", "trim.1"])
def test_the_gradient_of_a_recurrent_layer_as_text(last: str, golden: Callable[[str, str], None]) -> None:
    """Three scans, the reverse sweep among them; what is left of them; and without what nobody needs."""
    stages = passes.PassManager(f"{EXPANDED}, trim, merge_scans, recall, dce, hoist, trim").run(
        recurrent(gradient=True)
    )
    stage = next(s for s in stages if s.name == last)
    golden(f"scans/{last}.gir", f"{stage.graph}\n")


EXPANDED = "autodiff, simplify, cse, decompose, simplify, cse, dce"


def test_the_gradient_runs_no_step_again() -> None:
    before = passes.run(recurrent(gradient=True), EXPANDED)
    assert len(scans(before)) == 3
    merged = passes.run(before, "trim, merge_scans")
    check_values(before, merged, exact=True)
    assert len(scans(merged)) == 2
    after = passes.run(merged, "recall, dce")
    check_values(before, after, exact=True)
    forward, backward = scans(after)
    assert ops(forward).count("tanh") == 1
    assert ops(backward).count("tanh") == 0
    assert ops(backward).count("matmul") == 4  # two for the gradients of products' operands each


def test_products_leave_the_loop() -> None:
    before = passes.run(recurrent(gradient=True), f"{EXPANDED}, trim, merge_scans, recall, dce")
    after = passes.run(before, "hoist, trim, dce")
    check_values(before, after)
    forward, backward = scans(after)
    assert ops(forward).count("matmul") == 1
    assert ops(backward).count("matmul") == 1
    assert backward.attrs["carries"] == 1
    assert [n.op.name for n in after.nodes].count("matmul") == 4
    assert passes.run(after, "hoist") is after


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("gradient", [False, True])
def test_the_whole_pipeline(gradient: bool, reverse: bool) -> None:
    before = recurrent(gradient, reverse)
    check_values(before, passes.run(before))


def body(make: Callable[[Builder, Expr, Expr, Expr], tuple[Expr, ...]], pieces: int = 0) -> Graph:
    """A scan with a carry, a scanned array and a constant, all matrices."""
    b = Builder("f")
    total, xs, w = (
        b.input(n, tensor("f64", *s)) for n, s in (("t", (4, 4)), ("xs", ("T", 4, 4)), ("w", (4, 4)))
    )
    inner = Builder("body")
    parameters = [inner.input(n, w.type) for n in ("t", "x", "w")]
    inner.output(*make(inner, *parameters))
    attrs = {"carries": 1, "scanned": 1, "length": xs.shape[0]}
    b.output(*b.node(get_op("scan"), [total, xs, w], attrs, (inner.build(),)).results)
    return b.build()


KEPT = {
    "a total that is read": lambda b, t, x, w: (t + b.matmul(x, x, transpose_a=True), t),
    "a total that is a factor": lambda b, t, x, w: (t + b.matmul(x, t, transpose_a=True),),
    "the same factor in all turns": lambda b, t, x, w: (t + b.matmul(w, x, transpose_a=True),),
    "a product that is read": lambda b, t, x, w: (b.tanh(t), (y := b.matmul(b.sin(x), w)), y + t),
    "a fold of what is not stacked": lambda b, t, x, w: (t + b.sum(b.sin(x), axes=(0,), keepdims=True),),
}


@pytest.mark.parametrize("case", KEPT)
def test_what_stays_in_the_loop(case: str) -> None:
    graph = body(KEPT[case])
    after = passes.run(graph, "hoist")
    check_values(graph, after)
    (scan,) = scans(after)
    assert ops(scan) == ops(scans(graph)[0])


@pytest.mark.parametrize("order", ["first", "last", "twice"])
def test_a_bias_goes_with_the_product(order: str) -> None:
    def make(b: Builder, t: Expr, x: Expr, w: Expr) -> tuple[Expr, ...]:
        bias = b.slice(w, start=(0, 0), stop=(1, 4), step=(1, 1))
        a, c = b.matmul(x, w), b.matmul(t, w)
        sums = {"first": (a + w) + c, "last": (c + a) + w, "twice": ((w + a) + c) + w}
        return (b.tanh(sums[order]) * bias,)

    graph = body(make)
    after = passes.run(graph, "dce, hoist, trim, dce")
    check_values(graph, after)
    assert ops(scans(after)[0]).count("add") == 1
    assert ops(scans(after)[0]).count("matmul") == 1


def test_a_sum_that_is_read_stays() -> None:
    graph = body(lambda b, t, x, w: (b.tanh((y := b.matmul(x, w) + t) + w), y))
    after = passes.run(graph, "hoist, trim, dce")
    check_values(graph, after)
    assert ops(scans(after)[0]) == ["add", "add", "tanh"]


def test_what_is_the_same_in_all_turns_leaves_the_loop() -> None:
    def make(b: Builder, t: Expr, x: Expr, w: Expr) -> tuple[Expr, ...]:
        return (b.tanh(b.matmul(t, b.exp(w * 2.0 + 1.0)) + b.sum(w, axes=(0,)) * x),)

    graph = body(make)
    after = passes.run(graph, "hoist, trim, dce")
    check_values(graph, after)
    assert ops(scans(after)[0]) == ["add", "matmul", "multiply", "tanh"]
    assert passes.run(after, "hoist") is after


def test_a_check_of_what_is_the_same_in_all_turns_stays() -> None:
    """A loop of no turns must not fail."""

    def make(b: Builder, t: Expr, x: Expr, w: Expr) -> tuple[Expr, ...]:
        return (t + b.exp(b.check(w, w < 0.0, message="no", error="value")) * x,)

    graph = body(make)
    after = passes.run(graph, "hoist")
    assert ops(scans(after)[0]) == ops(scans(graph)[0])


def test_sums_of_several_products() -> None:
    def make(b: Builder, t: Expr, x: Expr, w: Expr) -> tuple[Expr, ...]:
        y = b.sin(x)
        return (t + (b.matmul(x, y, transpose_a=True) + b.matmul(y, y, transpose_a=True)),)

    graph = body(make)
    after = passes.run(graph, "hoist, trim")
    check_values(graph, after)
    assert [n.op.name for n in after.nodes].count("matmul") == 2
    assert ops(scans(after)[0]) == ["sin"]


def test_scans_that_differ_stay_two() -> None:
    text = """\
    graph @f(%h: f64[3], %xs: f64[T, 3])
    {
      %a = scan %h, %xs {carries = 1, scanned = 1, length = T} (%u, %x) {
        %n = add %u, %x
        return %n
      }
      %b = scan %h, %xs {carries = 1, scanned = 1, length = T} (%u, %x) {
        %n = multiply %u, %x
        return %n
      }
      %c = scan %h, %xs {carries = 1, scanned = 1, length = T, reverse = true} (%u, %x) {
        %n = add %u, %x
        return %n
      }
      return %a, %b, %c
    }"""
    graph = infer(parse(text))
    assert passes.run(graph, "merge_scans, recall, hoist, trim") is graph
