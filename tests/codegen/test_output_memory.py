"""The memory of large outputs: used again when nobody has them any more, never before."""

import gc
import weakref

import numpy as np
import pytest

from graphc import codegen
from graphc.codegen.call_entry import LARGE
from graphc.ir import Builder, tensor

N = LARGE // 4


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture(scope="module")
def doubled():
    b = Builder("doubled")
    x = b.input("x", tensor("f32", "N"))
    b.output(x + x, x * 3)
    return codegen.compile(b.build(), backend="llvm")


def numbers(n=N, value=1.0):
    return np.full(n, value, "f4")


def test_results_that_are_kept_are_never_written_again(doubled):
    kept = [doubled(numbers(value=i)) for i in range(6)]
    for i, (two, three) in enumerate(kept):
        assert (two == 2 * i).all()
        assert (three == 3 * i).all()
    assert len({address(a) for pair in kept for a in pair}) == 12


@pytest.mark.parametrize(
    "keep",
    [lambda a: a[5:], memoryview, lambda a: a.reshape(2, -1).T, lambda a: a.base],
    ids=["view", "buffer", "turned", "base"],
)
def test_whatever_refers_to_a_result_keeps_it(doubled, keep):
    kept = keep(doubled(numbers(value=7))[0])
    before = bytes(kept)
    for i in range(4):
        doubled(numbers(value=i))
    assert bytes(kept) == before


def test_a_loop_that_drops_its_results_needs_two_memories(doubled):
    found = set()
    for _ in range(10):
        result = doubled(numbers())[0]
        found.add(address(result))
    assert len(found) <= 3
    assert result.flags.writeable
    assert address(result) % 64 == 0


def test_a_result_may_be_the_next_argument(doubled):
    x = numbers()
    for _ in range(12):
        x = doubled(x)[0]
    assert (x == 4096).all()


def test_other_sizes_have_memory_of_their_own(doubled):
    for n in (N, N + 1, 3, 0, N, 2 * N, N + 1):
        two, three = doubled(numbers(n))
        assert two.shape == three.shape == (n,)
        assert (two == 2).all()
        assert (three == 3).all()


def test_a_function_that_is_gone_leaves_no_memory_behind():
    b = Builder("gone")
    x = b.input("x", tensor("f32", N))
    b.output(x + x)
    f = codegen.compile(b.build(), backend="llvm", cache=False)
    f(numbers())
    result = f(numbers())
    memory = weakref.ref(result.base)
    del f, result
    gc.collect()
    assert memory() is None
