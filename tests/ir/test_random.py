"""The counter-based generator: known answers, independence, distributions."""

import math

import numpy as np
import pytest

from graphc.ir import Builder, tensor
from graphc.ir.errors import ArgumentError
from graphc.ir.ops.random import rounds


def draw(name, seed=1, step=0, **attrs):
    b = Builder("f")
    s, t = b.input("seed", tensor("i64")), b.input("step", tensor("i64"))
    b.output(b.op(name, s, t, **attrs))
    return b.build().evaluate(seed=np.array(seed), step=np.array(step))


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers_of_threefry(key, counter, expected):
    """Random123's kat_vectors, threefry2x32 20."""
    words = [np.array([w], np.uint32) for w in (*key, *counter)]
    assert tuple(int(w[0]) for w in rounds(*words)) == expected


def test_streams_differ_by_seed_step_and_call_and_repeat():
    base = draw("random_bits", shape=(4, 500), call=0)
    np.testing.assert_array_equal(base, draw("random_bits", shape=(4, 500), call=0))
    others = [{"seed": 2}, {"seed": 1 + 2**40}, {"seed": -1}, {"step": 1}, {"step": 2**33}, {"call": 1}]
    for other in others:
        got = draw("random_bits", **{"shape": (4, 500), "call": 0, **other})
        assert np.mean(got == base) < 0.01
    assert len(np.unique(base)) == base.size


def test_bits_are_fair_and_neighbours_independent():
    bits = draw("random_bits", shape=(40000,), call=3)
    ones = np.unpackbits(bits.view(np.uint8)).mean()
    assert abs(ones - 0.5) < 5 * 0.5 / math.sqrt(32 * 40000)
    x = bits / 2**32 - 0.5
    assert abs(np.mean(x[1:] * x[:-1])) < 5 / 12 / math.sqrt(40000)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_uniform_fills_its_range(dtype):
    x = draw("random_uniform", shape=(100, 400), call=0, low=-2.0, high=3.0, dtype=dtype)
    assert x.min() >= -2
    assert x.max() < 3
    counts = np.histogram(x, 50, (-2, 3))[0]
    chi2 = np.sum((counts - 800.0) ** 2) / 800
    assert chi2 < 49 + 5 * math.sqrt(98)


def test_uniform_never_reaches_high_by_rounding():
    x = draw(
        "random_uniform",
        shape=(2000,),
        call=0,
        low=1.0,
        high=float(np.nextafter(np.float32(1), np.float32(2))),
    )
    np.testing.assert_array_equal(x, np.ones(2000, np.float32))


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_normal_has_the_moments_and_quantiles_of_a_normal(dtype):
    x = draw("random_normal", shape=(200, 300), call=0, dtype=dtype).astype(np.float64).ravel()
    n = x.size
    assert np.isfinite(x).all()
    assert abs(x.mean()) < 5 / math.sqrt(n)
    assert abs(x.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs(np.mean(x**4) - 3) < 5 * math.sqrt(96 / n)
    for q in (-2.0, -1.0, 0.0, 0.5, 2.5):
        p = 0.5 * math.erfc(-q / math.sqrt(2))
        assert abs(np.mean(x < q) - p) < 5 * math.sqrt(p * (1 - p) / n)


def test_dropout_keeps_the_mean_and_its_gradient_has_the_same_mask():
    b = Builder("f")
    x, s, t = b.input("x", tensor("f64", "N")), b.input("s", tensor("i64")), b.input("t", tensor("i64"))
    y = b.dropout(x, s, t, rate=0.3, call=1)
    b.output(y, b.gradient(y, x, x, outputs=1))
    y, dx = b.build().evaluate(x=np.ones(50000), s=np.array(5), t=np.array(9))
    np.testing.assert_array_equal(y, dx)
    kept = y > 0
    assert abs(kept.mean() - 0.7) < 5 * math.sqrt(0.21 / 50000)
    np.testing.assert_allclose(y[kept], 1 / 0.7)


def test_wrong_arguments():
    with pytest.raises(ArgumentError, match=r"random_uniform: low must be below high, got 1.0 and 1.0"):
        draw("random_uniform", shape=(2,), call=0, low=1.0, high=1.0)
    b = Builder("f")
    x, s = b.input("x", tensor("f32", 3)), b.input("s", tensor("i64"))
    with pytest.raises(ArgumentError, match=r"dropout: seed and step are i64\[\], got f32\[3\] and i64\[\]"):
        b.dropout(x, x, s, rate=0.5, call=0)
    with pytest.raises(
        ArgumentError, match=r"threefry: gives word 0 or 1 of four u32 operands, got word 0 of"
    ):
        b.threefry(s, s, s, s, word=0)
    with pytest.raises(ArgumentError, match=r"dropout: the rate of dropout lies in \[0, 1\], got 1.5"):
        b.dropout(x, s, s, rate=1.5, call=0)
