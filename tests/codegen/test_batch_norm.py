"""Batch normalisation by the batch's own statistics: one walk through memory for mean and variance, and for
each sum of the gradient.
"""

import numpy as np
import pytest

from graphc.codegen import compile
from graphc.codegen.loops import Fold, Nest
from graphc.ir import Builder, tensor

EPSILON = 1e-3


def step(batch, shape, threads=1, backend="llvm"):
    """Normalised values, statistics and gradients of a batch, compiled."""
    b = Builder("f")
    x = b.input("x", tensor("f32", batch, *shape))
    gamma, beta = (b.input(n, tensor("f32", shape[-1])) for n in ("gamma", "beta"))
    ct = b.input("ct", tensor("f32", batch, *shape))
    y, mean, var = b.batch_norm_train(x, gamma, beta, axis=len(shape), epsilon=EPSILON)
    b.output(y, mean, var, *b.gradient(y, ct, x, gamma, beta, outputs=1))
    return compile(b.build(), cache=False, threads=threads, backend=backend)


def wanted(x, gamma, beta, ct):
    """The same in float64 (Ioffe, Szegedy 2015)."""
    x, gamma, beta, ct = (a.astype("f8") for a in (x, gamma, beta, ct))
    rest = tuple(range(x.ndim - 1))
    mean, var = x.mean(axis=rest), x.var(axis=rest)
    inverse = 1 / np.sqrt(var + EPSILON)
    normal = (x - mean) * inverse
    dbeta, dgamma = ct.sum(axis=rest), (ct * normal).sum(axis=rest)
    count = x.size // x.shape[-1]
    dx = gamma * inverse * (ct - dbeta / count - normal * dgamma / count)
    return normal * gamma + beta, mean, var, dx, dgamma, dbeta


def batch(count, shape, offset=0.0):
    rng = np.random.default_rng(7)
    normal = (
        rng.normal(size=s).astype("f4") for s in ((count, *shape), shape[-1:], shape[-1:], (count, *shape))
    )
    x, *others = normal
    return [x + np.float32(offset), *others]


@pytest.mark.parametrize(
    ("count", "shape", "offset", "backend"),
    [
        (3, (7, 6, 5), 0.0, "llvm"),
        (8, (33, 9, 129), 100.0, "llvm"),
        (2, (90, 90, 9), -30.0, "llvm"),
        (300, (130,), 5.0, "llvm"),
        (4, (40, 18), 10.0, "numba"),
    ],
)
def test_values_statistics_and_gradients(count, shape, offset, backend):
    given = batch(count, shape, offset)
    for symbolic in ("B", count):
        for got, want in zip(step(symbolic, shape, backend=backend)(*given), wanted(*given), strict=True):
            scale = max(1.0, float(np.abs(want).max()))
            np.testing.assert_allclose(got / scale, want / scale, atol=3e-6 * max(1, abs(offset)))


def test_a_nan_is_in_all_of_its_channel_and_no_other():
    given = batch(3, (20, 20, 9))
    given[0][1, 2, 3, 4] = np.nan
    for got in step("B", (20, 20, 9))(*given)[:3]:
        assert np.isnan(got).reshape(-1, 9).all(axis=0).tolist() == [channel == 4 for channel in range(9)]


def test_memory_is_read_once_for_mean_and_variance():
    f = step("B", (20, 20, 9))
    nests = [p for k in f.lowered.kernels for p in k.kernel.parts if isinstance(p, Nest)]
    reading = [
        n for n in nests if any(isinstance(i, Fold) and _reads(n, "x") for s in n.stages for i in s.body)
    ]
    assert len(reading) == 2


def _reads(nest, buffer):
    return any(getattr(i, "buffer", None) == buffer for s in nest.stages for i in s.body)


def test_the_same_bits_for_any_team():
    given = batch(6, (16, 17, 170))
    results = [step(6, (16, 17, 170), threads)(*given) for threads in (1, 2, 3)]
    for first, *others in zip(*results):
        assert all(first.tobytes() == other.tobytes() for other in others)
