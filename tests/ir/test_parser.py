"""Text to graph: round trips, and an underlined place for everything malformed."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from graphc.ir import Builder, Graph, Location, Requirement, get_op, parse, symbol, tensor
from graphc.ir.errors import GraphcError, ParseError

EVERYTHING = """\
graph @"a graph"(%x: f32[B, 784], %y: i64[C])
  weights (%kernel: f32[784, 32] 'hid\\'den/kernel', %lr: f32[] 'lr')
  requires (B == C "batch")
{
  %matmul : f32[B, 32] = matmul %x, %kernel @ dir/a b.py:8 'hid'den' (vjp of %y)
  %"a/b" : f32[] = constant {value = 0.1, dtype = f32} @ 'only a layer'
  %array : i8[2, 2] = constant {value = array(i8[2, 2], 1, -2, 3, 4), dtype = i8} @ (only derived)
  %size : i64[] = constant {value = (B + 1) // 2, dtype = i64}
  %iota : i64[B] = iota {shape = (B,), dtype = i64}
  %equal : bool[B] = equal %iota, %y
  %pad : f32[B + 3, 32] = pad %matmul {low = (1, 0), high = (2, 0), value = -inf}
  %k : f32[B, 32], %r : f32[B] = kernel %matmul, %lr {strategy = "rows"} @body(%a: f32[B, 32], %c: f32[]) {
    %multiply : f32[B, 32] = multiply %a, %c @ x.py:1
    %sum : f32[B] = sum %multiply {axes = (1,)}
    return %multiply, %sum
  } @ y.py:2
  %new : f32[] = multiply %lr, %"a/b"
  update %lr <- %new
  return %k, %r, %equal
}"""


def test_everything_round_trips() -> None:
    graph = parse(EVERYTHING)
    graph.verify()
    again = parse(str(graph))
    assert again == graph
    assert str(again) == str(graph)
    assert re.sub(r" +", " ", str(graph)) == re.sub(r" +", " ", EVERYTHING)


def test_parts_of_a_graph() -> None:
    graph = parse(EVERYTHING)
    assert graph.name == "a graph"
    assert [w.path for w in graph.weights] == ["hid'den/kernel", "lr"]
    assert graph.requirements == (Requirement(symbol("B"), symbol("C"), "batch"),)
    assert graph.nodes[0].location == Location("dir/a b.py", 8, "hid'den", "vjp of %y")
    assert graph.nodes[1].attrs["value"] == np.float32(0.1)
    assert graph.nodes[1].location == Location(layer="only a layer")
    assert graph.nodes[2].location == Location(derived="only derived")
    assert graph.nodes[2].attrs["value"].dtype == np.int8
    assert graph.nodes[3].attrs["value"] == (symbol("B") + 1) // 2
    assert graph.nodes[7].regions[0].name == "body"
    assert graph.nodes[7].regions[0].nodes[0].location == Location("x.py", 1)


def test_layout_and_comments_mean_nothing() -> None:
    loose = "graph @f ( %x : f32 [ 3 ] ) # ho\n{%y : f32[3]\n= relu\n%x return\n%y }  # end"
    assert parse(loose) == parse("graph @f(%x: f32[3]) { %y : f32[3] = relu %x return %y }")


def test_untyped_text_gives_untyped_values() -> None:
    graph = parse('graph @f(%x) { %a, %b = kernel %x {strategy = "map"} (%c) { return %c, %c } return %a }')
    assert all(v.declared is None for v in graph.values())
    assert parse(str(graph)) == graph


def test_relations_that_inference_needs_are_added() -> None:
    text = "graph @f(%x: f32[B], %y: f32[C]) { %z : f32[B] = add %x, %y return %z }"
    assert [(r.left, r.right) for r in parse(text).requirements] == [(symbol("B"), symbol("C"))]
    parse(text).verify()


SPECIAL = [np.nan, -np.nan, np.inf, -np.inf, -0.0, 1e-45, 0.1, 3.4e38]


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_numbers_keep_their_bits(dtype: str) -> None:
    b = Builder("f")
    values = np.array(SPECIAL, tensor(dtype).dtype.numpy)
    b.output(
        b.constant(values), *(b.constant(float(v), dtype) for v in values), b.constant(np.tile(values, 99))
    )
    graph = parse(str(b.build()))
    arrays = [np.asarray(n.attrs["value"], values.dtype) for n in graph.nodes]
    assert arrays[0].tobytes() == values.tobytes()
    assert np.array(arrays[1:-1]).tobytes() == values.tobytes()
    assert arrays[-1].tobytes() == np.tile(values, 99).tobytes()


UNARY = ("relu", "negative", "exp", "abs")
BINARY = ("add", "multiply", "maximum")


def random_graph(seed: int) -> Graph:
    """A graph with odd names, nested kernels, locations, several results and updates."""
    rng = random.Random(seed)
    b = Builder(rng.choice(["", "f", "two words", "a.b"]))
    shape = [rng.choice([1, 3, symbol("B"), symbol("H") * 2 + 1, (symbol("H") + 2) // 3]) for _ in range(2)]
    b.input("size", tensor("i8", "B", "H"))
    values = [b.input(rng.choice(["x", "in/put", 'quo"te', "ü"]), tensor("f32", *shape)) for _ in range(3)]
    weight = b.weight("w", tensor("f32", *shape), rng.choice(["w", "a/b", "it's"]))
    values.append(weight)
    for _ in range(rng.randrange(12)):
        place = Location(
            rng.choice(["", "a.py"]), 3, rng.choice(["", "layer", "l'y"]), rng.choice(["", "vjp (of) %x"])
        )
        with b.at(place if place.file else Location(layer=place.layer, derived=place.derived)):
            values.append(random_node(rng, b, values))
    if rng.random() < 0.5:
        b.update(weight, rng.choice(values))
    b.output(*rng.sample(values, 2))
    return b.build()


def random_node(rng: random.Random, b: Builder, values: list) -> object:
    kind = rng.randrange(3)
    if kind == 0:
        return b.op(rng.choice(UNARY), rng.choice(values), name=rng.choice(["", "n/n", "7"]))
    if kind == 1:
        return b.op(rng.choice(BINARY), rng.choice(values), rng.choice([*values, rng.uniform(-1, 1)]))
    region = Builder(rng.choice(["", "body"]))
    inside = region.input("a", values[0].type)
    results = [inside, region.relu(inside)]
    region.output(*results)
    node = b.node(get_op("kernel"), [rng.choice(values)], {"strategy": "map"}, (region.build(),))
    return type(values[0])(b, rng.choice(node.results))


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_round_trip(seed: int) -> None:
    graph = random_graph(seed)
    graph.verify()
    again = parse(str(graph))
    assert again == graph
    assert str(again) == str(graph)
    assert [n.location for n in again.nodes] == [n.location for n in graph.nodes]
    assert [v.name for v in again.values()] == [v.name for v in graph.values()]


@pytest.mark.parametrize("seed", range(25))
def test_damaged_text_gives_an_error_of_ours(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(12):
        text = EVERYTHING
        for _ in range(rng.randint(1, 3)):
            at, length = rng.randrange(len(text)), rng.randint(0, 4)
            text = (
                text[:at]
                + rng.choice(["", "%", "(", "}", '"', "'", "9", "f32", "-", "@", "\0", "é", "\n"])
                + text[at + length :]
            )
        check_parse(text)


def check_parse(text: str) -> None:
    """Either a graph that round-trips, or an error whose place lies in the text."""
    try:
        graph = parse(text)
    except ParseError as e:
        error = e
    else:
        assert parse(str(graph)) == graph
        return
    assert "^" in str(error)
    assert 1 <= error.line <= len(text.splitlines()) + 1


def body(line: str, parameters: str = "%x: f32[B, 3]") -> str:
    return f"graph @f({parameters})\n{{\n  {line}\n  return %x\n}}"


ERRORS = [
    ("", "expected `graph`, found the end of the text", "1:1"),
    ("graph @f(%x: f33[2]) { return %x }", "there is no element type f33; there are bool, i8", "1:14"),
    ("graph @f(%x: f32[-2]) { return %x }", "a size can't be negative: -2", "1:18"),
    ("graph @f(%x: f32[B // 0]) { return %x }", "this size can't be computed", "1:18"),
    ("graph @f(%x: f32[2], %x: f32[2]) { return %x }", "the name %x is taken already", "1:22"),
    ("graph @f(%x: f32[2]) { return %y }", "there is no value %y before this line", "1:31"),
    ("graph @f(%x: f32[2]) { return %x } 3", "the graph has ended, but here is `3`", "1:36"),
    ("graph @f(%x: f32[2]) weights (%w 'w') { return %x }", "expected `:`, found `'w'`", "1:34"),
    ("graph @f(%x: f32[2]) {", "expected a node, `update` or `return`, found the end of the text", "1:23"),
    (body("%y = reluu %x"), "there is no op 'reluu'; did you mean relu", "3:8"),
    (body("%y = cast %x, %x {dtype = f64}"), "cast takes 1 operand, got 2", "3:8"),
    (body("%x = relu %x"), "the name %x is taken already", "3:3"),
    (body("%y, %y = relu %x"), "the name %y is taken already", "3:7"),
    (body("%y : f32[B, 4] = relu %x"), "%y is f32[B, 3] by inference, not f32[B, 4]", "3:8"),
    (body("%y : f32[C, 3] = relu %x"), "%y is f32[B, 3] by inference, not f32[C, 3]", "3:8"),
    (body("%y : f32[B], %z : f32[B] = relu %x"), "relu has 1 results here, not 2", "3:30"),
    (body("%y = sum %x"), "sum needs the attribute 'axes'", "3:8"),
    (body("%y = sum %x {axis = 1}"), "sum has no attribute 'axis'; it has: axes, keepdims", "3:16"),
    (body("%y = sum %x {axes = (1,), axes = (1,)}"), "the attribute axes is given twice", "3:29"),
    (body("%y : f32[B] = sum %x {axes = none}"), "sum can't take (f32[B, 3])", "3:17"),
    (body("%y = relu %x (%a) { return %a }"), "relu has 0 regions, got 1", "3:8"),
    (body("update %x <- %x"), "%x is no weight, so it can't be updated", "3:10"),
    (body("%y = relu %x @ nowhere"), "a location reads: @ file.py:8 'layer' (derived from)", "3:16"),
    (
        body("%y = constant {value = 1.5, dtype = i8}"),
        "this value does not fit the constant's element type",
        "3:26",
    ),
    (
        body("%y = constant {value = 300, dtype = i8}"),
        "this value does not fit the constant's element type",
        "3:26",
    ),
    (
        body("%y = constant {value = array(f32[2], 1.0), dtype = f32}"),
        "f32[2] has 2 elements, here are 1",
        "3:26",
    ),
    (body("%y = constant {value = array(f32[B], 1.0), dtype = f32}"), "an array's sizes are numbers", "3:26"),
    (body("%y = constant {value = array(i8[1], 300), dtype = i8}"), "not an array of i8[1]", "3:26"),
    (body("%y = iota {shape = " + "(" * 40), "this is nested more than 32 deep", "3:55"),
    (body("%y = iota {shape = 1.5 + B}"), "`+` stands between sizes only", "3:26"),
    (body("%y = iota {shape = -none}"), "`-` stands before numbers and sizes only", "3:22"),
    (body("%y = iota {shape = =}"), "expected a value, found `=`", "3:22"),
    (body("%y = ? %x"), "this is not a word of the IR", "3:8"),
    (body('%"\\q" = relu %x'), "this string has an escape that is not one of JSON's", "3:3"),
    (
        body('%y = kernel %x {strategy = "map"} (%a) { %b = relu %x return %b }'),
        "there is no value %x before this line; a region sees only its own values: pass it as an operand",
        "3:54",
    ),
]


@pytest.mark.parametrize(("text", "message", "place"), ERRORS, ids=[m[:40] for _, m, _ in ERRORS])
def test_errors_name_the_place(text: str, message: str, place: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)
    assert f"{caught.value.line}:{caught.value.column}" == place


def test_the_whole_text_of_an_error() -> None:
    with pytest.raises(ParseError) as caught:
        parse(body("%y : f32[B, 4] = relu %x"))
    assert (
        str(caught.value)
        == """\
%y is f32[B, 3] by inference, not f32[B, 4]
  line 3, column 8
      %y : f32[B, 4] = relu %x
           ^^^"""
    )
    assert isinstance(caught.value, (GraphcError, ValueError))
