"""Graphs that differ in sizes, lengths and constants alone share code; others never do."""

import numpy as np
import pytest

from graphc.codegen.options import resolve
from graphc.ir import Builder, tensor
from graphc.ir.evaluate import run
from graphc.npjit.native.call import Retry
from graphc.npjit.native.families import Families
from graphc.npjit.native.packs import Pack, pack, packed
from graphc.npjit.native.templates import Member

WIDTH = 3


def loop(count, factor=0.5, op="tanh", turned=False):
    """`h = tanh(h * factor + x[t])` for each row, and the sum of all `h`."""
    b = Builder("loop")
    x, h = b.input("x", tensor("f64", count, WIDTH)), b.input("h", tensor("f64", WIDTH))
    total = h
    for t in reversed(range(count)) if turned else range(count):
        row = b.reshape(b.slice(x, start=(t, 0), stop=(t + 1, WIDTH), step=(1, 1)), shape=(WIDTH,))
        h = b.op(op, h * factor + row)
        total = total + h * h
    b.output(h, total)
    return b.build()


def values(count):
    r = np.random.default_rng(count)
    return r.normal(size=(count, WIDTH)), r.normal(size=WIDTH)


def called(code, *inputs):
    arguments = (*inputs, *code.extras)
    result = code.call.fast(*arguments)
    return code.call.slow(*arguments) if result is NotImplemented else result


def test_lengths_share_code_from_the_second_on():
    families, codes = Families(), {}
    for count in (12, 9, 20, 9, 31, 12, 7):
        graph = loop(count)
        code = codes[count] = families.call(graph, resolve(), ())
        wanted = run(graph, dict(zip("xh", values(count)))).outputs
        for got, want in zip(called(code, *values(count)), wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-13)
    assert codes[9].call is codes[20].call is codes[31].call is codes[7].call
    assert codes[12].call is not codes[9].call
    assert families.shared == 6


def test_constants_that_differ_come_in():
    families = Families()
    families.call(loop(8, 0.5), resolve(), ())
    b = families.call(scaled(2.0), resolve(), ())
    c, d = (families.call(scaled(factor), resolve(), ()) for factor in (3.0, 5.0))
    assert b.call is not c.call is d.call
    assert d.extras == (5.0,)
    np.testing.assert_array_equal(called(d, np.arange(4.0)), np.arange(4.0) * 5)


def scaled(factor):
    b = Builder("scaled")
    x = b.input("x", tensor("f64", 4))
    b.output(x * factor)
    return b.build()


@pytest.mark.parametrize("other", [{"op": "sin"}, {"turned": True}, {"factor": 0.25}])
def test_other_graphs_have_their_own_code(other):
    families = Families()
    for count in (12, 9):
        families.call(loop(count), resolve(), ())
    graph = loop(15, **other)
    code = families.call(graph, resolve(), ())
    wanted = run(graph, dict(zip("xh", values(15)))).outputs
    for got, want in zip(called(code, *values(15)), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)


def test_members_know_their_sizes():
    few, many = (Member.of(loop(n), (), [0, 1]) for n in (3, 4))
    assert few.key != many.key
    assert few.sizes[:3] == (3, WIDTH, WIDTH)
    assert few.equals(Member.of(loop(3), (), [0, 1]))


def stacked(count):
    """The sum of numbers that are joined, and of one that is also read by itself."""
    b = Builder("stacked")
    parts = [b.input(f"n{i}", tensor("i64")) for i in range(count)]
    rows = b.concatenate(*(b.reshape(p, shape=(1,)) for p in parts), axis=0)
    b.output(b.sum(rows, axes=(0,), keepdims=False), parts[1] * 2)
    return b.build()


def test_inputs_that_are_joined_are_one():
    graph, arguments = packed(stacked(4))
    assert arguments == [1, Pack((0, 1, 2, 3), np.dtype(np.int64))]
    assert [str(v.type) for v in graph.inputs] == ["i64[]", "i64[4]"]
    n, rows = (v.name for v in graph.inputs)
    assert run(graph, {n: np.int64(7), rows: pack(np.dtype(np.int64), (1, 7, 2, 3))}).outputs == (13, 14)
    two = stacked(2)
    assert packed(two) == (two, [0, 1])


def test_numbers_that_do_not_fit_are_left_to_numpy():
    with pytest.raises(Retry):
        pack(np.dtype(np.int64), (1, 1 << 70))
