"""Maps with conditions on their counts: loops of their own for the inside and for each border."""

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.boxes import boxes
from graphc.codegen.loops import Load, Nest, Stage
from graphc.ir import Builder, tensor
from graphc.ir.evaluate import run

PLAIN = {"strides": (1, 1), "padding": ((1, 1), (1, 1))}


def compiled(make, shapes, backend="llvm"):
    b = Builder("f")
    b.output(make(b, *(b.input(f"x{i}", tensor("f32", *s)) for i, s in enumerate(shapes))))
    return compile(b.build(), backend=backend, cache=False)


def nests(f):
    return [p for k in f.lowered.kernels for p in k.kernel.parts if isinstance(p, Nest)]


def conditions(f):
    return sum(isinstance(i, Load) and i.when is not None for n in nests(f) for s in n.stages for i in s.body)


def max_pool(size, padding):
    attributes = {"size": (size, size), "strides": (1, 1), "padding": ((padding, padding),) * 2}
    return lambda b, x: b.max_pool(x, **attributes)


def depthwise(b, x, kernel):
    return b.conv(x, kernel, size=(3, 3), dilation=(1, 1), groups=x.shape[-1], **PLAIN)


def upsampled_gradient(b, ct):
    attributes = {"size": (3, 3), "strides": (2, 2), "padding": ((1, 0), (1, 1))}
    return b.average_pool_gradient(ct, sizes=(14, 15), **attributes)


CASES = {
    "max pool": (max_pool(3, 1), [(2, 15, 9, 19)], 9, 0),
    "large windows keep conditions at the border": (max_pool(5, 2), [(2, 13, 14, 16)], 9, 1),
    "depthwise": (depthwise, [("B", 8, 17, 33), (3, 3, 1, 33)], 9, 0),
    "phases": (upsampled_gradient, [(3, 7, 8, 36)], 9, 0),
    "a pad of few channels": (
        lambda b, x: b.pad(x, low=(0, 2, 1, 0), high=(0, 1, 3, 0), value=2.0) * 3.0,
        [("B", 32, 31, 3)],
        9,
        0,
    ),
    "a concatenation of rows": (
        lambda b, x, y: b.concatenate(b.tanh(x), y, axis=1) + 1.0,
        [(2, 9, 200), (2, 4, 200)],
        3,
        0,
    ),
    "few elements": (max_pool(3, 1), [(1, 5, 5, 3)], 1, 8),
    "unknown sizes": (max_pool(3, 1), [(9, "H", "W", 32)], 1, 8),
}
SIZES = {"B": 3, "H": 6, "W": 7}


@pytest.mark.parametrize(
    ("case", "backend"), [*((case, "llvm") for case in CASES), ("depthwise", "numba"), ("phases", "numba")]
)
def test_values_and_loops(case, backend):
    make, shapes, count, least = CASES[case]
    f = compiled(make, shapes, backend)
    assert len(nests(f)) == count
    assert (conditions(f) == 0) if least == 0 else (conditions(f) >= least)
    rng = np.random.default_rng(1)
    given = [rng.normal(size=[SIZES.get(d, d) for d in s]).astype("f4") for s in shapes]
    given[0].reshape(-1)[[0, 7, -1]] = np.nan, np.inf, np.nan
    names = [p.name for p in f.parameters.inputs]
    (want,) = run(f.graph, dict(zip(names, given))).outputs
    np.testing.assert_allclose(f(*given), want, rtol=1e-6, atol=1e-6)


def test_where_boxes_lie():
    nest = Nest((), (Stage((), ()),))
    found = boxes((2, 100, 64), {1: {1, 99, 0, 100, -3}}, [(0, 64)], nest)
    assert found == [((0, 2), r, (0, 64)) for r in ((0, 1), (1, 98), (99, 1))]
    many = {0: {1, 2, 98, 99}, 1: {1, 2, 98, 99}}
    found = boxes((100, 100, 64), many, [(0, 64)], nest)
    assert [box[1] for box in found[:3]] == [(0, 2), (2, 96), (98, 2)]
    assert len(found) == 9
    found = boxes((100, 100, 100, 64), many | {2: {1, 99}}, [(0, 32), (32, 64)], nest)
    assert {box[0] for box in found} == {(0, 100)}
    assert len(found) == 2 * 3
    assert boxes((2, 3, 4), {1: {1}}, [(0, 4)], nest) == [((0, 2), (0, 3), (0, 4))]


MOVES = {
    "columns as rows": (lambda b, x: b.transpose(x, axes=(1, 0)) + 1, (67, 45), "f32"),
    "channels last": (lambda b, x: b.transpose(x, axes=(0, 2, 3, 1)), (2, 19, 9, 7), "f64"),
    "three channels last": (lambda b, x: b.transpose(x, axes=(0, 2, 3, 1)), (2, 3, 5, 7), "f32"),
    "channels first": (lambda b, x: b.transpose(x, axes=(0, 3, 1, 2)), (3, 5, 7, 33), "i32"),
    "pairs": (lambda b, x: b.transpose(x, axes=(2, 1, 0)), (40, 3, 2), "bool"),
    "backwards": (lambda b, x: b.reverse(x, axes=(0, 1)), (5, 61), "f32"),
    "bytes backwards": (lambda b, x: b.reverse(x, axes=(1,)), (3, 77), "i8"),
    "bools backwards": (lambda b, x: b.reverse(x, axes=(0,)), (99,), "bool"),
    "sums of rows backwards": (lambda b, x: b.sum(b.reverse(x, axes=(1,)) * x, axes=(1,)), (3, 77), "i64"),
}


@pytest.mark.parametrize(("case", "threads"), [*((case, 1) for case in MOVES), ("columns as rows", 3)])
def test_other_orders(case, threads):
    make, shape, dtype = MOVES[case]
    b = Builder("f")
    b.output(make(b, b.input("x", tensor(dtype, *shape))))
    graph = b.build()
    x = np.random.default_rng(0).integers(-9, 9, shape).astype(graph.inputs[0].type.dtype.numpy)
    (want,) = run(graph, {"x": x}).outputs
    np.testing.assert_array_equal(compile(graph, cache=False, threads=threads)(x), want)


def test_lines_of_memory_are_used_whole():
    f = compiled(lambda b, x: b.transpose(x, axes=(1, 0)), [(300, 1001)])
    loads = [[i for s in n.stages for i in s.body if isinstance(i, Load)] for n in nests(f)]
    assert [len(found) for found in loads] == [8, 1]
    g = compiled(lambda b, x: b.transpose(x, axes=(0, 2, 1)), [(2, 3, 1000)])
    (nest,) = nests(g)
    assert [a.extent for s in nest.stages for a in (*nest.outer, *s.axes) if a.name == nest.lane] == [1000]
