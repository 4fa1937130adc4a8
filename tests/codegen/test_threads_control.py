"""Loops and branches whose kernels are divided among threads: same bits for any number of members."""

import numpy as np
import pytest

from graphc import codegen
from graphc.codegen.target import host
from graphc.codegen.team import members
from graphc.codegen.team_control import shared_in
from graphc.ir import OPS, Builder, Expr, parse, tensor
from graphc.ir.errors import ArgumentError
from graphc.passes.infer import infer

pytestmark = [
    pytest.mark.skipif(members(2, host()) == 1, reason="no team on this system"),
    pytest.mark.usefixtures("divide_everything"),
]


def region(make, types):
    b = Builder("body")
    found = make(b, *(b.input(f"p{i}", t) for i, t in enumerate(types)))
    b.output(*(found if isinstance(found, tuple) else (found,)))
    return b.build()


def cell(b, h, x, w, u):
    """A product, a row kernel, folds over all and over columns; the carry goes on in two ways."""
    y = b.tanh(b.matmul(x, w) + b.matmul(h, u))
    s = b.softmax(y, axis=1)
    return y - b.mean(s, axes=(0,), keepdims=True), h, s, b.sum(y, axes=(0, 1)), b.cumsum(s, axis=0)


def recurrent(gradient=False):
    b = Builder("loop")
    sizes = {"h": ("B", 19), "xs": ("T", "B", 19), "w": (19, 19), "u": (19, 19)}
    h, xs, w, u = (b.input(n, tensor("f64", *s)) for n, s in sizes.items())
    types = [h.type, xs.type.with_shape(xs.shape[1:]), w.type, u.type]
    attrs = {"carries": 1, "scanned": 1, "length": xs.shape[0]}
    results = [Expr(b, r) for r in b.node(OPS["scan"], [h, xs, w, u], attrs, (region(cell, types),)).results]
    if gradient:
        loss = b.sum(results[2] * results[1], axes=(0, 1, 2)) + b.sum(results[0], axes=(0, 1))
        results = b.op("gradient", loss, b.constant(1.0, "f64"), h, xs, w, u, outputs=1)
    b.output(*results)
    return b.build()


def recurrent_arrays(length, rows):
    rng = np.random.default_rng(length + rows)
    shapes = ((rows, 19), (length, rows, 19), (19, 19), (19, 19))
    return [rng.normal(size=s) * 0.3 for s in shapes]


BRANCHES = """\
graph @f(%x: f64[N, 33], %w: f64[33, 33])
{
  %zero = constant {value = 0.0, dtype = f64}
  %sums = sum %x {axes = (0, 1)}
  %more = greater %sums, %zero
  %y = cond %more, %x, %w (%a, %k) {
    %p = matmul %a, %k
    return %p
  } (%a, %k) {
    %q = sin %a
    %r = sum %q {axes = (0,), keepdims = true}
    %s = add %q, %r
    return %s
  }
  %end, %z = while %sums, %y {carries = 2} (%u, %v) {
    %limit = constant {value = 500.0, dtype = f64}
    %on = less %u, %limit
    return %on
  } (%u, %v) {
    %big = constant {value = 100.0, dtype = f64}
    %next = add %u, %big
    %t = tanh %v
    %turned = reverse %t {axes = (0,)}
    return %next, %turned
  }
  %squares = square %z
  %all = sum %squares {axes = (0,)}
  return %z, %all, %end
}"""


def same_bits(first, second):
    return all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))


def agree(graph, threads, cases):
    alone, together = (codegen.compile(graph, threads=t) for t in (1, threads))
    assert shared_in(together.lowered.steps)
    for arrays in cases:
        want = alone(*arrays)
        for _ in range(10):
            assert same_bits(want, together(*arrays))


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("gradient", [False, True])
def test_loops_have_the_same_bits_for_any_number_of_threads(threads, gradient):
    sizes = ((0, 3), (1, 1), (2, 64), (5, 2), (4, 301))
    agree(recurrent(gradient), threads, [recurrent_arrays(*s) for s in sizes])


@pytest.mark.parametrize("threads", [2, 3])
def test_branches_and_unknown_lengths(threads):
    rng = np.random.default_rng(0)
    cases = [
        [rng.normal(size=(n, 33)) + shift, rng.normal(size=(33, 33))]
        for n in (1, 4, 200)
        for shift in (-1, 1)
    ]
    agree(infer(parse(BRANCHES)), threads, cases)


def test_a_turn_that_fails_tells_the_first_error():
    def body(b, h, x):
        return b.tanh(h + b.check(x, b.max(x, axes=(0, 1)) < 9.0, message="too much", error="value")), b.exp(
            h
        )

    b = Builder("loop")
    h, xs = b.input("h", tensor("f64", 40, 30)), b.input("xs", tensor("f64", "T", 40, 30))
    attrs = {"carries": 1, "scanned": 1, "length": xs.shape[0]}
    b.output(*b.node(OPS["scan"], [h, xs], attrs, (region(body, [h.type, h.type]),)).results)
    f = codegen.compile(b.build(), threads=2)
    given = [np.zeros((40, 30)), np.ones((5, 40, 30))]
    expected = [x.copy() for x in f(*given)]
    for turn in range(5):
        wrong = given[1].copy()
        wrong[turn, 7, 8] = 10.0
        with pytest.raises(ArgumentError, match="too much"):
            f(given[0], wrong)
    assert same_bits(expected, f(*given))
