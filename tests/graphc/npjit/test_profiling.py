"""`profile` of jitted functions and gradients: real arrays, no effects."""

import numpy as np
import pytest

import graphc
from graphc.ir.errors import ArgumentError, StateError


def step(w, x, y, rate):
    d = x @ w - y
    w -= rate * (x.T @ d)
    return np.sum(d * d)


def arguments():
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 3)), rng.normal(size=(20, 6)), rng.normal(size=(20, 3)), 0.01


def products(found):
    return sum("matmul" in row.operations for row in found)


def test_arguments_and_counts_stay_as_they_are():
    f, given = graphc.jit(step), arguments()
    before = given[0].copy()
    found = f.profile(*given, rounds=2)
    np.testing.assert_array_equal(given[0], before)
    assert (f.recordings, f.hits) == (0, 0)
    assert products(found) == 2
    assert {row.dtype for row in found if row.bytes} == {"f64"}
    assert {line for row in found for line in row.lines} == {f"test_profiling.py:{n}" for n in (11, 12, 13)}


def test_objects_are_copied_too():
    class Net:
        def __init__(self):
            self.w, self.calls = np.ones((6, 3)), 0

        @graphc.jit
        def forward(self, x):
            self.calls += 1
            self.w *= 0.5
            return np.maximum(x @ self.w, 0)

    net = Net()
    found = Net.forward.profile(net, np.ones((20, 6)), rounds=2)
    assert products(found) == 1
    assert net.calls == 0
    np.testing.assert_array_equal(net.w, 1.0)


def test_random_numbers_go_on_as_before():
    f = graphc.jit(lambda x: np.exp(x) + np.random.normal(size=x.shape))
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    f.profile(np.ones(1000), rounds=1)
    assert np.random.random() == expected


def test_a_gradient():
    g = graphc.grad(lambda w, x: np.sum(np.tanh(x @ w)))
    w, x, *_ = arguments()
    assert products(g.profile(w, x, rounds=2)) == 2


def test_other_sizes_than_those_of_earlier_calls():
    f = graphc.jit(lambda x: np.sum(np.exp(x)))
    for n in (100, 200, 300):
        f(np.ones(n))
    sizes = [max(row.bytes for row in f.profile(np.ones(n), rounds=1)) for n in (1000, 5000)]
    assert sizes[0] >= 8000
    assert sizes[1] >= 40_000


def test_nothing_native_is_an_error():
    f = graphc.jit(lambda x: sorted(x))
    with pytest.raises(StateError, match=r"nothing of .* runs natively for these arguments"):
        f.profile([3, 1, 2])


def test_rounds():
    with pytest.raises(ArgumentError, match="rounds=0 is not possible"):
        graphc.jit(step).profile(*arguments(), rounds=0)


def test_errors_are_those_of_the_function():
    w, x, y, rate = arguments()
    with pytest.raises(ValueError, match="matmul"):
        graphc.jit(step).profile(w, x[:, :4], y, rate)
