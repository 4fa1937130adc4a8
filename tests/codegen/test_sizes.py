"""Sizes that generated code computes are those of `dims.evaluate`, and are computed once."""

import numpy as np
import pytest

from graphc.codegen import loader
from graphc.codegen.emit_frame import ARGUMENTS, Frame
from graphc.codegen.loops import Kernel
from graphc.codegen.module_text import module
from graphc.codegen.target import host
from graphc.codegen.text import Function
from graphc.ir.dims import ceildiv, evaluate, minimum, symbol

B = symbol("B")


def written(*sizes):
    """A function that gives the sum of sizes for a value of B; its text."""
    f = Function("f", ARGUMENTS, "i64")
    kernel = Kernel("f", (), ())
    frame = Frame(kernel, host(), f, {}, {"B": 0})
    total = "0"
    for size in sizes:
        total = f.add(total, frame.size(size))
    return frame.text(f"i64 {total}")


@pytest.mark.parametrize(
    "size",
    [
        (B - 5) // 3,
        (B - 5) % 3,
        (B - 5) // 8,
        (B - 5) % 8,
        (B * 7 - 40) // 10 * B,
        (B - 9) // 1024,
        (B + 3) // (B + 1),
        minimum(B - 3, 2),
    ],
    ids=str,
)
def test_sizes_are_those_that_dims_evaluates(size):
    run = loader.load([module(written(size), target=host())], host()).function("f", "ppii", "i")
    for value in range(20):
        table = np.array([value], np.int64)
        assert run(table, table, 0, 1) == evaluate(size, {"B": value})


def test_a_quotient_that_several_sizes_need_is_computed_once():
    bytes_ = ceildiv(B * 3, 64)
    assert written(bytes_ * 4, bytes_ * 4 + 64, bytes_ + B).count("ashr") == 1


def test_arithmetic_of_numbers_is_done_at_once():
    f = Function("f", "i64 %n", "i64")
    numbers = [f.sub(7, 9), f.udiv(f.add(64, 31), 32), f.urem(70, 32), f.minimum(3, 4), f.maximum(3, 4)]
    truths = [f.less(3, 4), f.equal(3, 4), f.both("true", "%x"), f.either("true", "%x"), f.negate("false")]
    assert numbers == ["-2", "2", "6", "3", "4"]
    assert truths == ["true", "false", "%x", "true", "true"]
    assert f.select("i64", "false", 1, "%n") == "%n"
    assert f.lines == ["entry:"]


def test_loops_that_certainly_run_have_no_way_around_them():
    f = Function("f", "i64 %n", "i64")
    with f.loop(0, 8, 1, [("i64", "0")]) as loop:
        loop.next = [f.add(loop.values[0], loop.i)]
    text = module(f.text(f"i64 {loop.results[0]}"), target=host())
    assert text.count("br i1") == 1
    assert loader.load([text], host()).function("f", "i", "i")(0) == 28
