"""Compiled graphs from C and from a user's @njit code."""

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.ir import Builder, tensor
from graphc.ir.errors import StateError


def net():
    b = Builder("net")
    x, w = b.input("x", tensor("f32", "B", 4)), b.weight("w", tensor("f32", 4, 3))
    h = b.matmul(b.relu(b.matmul(x, w)), b.transpose(w, axes=(1, 0)))
    b.output(h, b.sum(h, axes=(0, 1)))
    b.update(w, w + 1)
    return compile(b.build()).bind([np.ones((4, 3), "f4")])


SIGNATURE = """\
int64_t net(void **inputs, int64_t *sizes, void **outputs);

argument    is
----------  --------------------------------------------------------------------------
inputs[0]   x: float[B][4]
sizes[0]    B
outputs[0]  float[B][4]
outputs[1]  float
returns     0; -1 without memory; else number of the failing kernel << 32 | its status"""


def test_the_c_function_by_its_signature():
    f, x = net(), np.ones((2, 4), "f4")
    assert str(f.signature) == SIGNATURE
    h, total = np.zeros((2, 4), "f4"), np.zeros((), "f4")
    pointer = ctypes.c_void_p
    inputs, outputs = (pointer * 1)(x.ctypes.data), (pointer * 2)(h.ctypes.data, total.ctypes.data)
    for value in (12, 48):
        assert f.ctypes(inputs, (ctypes.c_int64 * 1)(2), outputs) == 0
        np.testing.assert_array_equal(h, np.full((2, 4), value, "f4"))
        assert total == 8 * value
    assert f.address == ctypes.cast(f.ctypes, ctypes.c_void_p).value
    f.bind([np.zeros((4, 3), "f4")])
    assert f.ctypes(inputs, (ctypes.c_int64 * 1)(2), outputs) == 0
    assert total == 0


def test_inside_njit_as_a_global_and_as_a_closure_variable():
    code = """
import numpy as np, numba
import importlib.util as u, sys
s = u.spec_from_file_location('t', sys.argv[1]); m = u.module_from_spec(s); s.loader.exec_module(m)
f = m.net()
@numba.njit
def use(x):
    h, total = f(x)
    return h + 1, total
h, total = use(np.ones((3, 4), 'f4'))
assert (h == 13).all() and total == 144 and h.dtype == np.float32
def outer(g):
    @numba.njit
    def inner(x):
        return g(x)[1]
    return inner
assert outer(f)(np.ones((1, 4))) == 4 * 48
try:
    use(np.ones((3, 5), 'f4'))
except ValueError as e:
    assert str(e) == "input 'x' of net must be f32[B, 4]: axis 1 differs", e
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code, __file__], check=True)


def test_the_evaluator_has_no_address():
    b = Builder("looped")
    b.output(b.input("x", tensor("f32")))
    f = compile(b.build())
    f.fallback = "'while' runs its region a number of times"
    with pytest.raises(StateError) as caught:
        f.address  # noqa: B018
    assert str(caught.value) == "looped runs by the evaluator: 'while' runs its region a number of times"
