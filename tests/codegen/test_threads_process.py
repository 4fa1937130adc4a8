"""Teams and their process: Ctrl-C during a long call, and the end of the interpreter."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from graphc import codegen
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
print("done")
"""


@pytest.mark.parametrize("workers", ["waiting", "sleeping", "calling"])
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


def call_until(interrupt, f, x):
    interrupt.start()
    for _ in range(200):
        f(x)
