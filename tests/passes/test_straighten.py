"""Scans over reversed arrays, products by parts of constants, transposed results."""

from __future__ import annotations

import numpy as np
import pytest

from graphc import passes
from graphc.ir import Graph, parse
from graphc.ir.evaluate import run
from graphc.ir.graph import Node
from graphc.passes.infer import infer


def straightened(text: str) -> tuple[Graph, Graph, Node]:
    """The graph before and after, which give the same values; and its scan."""
    before = infer(parse(text))
    after = passes.run(before, "straighten, dce")
    after.verify()
    assert parse(str(after)) == after
    for length in (0, 1, 5):
        check(before, after, length)
        check(before, passes.run(before), length)
    (scan,) = [n for n in after.nodes if n.op.name == "scan"]
    assert passes.run(after, "straighten") is after
    return before, after, scan


def check(before: Graph, after: Graph, length: int) -> None:
    rng = np.random.default_rng(length)
    sizes = {"T": length, "B": 3}
    arrays = {
        v.name: rng.normal(size=tuple(sizes.get(str(d), d) for d in v.type.shape)) for v in before.parameters
    }
    for x, y in zip(run(before, arrays).outputs, run(after, arrays).outputs, strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-12, atol=1e-12)


def names(graph: Graph) -> list[str]:
    return [n.op.name for n in graph.nodes]


REVERSED = """\
graph @f(%h: f64[3], %xs: f64[T, 3], %ys: f64[T, 3])
{
  %rx = reverse %xs {axes = (0,)}
  %ry = reverse %ys {axes = (0,)}
  %last, %stack = scan %h, %rx, %ry {carries = 1, scanned = 2, length = T} (%u, %x, %y) {
    %p = multiply %u, %x
    %q = add %p, %y
    return %q, %p
  }
  %turned = reverse %stack {axes = (0,)}
  %total = sum %stack {axes = (0,)}
  return %last, %OUT
}"""


@pytest.mark.parametrize(
    ("wanted", "left"), [("turned", ["scan"]), ("total", ["scan", "sum"]), ("stack", ["scan", "reverse"])]
)
def test_a_scan_over_reversed_arrays_goes_the_other_way(wanted: str, left: list[str]) -> None:
    _, after, scan = straightened(REVERSED.replace("OUT", wanted))
    assert names(after) == left
    assert scan.attrs["reverse"]
    assert [v.name for v in scan.operands] == ["h", "xs", "ys"]


def test_one_array_that_is_not_reversed_keeps_the_order() -> None:
    _, _, scan = straightened(REVERSED.replace("%rx, %ry {", "%rx, %ys {").replace("OUT", "stack"))
    assert not scan.attrs["reverse"]


PRODUCT = """\
graph @f(%h: f64[B, 4], %w: f64[6, 5])
{
  %last = scan %h, %w {carries = 1, scanned = 0, length = 3} (%u, %m) {
    %s = sin %u
    %p = concatenate %s, %s {axis = 1}
    %q = slice %p {start = (0, 0), stop = (B, 5), step = (1, 1)}
    %product = matmul %q, %m {transpose_b = true}
    %cut = slice %product {start = (0, 1), stop = (B, 5), step = (1, 1)}
    %READ
    return %result
  }
  return %last
}"""


def test_a_product_has_the_columns_that_are_read() -> None:
    _, after, scan = straightened(PRODUCT.replace("%READ", "%result = negative %cut"))
    (product,) = [n for n in scan.regions[0].nodes if n.op.name == "matmul"]
    assert not product.attrs["transpose_b"]
    assert product.operands[1].type.shape == (5, 4)
    assert names(after) == ["slice", "transpose", "scan"]


def test_a_product_that_is_read_by_others_is_whole() -> None:
    more = """%first = slice %product {start = (0, 0), stop = (B, 4), step = (1, 1)}
    %result = add %cut, %first"""
    _, after, scan = straightened(PRODUCT.replace("%READ", more))
    (product,) = [n for n in scan.regions[0].nodes if n.op.name == "matmul"]
    assert product.operands[1].type.shape == (5, 6)
    assert names(after) == ["transpose", "scan"]


STACKED = """\
graph @f(%h: f64[2, 3], %xs: f64[T, 2, 3])
{
  %last, %a, %b = scan %h, %xs {carries = 1, scanned = 1, length = T} (%u, %x) {
    %s = sin %x
    %v = add %u, %s
    %vt = transpose %v {axes = (1, 0)}
    %xt = transpose %x {axes = (1, 0)}
    return %v, %vt, %xt
  }
  %left = transpose %a {axes = (0, 2, 1)}
  %right = transpose %b {axes = (0, 2, 1)}
  %rows = reshape %left {shape = (2 * T, 3)}
  %others = reshape %right {shape = (2 * T, 3)}
  %product = matmul %rows, %others {transpose_a = true}
  return %last, %product, %a
}"""


def test_what_a_scan_gives_is_transposed_behind_it() -> None:
    _, after, scan = straightened(STACKED)
    assert "transpose" not in names(scan.regions[0])
    assert names(after).count("transpose") == 1  # for the result itself
    assert len(scan.results) == 2  # the stack of x is the array that was scanned


def test_sums_over_all_turns_have_no_order() -> None:
    text = STACKED.replace("%h, %xs {carries", "%h, %r {carries").replace(
        "  %last, %a, %b", "  %r = reverse %xs {axes = (0,)}\n  %last, %a, %b"
    )
    _, after, scan = straightened(text.replace("%product, %a", "%product"))
    assert scan.attrs["reverse"]
    assert names(after) == ["scan", "reshape", "reshape", "matmul"]
