"""Views and in-place operations: each store against NumPy's, and what a program leaves in its inputs."""

import operator

import numpy as np
import pytest

from graphc.ir.evaluate import run
from graphc.npjit.log import PLACE, pick
from graphc.npjit.lookup import attr_fn, bound, method_fn, out_fn
from graphc.npjit.native import segments
from graphc.npjit.native.translate import Translator
from graphc.npjit.values import Num

T = (attr_fn("T"), (PLACE,), None)


def item(key):
    return (operator.getitem, (PLACE, key), None)


def at(fn, *args, **kwargs):
    return (fn, (PLACE, *args), kwargs or None)


I = np.array([0, 2, -1])
STORES = {
    "slice": (operator.setitem, (), (slice(1, 3), 7.0)),
    "stepped": (operator.setitem, (), (slice(None, None, -2), np.arange(6.0))),
    "row": (operator.setitem, (), (-1, np.arange(6.0))),
    "column": (operator.setitem, (), ((slice(None), 2), np.arange(5.0))),
    "element": (operator.setitem, (), ((1, 2), 9)),
    "nothing": (operator.setitem, (), (slice(3, 1), 1.0)),
    "all": (operator.setitem, (), (Ellipsis, 2)),
    "broadcast": (operator.setitem, (), (slice(0, 2), np.ones((1, 6)))),
    "through a row": (operator.setitem, (item(1),), (slice(2, 4), -1.0)),
    "through a block": (operator.imul, (item((slice(1, 4), slice(None, None, 2))),), (3,)),
    "through T": (operator.setitem, (T,), (1, np.arange(5.0))),
    "through T and a row": (operator.iadd, (T, item(2)), (np.arange(5.0),)),
    "through reshape": (operator.setitem, (at(np.reshape, (-1,)),), (slice(3, 9), 0.0)),
    "through ravel": (operator.setitem, (at(method_fn("ravel")),), (7, 1.5)),
    "through transpose": (operator.isub, (at(np.transpose, (1, 0)), item(0)), (1,)),
    "through swapaxes": (operator.isub, (at(np.swapaxes, 0, 1), item(slice(1, 2))), (1,)),
    "through a new axis": (operator.iadd, (item((slice(None), None)),), (2,)),
    "through flip": (operator.setitem, (at(np.flip, 0), item(0)), (Ellipsis, 4.0)),
    "through a reversed slice": (operator.setitem, (item(slice(None, None, -1)), item(1)), (Ellipsis, 4.0)),
    "through split": (operator.setitem, (at(np.split, 2, 1), at(pick, 1)), (Ellipsis, 5.0)),
    "through a picked row": (operator.iadd, (at(pick, 2),), (1.0,)),
    "-=": (operator.isub, (), (np.arange(6.0),)),
    "/=": (operator.itruediv, (), (3,)),
    "**=": (operator.ipow, (), (2,)),
    "@=": (operator.imatmul, (), (np.eye(6) * 2,)),
    "fill": (method_fn("fill"), (), (3,)),
    "copyto": (np.copyto, (), (1.5,)),
    "out of a ufunc": (out_fn(np.exp), (), (np.arange(30.0).reshape(5, 6) / 9,)),
    "out of clip": (out_fn(np.clip), (), (PLACE, -1, 1)),
    "mask": (operator.setitem, (), (np.arange(30).reshape(5, 6) % 3 == 0, 0)),
    "mask of rows": (operator.setitem, (), (np.arange(5) % 2 == 0, 0)),
    "integer arrays": (operator.setitem, (), ((I, I), 4.0)),
    "rows by position": (operator.setitem, (), (I, -1.0)),
    "columns by position": (operator.setitem, (), ((slice(None), I), 2)),
    "one in each row": (operator.setitem, (), ((np.arange(5), np.array([0, 1, -1, 2, 3])), np.arange(5.0))),
    "rows of values": (operator.setitem, (), (I, np.arange(18.0).reshape(3, 6))),
    "columns of values": (operator.setitem, (), ((slice(None), I), np.arange(15.0).reshape(5, 3))),
    "elements of values": (operator.setitem, (), ((I, I), np.arange(3.0))),
    "add.at": (bound(np.add, "at"), (), (np.array([0, 1, 0, -1]), np.arange(24.0).reshape(4, 6))),
    "add.at of numbers": (bound(np.add, "at"), (), ((np.array([0, 0, 4]), np.array([1, 1, 2])), 1.5)),
    "subtract.at": (bound(np.subtract, "at"), (), (np.array([0, 1, 0]), 1.5)),
    "rows of a range": (operator.setitem, (), ((range(5), I[[0, 1, 2, 0, 1]]), np.arange(5.0))),
    "add.at of columns": (bound(np.add, "at"), (), ((slice(None), np.array([0, 0, 3])), 1.0)),
}
IN_FLOAT32 = ("through reshape", "-=", "/=", "@=", "mask", "add.at", "row", "out of a ufunc")
IN_INT64 = ("rows of values", "slice", "row", "mask", "integer arrays", "through T", "fill")


def stored(log, name, dtype):
    fn, chain, args = STORES[name]
    base = log.input(np.random.default_rng(0).uniform(-9, 9, (5, 6)).astype(dtype))
    given = [log.input(a) if isinstance(a, np.ndarray) else a for a in args]
    if name == "one in each row":
        given = [(log.op(np.arange, 5), log.input(args[0][1])), log.input(args[1])]
    elif any(isinstance(a, tuple) for a in args):
        given[0] = tuple(log.input(k) if isinstance(k, np.ndarray) else k for k in args[0])
    return log.store(base, fn, *given, chain=chain)


EACH = (
    [(n, "float64") for n in STORES] + [(n, "float32") for n in IN_FLOAT32] + [(n, "int64") for n in IN_INT64]
)


@pytest.mark.parametrize(("name", "dtype"), EACH)
def test_a_store_gives_the_new_version(name, dtype, log, same):
    new = stored(log, name, dtype)
    translator = Translator(name)
    for node in log.nodes:
        translator.translate(node)
    translator.b.output(translator.output(new))
    graph = translator.b.build()
    values = {v.name: leaf.value for v, leaf in zip(graph.inputs, translator.inputs, strict=True)}
    (got,) = run(graph, values).outputs
    same(got, new.value)


def test_all_stores_by_machine_code(new_log, same):
    log = new_log()
    found = [stored(log, name, "float64") for name in STORES]
    program = segments.compile(log.nodes, found)
    assert len(program.calls) == 1
    for node, got in zip(found, program(*(x.value for x in program.leaves)), strict=True):
        same(got, node.value)


def test_inputs_that_are_written_are_written_in_place(log):
    w, g = log.input(np.arange(12.0).reshape(3, 4)), log.input(np.ones((3, 4)))
    step = log.op(operator.mul, g, 0.5)
    new = log.store(w, operator.isub, step)
    loss = log.op(np.sum, new)
    program = segments.compile(log.nodes, [loss, new], {w: new})
    array, want = w.value.copy(), new.value
    values = [array if leaf is w else leaf.value for leaf in program.leaves]
    total, result = program(*values)
    assert result is array
    np.testing.assert_array_equal(array, want)
    assert total == want.sum()
    assert program.in_place == {program.leaves.index(w)}


def test_an_input_in_column_order_is_not_written_in_place(log):
    w = log.input(np.asfortranarray(np.arange(12.0).reshape(3, 4)))
    new = log.store(w, operator.isub, log.op(operator.mul, w, 0.5))
    program = segments.compile(log.nodes, [new], {w: new})
    (result,) = program(w.value)
    np.testing.assert_array_equal(result, new.value)
    assert result is not w.value
    assert not program.in_place


def test_a_failing_index_leaves_the_inputs_alone_and_raises_as_numpy_does(log):
    w, i = log.input(np.arange(12.0).reshape(3, 4)), log.input(np.array([0, 1]))
    rows = log.op(operator.getitem, w, i)
    new = log.store(w, operator.isub, log.op(np.sum, log.op(operator.mul, rows, rows)))
    program = segments.compile(log.nodes, [new], {w: new})
    array = w.value.copy()
    values = {w: array, i: np.array([0, 7])}
    with pytest.raises(IndexError, match="index 7 is out of bounds for axis 0 with size 3"):
        program(*(values[leaf] for leaf in program.leaves))
    np.testing.assert_array_equal(array, w.value)
    values[i] = np.array([1, -3])
    (result,) = program(*(values[leaf] for leaf in program.leaves))
    assert result is array
    rows = w.value[[1, 0]]
    np.testing.assert_allclose(array, w.value - (rows * rows).sum())


def test_numbers_that_no_element_type_holds_are_numpys(log):
    w, n = log.input(np.arange(4.0)), Num(3, "n")
    new = log.store(w, operator.imul, log.op(operator.mul, log.op(operator.add, w, 1), n))
    program = segments.compile(log.nodes, [new], {w: new})
    for number in (5, 1 << 70):
        array = w.value.copy()
        (result,) = program(*(array if leaf is w else number for leaf in program.leaves))
        assert result is array
        np.testing.assert_array_equal(array, w.value * ((w.value + 1) * number))


def test_arrays_in_any_order_are_taken(log):
    x, y = log.input(np.arange(12.0).reshape(3, 4)), log.input(np.ones(4))
    total = log.op(operator.add, log.op(operator.mul, x, 2), y)
    program = segments.compile(log.nodes, [total])
    wide = np.arange(24.0).reshape(3, 8)[:, ::2]
    turned = np.asfortranarray(x.value)
    for array in (wide, turned):
        np.testing.assert_array_equal(program(array, y.value)[0], array * 2 + 1)


def test_arrays_by_columns_come_as_their_turned_views(log, same):
    w = log.input(np.asfortranarray(np.random.default_rng(0).normal(size=(5, 3))))
    x = log.input(np.random.default_rng(1).normal(size=(4, 10))[:, ::2])
    total = log.op(operator.add, log.op(operator.matmul, x, w), 1)
    program = segments.compile(log.nodes, [total])
    assert ".T" in program.source
    (call,) = program.calls
    program(x.value, w.value)  # the first call makes the frame
    call.runner.program.step = None  # the way of arguments that do not fit would need it
    same(program(x.value, w.value)[0], total.value)


def test_a_buffer_filled_by_steps_reads_what_was_stored(log, same):
    x = log.input(np.random.default_rng(0).normal(size=(6, 3)))
    h = log.op(np.zeros, (6, 3))
    for t in range(1, 6):
        before = log.op(operator.getitem, h, t - 1)
        now = log.op(np.tanh, log.op(operator.add, log.op(operator.getitem, x, t), before))
        h = log.store(h, operator.setitem, t, now)
    translator = Translator("buffer")
    for node in log.nodes:
        translator.translate(node)
    translator.b.output(translator.output(h))
    graph = translator.b.build()
    ops = [n.op.name for n in graph.nodes]
    assert ops.count("concatenate") == 1
    assert "update_slice" not in ops
    same(run(graph, {graph.inputs[0].name: x.value}).outputs[0], h.value)


def test_elements_under_a_mask_are_changed_where_they_are(log, same):
    x = log.input(np.arange(-4.0, 8.0).reshape(3, 4))
    mask = log.op(operator.gt, x, 0)
    some = log.op(operator.getitem, x, mask)
    some.meta = some.meta._replace(shape=(None,), strides=None)
    twice = log.store(some, operator.imul, 2)
    twice.meta = some.meta
    new = log.store(x, operator.setitem, mask, twice)
    total = log.op(np.sum, log.op(operator.getitem, x, mask))
    log.nodes[-2].meta = some.meta
    program = segments.compile(log.nodes, [new, total])
    assert len(program.calls) == 1
    got, sum_of = program(x.value)
    same(got, new.value)
    same(sum_of, total.value)


def test_elements_under_a_mask_that_are_wanted_are_numpys(log):
    x = log.input(np.arange(-4.0, 8.0))
    mask = log.op(operator.gt, x, 0)
    some = log.op(operator.getitem, x, mask)
    some.meta = some.meta._replace(shape=(None,), strides=None)
    more = log.op(operator.mul, log.op(np.tanh, log.op(operator.add, x, 1)), 2)
    program = segments.compile(log.nodes, [some, more])
    np.testing.assert_array_equal(program(x.value)[0], some.value)
    assert any("no one shape" in line.reason for line in program.explain())


def test_of_values_at_one_position_the_last_stays(log):
    x, i, v = log.input(np.zeros(5)), log.input(np.array([1, 3])), log.input(np.array([-0.0, np.nan]))
    new = log.store(x, operator.setitem, i, log.op(operator.mul, v, 2))
    program = segments.compile(log.nodes, [new], {x: new})
    assert len(program.calls) == 1
    for positions in ([1, 3], [2, 2], [-1, 4], [0, -5]):
        values = {x: np.ones(5), i: np.array(positions), v: np.array([-0.0, 4.0])}
        want = np.ones(5)
        want[positions] = [-0.0, 8.0]
        (result,) = program(*(values[leaf] for leaf in program.leaves))
        np.testing.assert_array_equal(result, want)
        np.testing.assert_array_equal(np.signbit(result), np.signbit(want))
        assert result is values[x]
