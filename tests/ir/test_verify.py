"""Every rule of the verifier, each broken once; the message shows the line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from graphc.ir import (
    Builder,
    Graph,
    Location,
    Node,
    Requirement,
    Update,
    Value,
    get_op,
    parse,
    symbol,
    tensor,
)
from graphc.ir.errors import GraphcError, ShapeError, VerifyError

GRAPH = """\
graph @f(%x: f32[B, 3], %y: f32[C, 3])
  weights (%w: f32[3] 'w', %v: f32[3] 'v')
  requires (B == C "batch")
{
  %add : f32[B, 3] = add %x, %y           @ train.py:7
  %sum : f32[3]    = sum %add {axes = (0,)}
  %k   : f32[3]    = kernel %sum, %w {strategy = "map"} (%a: f32[3], %b: f32[3]) {
    %mul : f32[3] = multiply %a, %b
    return %mul
  }
  update %w <- %k
  return %add
}"""


def with_node(graph: Graph, index: int, **changes: object) -> Graph:
    nodes = list(graph.nodes)
    nodes[index] = replace(nodes[index], **changes)  # type: ignore[arg-type]
    return replace(graph, nodes=tuple(nodes))


def with_region(graph: Graph, **changes: object) -> Graph:
    region = replace(graph.nodes[2].regions[0], **changes)  # type: ignore[arg-type]
    return with_node(graph, 2, regions=(region,))


def retyped(graph: Graph, index: int, declared: object) -> Graph:
    """The graph with another type for a node's result, wherever it stands."""
    old = graph.nodes[index].result
    new = Value(old.name, declared)  # type: ignore[arg-type]
    swap = lambda values: tuple(new if v is old else v for v in values)  # noqa: E731
    nodes = tuple(replace(n, operands=swap(n.operands), results=swap(n.results)) for n in graph.nodes)
    updates = tuple(Update(u.target, *swap([u.new])) for u in graph.updates)
    return replace(graph, nodes=nodes, outputs=swap(graph.outputs), updates=updates)


def inner(graph: Graph) -> Node:
    return graph.nodes[2].regions[0].nodes[0]


BROKEN: list[tuple[str, Callable[[Graph], Graph], str, str]] = [
    (
        "order",
        lambda g: replace(g, nodes=g.nodes[::-1]),
        "%sum is used before it is defined",
        '%k   : f32[3]    = kernel %sum, %w {strategy = "map"} (%a: f32[3], %b: f32[3]) {\n'
        "                            ^^^^",
    ),
    (
        "foreign value",
        lambda g: with_node(g, 0, operands=(g.inputs[0], Value("y", tensor("f32", "C", 3)))),
        "%y is another value than the one of this name that is defined before",
        "%add : f32[B, 3] = add %x, %y\n                             ^^",
    ),
    (
        "name",
        lambda g: replace(g, inputs=(*g.inputs, Value("x", tensor("f32")))),
        "the name %x stands for two values",
        "graph @f(%x: f32[B, 3], %y: f32[C, 3], %x: f32[])\n           ^^",
    ),
    (
        "type",
        lambda g: retyped(g, 1, tensor("f32", 4)),
        "%sum is f32[3] by inference, not f32[4]",
        "%sum : f32[4]    = sum %add {axes = (0,)}\n  ^^^^",
    ),
    (
        "untyped",
        lambda g: retyped(g, 1, None),
        "the type of %sum is not known: run the pass `infer` first",
        "",
    ),
    (
        "requirement",
        lambda g: replace(g, requirements=()),
        "add needs B == C, which is not required",
        "%add : f32[B, 3] = add %x, %y",
    ),
    (
        "symbol",
        lambda g: retyped(g, 0, tensor("f32", "Z", 3)),
        "the size Z of %add: f32[Z, 3] stands in no parameter's shape",
        "",
    ),
    (
        "attribute",
        lambda g: with_node(g, 1, attrs={"axes": (0,), "axis": 0}),
        "sum has no attribute 'axis'; it has: axes, keepdims",
        "",
    ),
    ("no attribute", lambda g: with_node(g, 1, attrs={}), "sum needs the attribute 'axes'", ""),
    ("attribute without text", lambda g: with_node(g, 1, attrs={"axes": object()}), "sum can't take", ""),
    (
        "results",
        lambda g: with_node(g, 1, results=(g.nodes[1].result, Value("r", tensor("f32")))),
        "sum has 1 results here, not 2",
        "",
    ),
    (
        "output",
        lambda g: replace(g, outputs=(Value("o", None),)),
        "the output %o is not defined",
        "return %o",
    ),
    (
        "update of an input",
        lambda g: replace(g, updates=(Update(g.inputs[0], g.inputs[0]),)),
        "%x is no weight, so it can't be updated",
        "update %x <- %x\n  ^^^",
    ),
    (
        "update twice",
        lambda g: replace(g, updates=g.updates * 2),
        "%w is updated twice",
        "update %w <- %k",
    ),
    (
        "update's type",
        lambda g: replace(g, updates=(Update(g.weights[0].value, g.nodes[0].result),)),
        "%add: f32[B, 3] can't become the value of %w: f32[3]",
        "update %w <- %add",
    ),
    (
        "update's value",
        lambda g: replace(g, updates=(Update(g.weights[0].value, inner(g).result),)),
        "%mul is not defined",
        "update %w <- %mul",
    ),
    (
        "region's scope",
        lambda g: with_region(g, nodes=(replace(inner(g), operands=(g.inputs[0], g.inputs[0])),)),
        "%x is not defined in this region: regions see only their own parameters",
        "%mul : f32[3] = multiply %x, %x\n                           ^^",
    ),
    (
        "region's weights",
        lambda g: with_region(g, weights=g.weights),
        "a region has no weights and no updates",
        "",
    ),
    (
        "region's requirements",
        lambda g: with_region(g, requirements=(Requirement(symbol("B"), 3),)),
        "a region requires B == 3, which the graph does not",
        "",
    ),
    (
        "kernel's parameters",
        lambda g: with_node(g, 2, operands=(g.nodes[1].result, g.nodes[0].result)),
        "the region takes (f32[3], f32[3]), but the operands are (f32[3], f32[B, 3])",
        "",
    ),
    (
        "kernel's results",
        lambda g: with_region(g, outputs=(inner(g).result, inner(g).result)),
        "kernel has 2 results here, not 1",
        "",
    ),
]


@pytest.mark.parametrize(("change", "message", "line"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_broken_rules(change: Callable[[Graph], Graph], message: str, line: str) -> None:
    graph = parse(GRAPH)
    graph.verify()
    with pytest.raises(VerifyError) as caught:
        change(graph).verify()
    text = str(caught.value)
    assert message in text
    assert line in text


def test_the_message_has_the_users_line() -> None:
    graph = parse(GRAPH)
    with pytest.raises(VerifyError) as caught:
        replace(graph, requirements=()).verify()
    assert (
        str(caught.value)
        == """\
add needs B == C, which is not required
  %add : f32[B, 3] = add %x, %y
  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  at train.py:7"""
    )
    assert isinstance(caught.value, (GraphcError, ValueError))


def test_types_may_differ_by_what_is_required() -> None:
    text = "graph @f(%x: f32[B], %y: f32[2*C]) requires (B == 2*C) { %z : f32[2*C] = add %x, %y return %z }"
    parse(text).verify()


def test_a_symbol_that_only_an_attribute_brings_is_refused() -> None:
    b = Builder("f")
    b.output(b.iota(shape=tensor("f32", "B").shape, dtype="i64"))
    with pytest.raises(VerifyError, match="the size B of %iota"):
        b.build().verify()


def test_nested_regions_are_checked() -> None:
    deep = Builder()
    a = deep.input("a", tensor("f32", 2))
    deep.output(a)
    outer = Builder()
    c = outer.input("c", tensor("f32", 2))
    bad = Node(get_op("relu"), (a.value,), {}, (Value("r", tensor("f32", 2)),), (), Location("a.py", 1))
    node = outer.node(get_op("kernel"), [c], {"strategy": "map"}, (replace(deep.build(), nodes=(bad, bad)),))
    outer.output(*node.results)
    b = Builder("f")
    x = b.input("x", tensor("f32", 2))
    b.output(*b.node(get_op("kernel"), [x], {"strategy": "map"}, (outer.build(),)).results)
    with pytest.raises(VerifyError, match=r"the name %r stands for two values\n  %r : f32\[2\] = relu %a"):
        b.build().verify()


def test_what_a_region_requires_is_checked_at_entry() -> None:
    region = Builder()
    a, c = region.input("a", tensor("f32", "B")), region.input("c", tensor("f32", "C"))
    region.output(a + c)
    b = Builder("f")
    x, y = b.input("x", tensor("f32", "B")), b.input("y", tensor("f32", "C"))
    b.output(*b.node(get_op("kernel"), [x, y], {"strategy": "map"}, (region.build(),)).results)
    graph = b.build()
    graph.verify()
    assert graph.requirements == (Requirement(symbol("B"), symbol("C"), "elementwise"),)
    with pytest.raises(ShapeError, match="B = 2 is not C = 3"):
        graph.evaluate(x=np.zeros(2, np.float32), y=np.zeros(3, np.float32))
