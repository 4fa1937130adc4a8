"""Passes and text of graphs with scan, while and cond."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import passes
from graphc.ir import Graph, parse, tensor
from graphc.ir.errors import ParseError, VerifyError
from graphc.passes.infer import infer, retype

TEXT = """\
graph @f(%xs: f32[T, 3], %h: f32[3], %p: bool[], %n: i64[])
{
  %last, %rows = scan %h, %xs {carries = 1, scanned = 1, length = T} (%c, %x) {
    %s = add %c, %x
    %a = negative %s
    %b = negative %a
    %unused = exp %x
    return %b, %s
  }
  %count = while %n {carries = 1} (%i) {
    %ten = constant {value = 10, dtype = i64}
    %less = less %i, %ten
    return %less
  } (%i) {
    %one = constant {value = 1, dtype = i64}
    %next = add %i, %one
    return %next
  }
  %chosen = cond %p, %last (%a) {
    %b = exp %a
    return %b
  } (%a) {
    return %a
  }
  return %chosen, %rows, %count
}"""


def arrays(length: int, choice: bool) -> dict[str, np.ndarray]:
    xs = np.random.default_rng(0).normal(size=(length, 3)).astype(np.float32)
    return {"xs": xs, "h": np.ones(3, np.float32), "p": np.array(choice), "n": np.array(7)}


@pytest.fixture
def graph() -> Graph:
    return infer(parse(TEXT))


def test_types_and_text(graph: Graph) -> None:
    graph.verify()
    assert [str(v.type) for v in graph.outputs] == ["f32[3]", "f32[T, 3]", "i64[]"]
    assert parse(str(graph)) == graph
    assert parse(TEXT) == parse(str(parse(TEXT)))


@pytest.mark.parametrize("length", [0, 1, 4])
@pytest.mark.parametrize("choice", [False, True])
def test_passes_keep_the_values(graph: Graph, length: int, choice: bool) -> None:
    given = arrays(length, choice)
    chosen, rows, count = graph.evaluate(**given)
    expected = given["xs"].cumsum(axis=0) + 1
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    last = expected[-1] if length else given["h"]
    np.testing.assert_allclose(chosen, np.exp(last) if choice else last, rtol=1e-6)
    assert count == 10
    for name in ("simplify", "cse", "fold", "dce", "default"):
        after = passes.run(graph, name)
        after.verify()
        for x, y in zip(after.evaluate(**given), (chosen, rows, count)):
            np.testing.assert_array_equal(x, y)


def test_regions_are_cleaned_up(graph: Graph) -> None:
    after = passes.run(graph, "simplify, dce")
    (scan,) = (n for n in after.nodes if n.op.name == "scan")
    assert [n.op.name for n in scan.regions[0].nodes] == ["add"]


def test_retype_reaches_regions(graph: Graph) -> None:
    wide = retype(graph, {"xs": tensor("f64", 5, 3), "h": tensor("f64", 3)})
    wide.verify()
    assert [str(v.type) for v in wide.outputs] == ["f64[3]", "f64[5, 3]", "i64[]"]
    assert wide.nodes[0].attrs["length"] == 5


def test_a_region_that_does_not_fit() -> None:
    with pytest.raises(ParseError, match="cond has 2 regions, got 1"):
        parse("graph @f(%p: bool[]) { %a = cond %p () { return } return }")


def test_verify_looks_into_regions(graph: Graph) -> None:
    text = str(graph).replace("%s : f32[3] = add %c, %x", "%s : f32[3] = add %c, %c")
    parse(text).verify()
    from dataclasses import replace

    scan = graph.nodes[0]
    region = replace(scan.regions[0], outputs=scan.regions[0].inputs + scan.regions[0].inputs)
    with pytest.raises(VerifyError):
        replace(graph, nodes=(replace(scan, regions=(region,)), *graph.nodes[1:])).verify()
