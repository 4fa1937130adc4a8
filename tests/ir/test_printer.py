"""The printed form: columns, quoting, literals, regions."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.ir import Builder, Graph, Location, dtype_of, get_op, symbol, tensor
from graphc.ir.errors import ArgumentError
from graphc.ir.literals import literal_text, quoted
from graphc.ir.printer import print_graph


def test_columns_and_locations() -> None:
    b = Builder("train")
    x = b.input("x", tensor("f32", "B", 784))
    w = b.weight("kernel", tensor("f32", 784, 32), "hidden/kernel")
    with b.at(Location("train.py", 8, "hidden")):
        h = b.matmul(x, w)
    with b.at(Location("train.py", 9, "", "vjp of %add")):
        total = b.sum(h, axes=(1,))
    b.update(w, w * 0.5)
    b.require(symbol("B"), symbol("C"), 'the "batch"')
    b.output(total, h)
    assert (
        print_graph(b.build())
        == """\
graph @train(%x: f32[B, 784])
  weights (%kernel: f32[784, 32] 'hidden/kernel')
  requires (B == C "the \\"batch\\"")
{
  %matmul   : f32[B, 32]   = matmul %x, %kernel                   @ train.py:8 'hidden'
  %sum      : f32[B]       = sum %matmul {axes = (1,)}            @ train.py:9 (vjp of %add)
  %constant : f32[]        = constant {value = 0.5, dtype = f32}
  %multiply : f32[784, 32] = multiply %kernel, %constant
  update %kernel <- %multiply
  return %sum, %matmul
}"""
    )


def test_a_long_header_takes_a_line_per_entry() -> None:
    b = Builder("f")
    for i in range(12):
        b.input(f"input_{i}", tensor("f32", "B", 3))
    lines = str(b.build()).splitlines()
    assert lines[0] == "graph @f("
    assert lines[1] == "    %input_0: f32[B, 3],"
    assert lines[12] == "    %input_11: f32[B, 3])"


def test_regions_are_indented_and_defaults_left_out() -> None:
    region = Builder()
    a = region.input("a", tensor("f32", 3, 2))
    region.output(region.matmul(a, a, transpose_b=True))
    b = Builder("f")
    x = b.input("x", tensor("f32", 3, 2))
    node = b.node(get_op("kernel"), [x], {"strategy": "contract"}, (region.build(),), name="k")
    b.output(*node.results)
    assert (
        str(b.build())
        == """\
graph @f(%x: f32[3, 2])
{
  %k : f32[3, 3] = kernel %x {strategy = "contract"} (%a: f32[3, 2]) {
    %matmul : f32[3, 3] = matmul %a, %a {transpose_b = true}
    return %matmul
  }
  return %k
}"""
    )


def test_names_that_are_no_words_are_quoted() -> None:
    b = Builder("a b")
    b.output(b.input("conv/x-1", tensor("i64")))
    assert str(b.build()) == 'graph @"a b"(%"conv/x-1": i64[])\n{\n  return %"conv/x-1"\n}'


def test_untyped_values_print_without_type() -> None:
    b = Builder("f")
    b.output(b.input("x", None))
    assert str(b.build()) == "graph @f(%x)\n{\n  return %x\n}"


B = symbol("B")
LITERALS = [
    (1, "1"),
    (-3, "-3"),
    (True, "true"),
    (None, "none"),
    (1.0, "1.0"),
    (1e-7, "1e-07"),
    (float("inf"), "inf"),
    (float("-inf"), "-inf"),
    (float("nan"), "nan"),
    (-float("nan"), "-nan"),
    (-0.0, "-0.0"),
    ('say "x"\n', '"say \\"x\\"\\n"'),
    (dtype_of("f32"), "f32"),
    ((), "()"),
    ((1,), "(1,)"),
    ((1, (2, 3.0)), "(1, (2, 3.0))"),
    ((B + 1) // 2, "(B + 1) // 2"),
    ((B, 3), "(B, 3)"),
    (tensor("f32", "B", 2), "f32[B, 2]"),
    (np.array([[1, -2]], np.int8), "array(i8[1, 2], 1, -2)"),
    (np.array([True]), "array(bool[1], true)"),
    (np.zeros((0, 3), np.float64), "array(f64[0, 3])"),
    (np.array([0.1], np.float32), "array(f32[1], 0.1)"),
]


@pytest.mark.parametrize(("value", "text"), LITERALS, ids=[text for _, text in LITERALS])
def test_literals(value: object, text: str) -> None:
    assert literal_text(value) == text


def test_an_attribute_without_text_is_refused() -> None:
    with pytest.raises(ArgumentError, match="an attribute can't be a dict"):
        literal_text({})


def test_quoted_paths() -> None:
    assert quoted("a'b\\c\n") == "'a\\'b\\\\c\\u000a'"


def test_equality_sees_names_and_types_but_not_locations() -> None:
    def make(name: str, line: int) -> Graph:
        b = Builder("f")
        x = b.input("x", tensor("f32", 2))
        with b.at(Location("a.py", line)):
            b.output(b.op("relu", x, name=name))
        return b.build()

    assert make("y", 1) == make("y", 2)
    assert make("y", 1) != make("z", 1)
