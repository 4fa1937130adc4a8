"""Products with what follows them: biases, activations, gradients, updates in place, and reductions beside
them.
"""

import numpy as np
import pytest

from graphc.codegen.loops import Nest, Product
from graphc.ir import tensor


def _normal(*shape, dtype="f4", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def _operands(shapes, dtype="f4"):
    return [_normal(*s, dtype=dtype, seed=i) for i, s in enumerate(shapes)]


def relu_gradient(b, d, w, h):
    return b.select(h > 0, b.matmul(d, w, transpose_b=True), 0)


def sgd(b, x, d, w, rate):
    return w - b.matmul(x, d, transpose_a=True) * rate


def adam(b, x, d, w, m, v, rate):
    g = b.matmul(x, d, transpose_a=True)
    m, v = m * 0.9 + g * 0.1, v * 0.999 + g * g * 0.001
    return w - rate * m / (b.sqrt(v) + 1e-7), m, v, b.sum(d, axes=(0,))


CASES = {
    "plain": (lambda b, x, w: b.matmul(x, w), [(9, 5), (5, 7)]),
    "bias": (lambda b, x, w, c: b.matmul(x, w) + c, [(9, 5), (5, 37), (37,)]),
    "dense": (lambda b, x, w, c: b.relu(b.matmul(x, w) + c), [(9, 5), (5, 37), (37,)]),
    "one column": (lambda b, x, w, c: b.tanh(b.matmul(x, w) + c), [(9, 5), (5, 1), (1,)]),
    "one row": (lambda b, x, w, c: b.tanh(b.matmul(x, w) + c), [(1, 50), (50, 33), (33,)]),
    "residual": (lambda b, x, w, c: b.matmul(x, w) + c, [(9, 5), (5, 7), (9, 7)]),
    "tanh": (lambda b, x, w, c: b.tanh(b.matmul(x, w) + c), [(9, 5), (5, 37), (37,)]),
    "two outputs": (lambda b, x, w: (b.matmul(x, w), b.exp(b.matmul(x, w))), [(9, 5), (5, 37)]),
    "column factor": (lambda b, x, w, c: b.matmul(x, w) * c, [(9, 5), (5, 37), (9, 1)]),
    "relu gradient": (relu_gradient, [(9, 5), (37, 5), (9, 37)]),
    "sgd": (sgd, [(9, 5), (9, 37), (5, 37), ()]),
    "adam": (adam, [(30, 15), (30, 17), (15, 17), (15, 17), (15, 17), ()]),
    "adam of a column": (adam, [(30, 65), (30, 1), (65, 1), (65, 1), (65, 1), ()]),
    "adam of one weight": (adam, [(30, 1), (30, 1), (1, 1), (1, 1), (1, 1), ()]),
    "sgd of a column": (sgd, [(9, 33), (9, 1), (33, 1), ()]),
    "turned column": (lambda b, x, w: b.matmul(x, w, transpose_a=True), [(5, 9), (5, 1)]),
    "both turned column": (
        lambda b, x, w, c: b.tanh(b.matmul(x, w, transpose_a=True, transpose_b=True) + c),
        [(5, 19), (1, 5), (1,)],
    ),
    "turned column with a row": (
        lambda b, x, w, c: b.matmul(x, w, transpose_a=True) + c,
        [(5, 19), (5, 1), (1,)],
    ),
    "turned column and residual": (
        lambda b, x, w, c: b.relu(b.matmul(x, w, transpose_a=True) + c),
        [(5, 19), (5, 1), (19, 1)],
    ),
    "turned column in a batch": (
        lambda b, x, w: b.tanh(b.matmul(x, w, transpose_a=True)),
        [(2, 5, 19), (2, 5, 1)],
    ),
    "shared number in a batch": (
        lambda b, x, w, r: b.tanh(b.matmul(x, w)) * b.sqrt(r * r + 1.0),
        [(2, 9, 5), (2, 5, 19), ()],
    ),
    "large tiles": (lambda b, x, w, r: b.tanh(b.matmul(x, w)) * b.exp(r), [(90, 5), (5, 91), ()]),
    "batch": (lambda b, x, w: b.matmul(x, w), [(2, 1, 3, 5), (4, 5, 2)]),
    "batch by rows": (lambda b, x, w, c: b.exp(b.matmul(x, w) + c), [(2, 4, 3, 5), (5, 2), (4, 1, 1)]),
    "batch and tile": (lambda b, x, w, c: b.exp(b.matmul(x, w) + c), [(2, 4, 3, 5), (4, 5, 2), (4, 1, 1)]),
    "both turned": (lambda b, x, w: b.matmul(x, w, transpose_a=True, transpose_b=True), [(5, 9), (7, 5)]),
    "no rows": (lambda b, x, w: b.tanh(b.matmul(x, w)), [(0, 5), (5, 7)]),
    "no columns": (lambda b, x, w: b.tanh(b.matmul(x, w)), [(3, 5), (5, 0)]),
    "no terms": (lambda b, x, w, c: b.relu(b.matmul(x, w) + c), [(3, 0), (0, 7), (7,)]),
}


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", CASES)
def test_a_product_gives_what_the_evaluator_gives(lab, name, dtype, members):
    make, shapes = CASES[name]
    arrays = _operands(shapes, dtype)
    if name == "adam":
        arrays[4] = np.abs(arrays[4])
    got, want = lab.run(
        make, [tensor(dtype[0] + "32" if dtype == "f4" else "f64", *s) for s in shapes], arrays, {}, members
    )
    for a, b in zip(got, want):
        lab.check(a, b, ulps=64, near_zero=64)


@pytest.mark.parametrize("name", CASES)
def test_the_interpreter_agrees(lab, name):
    make, shapes = CASES[name]
    arrays = _operands(shapes)
    if name == "adam":
        arrays[4] = np.abs(arrays[4])
    kernel, region = lab.kernel(make, [tensor("f32", *s) for s in shapes])
    case = lab.running(kernel, region, arrays)
    assert case.interpreted() == 0
    for a, b in zip(case.outputs, case.want):
        lab.check(a, b, ulps=64, near_zero=64)


def test_bias_relu_and_updates_need_no_tile(lab):
    for name in ("bias", "dense", "residual", "sgd"):
        make, shapes = CASES[name]
        (product,) = lab.kernel(make, [tensor("f32", *s) for s in shapes])[0].parts
        assert isinstance(product, Product)
        assert product.tile is None
        assert product.init is not None


def test_an_update_of_the_weight_that_is_read_waits_in_memory_of_its_own(lab):
    make, shapes = CASES["adam"]
    kernel, _ = lab.kernel(make, [tensor("f32", *s) for s in shapes])
    product = next(p for p in kernel.parts if isinstance(p, Product))
    assert product.accumulator is not None
    assert any(isinstance(p, Nest) for p in kernel.parts)


def test_in_place_updates(lab):
    make, shapes = CASES["adam"]
    arrays = _operands(shapes)
    arrays[4] = np.abs(arrays[4])
    kernel, region = lab.kernel(make, [tensor("f32", *s) for s in shapes])
    case = lab.running(kernel, region, arrays)
    for i, result in enumerate(("out0", "out1", "out2")):
        case.buffers[result] = case.buffers[f"a{i + 2}"]
    assert case.native(lab.load([kernel])) == 0
    for i, want in enumerate(case.want[:3]):
        lab.check(case.buffers[f"out{i}"], want, ulps=64, near_zero=64)


@pytest.mark.parametrize("dtype", ["i32", "i64", "u8"])
def test_products_of_integers(lab, dtype):
    kind = tensor(dtype).dtype.numpy
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 9, s).astype(kind) for s in ((3, 4, 5), (5, 19), (19,))]

    def make(b, x, w, c):
        return b.matmul(x, w) * 2 + c

    got, want = lab.run(
        make, [tensor(dtype, "B", 4, 5), tensor(dtype, 5, 19), tensor(dtype, 19)], arrays, {"B": 3}
    )
    lab.check(got[0], want[0])


def test_special_values_travel(lab):
    x = np.array([[np.nan, 1], [np.inf, 1], [0, -1]], "f4")
    w = np.array([[1, 0, 2], [1, 1, -np.inf]], "f4")
    got, want = lab.run(
        lambda b, x, w: b.relu(b.matmul(x, w)), [tensor("f32", 3, 2), tensor("f32", 2, 3)], [x, w]
    )
    lab.check(got[0], want[0])
