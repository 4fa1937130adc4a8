"""Convolutions of few channels, in groups whose neighbouring lanes share what they load, or alone."""

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.loops import Fold
from graphc.ir import Builder, tensor
from graphc.ir.evaluate import run
from graphc.ir.ops.channelwise import WIDE_IMAGE
from graphc.passes.drafts import MOST_FOLDS

PLACES = {"size": (3, 3), "strides": (1, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 1)}


def whole(rng, dtype, *shape):
    return rng.integers(-3, 4, shape).astype({"f32": "f4", "f64": "f8"}[dtype])


def check(make, arrays, dtype="f32", **options):
    b = Builder("f")
    inputs = [
        b.input(f"x{i}", tensor(dtype, "B" if i == 0 else a.shape[0], *a.shape[1:]))
        for i, a in enumerate(arrays)
    ]
    b.output(make(b, *inputs))
    graph = b.build()
    f = compile(graph, cache=False, **options)
    (want,) = run(graph, dict(zip((v.name for v in graph.inputs), arrays))).outputs
    np.testing.assert_array_equal(f(*arrays), want)
    return f


CASES = [(8, 4, 4, (1, 1)), (4, 2, 8, (2, 2)), (3, 8, 2, (1, 1)), (5, 3, 4, (2, 1))]


@pytest.mark.parametrize(
    ("case", "dtype", "backend"),
    [*((c, "f32", "llvm") for c in CASES), (CASES[0], "f64", "llvm"), (CASES[1], "f32", "numba")],
)
def test_convolutions_of_small_groups(case, dtype, backend):
    groups, each, results, strides = case
    rng = np.random.default_rng(3)
    places = {**PLACES, "strides": strides, "groups": groups}
    x = whole(rng, dtype, 2, 7, 6, groups * each)
    kernel = whole(rng, dtype, 3, 3, each, groups * results)
    ct = whole(rng, dtype, 2, (7 - 1) // strides[0] + 1, (6 - 2) // strides[1] + 1, groups * results)
    x[0, 0, 0], x[1, 3, 4, :each] = np.inf, np.nan
    f = check(lambda b, x, w: b.relu(b.conv(x, w, **places)), [x, kernel], dtype, backend=backend)
    assert "window_product" not in str(f.ir())
    check(lambda b, ct, w: b.conv_data_gradient(ct, w, sizes=(7, 6), **places), [ct, kernel], dtype)
    check(lambda b, ct, x: b.conv_weight_gradient(x, ct, **places), [ct, whole(rng, dtype, *x.shape)], dtype)


def test_full_vectors_need_no_gathers():
    rng = np.random.default_rng(3)
    x, kernel = whole(rng, "f32", 2, 9, 6, 32), whole(rng, "f32", 3, 3, 4, 32)
    f = check(lambda b, x, w: b.conv(x, w, **PLACES, groups=8), [x, kernel])
    assert "shufflevector" in str(f.llvm())
    assert "masked.gather" not in str(f.llvm())


def test_members_of_a_team_give_the_same_bits():
    rng = np.random.default_rng(3)
    x, kernel = (rng.normal(size=s).astype("f4") for s in ((4, 20, 20, 32), (3, 3, 4, 64)))
    found = []
    for threads in (1, 2, 3):
        b = Builder("f")
        inputs = [b.input(n, tensor("f32", *a.shape)) for n, a in (("x", x), ("w", kernel))]
        y = b.conv(*inputs, **PLACES, groups=8)
        b.output(y, *b.gradient(y, b.cos(y), *inputs, outputs=1))
        found.append(compile(b.build(), cache=False, threads=threads)(x, kernel))
    for first, *others in zip(*found):
        assert all(first.tobytes() == other.tobytes() for other in others)


@pytest.mark.parametrize(
    ("channels", "results", "strides", "size"), [(1, 9, (1, 1), 20), (3, 32, (2, 1), 6), (8, 8, (1, 1), 5)]
)
def test_kernel_gradients_of_few_channels(channels, results, strides, size):
    rng = np.random.default_rng(5)
    places = {**PLACES, "strides": strides, "groups": 1}
    x = whole(rng, "f32", 3, size, 6, channels)
    ct = whole(rng, "f32", 3, (size - 1) // strides[0] + 1, (6 - 2) // strides[1] + 1, results)
    x[0, 0, 0], ct[1, 1, 1, 0] = np.inf, np.nan
    f = check(lambda b, ct, x: b.conv_weight_gradient(x, ct, **places), [ct, x])
    assert "window_correlation" not in str(f.ir())


def test_loops_hold_no_more_folds_than_registers():
    b = Builder("f")
    x, ct = b.input("x", tensor("f32", 4, 9, 9, 3)), b.input("ct", tensor("f32", 4, 7, 7, 16))
    b.output(b.conv_weight_gradient(x, ct, **{**PLACES, "padding": ((0, 0), (0, 0))}))
    kernels = [k.kernel for k in compile(b.build(), cache=False).lowered.kernels]
    folds = [sum(isinstance(i, Fold) for s in p.stages for i in s.body) for k in kernels for p in k.parts]
    assert max(folds) == MOST_FOLDS
    assert sum(folds) == 27 + 1  # those of all images are one loop over all columns


@pytest.mark.parametrize(
    ("strides", "size", "channels"), [((1, 1), 5, 17), ((2, 1), 7, 9), ((1, 1), 300, 200)]
)
def test_kernel_gradients_of_depthwise_convolutions(strides, size, channels):
    rng = np.random.default_rng(6)
    places = {**PLACES, "strides": strides, "groups": channels}
    x = whole(rng, "f32", 2, size, 6, channels)
    ct = whole(rng, "f32", 2, (size - 1) // strides[0] + 1, 5, channels)
    x[0, 0, 0], ct[1, 1, 1, 0] = np.inf, np.nan
    f = check(lambda b, ct, x: b.conv_weight_gradient(x, ct, **places), [ct, x])
    near = size * 5 * channels <= WIDE_IMAGE
    assert (" pad " in str(f.ir())) == (near and strides == (1, 1))
