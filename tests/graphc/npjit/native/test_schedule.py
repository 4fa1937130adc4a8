"""What is native, what stays NumPy's, and in which order."""

import gc
import operator
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from graphc.npjit.lookup import method_fn
from graphc.npjit.native import segments
from graphc.npjit.native.schedule import ROUNDING, schedule


def values_of(program):
    return [leaf.value for leaf in program.leaves]


def test_native_runs_and_numpy_calls_take_turns(log, same):
    x = log.input(np.random.default_rng(0).normal(size=(4, 4)))
    y = log.op(np.tanh, log.op(operator.mul, x, 2))
    inverse = log.op(np.linalg.inv, y)
    z = log.op(np.sum, log.op(operator.mul, inverse, y), axis=0)
    program = segments.compile(log.nodes, [z, y])
    assert [(line.native, line.reason) for line in program.explain()] == [
        (True, ""),
        (False, "inv has no translation"),
        (True, ""),
    ]
    for got, node in zip(program(*values_of(program)), (z, y), strict=True):
        same(got, node.value)


def test_what_needs_nothing_native_comes_first(log):
    x = log.input(np.random.default_rng(0).normal(size=(4, 4)))
    source = np.random.RandomState(3)
    draws = [log.op(method_fn("normal"), source, size=(4, 4), impure=True) for _ in range(2)]
    first = log.op(operator.add, log.op(operator.mul, x, 2), draws[0])
    last = log.op(operator.sub, first, draws[1])
    steps = schedule(log.nodes, [last], "draws").steps
    assert [s.native for s in steps if len(s.nodes) > 1] == [False, True]
    assert [n for s in steps for n in s.nodes if n.impure] == draws


def test_programs_are_shared_by_logs_of_one_structure(new_log):
    programs = []
    for shape in ((3, 4), (3, 4), (5, 4)):
        log = new_log()
        x = log.input(np.ones(shape))
        programs.append(segments.compile(log.nodes, [log.op(operator.add, log.op(np.exp, x), 1.5)]))
        assert programs[-1](np.zeros(shape))[0][0, 0] == 2.5
    assert programs[0].run is programs[1].run
    assert programs[0].run is not programs[2].run


def test_remembered_programs_keep_no_array_of_a_call(new_log):
    log = new_log()
    array = np.ones((7, 3))
    seen = weakref.ref(array)
    program = segments.compile(log.nodes, [log.op(operator.add, log.op(np.exp, log.input(array)), 2.5)])
    run = program.run
    del log, program, array
    gc.collect()
    assert seen() is None
    assert run(np.zeros((7, 3)))[0][0, 0] == 3.5


def test_threads_write_arrays_of_their_own(log):
    w, x = log.input(np.zeros((64, 64))), log.input(np.ones((64, 64)))
    new = log.store(w, operator.iadd, log.op(operator.mul, log.op(np.tanh, x), 2))
    program = segments.compile(log.nodes, [new], {w: new})

    def work(number):
        own, add = np.zeros((64, 64)), np.full((64, 64), float(number))
        for _ in range(50):
            program(*(own if leaf is w else add for leaf in program.leaves))
        return own

    with ThreadPoolExecutor(4) as pool:
        for number, result in enumerate(pool.map(work, range(4))):
            np.testing.assert_allclose(result, 100 * np.tanh(number), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_of_float32_that_float64_shows_is_numpys(dtype, log):
    x = log.input(np.random.default_rng(0).normal(size=(8, 3)).astype(dtype))
    total = log.op(method_fn("sum"), log.op(operator.mul, x, x))
    shown = log.op(operator.mul, total, np.float64(2.5))
    reasons = schedule(log.nodes, [shown], "shown").reasons
    assert (reasons.get(total) == ROUNDING) == (dtype == "float32")
    assert ROUNDING not in schedule(log.nodes, [total], "shown").reasons.values()
    program = segments.compile(log.nodes, [shown])
    assert program(*values_of(program))[0] == pytest.approx(shown.value, rel=1e-15)


def test_little_work_stays_numpys(log):
    x = log.input(np.ones(3))
    program = segments.compile(log.nodes, [log.op(operator.add, x, 1)])
    assert not program.calls
    assert [line.reason for line in program.explain()] == ["too little work for a native call"]
    assert program(np.zeros(3))[0].tolist() == [1, 1, 1]


def test_large_graphs_are_cut(log, same, monkeypatch):
    monkeypatch.setattr(segments, "MOST_NODES", 40)
    x = y = log.input(np.linspace(0, 1, 3000))
    for i in range(20):
        y = log.op(np.sin, log.op(operator.add, y, i)) if i % 3 else log.op(operator.mul, y, x)
    program = segments.compile(log.nodes, [y], name="cut")
    assert len(program.calls) > 1
    same(program(x.value)[0], y.value)
    monkeypatch.setattr(segments, "MOST_NODES", 12)
    program = segments.compile([*log.nodes, log.op(np.cos, y)], [y], name="not_cut")
    assert not program.calls
    assert {line.reason for line in program.explain()} == {"too many operations to compile"}
    same(program(x.value)[0], y.value)


def test_the_backend_reference_compiles_nothing(log, same):
    from graphc.codegen.options import resolve

    x = log.input(np.ones((3, 4)))
    y = log.op(np.exp, log.op(operator.add, x, 1))
    program = segments.compile(log.nodes, [y], options=resolve("reference"))
    assert not program.calls
    same(program(x.value)[0], y.value)


def test_results_are_of_numpys_classes(log, same):
    x = log.input(np.arange(6.0))
    total = log.op(np.sum, log.op(operator.mul, x, 3))
    number = log.op(float, total)
    nothing = log.op(np.asarray, total)
    program = segments.compile(log.nodes, [total, number, nothing])
    for got, node in zip(program(x.value), (total, number, nothing), strict=True):
        same(got, node.value)


def test_python_numbers_are_added_up(log, same):
    x = log.input(np.arange(6.0))
    total = log.op(operator.add, 0, log.op(float, log.op(np.sum, log.op(operator.mul, x, 3))))
    total = log.op(operator.truediv, log.op(operator.add, total, log.op(float, log.op(np.max, x))), 4)
    place = log.op(int, log.op(np.argmax, log.op(operator.mul, x, -1)))
    program = segments.compile(log.nodes, [total, place])
    assert not any(line.reason for line in program.explain())
    for got, node in zip(program(x.value), (total, place), strict=True):
        same(got, node.value)


def test_python_numbers_whose_errors_are_pythons_stay_pythons(log):
    x = log.input(np.zeros(3))
    a, b = (log.op(float, log.op(np.sum, log.op(operator.add, x, i))) for i in (0, 1))
    ratio = log.op(operator.truediv, a, b)
    program = segments.compile(log.nodes, [ratio])
    assert "arithmetic of Python numbers" in [line.reason for line in program.explain()]
    assert program(np.zeros(3)) == (0.0,)
    with pytest.raises(ZeroDivisionError):
        program(np.full(3, -1.0))
