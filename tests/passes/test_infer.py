"""Types for untyped graphs, and for other inputs."""

from __future__ import annotations

import pytest

from graphc.ir import parse, symbol, tensor
from graphc.ir.errors import ArgumentError, DTypeError, ShapeError
from graphc.passes.infer import infer, retype

UNTYPED = """\
graph @f(%x: f32[B, 3], %y: f32[C, 3])
{
  %a = add %x, %y  @ a.py:3 'layer'
  %k, %l = kernel %a {strategy = "rows"} (%i) {
    %s = sum %i {axes = (1,)}
    return %i, %s
  }
  %r = reshape %k {shape = (3 * B,)}
  %n = constant {value = B, dtype = f32}
  return %r, %l, %n
}"""

TYPED = """\
graph @f(%x: f32[B, 3], %y: f32[C, 3])
  requires (B == C "elementwise")
{
  %a : f32[B, 3] = add %x, %y                         @ a.py:3 'layer'
  %k : f32[B, 3], %l : f32[B] = kernel %a {strategy = "rows"} (%i: f32[B, 3]) {
    %s : f32[B] = sum %i {axes = (1,)}
    return %i, %s
  }
  %r : f32[3*B]  = reshape %k {shape = (3*B,)}
  %n : f32[]     = constant {value = B, dtype = f32}
  return %r, %l, %n
}"""


def test_infer_types_everything() -> None:
    typed = infer(parse(UNTYPED))
    typed.verify()
    assert typed == parse(TYPED)
    assert str(typed.nodes[0].location) == "a.py:3 'layer'"
    assert infer(typed) is typed


def test_retype_fixes_a_symbol_everywhere() -> None:
    fixed = retype(infer(parse(UNTYPED)), {"x": tensor("f32", 8, 3)})
    fixed.verify()
    assert [str(v.type) for v in fixed.outputs] == ["f32[24]", "f32[8]", "f32[]"]
    assert fixed.nodes[-1].attrs["value"] == 8
    assert [(r.left, r.right) for r in fixed.requirements] == [(8, symbol("C"))]


def test_retype_to_another_element_type() -> None:
    wide = retype(infer(parse("graph @f(%x: f32[B]) { %a = exp %x return %a }")), {"x": tensor("f64", "N")})
    assert str(wide.outputs[0].type) == "f64[N]"


def test_retype_to_another_rank() -> None:
    deep = retype(parse("graph @f(%x: f32[B]) { %a = exp %x return %a }"), {"x": tensor("f32", "B", "C", 2)})
    assert str(deep.outputs[0].type) == "f32[B, C, 2]"


def test_retype_types_an_input_without_type() -> None:
    graph = parse("graph @f(%x) { %a = exp %x return %a }")
    with pytest.raises(ArgumentError, match="@f: the parameter %x needs a type"):
        infer(graph)
    assert str(retype(graph, {"x": tensor("f32", 2)}).outputs[0].type) == "f32[2]"


def test_retype_errors() -> None:
    graph = infer(parse(UNTYPED))
    with pytest.raises(ArgumentError, match="@f has no input %z; it has x, y"):
        retype(graph, {"z": tensor("f32")})
    with pytest.raises(ArgumentError, match="@f: elementwise: 8 is not 9"):
        retype(graph, {"x": tensor("f32", 8, 3), "y": tensor("f32", 9, 3)})
    square = parse("graph @f(%x: f32[N, N]) { %a = exp %x return %a }")
    with pytest.raises(ArgumentError, match="the size N is 2 and 3 in the new types of the inputs"):
        retype(square, {"x": tensor("f32", 2, 3)})
    with pytest.raises(DTypeError, match=r"%a = add: elementwise needs equal[^@]*\n  at a.py:3 'layer'"):
        retype(graph, {"x": tensor("f64", "B", 3)})
    with pytest.raises(ShapeError, match="can't be broadcast together"):
        retype(graph, {"x": tensor("f32", "B", 4)})
