"""Folds over rows, columns, middle axes and everything: values, order, errors, and what comes before and
after them.
"""

import numpy as np
import pytest

from graphc.codegen import target
from graphc.ir import tensor

LENGTHS = (1, 3, 8, 10, 33, 100)


def _normal(*shape, dtype="f4", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def softmax(b, x):
    shifted = b.exp(x - b.max(x, axes=(x.rank - 1,), keepdims=True))
    return shifted / b.sum(shifted, axes=(x.rank - 1,), keepdims=True)


def layer_norm(b, x, gamma, beta):
    n = x.shape[-1]
    mean = b.sum(x, axes=(1,), keepdims=True) / n
    centred = x - mean
    variance = b.sum(centred * centred, axes=(1,), keepdims=True) / n
    return centred / b.sqrt(variance + 1e-5) * gamma + beta, b.reshape(mean, shape=(x.shape[0],))


def column_statistics(b, x):
    n = x.shape[0]
    mean = b.sum(x, axes=(0,), keepdims=True) / n
    variance = b.sum(b.square(x - mean), axes=(0,), keepdims=True) / n
    return (x - mean) / b.sqrt(variance + 1e-3), mean, variance


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("n", LENGTHS)
def test_softmax_keeps_exp_for_its_last_stage(lab, n, dtype):
    x = _normal(5, n, dtype="f4" if dtype == "f32" else "f8")
    kernel, _ = lab.kernel(softmax, [tensor(dtype, "B", n)])
    assert len(kernel.temporaries) == (n > 1)
    (got,), (want,) = lab.run(softmax, [tensor(dtype, "B", n)], [x], {"B": 5})
    lab.check(got, want, ulps=6)


def gated_norm(b, x, gate):
    """A row value of many cheap instructions, which the fold and the stage behind it need."""
    y = x * gate
    long = ((((y + 1.0) * y + 2.0) * y + 3.0) * y + 4.0) * gate
    return long - b.sum(long, axes=(1,), keepdims=True), y - b.max(y, axes=(1,), keepdims=True)


@pytest.mark.parametrize("n", LENGTHS)
def test_long_formulas_are_kept_and_short_ones_computed_again(lab, n):
    arrays, types = [_normal(5, n), _normal(n, seed=1)], [tensor("f32", "B", n), tensor("f32", n)]
    kernel, _ = lab.kernel(gated_norm, types)
    assert len(kernel.temporaries) == (n > 1)
    got, want = lab.run(gated_norm, types, arrays, {"B": 5})
    for a, b in zip(got, want):
        lab.check(a, b, ulps=16, near_zero=16)


@pytest.mark.parametrize(("rows", "columns"), [(1, 100), (9, 70_000)])
def test_rows_that_no_cache_keeps_are_computed_again(lab, rows, columns):
    kernel, _ = lab.kernel(gated_norm, [tensor("f32", rows, columns), tensor("f32", columns)])
    assert not [t for t in kernel.temporaries if t.name.startswith("kept")]


def test_softmax_of_special_rows(lab):
    x = np.array([[1, np.nan, 2], [np.inf, 0, 0], [-np.inf, 0, -np.inf], [1e30, -1e30, 1e30]], "f4")
    (got,), (want,) = lab.run(softmax, [tensor("f32", "B", 3)], [x], {"B": 4})
    lab.check(got, want)


@pytest.mark.parametrize("n", LENGTHS)
def test_layer_norm_has_outputs_of_both_shapes(lab, n):
    arrays = [_normal(7, n), _normal(n, seed=1), _normal(n, seed=2)]
    types = [tensor("f32", "B", "N"), tensor("f32", "N"), tensor("f32", "N")]
    got, want = lab.run(layer_norm, types, arrays, {"B": 7, "N": n})
    for a, b in zip(got, want):
        lab.check(a, b, ulps=16, near_zero=16)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("n", LENGTHS)
def test_columns_run_down_together(lab, n, members):
    x = _normal(200, n) + 3
    got, want = lab.run(column_statistics, [tensor("f32", "B", n)], [x], {"B": 200}, members)
    for a, b in zip(got, want):
        lab.check(a, b, ulps=64, near_zero=64)


@pytest.mark.parametrize(
    "axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2), (), (1, 3), (0, 1, 2, 3)]
)
def test_any_set_of_axes(lab, axes):
    x = _normal(3, 4, 5, 6, dtype="f8")

    def make(b, x):
        total = b.sum(x, axes=axes, keepdims=True)
        return total, b.max(x * 2, axes=axes), b.sum(x - total, axes=axes), b.any(x > 1, axes=axes)

    got, want = lab.run(make, [tensor("f64", "A", 4, "C", 6)], [x], {"A": 3, "C": 5})
    for a, b in zip(got, want):
        lab.check(a, b, ulps=16, near_zero=512)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("axis", [0, 1])
def test_sums_of_nothing(lab, shape, axis):
    def make(b, x):
        return b.sum(x, axes=(axis,)), b.prod(x, axes=(axis,)), b.all(x > 0, axes=(axis,))

    got, want = lab.run(make, [tensor("f32", "A", "B")], [np.zeros(shape, "f4")], dict(zip("AB", shape)))
    for a, b in zip(got, want):
        lab.check(a, b)


def test_the_maximum_of_nothing_fails(lab):
    kernel, region = lab.kernel(lambda b, x: b.max(x, axes=(1,)), [tensor("f32", "A", "B")])
    assert kernel.failures[0].error == "value"
    code = lab.load([kernel])
    for n, status in ((2, 0), (0, 1)):
        case = lab.running(kernel, region, [np.ones((3, max(n, 1)), "f4")], {"A": 3, "B": n}, evaluated=False)
        assert case.native(code) == case.interpreted() == status


@pytest.mark.parametrize("dtype", ["f32", "f64", "i32", "i64", "u8", "i16"])
@pytest.mark.parametrize("axis", [0, 1])
def test_positions_are_the_first(lab, dtype, axis):
    kind = tensor(dtype).dtype.numpy
    x = np.random.default_rng(1).integers(0, 4, (37, 41)).astype(kind)
    if dtype[0] == "f":
        x[3, 5], x[7, 5], x[20] = np.nan, np.nan, -np.inf

    def make(b, x):
        return b.argmax(x, axis=axis), b.argmin(x, axis=axis)

    got, want = lab.run(make, [tensor(dtype, "A", "B")], [x], {"A": 37, "B": 41})
    for a, b in zip(got, want):
        lab.check(a, b)


@pytest.mark.parametrize("shape", [(200_000,), (7, 30_000), (30_000, 7), (4097, 40)])
@pytest.mark.parametrize("axis", [0, -1])
def test_sums_err_at_most_twice_as_much_as_numpy(lab, shape, axis):
    axis %= len(shape)
    ours, theirs = [], []
    for seed in range(4):
        x = np.random.default_rng(seed).random(shape, "f4")
        exact = x.astype("f8").sum(axis)
        (got,), _ = lab.run(lambda b, x: b.sum(x, axes=(axis,)), [tensor("f32", *shape)], [x])
        contiguous = np.ascontiguousarray(np.moveaxis(x, axis, -1)).sum(-1)
        ours.append(np.max(np.abs(got - exact) / exact))
        theirs.append(np.max(np.abs(contiguous - exact) / exact))
    assert max(ours) <= 2 * max(theirs) + np.finfo("f4").eps / 2


def test_a_sum_is_the_same_for_any_number_of_members(lab):
    x = _normal(1000, 77)

    def run(members):
        got, _ = lab.run(
            lambda b, x: b.sum(x, axes=(0,)), [tensor("f32", "A", "B")], [x], {"A": 1000, "B": 77}, members
        )
        return got[0].tobytes()

    assert run(1) == run(2) == run(5)


@pytest.mark.parametrize("shape", [(1000,), (3, 300), (300, 3), (40, 50, 3)])
def test_running_sums_go_on_through_blocks(lab, shape):
    def make(b, x):
        return b.cumsum(x, axis=len(shape) - 1), b.cumsum(x, axis=0, reverse=True, exclusive=True)

    got, want = lab.run(make, [tensor("f64", *shape)], [_normal(*shape, dtype="f8")])
    for a, b in zip(got, want):
        lab.check(a, b, near_zero=64)


@pytest.mark.parametrize("axis", [0, 1])
def test_folds_of_what_does_not_change_along_the_way(lab, axis):
    def make(b, x, y):
        x, y = (b.broadcast(v, shape=(5, 43)) for v in (x, y))
        sums = b.sum(x, axes=(axis,)), b.prod(y, axes=(axis,))
        return *sums, b.max(y, axes=(axis,)), b.argmin(x, axis=axis)

    arrays = [_normal(5, 1, dtype="f8"), _normal(1, 43, dtype="f8", seed=1)]
    got, want = lab.run(make, [tensor("f64", 5, 1), tensor("f64", 1, 43)], arrays)
    for a, b in zip(got, want):
        lab.check(a, b, ulps=32, near_zero=32)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 2)])
def test_folds_of_bytes(lab, axes):
    def make(b, x):
        return b.sum(x, axes=axes), b.min(x, axes=axes), b.any(x > 3, axes=axes), b.all(x > -5, axes=axes)

    x = np.random.default_rng(0).integers(-5, 5, (3, 7, 37)).astype("i1")
    got, want = lab.run(make, [tensor("i8", "A", "B", "C")], [x], {"A": 3, "B": 7, "C": 37})
    for a, b in zip(got, want):
        lab.check(a, b)


def test_reductions_of_views(lab):
    def make(b, x, y):
        turned = b.transpose(x, axes=(1, 0)) * y
        return b.sum(turned, axes=(1,)), b.sum(b.reverse(turned, axes=(1,)), axes=(0,))

    got, want = lab.run(
        make,
        [tensor("f64", 9, 20), tensor("f64", 20, 9)],
        [_normal(9, 20, dtype="f8"), _normal(20, 9, dtype="f8", seed=1)],
    )
    for a, b in zip(got, want):
        lab.check(a, b, near_zero=32)


def test_mixed_element_types_in_one_nest(lab):
    def make(b, x, n, keep):
        weight = b.cast(n, dtype=tensor("f64").dtype) * b.cast(x, dtype=tensor("f64").dtype)
        return (
            b.sum(b.select(keep, weight, 0), axes=(1,)),
            b.sum(b.cast(keep, dtype=n.dtype), axes=(1,)),
            x * 2,
        )

    rng = np.random.default_rng(0)
    arrays = [_normal(5, 77), rng.integers(-9, 9, (5, 77)), rng.random((5, 77)) < 0.5]
    types = [tensor("f32", "B", 77), tensor("i64", "B", 77), tensor("bool", "B", 77)]
    got, want = lab.run(make, types, arrays, {"B": 5})
    for a, b in zip(got, want):
        lab.check(a, b, near_zero=64)


@pytest.mark.parametrize("cpu", ["baseline", "haswell"])
def test_other_cpus_run_here(lab, cpu):
    machine = target._baseline() if cpu == "baseline" else target.named(cpu)
    if machine.register_bytes > target.host().register_bytes:
        pytest.skip("this machine has no such registers")
    x = _normal(6, 43)
    for make in (softmax, column_statistics):
        got, want = lab.run(make, [tensor("f32", "A", "B")], [x], {"A": 6, "B": 43}, cpu=machine)
        for a, b in zip(got, want):
            lab.check(a, b, ulps=64, near_zero=64)


def test_wider_registers_compile_here(lab):
    from graphc.codegen import loader
    from graphc.codegen.emit_llvm import emit_kernel, module_text

    wide = target.named("skylake-avx512")
    kernel, _ = lab.kernel(softmax, [tensor("f32", "A", "B")])
    assert "zmm" in loader.assembly(module_text([emit_kernel(kernel, wide)], wide), wide)
