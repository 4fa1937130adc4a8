"""Calls of a compiled graph: results, conversions, weights, and every error text."""

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.options import resolve
from graphc.ir import Builder, parse, symbol, tensor
from graphc.ir.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError, StateError


def dense():
    b = Builder("dense")
    x, w = b.input("x", tensor("f32", "B", 3)), b.weight("w", tensor("f32", 3, 2), "dense/kernel")
    y = b.matmul(x, w)
    b.output(y, b.sum(y, axes=(0, 1)))
    b.update(w, w * 2)
    return compile(b.build(), backend="reference").bind([np.ones((3, 2), "f4")])


def two_inputs():
    b = Builder("two")
    x, n = b.input("x", tensor("f32", "B")), b.input("n", tensor("i64", "B"))
    b.output(x + b.cast(n, dtype=n.dtype.__class__("f32", "f", 32)))
    return compile(b.build(), backend="reference")


def error_of(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_results_are_fresh_and_scalars_are_numpy_s():
    f = dense()
    y, total = f(np.ones((2, 3), "f4"))
    np.testing.assert_array_equal(y, np.full((2, 2), 3, "f4"))
    assert type(total) is np.float32
    assert total == 12
    np.testing.assert_array_equal(f.weights[0], np.full((3, 2), 2, "f4"))


def test_lists_and_wider_floats_and_integers_are_converted():
    f = two_inputs()
    for x in ([1, 2], np.array([1.0, 2.0]), np.array([1, 9, 2], "i2")[::2], np.array([1, 2], ">f4")):
        got = f(x, np.array([5, 6], "u1"))
        np.testing.assert_array_equal(got, np.array([6, 8], "f4"))
        assert got.dtype == np.float32


def test_a_float_is_no_integer():
    assert error_of(DTypeError, lambda: two_inputs()([1.0], [0.5])) == (
        "input 'n' of two must be int64, but got float64.\n"
        "  fix     convert it first, if that is what you mean: n.astype('int64')"
    )


def test_integers_must_fit():
    assert error_of(DTypeError, lambda: two_inputs()([1.0], np.array([2**64 - 1], "u8"))) == (
        "input 'n' of two must be int64, but got uint64.\n"
        "  fix     convert it first, if that is what you mean: n.astype('int64')"
    )


def test_the_number_of_inputs():
    assert error_of(ArgumentError, lambda: two_inputs()([1.0])) == (
        "two takes 2 inputs, but got 1.\n  inputs  x: f32[B], n: i64[B]"
    )


def test_the_rank():
    assert error_of(ShapeError, lambda: two_inputs()([[1.0]], [1])) == (
        "input 'x' of two must have 1 dimension (f32[B]), but got the shape (1, 1).\n"
        "  fix     give an array of shape (B,)."
    )


def test_sizes_that_contradict_each_other():
    assert error_of(ShapeError, lambda: two_inputs()([1.0, 2.0], [1])) == (
        "input 'n' of two must be i64[B], but got the shape (1,): axis 0 is 1 and not 2.\n"
        "  B       is 2 by input 'x' (f32[B])"
    )


def test_a_fixed_size():
    assert error_of(ShapeError, lambda: dense()(np.ones((2, 4), "f4"))) == (
        "input 'x' of dense must be f32[B, 3], but got the shape (2, 4): axis 1 is 4 and not 3.\n"
        "  fix     give an array of shape (B, 3)."
    )


def test_ragged_lists():
    text = error_of(ArgumentError, lambda: two_inputs()([[1.0], [1.0, 2.0]], [1]))
    assert text.startswith("input 'x' of two is no array: ")


def test_requirements():
    b = Builder("pair")
    x, y = b.input("x", tensor("f32", "B")), b.input("y", tensor("f32", "C"))
    b.require(symbol("B"), symbol("C"), "batch sizes")
    b.output(x, y)
    f = compile(b.build(), backend="reference")
    assert error_of(ShapeError, lambda: f([1.0], [1.0, 2.0])) == (
        "pair needs B == C (batch sizes), but got 1 and 2.\n  inputs  x: f32[B], y: f32[C]"
    )


def test_sizes_that_are_expressions_are_solved():
    b = Builder("even")
    x = b.input("x", tensor("f32", symbol("H") * 2 + 1))
    b.output(x)
    f = compile(b.build(), backend="reference")
    np.testing.assert_array_equal(f(np.ones(5)), np.ones(5, "f4"))
    assert error_of(ShapeError, lambda: f(np.ones(4))) == (
        "input 'x' of even must be f32[2*H + 1], but got the shape (4,): axis 0 is 4 and not 3.\n"
        "  H       is 1 by input 'x' (f32[2*H + 1])"
    )


def test_weights_must_be_bound_and_fit():
    b = Builder("g")
    w = b.weight("w", tensor("f32", 3), "layer/w")
    b.output(w)
    f = compile(b.build(), backend="reference")
    assert error_of(StateError, f) == "g has 1 weight: bind its array first, with f.bind(arrays)."
    assert error_of(ArgumentError, lambda: f.bind([])) == "g has 1 weight, but 0 arrays were bound."
    assert error_of(DTypeError, lambda: f.bind([np.ones(3)])) == (
        "weight 'layer/w' of g must be an array of float32, but got float64."
    )
    assert error_of(ShapeError, lambda: f.bind([np.ones(4, "f4")])) == (
        "weight 'layer/w' of g must be f32[3], but got the shape (4,)."
    )
    assert error_of(ArgumentError, lambda: f.bind([np.ones(6, "f4")[::2]])) == (
        "weight 'layer/w' of g must be C-contiguous, aligned and writeable."
    )


def test_options_that_are_not_possible(monkeypatch):
    graph = Builder("f").build()
    assert error_of(ArgumentError, lambda: compile(graph, backend="gcc")) == (
        "backend='gcc' is not possible; choose 'llvm', 'numba' or 'reference'."
    )
    assert error_of(ArgumentError, lambda: compile(graph, check="inf")) == (
        "check='inf' is not possible; choose None, 'nan' or 'reference'."
    )
    assert error_of(ArgumentError, lambda: compile(graph, threads=0)) == (
        "threads=0 is not possible; choose a number of threads from 1 on."
    )
    monkeypatch.setenv("GRAPHC_THREADS", "many")
    assert error_of(ArgumentError, lambda: compile(graph)) == (
        "GRAPHC_THREADS='many' is not possible; choose a number of threads from 1 on."
    )


def test_the_environment_chooses_the_backend(monkeypatch):
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")
    assert compile(Builder("f").build()).options.backend == "reference"
    assert resolve(backend="numba").backend == "numba"


def test_stats_count_compiles():
    from graphc.codegen.stats import stats

    before = stats()
    dense()
    after = stats()
    assert after["compiles"] == before["compiles"] + 1
    assert after["compile_seconds"] > before["compile_seconds"]


def test_a_graph_without_types_is_typed():
    f = compile(parse("graph @g(%x: f32[B, 3]) { %y = exp %x return %y }"))
    np.testing.assert_array_equal(f(np.zeros((2, 3), "f4")), np.ones((2, 3)))


@pytest.mark.parametrize("kind", ["gather", "check"])
def test_what_may_fail_beside_a_product(kind):
    """A product shows finished tiles to a function that can't stop it: checks come in a loop of their own."""
    b = Builder("beside")
    h, w, y = (b.input(n, tensor("f64", *s)) for n, s in {"h": ("B", 9), "w": (9, 4), "y": (20, 4)}.items())
    j = b.input("j", tensor("i64", "B"))
    rows = b.gather(y, j, axis=0)
    if kind == "check":
        rows = b.check(b.matmul(h, w), b.matmul(h, w) < 1e9, message="too much", error="value") + rows
    b.output(b.matmul(h, w) - rows)
    f = compile(b.build(), backend="llvm", cache=False)
    rng = np.random.default_rng(0)
    x, w, y = (rng.normal(size=s) for s in ((30, 9), (9, 4), (20, 4)))
    j = np.arange(30) % 20
    expected = x @ w - y[j] if kind == "gather" else -y[j]
    np.testing.assert_allclose(f(x, w, y, j), expected, atol=1e-12)
    with pytest.raises(IndexRangeError):
        f(x, w, y, np.where(j == 7, 20, j))
    if kind == "check":
        with pytest.raises(ArgumentError, match="too much"):
            f(x * 1e20, abs(w), y, j)
