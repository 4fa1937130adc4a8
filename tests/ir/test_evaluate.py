"""Running graphs with NumPy: binding sizes, requirements, types, regions, errors."""

import numpy as np
import pytest

from graphc.ir import Builder, Location, tensor
from graphc.ir.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError, VerifyError
from graphc.ir.evaluate import bind_sizes, run
from graphc.ir.opdef import OPS, Kind, define


def graph_of(make, **types):
    b = Builder("f")
    result = make(b, *(b.input(name, t) for name, t in types.items()))
    b.output(*(result if isinstance(result, tuple) else (result,)))
    return b.build()


def test_symbols_are_bound_by_shapes_and_replaced_in_attributes():
    def make(b, x):
        batch, width = x.shape
        return b.reshape(x, shape=(batch * width,)), b.constant(batch, "f32") + b.sum(x, axes=(0, 1))

    graph = graph_of(make, x=tensor("f32", "B", 3))
    flat, total = run(graph, {"x": np.ones((4, 3), np.float32)}).outputs
    assert flat.shape == (12,)
    assert total == 16
    assert total.dtype == np.float32


def test_a_composite_size_is_solved_for_its_only_unknown():
    (size,) = tensor("f32", "N").shape
    assert bind_sizes([tensor("f32", size * 4 + 2)], [(14,)], ["x"]) == {"N": 3}
    with pytest.raises(
        ShapeError, match=r"an axis of 15 where 14 \(4\*N \+ 2\) was expected: %x: f32\[4\*N \+ 2\], axis 0"
    ):
        bind_sizes([tensor("f32", size * 4 + 2)], [(15,)], ["x"])
    with pytest.raises(ShapeError, match="can't tell the size"):
        bind_sizes([tensor("f32", size * size)], [(9,)], ["x"])


def test_a_product_of_symbols_waits_until_they_are_known():
    m, n = tensor("f32", "M", "N").shape
    types = [tensor("f32", m * n), tensor("f32", "M"), tensor("f32", "N")]
    assert bind_sizes(types, [(6,), (2,), (3,)], ["a", "b", "c"]) == {"M": 2, "N": 3}
    with pytest.raises(ShapeError, match="an axis of 7 where 6"):
        bind_sizes(types, [(7,), (2,), (3,)], ["a", "b", "c"])


def test_broken_requirement_says_what_was_required():
    graph = graph_of(lambda b, x, y: x + y, x=tensor("f32", "B"), y=tensor("f32", "C"))
    with pytest.raises(ShapeError, match="elementwise: B = 2 is not C = 3"):
        graph.evaluate(x=np.ones(2, np.float32), y=np.ones(3, np.float32))


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ({}, ArgumentError, "@f: no array for %x"),
        ({"x": np.ones(3, "f4"), "z": 1}, ArgumentError, "there is no input or weight %z"),
        ({"x": np.ones(3)}, DTypeError, r"%x has the type f32\[3\], but the array holds f64"),
        ({"x": np.ones(4, "f4")}, ShapeError, r"an axis of 4 where 3 was expected: %x: f32\[3\], axis 0"),
        (
            {"x": np.ones((3, 1), "f4")},
            ShapeError,
            r"%x has the type f32\[3\], but the array has the shape \(3, 1\)",
        ),
    ],
)
def test_inputs_that_do_not_fit(inputs, error, message):
    with pytest.raises(error, match=message):
        run(graph_of(lambda b, x: -x, x=tensor("f32", 3)), inputs)


def test_a_python_number_takes_the_type_of_the_input():
    graph = graph_of(lambda b, x: x * 2, x=tensor("f32"))
    result = graph.evaluate(x=1.5)
    assert result.dtype == np.float32
    assert result == 3


def test_updates_are_given_and_nothing_is_written_in_place():
    b = Builder("step")
    w = b.weight("w", tensor("f32", 3), "layer/w")
    b.update(w, w * 2)
    b.output(w)
    array = np.ones(3, np.float32)
    result = run(b.build(), {"w": array}, keep=True)
    np.testing.assert_array_equal(result.updates["w"], [2, 2, 2])
    np.testing.assert_array_equal(array, [1, 1, 1])
    assert not np.shares_memory(result.outputs[0], array)
    assert set(result.values) == {"w", "constant", "multiply"}
    assert run(b.build(), {"w": array}).values == {}


def test_a_kernel_runs_its_region_with_the_sizes_of_the_graph():
    inner = Builder("body")
    a = inner.input("a", tensor("f32", "B", 3))
    inner.output(inner.reshape(a * 2, shape=(a.shape[0] * 3,)), inner.sum(a, axes=(1,)))

    def make(b, x):
        node = b.node(OPS["kernel"], [x], {"strategy": "rows"}, regions=(inner.build(),))
        return node.results

    flat, sums = graph_of(make, x=tensor("f32", "B", 3)).evaluate(x=np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(flat, np.full(6, 2))
    np.testing.assert_array_equal(sums, [3, 3])


def test_a_kernel_checks_its_operands_and_its_strategy():
    inner = Builder("body")
    inner.output(-inner.input("a", tensor("f32", 3)))
    b = Builder("f")
    x = b.input("x", tensor("f32", 4))
    with pytest.raises(
        ArgumentError, match=r"kernel: the region takes \(f32\[3\],\), but the operands are \(f32\[4\],\)"
    ):
        b.node(OPS["kernel"], [x], {"strategy": "map"}, regions=(inner.build(),))
    with pytest.raises(ArgumentError, match="there is no strategy 'fast'"):
        b.node(OPS["kernel"], [x], {"strategy": "fast"}, regions=(inner.build(),))


def test_errors_while_running_name_the_place():
    def make(b, x, i):
        with b.at(Location("train.py", 8, "table")):
            return b.gather(x, i, axis=0)

    graph = graph_of(make, x=tensor("f32", 3), i=tensor("i64", 2))
    with pytest.raises(IndexRangeError) as e:
        graph.evaluate(x=np.ones(3, "f4"), i=np.array([0, 3]))
    assert (
        str(e.value)
        == "index 3 at position (1,) is out of range for axis 0 of size 3\n  at train.py:8 'table'"
    )


def test_a_definition_that_breaks_its_own_type_is_found():
    define("broken", Kind.ELEMENTWISE, "Gives f64.", infer=lambda x: x, evaluate=lambda x: x.astype("f8"))
    try:
        with pytest.raises(VerifyError, match=r"broken gave float64\[3\] for %broken: f32\[3\]"):
            graph_of(lambda b, x: b.broken(x), x=tensor("f32", 3)).evaluate(x=np.ones(3, "f4"))
    finally:
        del OPS["broken"]


def test_a_failed_check_names_value_and_position():
    def make(b, x):
        return b.check(x, x > 0, message="{value} at {position} is not positive", error="value")

    graph = graph_of(make, x=tensor("i32", 2, 2))
    assert graph.evaluate(x=np.ones((2, 2), "i4")).sum() == 4
    with pytest.raises(ArgumentError, match=r"^-5 at \(1, 0\) is not positive$"):
        graph.evaluate(x=np.array([[1, 2], [-5, 0]], "i4"))


@pytest.mark.parametrize("name", ["max", "min"])
def test_extrema_of_nothing_are_an_error(name):
    graph = graph_of(lambda b, x: b.op(name, x, axes=(0,)), x=tensor("f32", "B"))
    with pytest.raises(ShapeError, match=f"{name} of an empty axis"):
        graph.evaluate(x=np.ones(0, "f4"))
    with pytest.raises(ShapeError, match="can't fold an empty axis"):
        graph_of(lambda b, x: b.op(name, x, axes=(0,)), x=tensor("f32", 0))


def test_a_symbol_that_no_input_has_is_named():
    graph = graph_of(lambda b, x: b.broadcast(x, shape=(*tensor("f32", "N").shape, 2)), x=tensor("f32", 2))
    with pytest.raises(ShapeError, match="the symbol N of the size N is in the shape of no input"):
        graph.evaluate(x=np.ones(2, "f4"))


def test_requirements_of_a_region_are_checked():
    inner = Builder("body")
    inner.output(inner.input("a", tensor("f32", "B")) + inner.input("c", tensor("f32", "C")))

    def make(b, x, y):
        return b.node(OPS["kernel"], [x, y], {"strategy": "map"}, regions=(inner.build(),)).results

    graph = graph_of(make, x=tensor("f32", "B"), y=tensor("f32", "C"))
    np.testing.assert_array_equal(graph.evaluate(x=np.ones(2, "f4"), y=np.ones(2, "f4")), [2, 2])
    with pytest.raises(ShapeError, match="B = 2 is not C = 1"):
        graph.evaluate(x=np.ones(2, "f4"), y=np.ones(1, "f4"))
