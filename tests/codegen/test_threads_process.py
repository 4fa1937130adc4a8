"""Teams and their process: Ctrl-C in a long call, children, few processors, the end of the interpreter."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import graphc
from graphc import codegen
from graphc.codegen.custom import array_op
from graphc.codegen.target import host
from graphc.codegen.team import members
from graphc.ir import Builder, tensor

pytestmark = pytest.mark.skipif(members(2, host()) == 1, reason="no team on this system")

PROGRAM = """
import sys, threading, time
import numpy as np
from graphc import codegen
from graphc.ir import Builder, tensor

b = Builder("f")
x = b.input("x", tensor("f32", "N", "N"))
b.output(b.matmul(x, x))
f = codegen.compile(b.build(), threads=3)
x = np.ones((300, 300), np.float32)
assert f(x)[0, 0] == 300
if sys.argv[1] == "sleeping":
    time.sleep(0.1)
if sys.argv[1] == "calling":
    def forever():
        while True:
            f(x)
    for _ in range(2):
        threading.Thread(target=forever, daemon=True).start()
    time.sleep(0.1)
if sys.argv[1] == "pinned":
    import os
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    assert all(f(x)[299, 0] == 300 for _ in range(5))
print("done")
"""


@pytest.mark.parametrize("workers", ["waiting", "sleeping", "calling", "pinned"])
def test_the_interpreter_ends_whatever_workers_do(workers):
    command = [sys.executable, "-c", PROGRAM, workers]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.fixture
def interruptible():
    """Ctrl-C raises, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_during_a_long_call_is_raised_after_it_and_breaks_nothing():
    b = Builder("f")
    x = b.input("x", tensor("f64", "N", "N"))
    b.output(b.matmul(x, x))
    f, x = codegen.compile(b.build(), threads=2), np.ones((1400, 1400))
    f(np.ones((3, 3)))
    interrupt = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        call_until(interrupt, f, x)
    interrupt.join()
    np.testing.assert_array_equal(f(np.ones((5, 5))), np.full((5, 5), 5.0))


def counting():
    """A step of two threads that adds 1 to a large weight, and the weight."""
    b = Builder("f")
    w = b.weight("w", tensor("f64", 4_000_000), path="w")
    x = b.input("x", tensor("f64", 4_000_000))
    b.update(w, w + x)
    b.output(b.sum(x, axes=(0,)))
    f, weight = codegen.compile(b.build(), threads=2), np.zeros(4_000_000)
    f.bind([weight])
    return f, weight, np.ones(4_000_000)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_leaves_weights_of_a_whole_number_of_steps():
    f, weight, ones = counting()
    for delay in (0.003, 0.01, 0.03):
        interrupt = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            call_until(interrupt, f, ones)
        interrupt.join()
        assert np.ptp(weight) == 0
    before = weight[0]
    f(ones)
    assert weight[0] == before + 1


def squaring(k=1):
    b = Builder(f"f{k}")
    x = b.input("x", tensor("f32", "N", "N"))
    b.output(b.matmul(x, x) * k)
    return codegen.compile(b.build(), threads=2, cache=False)


def calling():
    """Calls of a function, and what a child does: the same from two threads."""
    f, x = squaring(), np.ones((150, 150), np.float32)

    def child():
        same = []
        callers = [threading.Thread(target=lambda: same.append(np.ptp(f(x)) == 0)) for _ in range(2)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        return same == [True, True]

    f(x)
    return lambda: f(x), child


def training():
    """Steps that change weights, which take turns; a child goes on with the weights that it finds."""
    f, weight, ones = counting()

    def child():
        f(ones)
        before = weight.copy()
        f(ones)
        return np.array_equal(weight, before + 1)

    return lambda: f(ones), child


def recording():
    """Recordings of new functions, which take turns; a child records one, and compiles it."""
    x = np.ones(300)

    def record():
        return all(graphc.jit(lambda x: np.tanh(x * 2).sum())(x) > 200 for _ in range(4))

    def child():
        squaring(2)(np.ones((3, 3), np.float32))
        return record()

    record()
    return record, child


@pytest.mark.parametrize("work", [calling, training, recording])
def test_children_that_are_forked_while_a_thread_works(work):
    (turn, in_child), over = work(), threading.Event()

    def forever():
        while not over.is_set():
            turn()

    thread = threading.Thread(target=forever)
    thread.start()
    fork = multiprocessing.get_context("fork")
    try:
        for _ in range(4):
            child = fork.Process(target=lambda: os._exit(0 if in_child() else 1))
            child.start()
            child.join(60)
            assert child.exitcode == 0
    finally:
        over.set()
        thread.join()


def test_calls_inside_of_what_a_call_runs():
    inner_graph = Builder("inner")
    x = inner_graph.input("x", tensor("f32", "N", "N"))
    inner_graph.output(inner_graph.matmul(x, x))
    inner = codegen.compile(inner_graph.build(), threads=2)
    b = Builder("outer")
    x = b.input("x", tensor("f32", 200, 200))
    b.output(b.matmul(b.op(array_op(lambda x: inner(x), lambda t: t), b.matmul(x, x)), x))
    outer, ones = codegen.compile(b.build(), threads=2), np.eye(200, dtype=np.float32) * 2
    for _ in range(3):
        np.testing.assert_array_equal(outer(ones), np.eye(200, dtype=np.float32) * 32)


def call_until(interrupt, f, x):
    interrupt.start()
    for _ in range(200):
        f(x)
