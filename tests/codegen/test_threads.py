"""The team of threads: same bits for any number of members, callers at the same time, errors, processes."""

import os
import threading

import numpy as np
import pytest

from graphc import codegen
from graphc.codegen import options
from graphc.codegen.target import host
from graphc.codegen.team import MOST, members, team
from graphc.ir import Builder, tensor
from graphc.ir.errors import ArgumentError, IndexRangeError

pytestmark = [
    pytest.mark.skipif(members(2, host()) == 1, reason="no team on this system"),
    pytest.mark.usefixtures("divide_everything"),
]


def built(make, *types):
    b = Builder("f")
    found = make(b, *(b.input(f"x{i}", t) for i, t in enumerate(types)))
    b.output(*(found if isinstance(found, tuple) else (found,)))
    return b.build()


def layers(b, x, w, v):
    """Products by rows and by columns, row kernels, folds over all and over columns."""
    h = b.relu(b.matmul(x, w))
    s = b.softmax(b.matmul(h, v), axis=1)
    return h, s, b.sum(s, axes=(0,)), b.mean(h, axes=(0, 1)), b.cumsum(s, axis=0)


def layer_arrays(rows):
    rng = np.random.default_rng(rows)
    return [rng.normal(size=s).astype(np.float32) for s in ((rows, 19), (19, 37), (37, 5))]


LAYERS = (layers, tensor("f32", "B", 19), tensor("f32", 19, 37), tensor("f32", 37, 5))


def same_bits(first, second):
    return all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 64, 1001])
def test_same_bits_for_any_number_of_threads(threads, rows):
    graph, arrays = built(*LAYERS), layer_arrays(rows)
    alone, together = (codegen.compile(graph, threads=t) for t in (1, threads))
    want = alone(*arrays)
    for _ in range(20):
        assert same_bits(want, together(*arrays))


def operands(shapes, dtype="f32"):
    rng = np.random.default_rng(1)
    return [rng.normal(size=s).astype({"f32": "f4", "f64": "f8"}[dtype]) for s in shapes]


def kernel_gradient(b, x, ct):
    more = {"size": (3, 3), "strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    return b.conv_weight_gradient(x, ct, **more)


KINDS = {
    "batch of products": (lambda b, x, y: b.matmul(x, y), [(7, 5, 9), (7, 9, 3)]),
    "one column": (lambda b, x, y: b.matmul(x, y), [(300, 40), (40, 1)]),
    "one row": (lambda b, x, y: b.matmul(x, y), [(1, 40), (40, 300)]),
    "sum of all": (lambda b, x: b.sum(x, axes=(0, 1)), [(300, 333)]),
    "norm of all": (lambda b, x: b.softmax(b.reshape(x, shape=(99900,)), axis=0), [(300, 333)]),
    "column statistics": (lambda b, x: x - b.mean(x, axes=(0,), keepdims=True), [(40000, 3)]),
    "row norm": (lambda b, x: b.softmax(x, axis=1), [(50, 333)]),
    "scatter": (
        lambda b, x: b.scatter_add(x, b.constant(np.arange(40) % 7, "i64"), x * 2.0, axis=0),
        [(40, 9)],
    ),
    "thin product": (lambda b, x, y: b.relu(b.matmul(x, y, transpose_a=True) + 1.0), [(9999, 5), (9999, 7)]),
    "kernel gradient": (kernel_gradient, [(40, 17, 17, 3), (40, 17, 17, 5)]),
    "join": (lambda b, x, y: b.concatenate(x, y, axis=1), [(31, 5), (31, 8)]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_each_kind_of_kernel_is_the_same_when_divided(kind, dtype):
    make, shapes = KINDS[kind]
    graph, arrays = built(make, *(tensor(dtype, *s) for s in shapes)), operands(shapes, dtype)
    found = [codegen.compile(graph, threads=t)(*arrays) for t in (1, 2, 3, 5)]
    assert all(same_bits((found[0],), (x,)) for x in found[1:])
    want = graph.evaluate(**{f"x{i}": x for i, x in enumerate(arrays)})
    np.testing.assert_allclose(found[0], want, rtol=1e-4, atol=1e-4)


def lookup(b, x, i):
    return b.gather(x, i, axis=0) * 2.0


def test_an_error_is_raised_once_and_names_the_first_element_whoever_finds_it():
    graph = built(lookup, tensor("f32", 10, 3), tensor("i64", "B"))
    x, wrong = np.ones((10, 3), np.float32), np.zeros(1000, np.int64)
    wrong[[3, 700, 999]] = 10, 11, 12
    told = []
    for threads in (1, 2, 3):
        f = codegen.compile(graph, threads=threads)
        with pytest.raises(IndexRangeError) as caught:
            f(x, wrong)
        told.append(str(caught.value))
        np.testing.assert_array_equal(f(x, wrong % 10), x[wrong % 10] * 2)
    assert told[0] == told[1] == told[2]


def test_a_failed_call_changes_no_weight():
    b = Builder("f")
    x, i = b.input("x", tensor("f32", 10, 3)), b.input("i", tensor("i64", "B"))
    w = b.weight("w", tensor("f32", 10, 3), path="w")
    b.update(w, w + x)
    b.output(b.sum(b.gather(w, i, axis=0), axes=(0, 1)))
    f = codegen.compile(b.build(), threads=3)
    weight, ones = np.zeros((10, 3), np.float32), np.ones((10, 3), np.float32)
    f.bind([weight])
    indices = np.arange(600) % 10
    f(ones, indices)
    with pytest.raises(IndexRangeError):
        f(ones, np.where(indices == 9, 99, indices))
    np.testing.assert_array_equal(f.weights[0], ones)


def test_callers_at_the_same_time_do_not_meet():
    f = codegen.compile(built(*LAYERS), threads=2)
    cases = [layer_arrays(rows) for rows in (5, 64, 200, 333)]
    want, wrong = [f(*arrays) for arrays in cases], []

    def call(k):
        for _ in range(50):
            if not same_bits(want[k], f(*cases[k])):
                wrong.append(k)

    callers = [threading.Thread(target=call, args=(k,)) for k in range(len(cases))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_a_child_process_has_a_team_of_its_own():
    f, arrays = codegen.compile(built(*LAYERS), threads=3), layer_arrays(100)
    want = f(*arrays)
    child = os.fork()
    if child == 0:
        fine = False
        try:
            fine = team().workers == 0 and same_bits(want, f(*arrays)) and team().workers > 0
        finally:
            os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert same_bits(want, f(*arrays))


def test_workers_wake_when_they_have_slept():
    f, arrays = codegen.compile(built(*LAYERS), threads=2), layer_arrays(100)
    want = f(*arrays)
    threading.Event().wait(0.2)
    assert same_bits(want, f(*arrays))


def test_more_threads_than_a_team_may_have():
    assert members(1000, host()) == MOST
    f, arrays = codegen.compile(built(*LAYERS), threads=1000), layer_arrays(70)
    assert same_bits(codegen.compile(built(*LAYERS))(*arrays), f(*arrays))


def test_a_small_step_does_not_call_the_team():
    f, arrays = codegen.compile(built(*LAYERS), threads=9), layer_arrays(2)
    team().grain = 1 << 50
    before = team().workers
    f(*arrays)
    assert team().workers == before


def test_threads_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("GRAPHC_THREADS", "3")
    assert options.resolve().threads == 3
    assert options.resolve(threads=2).threads == 2
    monkeypatch.setenv("GRAPHC_THREADS", "0")
    with pytest.raises(ArgumentError, match="GRAPHC_THREADS=0 is not possible"):
        options.resolve()
