"""Rows that are fetched while the one before is computed: which, in which stage, and that results stay."""

import numpy as np
import pytest

from graphc.codegen.emit_llvm import emit_kernel
from graphc.codegen.loops import Load, Store
from graphc.codegen.rows_ahead import LONG, SHORT, rows_ahead
from graphc.codegen.target import host
from graphc.ir import tensor


def softmax(b, x):
    e = b.exp(x - b.max(x, axes=(1,), keepdims=True))
    return e / b.sum(e, axes=(1,), keepdims=True)


def scaled_norm(b, x, scale):
    d = x - b.sum(x, axes=(1,), keepdims=True) / x.shape[1]
    return d * scale


def made(lab, make, *types):
    kernel, _ = lab.kernel(make, types)
    return kernel, rows_ahead(kernel, kernel.parts[0])


def test_the_dearest_stage_fetches_what_is_read_and_written(lab):
    kernel, ahead = made(lab, softmax, tensor("f32", "B", 1000))
    assert ahead.stage is kernel.parts[0].stages[1]  # exp
    assert [type(a) for a in ahead.accesses] == [Load, Store]
    assert [a.offset.constant for a in ahead.accesses] == [1000, 1000]
    text = emit_kernel(kernel, host())
    lines = [x for f in (text.function, *text.helpers) for x in f.splitlines() if "@llvm.prefetch" in x]
    assert {x.partition(", ")[2] for x in lines} == {"i32 0, i32 3, i32 1)", "i32 1, i32 3, i32 1)"}


def test_what_is_the_same_for_all_rows_is_not_fetched(lab):
    _, ahead = made(lab, scaled_norm, tensor("f32", 9, 512), tensor("f32", 512))
    assert [a.buffer for a in ahead.accesses] == ["a0", "out0"]


@pytest.mark.parametrize("columns", [SHORT - 1, LONG + 1, "N"])
def test_short_long_and_unknown_rows_are_not_fetched(lab, columns):
    assert not made(lab, softmax, tensor("f32", "B", columns))[1].accesses


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("columns", [SHORT, 301, 1000])
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_results(lab, dtype, columns, rows):
    x = np.random.default_rng(0).standard_normal((rows, columns)).astype("f4" if dtype == "f32" else "f8")
    (got,), (want,) = lab.run(softmax, [tensor(dtype, "B", columns)], [x], {"B": rows})
    lab.check(got, want, ulps=8)
