"""Long folds in chunks: what is cut, into which pieces, and that the values stay."""

import numpy as np
import pytest

from graphc.codegen.chunks import CHUNK, FEW, LEAST, MOST, PIECES, TERMS, piece_length
from graphc.codegen.loops import Compute
from graphc.codegen.phases import phases
from graphc.ir import tensor
from graphc.ir.dims import evaluate

SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 77)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("members", [1, 2, 3, 7])
def test_sums_of_any_length(lab, n, members):
    x = np.random.default_rng(n).normal(size=n).astype(np.float32)

    def make(b, x):
        return b.sum(x, axes=(0,)), b.sum(b.multiply(x, x), axes=(0,))

    got, want = lab.run(make, [tensor("f32", "N")], [x], {"N": n}, members)
    for a, b in zip(got, want, strict=True):
        lab.check(a, b, ulps=60, near_zero=60 * np.sqrt(n + 1))


@pytest.mark.parametrize("kind", ["sum", "prod", "max", "min", "any", "all"])
def test_every_kind_of_fold(lab, kind):
    rng = np.random.default_rng(0)
    x = (
        rng.normal(size=(CHUNK + 5, 3))
        if kind in ("sum", "max", "min")
        else rng.random((CHUNK + 5, 3)) > 0.001
    )
    x = x * 1.0 if kind == "prod" else x
    dtype = "bool" if x.dtype == bool else "f64"

    def make(b, x):
        return getattr(b, kind)(x, axes=(0,))

    got, want = lab.run(make, [tensor(dtype, "N", 3)], [x], {"N": len(x)}, members=3)
    lab.check(got[0], want[0], ulps=1e5, near_zero=1e5)


def test_a_norm_of_everything_keeps_what_later_chunks_need(lab):
    x = np.random.default_rng(0).normal(size=2 * CHUNK + 9).astype(np.float32)

    def norm(b, x):
        e = b.exp(x - b.max(x, axes=(0,), keepdims=True))
        return b.divide(e, b.sum(e, axes=(0,), keepdims=True))

    got, want = lab.run(norm, [tensor("f32", "N")], [x], {"N": x.size}, members=2)
    lab.check(got[0], want[0], ulps=60)


def test_positions_inside_a_chunk_count_from_the_beginning(lab):
    n = CHUNK + 100

    def make(b, x):
        return b.sum(b.cast(b.iota(shape=x.shape, axis=0, dtype="i64"), dtype="f64") * x, axes=(0,))

    x = np.zeros(n)
    x[[1, CHUNK + 3]] = 1
    got, _ = lab.run(make, [tensor("f64", "N")], [x], {"N": n}, members=2)
    assert got[0] == CHUNK + 4


def cut(lab, make, *types):
    kernel, _ = lab.kernel(make, types)
    return any(axis.piece for part in kernel.parts for s in part.stages for axis in s.axes)


def test_what_is_cut(lab):
    def column(b, x):
        return b.sum(x, axes=(0,))

    assert cut(lab, column, tensor("f32", "N", FEW - 1))
    assert not cut(lab, column, tensor("f32", "N", FEW))
    assert cut(lab, column, tensor("f32", 2 * CHUNK))
    assert not cut(lab, column, tensor("f32", CHUNK))
    assert not cut(lab, lambda b, x: b.sum(x, axes=(1,)), tensor("f32", "N", CHUNK * 4))
    assert not cut(lab, lambda b, x: b.argmax(x, axis=0), tensor("f32", "N"))


def test_chunks_are_a_phase_of_their_own(lab):
    kernel, _ = lab.kernel(lambda b, x: b.sum(x, axes=(0,)), [tensor("f32", "N")])
    chunks, together = kernel.parts
    assert phases(kernel, {}) == [(chunks,), (together,)]
    length = "max(64*((N + 2047) // 2048), 2048)"
    assert f"stage j0 < min({length}, N - ({length})*chunk)" in str(kernel)


def test_chunks_of_an_unknown_size_are_neither_small_nor_many(lab):
    kernel, _ = lab.kernel(lambda b, x: b.sum(x, axes=(0,)), [tensor("f32", "N", 3)])
    (chunk, *_), length = kernel.parts[0].outer, kernel.parts[0].stages[-1].axes[0].extent
    for n in (1, 100, 10_000, 1_000_000):
        count, rows = (evaluate(d, {"N": n}) for d in (chunk.extent, length))
        assert count <= PIECES
        assert count == 1 or 3 * rows >= LEAST
        assert (count - 1) * rows < n <= count * rows


def test_each_nest_begins_with_what_it_uses(lab):
    def make(b, x, s):
        return b.sum(x * b.exp(s), axes=(0,)) * b.log(s)

    kernel, _ = lab.kernel(make, [tensor("f32", "N"), tensor("f32")])
    ops = [{i.op for i in nest.start if isinstance(i, Compute)} for nest in kernel.parts]
    assert ops == [{"exp"}, {"log"}]


@pytest.mark.parametrize("members", [1, 2, 3])
@pytest.mark.parametrize("after", ["bare", "formula", "tile"])
def test_thin_products(lab, after, members):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s) for s in ((2 * TERMS + 100, 5), (2 * TERMS + 100, 7), (7,))]
    rest = {
        "bare": lambda b, p, z: p,
        "formula": lambda b, p, z: b.relu(p + b.broadcast(z, shape=(5, 7))),
        "tile": lambda b, p, z: b.exp(p * 0.001) * b.broadcast(z, shape=(5, 7)),
    }[after]

    def make(b, x, y, z):
        return rest(b, b.matmul(x, y, transpose_a=True), z)

    types = [tensor("f64", *x.shape) for x in arrays]
    kernel, _ = lab.kernel(make, types)
    pieces, _ = kernel.parts
    assert pieces.piece == piece_length(len(arrays[0])) <= TERMS
    got, want = lab.run(make, types, arrays, members=members)
    lab.check(got[0], want[0], ulps=1e4, near_zero=1e4)


@pytest.mark.parametrize("k", [0, 1, 2, 3, 100, TERMS, 2 * TERMS, 5 * TERMS + 1, MOST * TERMS * 3 + 7])
def test_pieces_are_an_even_number_of_nearly_one_length(k):
    length = piece_length(k)
    pieces = [min(length, k - start) for start in range(0, k, length)]
    assert sum(pieces) == k
    assert len(pieces) == MOST or (len(pieces) < MOST and max(pieces, default=0) <= TERMS)
    assert k < 2 or (len(pieces) % 2 == 0 and max(pieces) - min(pieces) <= len(pieces))


def test_few_chunks_of_a_fold_are_an_even_number(lab):
    kernel, _ = lab.kernel(lambda b, x: b.sum(x, axes=(0,)), [tensor("f32", 2 * CHUNK + 9)])
    assert [a.extent for a in kernel.parts[0].outer] == [4]


def test_products_that_are_not_cut(lab):
    def turned(b, x, y):
        return b.matmul(x, y, transpose_a=True)

    for k, m, n in ((2 * TERMS - 1, 5, 7), (10 * TERMS, 70, 70), ("N", 5, 7)):
        kernel, _ = lab.kernel(turned, [tensor("f32", k, m), tensor("f32", k, n)])
        assert [p.piece for p in kernel.parts] == [None]


def test_the_interpreter_adds_pieces_up(lab):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2 * TERMS + 9, 2)), rng.normal(size=(2 * TERMS + 9, 1))
    types = [tensor("f64", *x.shape), tensor("f64", *y.shape)]
    kernel, region = lab.kernel(lambda b, x, y: b.matmul(x, y, transpose_a=True), types)
    running = lab.running(kernel, region, [x, y])
    assert running.interpreted() == 0
    lab.check(running.outputs[0], running.want[0], ulps=1e4, near_zero=1e4)


def test_the_interpreter_agrees(lab):
    x = np.random.default_rng(0).normal(size=(CHUNK // 2 + 3, 3))
    kernel, region = lab.kernel(lambda b, x: b.sum(x, axes=(0,)), [tensor("f64", "N", 3)])
    running = lab.running(kernel, region, [x], {"N": len(x)})
    assert running.interpreted() == 0
    lab.check(running.outputs[0], running.want[0], ulps=100, near_zero=100)
