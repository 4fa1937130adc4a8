"""Each rewrite: it happens where it should, not where it may not, and no bit of the values changes."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.ir import Graph, dtype_of, parse
from graphc.ir.evaluate import run
from graphc.passes.dce import dce
from graphc.passes.infer import infer
from graphc.passes.patterns import Rule, apply_rules, holds_only
from graphc.passes.simplify import RULES, holds_exactly, simplify

VALUES = [0.0, -0.0, 1.0, -1.5, np.nan, np.inf, -np.inf, 1e-45, 3e38, 0.1, -7.0, 2.5]
ONE = "%one : f32[] = constant {value = 1.0, dtype = f32}"
TWO = "%two : f32[] = constant {value = 2.0, dtype = f32}"
ZERO = "%zero : f32[] = constant {value = 0.0, dtype = f32}"
MINUS_ZERO = "%zero : f32[] = constant {value = -0.0, dtype = f32}"
TRUE = "%true : bool[] = constant {value = true, dtype = bool}"

FALSE = "%false : bool[] = constant {value = false, dtype = bool}"


def graph_of(lines: str, parameters: str) -> Graph:
    return parse(f"graph @f({parameters}) {{ {lines} return %r }}")


def arrays(graph: Graph) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    found = {}
    for v in graph.inputs:
        shape = tuple(d if isinstance(d, int) else 5 for d in v.type.shape)
        kind = v.type.dtype.numpy
        pool = (
            VALUES if v.type.dtype.is_floating else [0, 1] if v.type.dtype.kind == "b" else [0, 1, 100, 127]
        )
        found[v.name] = rng.choice(np.array(pool), shape).astype(kind)
    return found


def bits(graph: Graph) -> list[bytes]:
    """The outputs' bytes; a NaN's sign does not count."""
    outputs = run(graph, arrays(graph)).outputs
    return [
        np.where(np.isnan(x), np.array(np.nan, x.dtype), x).tobytes() if x.dtype.kind == "f" else x.tobytes()
        for x in outputs
    ]


X = "%x: f32[B, 4]"
# (nodes before, parameters, ops that are left)
REWRITES = [
    (f"{ONE} %r = multiply %x, %one", X, ""),
    (f"{ONE} %r = multiply %one, %x", X, ""),
    (f"{ONE} %r = divide %x, %one", X, ""),
    (f"{ONE} %r = divide %one, %x", X, "constant divide"),
    ("%m : f32[] = constant {value = -1.0, dtype = f32} %r = multiply %x, %m", X, "negative"),
    ("%m : f32[] = constant {value = -1.0, dtype = f32} %r = divide %x, %m", X, "negative"),
    (f"{ZERO} %r = add %x, %zero", X, "constant add"),
    (f"{MINUS_ZERO} %r = add %x, %zero", X, ""),
    (f"{ZERO} %r = subtract %x, %zero", X, ""),
    (f"{MINUS_ZERO} %r = subtract %x, %zero", X, "constant subtract"),
    (f"{ZERO} %r = multiply %x, %zero", X, "constant multiply"),
    ("%z : i8[] = constant {value = 0, dtype = i8} %r = add %x, %z", "%x: i8[3]", ""),
    ("%z : i8[] = constant {value = 1, dtype = i8} %r = floor_divide %x, %z", "%x: i8[3]", ""),
    (f"{ONE} %r = floor_divide %x, %one", X, "constant floor_divide"),
    (f"{ONE} %r = power %x, %one", X, ""),
    (f"{TWO} %r = power %x, %two", X, "square"),
    ("%a = negative %x %r = negative %a", X, ""),
    ("%a = negative %y %r = add %x, %a", X + ", %y: f32[4]", "subtract"),
    ("%a = negative %y %r = add %a, %x", X + ", %y: f32[4]", "subtract"),
    ("%a = negative %y %r = subtract %x, %a", X + ", %y: f32[4]", "add"),
    ("%a = negative %x %r = abs %a", X, "abs"),
    ("%a = negative %x %r = abs %a", "%x: u8[4]", "negative abs"),
    ("%a = negative %x %r = square %a", X, "square"),
    ("%a = abs %x %r = square %a", X, "square"),
    ("%a = abs %x %r = abs %a", X, "abs"),
    ("%a = floor %x %r = floor %a", X, "floor"),
    ("%a = relu %x %r = relu %a", X, "relu"),
    ("%r = maximum %x, %x", X, ""),
    ("%r = maximum %x, %y", X + ", %y: f32[B, 4]", "maximum"),
    ("%r = logical_and %x, %x", "%x: bool[3]", ""),
    (f"{TRUE} %r = logical_and %true, %x", "%x: bool[3]", ""),
    (f"{TRUE} %r = logical_or %true, %x", "%x: bool[3]", "constant logical_or"),
    ("%a = logical_not %x %r = logical_not %a", "%x: bool[3]", ""),
    ("%a = bitwise_not %x %r = bitwise_not %a", "%x: i32[3]", ""),
    ("%r = select %c, %x, %x", "%c: bool[4], %x: f32[4]", ""),
    ("%r = select %c, %x, %x", "%c: bool[3, 4], %x: f32[4]", "select"),
    (f"{TRUE} %r = select %true, %x, %y", "%x: f32[4], %y: f32[4]", ""),
    (f"{TRUE} %r = select %true, %x, %y", "%x: f32[4], %y: f32[3, 4]", "constant select"),
    (f"{FALSE} %r = select %false, %x, %y", "%x: f32[4], %y: f32[4]", ""),
    ("%r = cast %x {dtype = f32}", X, ""),
    ("%a = cast %x {dtype = f64} %r = cast %a {dtype = f32}", X, ""),
    ("%a = cast %x {dtype = f32} %r = cast %a {dtype = f64}", "%x: f64[B]", "cast cast"),
    ("%a = cast %x {dtype = i32} %r = cast %a {dtype = u8}", "%x: i8[3]", "cast"),
    ("%a = cast %x {dtype = u8} %r = cast %a {dtype = i8}", "%x: i8[3]", "cast cast"),
    ("%a = cast %x {dtype = f32} %r = cast %a {dtype = u8}", "%x: i8[3]", "cast cast"),
    ("%a = cast %x {dtype = f32} %r = cast %a {dtype = i8}", "%x: i8[3]", ""),
    ("%a = cast %x {dtype = i64} %r = cast %a {dtype = f32}", "%x: bool[3]", "cast"),
    ("%r = transpose %x {axes = (0, 1)}", X, ""),
    ("%r = transpose %x {axes = (1, 0)}", X, "transpose"),
    ("%r = transpose %x {axes = (1, 0)}", "%x: f32[1, B]", "reshape"),
    ("%r = transpose %x {axes = (2, 0, 1)}", "%x: f32[3, 4, 1]", "reshape"),
    ("%a = transpose %x {axes = (2, 0, 1)} %r = transpose %a {axes = (1, 2, 0)}", "%x: f32[2, 3, 4]", ""),
    (
        "%a = transpose %x {axes = (2, 0, 1)} %r = transpose %a {axes = (0, 2, 1)}",
        "%x: f32[2, 3, 4]",
        "transpose",
    ),
    ("%a = transpose %x {axes = (1, 0)} %r = matmul %a, %y", "%x: f32[3, 2], %y: f32[3, 4]", "matmul"),
    ("%a = transpose %y {axes = (1, 0)} %r = matmul %x, %a", "%x: f32[2, 3], %y: f32[4, 3]", "matmul"),
    (
        "%a = transpose %x {axes = (1, 0)} %r = matmul %a, %y {transpose_a = true}",
        "%x: f32[2, 3], %y: f32[3, 4]",
        "matmul",
    ),
    (
        "%a = transpose %x {axes = (1, 0, 2)} %r = matmul %a, %y",
        "%x: f32[2, 5, 3], %y: f32[3, 4]",
        "transpose matmul",
    ),
    ("%r = reshape %x {shape = (B, 4)}", X, ""),
    ("%a = reshape %x {shape = (4, B)} %r = reshape %a {shape = (B, 2, 2)}", X, "reshape"),
    ("%a = reshape %x {shape = (4, B)} %r = reshape %a {shape = (B, 4)}", X, ""),
    ("%r = broadcast %x {shape = (B, 4)}", X, ""),
    ("%a = broadcast %x {shape = (3, 4)} %r = broadcast %a {shape = (2, 3, 4)}", "%x: f32[4]", "broadcast"),
    ("%a = reshape %x {shape = (1, 4)} %r = broadcast %a {shape = (3, 4)}", "%x: f32[4]", "broadcast"),
    (
        "%a = reshape %x {shape = (4, 1)} %r = broadcast %a {shape = (4, 3)}",
        "%x: f32[4]",
        "reshape broadcast",
    ),
    ("%a = broadcast %x {shape = (3, 4)} %r = multiply %a, %y", "%x: f32[4], %y: f32[3, 4]", "multiply"),
    (
        "%a = broadcast %x {shape = (3, 4)} %r = multiply %a, %y",
        "%x: f32[4], %y: f32[4]",
        "broadcast multiply",
    ),
    ("%a = broadcast %x {shape = (3, 4)} %r = reshape %a {shape = (4, 1, 3)}", "%x: f32[]", "broadcast"),
    ("%a = broadcast %x {shape = (3, 4)} %r = reshape %a {shape = (12,)}", "%x: f32[4]", "broadcast reshape"),
    ("%r = slice %x {start = (0, 0), stop = (B, 4), step = (1, 1)}", X, ""),
    ("%r = slice %x {start = (0, 1), stop = (B, 4), step = (1, 1)}", X, "slice"),
    ("%r = pad %x {low = (0, 0), high = (0, 0)}", X, ""),
    ("%r = pad %x {low = (0, 0), high = (0, 1)}", X, "pad"),
    ("%r = reverse %x {axes = ()}", X, ""),
    ("%r = reverse %x {axes = (0,)}", "%x: f32[1, 3]", ""),
    ("%a = reverse %x {axes = (0,)} %r = reverse %a {axes = (0,)}", X, ""),
    ("%a = reverse %x {axes = (0, 1)} %r = reverse %a {axes = (0,)}", X, "reverse"),
    ("%r = concatenate %x {axis = 0}", X, ""),
    ("%r = max %x {axes = (1,)}", "%x: f32[B, 1]", "reshape"),
    ("%r = max %x {axes = (1,), keepdims = true}", "%x: f32[B, 1]", ""),
    ("%r = prod %x {axes = ()}", X, ""),
    ("%r = sum %x {axes = (1,)}", "%x: f32[B, 1]", "reshape constant add"),
    ("%r = mean %x {axes = (1,), keepdims = true}", "%x: f32[B, 1]", "constant add"),
    ("%r = sum %x {axes = (0,)}", "%x: i32[1, 3]", "reshape"),
    ("%r = sum %x {axes = (0,)}", X, "sum"),
    ("%r = all %x {axes = (0,)}", "%x: bool[1, 3]", "reshape"),
]


@pytest.mark.parametrize(
    ("lines", "parameters", "left"), REWRITES, ids=[f"{r[0]} of {r[1]}" for r in REWRITES]
)
def test_rewrites(lines: str, parameters: str, left: str) -> None:
    graph = infer(graph_of(lines, parameters))
    graph.verify()
    after = simplify(graph)
    after.verify()
    assert [n.op.name for n in dce(after).nodes] == left.split()
    assert bits(after) == bits(graph)
    assert (after is graph) == (dce(after) == graph)


def test_every_rule_is_used_here() -> None:
    counts: dict[str, int] = {}
    for lines, parameters, _ in REWRITES:
        apply_rules(infer(graph_of(lines, parameters)), RULES, counts)
    families = ("min(", "sign", "ceil", "round", "trunc", "relu6", "minimum", "bitwise", "any", "logical_or")
    unused = [r.pattern for r in RULES if r.pattern not in counts]
    unused = [p for p in unused if not p.startswith(families) and "broadcast(" not in p]
    assert unused == []


def test_names_and_locations_stay() -> None:
    text = """graph @f(%x: f32[2, 3]) {
      %a : f32[3, 2] = transpose %x {axes = (1, 0)} @ a.py:1
      %b : f32[2, 2] = matmul %x, %a @ a.py:2 'layer'
      %c : f32[2, 2] = exp %b
      return %c }"""
    after = dce(simplify(parse(text)))
    assert (
        str(after)
        == """\
graph @f(%x: f32[2, 3])
{
  %b : f32[2, 2] = matmul %x, %x {transpose_b = true}  @ a.py:2 'layer'
  %c : f32[2, 2] = exp %b
  return %c
}"""
    )


def test_regions_are_simplified() -> None:
    text = """graph @f(%x: f32[3]) {
      %k : f32[3] = kernel %x {strategy = "map"} (%a: f32[3]) {
        %b : f32[3] = negative %a
        %c : f32[3] = negative %b
        return %c
      }
      return %k }"""
    after = simplify(parse(text))
    assert after.nodes[0].regions[0].outputs == after.nodes[0].regions[0].inputs


def test_updates_and_outputs_follow() -> None:
    text = """graph @f() weights (%w: f32[3]) {
      %a : f32[3] = negative %w
      %b : f32[3] = negative %a
      update %w <- %b
      return %b }"""
    after = simplify(parse(text))
    assert after.outputs == (after.weights[0].value,)
    assert after.updates[0].new is after.weights[0].value


@pytest.mark.parametrize(
    ("value", "number", "expected"),
    [
        (1.0, 1, True),
        (1, 1, True),
        (0.0, 0, True),
        (-0.0, 0, False),
        (-0.0, -0.0, True),
        (0.0, -0.0, False),
        (float("nan"), 1, False),
        (np.ones((2, 2)), 1, True),
        (np.array([1.0, 2.0]), 1, False),
        (np.zeros(0), 0, False),
        (True, True, True),
    ],
)
def test_constants_of_one_number(value: object, number: float, expected: bool) -> None:
    assert holds_only(value, number) is expected


def test_which_types_hold_which() -> None:
    names = ("bool", "i8", "u8", "i32", "u32", "i64", "u64", "f32", "f64")
    table = {a: " ".join(b for b in names if holds_exactly(dtype_of(a), dtype_of(b))) for a in names}
    assert table == {
        "bool": "bool i8 u8 i32 u32 i64 u64 f32 f64",
        "i8": "i8 i32 i64 f32 f64",
        "u8": "u8 i32 u32 i64 u64 f32 f64",
        "i32": "i32 i64 f64",
        "u32": "u32 i64 u64 f64",
        "i64": "i64",
        "u64": "u64",
        "f32": "f32 f64",
        "f64": "f64",
    }


def test_rules_may_bind_and_require_attributes() -> None:
    rules = (Rule("sum(sum(x, axes=(0,)), axes=a)", lambda b, x, a: b.sum(x, axes=(0, *[i + 1 for i in a]))),)
    text = "graph @f(%x: f32[3, 3]) { %a = sum %x {axes = (AXIS,)} %b = sum %a {axes = (0,)} return %b }"
    one, other = (infer(parse(text.replace("AXIS", axis))) for axis in "01")
    assert dce(apply_rules(one, rules)).nodes[0].attrs["axes"] == (0, 1)
    assert apply_rules(other, rules) is other
