"""Views inside kernels, one through the other, are index arithmetic: nothing is copied, and nothing outside
an array is read.
"""

import numpy as np
import pytest

from graphc.ir import symbol, tensor


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def pad_of_part(b, x):
    part = b.slice(x, start=(5, 1), stop=(-1, 7), step=(-2, 3))
    return b.exp(b.pad(part, low=(2, 0), high=(1, 3), value=-1.5))


def parts_of_joined(b, x, y):
    joined = b.concatenate(x, b.transpose(y, axes=(1, 0)), x, axis=0)
    return b.slice(joined, start=(4, 0), stop=(15, 7), step=(3, 1)) + 1


def pad_of_joined_of_pad(b, x):
    inner = b.pad(x, low=(1, 0), high=(0, 2), value=3.0)
    return b.pad(
        b.concatenate(inner, b.reverse(inner, axes=(0, 1)), axis=1), low=(0, 1), high=(2, 0), value=0.5
    )


def table_of_parts(b, x):
    table = b.constant(np.arange(21, dtype="f4").reshape(3, 7))
    return b.slice(table, start=(0, 0), stop=(2, 7), step=(1, 1)) * b.slice(
        x, start=(1, 0), stop=(3, 7), step=(1, 1)
    )


CASES = {
    "pad of part": (pad_of_part, [(6, 7)]),
    "parts of joined": (parts_of_joined, [(6, 7), (7, 4)]),
    "pad of joined": (pad_of_joined_of_pad, [(6, 7)]),
    "turned sum": (lambda b, x, y: b.transpose(x, axes=(2, 0, 1)) + y, [(3, 4, 5), (5, 3, 4)]),
    "column of rows": (lambda b, x, y: b.broadcast(x, shape=(4, 5, 6)) * y, [(5, 1), (4, 1, 6)]),
    "table": (table_of_parts, [(6, 7)]),
    "counters": (lambda b, x: x * b.iota(shape=(6, 7), axis=1, dtype=x.dtype), [(6, 7)]),
    "empty part": (lambda b, x: b.slice(x, start=(2, 0), stop=(2, 7), step=(1, 1)) * 2, [(6, 7)]),
    "one element": (lambda b, x: b.slice(x, start=(2, 3), stop=(3, 4), step=(1, 1)) * 2, [(6, 7)]),
}


@pytest.mark.parametrize("name", CASES)
def test_views_of_views(lab, name):
    make, shapes = CASES[name]
    arrays = [_normal(*s, seed=i) for i, s in enumerate(shapes)]
    types = [tensor("f32", *s) for s in shapes]
    kernel, region = lab.kernel(make, types)
    case = lab.running(kernel, region, arrays)
    assert case.native(lab.load([kernel])) == 0
    lab.check(case.outputs[0], case.want[0])
    case.outputs[0][...] = 9
    assert case.interpreted() == 0  # which checks every access
    lab.check(case.outputs[0], case.want[0])


def test_sizes_may_be_quotients(lab):
    size = symbol("A")

    def make(b, x):
        middle = b.slice(x, start=(size // 4, 0), stop=(size // 2, 6), step=(1, 1)) * (size // 2)
        return b.concatenate(middle, b.pad(x, low=(1, 0), high=(size // 3, 0), value=1.0), axis=0)

    got, want = lab.run(make, [tensor("f32", size, 6)], [_normal(13, 6)], {"A": 13})
    lab.check(got[0], want[0])


def test_gather_through_views(lab):
    def make(b, x, i):
        rows = b.gather(b.transpose(x, axes=(1, 0)), i, axis=0)
        return b.pad(rows, low=(1, 0), high=(0, 0), value=0.0)

    arrays = [_normal(5, 9), np.array([8, -1, 0, -9])]
    got, want = lab.run(make, [tensor("f32", 5, 9), tensor("i64", "B")], arrays, {"B": 4})
    lab.check(got[0], want[0])


@pytest.mark.parametrize("index", [9, -10, 2**40])
def test_an_index_out_of_range_is_a_status(lab, index):
    kernel, region = lab.kernel(
        lambda b, x, i: b.gather(x, i, axis=0), [tensor("f32", 9, 5), tensor("i64", "B")]
    )
    assert kernel.failures[0].error == "index"
    arrays = [_normal(9, 5), np.array([0, index, 1])]
    case = lab.running(kernel, region, arrays, {"B": 3}, evaluated=False)
    assert case.native(lab.load([kernel])) == case.interpreted() == 1


def test_a_contiguous_kernel_is_one_loop(lab):
    kernel, _ = lab.kernel(lambda b, x, y: x * y, [tensor("f32", "A", 3, "B")] * 2)
    (nest,) = kernel.parts
    assert str(nest.outer[0].extent) == "3*A*B"
    assert len(nest.outer) == 1
    assert nest.stages[0].axes == ()


def test_a_kernel_prints_as_text(lab):
    def make(b, x, y):
        return b.maximum(x * 2, y)

    kernel, _ = lab.kernel(make, [tensor("f32", "B", 10), tensor("f32", 10)])
    assert str(kernel) == (
        "kernel @k(%a0: f32[10*B], %a1: f32[10], out %out0: f32[10*B])\n"
        "  nest i0 < B : lane = i1\n"
        "    %c : f32 = 2.0\n"
        "    stage i1 < 10\n"
        "      %a0.1 : f32 = load %a0[10*i0 + i1]\n"
        "      %multiply : f32 = multiply %a0.1, %c\n"
        "      %a1.1 : f32 = load %a1[i1]\n"
        "      %maximum : f32 = maximum %multiply, %a1.1\n"
        "      store %maximum -> %out0[10*i0 + i1]"
    )


def test_long_chains_do_not_exhaust_the_stack(lab):
    def make(b, x):
        for _ in range(2000):
            x = x + 1
        return x, b.sum(x, axes=(0,))

    got, want = lab.run(make, [tensor("f64", "B")], [np.zeros(5)], {"B": 5})
    for a, b in zip(got, want):
        lab.check(a, b)


@pytest.mark.parametrize("seed", range(12))
def test_random_compositions(lab, seed):
    rng = np.random.default_rng(seed)

    def make(b, x):
        for _ in range(6):
            x = _step(b, rng, x)
        return x

    kernel, region = lab.kernel(make, [tensor("f32", 4, 6)])
    case = lab.running(kernel, region, [_normal(4, 6, seed=seed)])
    assert case.native(lab.load([kernel])) == 0
    lab.check(case.outputs[0], case.want[0], near_zero=64)


def _step(b, rng, x):
    rows, columns = x.shape
    choice = rng.integers(6)
    if choice == 0:
        return b.transpose(x, axes=(1, 0)) * 1.5
    if choice == 1:
        return b.pad(x, low=(1, 0), high=(0, 2), value=0.25)
    if choice == 2 and rows > 1 and columns > 2:
        return b.slice(x, start=(rows - 1, 1), stop=(0, columns), step=(-1, 2))
    if choice == 3:
        return b.concatenate(x, b.sin(x), axis=int(rng.integers(2)))
    if choice == 4:
        return b.reverse(x, axes=(int(rng.integers(2)),)) + b.slice(
            x, start=(0, 0), stop=(rows, 1), step=(1, 1)
        )
    return b.abs(x) - 0.5
