"""Products of windows as kernels: epilogues, groups, symbolic sizes, several members; beside the evaluator
and the interpreter of loop nests.
"""

import numpy as np
import pytest

from graphc import passes
from graphc.codegen.cost import _operations
from graphc.codegen.loops import Product, Windows
from graphc.ir import Builder, tensor
from graphc.ir.evaluate import run

PLACES = {"size": (3, 3), "out": (5, 6), "strides": (1, 1), "low": (1, 1), "dilation": (1, 1)}
STEPS = {name: value for name, value in PLACES.items() if name != "out"}
LINE = {"size": (3,), "out": (4,), "strides": (2,), "low": (0,), "dilation": (1,)}
X, K, Y = (2, 5, 6, 17), (3, 3, 17, 9), (2, 5, 6, 9)


def product(b, x, kernel, **more):
    return b.window_product(x, kernel, **PLACES, **more)


def correlation(b, x, ct, **more):
    return b.window_correlation(x, ct, **STEPS, **more)


def sgd(b, x, ct, kernel, rate):
    return kernel - rate * correlation(b, x, ct)


CASES = {
    "plain": (product, (X, K)),
    "bias": (lambda b, x, k, c: product(b, x, k) + c, (X, K, (9,))),
    "dense": (lambda b, x, k, c: b.relu(product(b, x, k) + c), (X, K, (9,))),
    "residual": (lambda b, x, k, y: product(b, x, k) + y, (X, K, Y)),
    "gelu": (lambda b, x, k, c: b.gelu(product(b, x, k) + c), (X, K, (9,))),
    "gate": (lambda b, x, k, g: b.sigmoid(product(b, x, k)) * g, (X, K, (2, 1, 1, 9))),
    "mask": (lambda b, x, k, p: product(b, x, k) * p, (X, K, (5, 6, 1))),
    "two": (lambda b, x, k: (product(b, x, k), b.relu(product(b, x, k))), (X, K)),
    "groups": (
        lambda b, x, k, c: b.relu(product(b, x, k, groups=2) + c),
        ((2, 5, 6, 34), (3, 3, 17, 18), (18,)),
    ),
    "groups and a tile": (
        lambda b, x, k, c: b.tanh(product(b, x, k, groups=3) * c),
        ((1, 5, 6, 6), (3, 3, 2, 3), (3,)),
    ),
    "turned": (lambda b, x, k: product(b, x, k, turned=True), (X, (3, 3, 9, 17))),
    "turned groups": (
        lambda b, x, k: b.exp(product(b, x, k, groups=2, turned=True)),
        ((2, 5, 6, 6), (3, 3, 4, 6)),
    ),
    "line": (lambda b, x, k: b.relu(b.window_product(x, k, **LINE)), ((3, 9, 18), (3, 18, 7))),
    "one column": (lambda b, x, k: b.tanh(product(b, x, k)), (X, (3, 3, 17, 1))),
    "no image": (lambda b, x, k, c: b.tanh(product(b, x, k) + c), ((0, 5, 6, 17), K, (9,))),
    "no channel": (lambda b, x, k, c: product(b, x, k) + c, ((2, 5, 6, 0), (3, 3, 0, 9), (9,))),
    "correlation": (correlation, (X, Y)),
    "correlation in groups": (
        lambda b, x, y: b.tanh(correlation(b, x, y, groups=3)),
        ((2, 5, 6, 6), (2, 5, 6, 12)),
    ),
    "sgd": (sgd, (X, Y, K, ())),
    "decay": (lambda b, x, y, k: k * 0.5 - b.tanh(correlation(b, x, y)), (X, Y, K)),
}


def operands(shapes, dtype="f4"):
    rng = np.random.default_rng(0)
    return [np.asarray(rng.standard_normal(s), dtype) for s in shapes]


def types(shapes, dtype="f32"):
    return [tensor(dtype, *s) for s in shapes]


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", CASES)
def test_a_product_of_windows_gives_what_the_evaluator_gives(lab, name, dtype, members):
    make, shapes = CASES[name]
    arrays = operands(shapes, f"f{dtype[1:]}"[0] + str(int(dtype[1:]) // 8))
    got, want = lab.run(make, types(shapes, dtype), arrays, {}, members)
    for a, b in zip(got, want, strict=True):
        lab.check(a, b, ulps=256, near_zero=256)


@pytest.mark.parametrize("name", CASES)
def test_the_interpreter_agrees(lab, name):
    make, shapes = CASES[name]
    case = lab.running(*lab.kernel(make, types(shapes)), operands(shapes))
    assert case.interpreted() == 0
    for a, b in zip(case.outputs, case.want, strict=True):
        lab.check(a, b, ulps=256, near_zero=256)


@pytest.mark.parametrize("name", ["bias", "dense", "residual", "groups", "sgd"])
def test_simple_epilogues_need_no_tile(lab, name):
    make, shapes = CASES[name]
    (part,) = lab.kernel(make, types(shapes))[0].parts
    assert isinstance(part, Product)
    assert isinstance(part.a, Windows)
    assert part.tile is None
    assert part.init is not None


def test_sizes_of_images_may_be_symbols(lab):
    def make(b, x, k):
        out = x.shape[1:-1]
        return b.relu(b.window_product(x, k, **{**PLACES, "out": out}))

    shapes = [("B", "H", "W", 17), K]
    for sizes in ({"B": 2, "H": 5, "W": 6}, {"B": 1, "H": 1, "W": 19}, {"B": 3, "H": 2, "W": 0}):
        arrays = operands([tuple(sizes.get(d, d) for d in s) for s in shapes])
        (got,), (want,) = lab.run(make, types(shapes), arrays, sizes)
        lab.check(got, want, ulps=256, near_zero=256)


def test_the_text_of_a_kernel_names_the_windows(lab):
    text = str(lab.kernel(product, types((X, K)))[0])
    assert "%out0[0 : 9, 1] = %a0[0 : 5 x 6 windows of 3 x 3] @ %a1[0 : 9, 1]" in text
    text = str(lab.kernel(correlation, types((X, Y)))[0])
    assert "windows of 3 x 3]^T @" in text


def test_cost_counts_multiplications_of_windows():
    b = Builder("f")
    x, k, y = (b.input(n, tensor("f32", *s)) for n, s in zip("xky", (X, K, Y)))
    b.output(product(b, x, k), correlation(b, x, y))
    counts = [_operations(n) for n in b.build().nodes]
    assert counts == [2 * 2 * 5 * 6 * 9 * 17 * 9] * 2


def convolution(b, x, kernel, groups=1):
    padding = ((1, 1),) * 2
    return b.conv(x, kernel, size=(3, 3), strides=(1, 1), padding=padding, dilation=(1, 1), groups=groups)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_training_step_stores_no_windows(groups):
    """Forward, both gradients and the update are products of windows; no value is larger than the images."""
    b = Builder("step")
    x = b.input("x", tensor("f32", "B", 5, 6, 16))
    k = b.weight("k", tensor("f32", 3, 3, 16 // groups, 18))
    y = b.relu(convolution(b, x, k, groups))
    dk, dx = b.gradient(b.sum(y * y, axes=(0, 1, 2, 3)), b.constant(1, "f32"), k, x, outputs=1)
    b.update(k, k - 0.5 * dk)
    b.output(dx)
    graph = b.build()
    final = passes.run(graph)
    ops = [n.op.name for kernel in final.nodes for r in kernel.regions for n in r.nodes]
    assert sorted(o for o in ops if "window" in o) == ["window_correlation"] + ["window_product"] * 2
    given = {"x": operands([(2, 5, 6, 16)])[0], "k": operands([(3, 3, 16 // groups, 18)])[0]}
    expected, found = run(graph, given), run(final, given)
    np.testing.assert_allclose(found.outputs[0], expected.outputs[0], rtol=1e-4, atol=1e-3)
