"""Programs that make streams of random numbers, and that draw from Python's own."""

import random

import numpy as np
from npjit_differences import R, prog


@prog(lambda i: (8 + i % 2, 3 + i))
def a_generator_of_the_call(n, seed):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(n, 3)), rng.standard_normal(3)
    for _ in range(3):
        idx = rng.permutation(n)[:4]
        w = w - 0.1 * x[idx].T @ (x[idx] @ w - 1)
    other = np.random.default_rng(seed)
    other.shuffle(x)
    return (
        w,
        rng.integers(0, 10),
        other.choice(5, 3, replace=False),
        x,
        np.random.default_rng(rng) is rng,
        other,
    )


@prog(lambda i: (5,))
def a_state_of_the_call(n):
    r, g = np.random.RandomState(42), np.random.Generator(np.random.PCG64([1, 2]))
    return r.randn(n, 2), r.randint(0, 2, n), r.rand(), r.permutation(4), g.random(2)


@prog(lambda i: (i - 3,))
def a_seed_that_is_none(seed):
    return np.random.default_rng(seed).random()


@prog(lambda i: (R(i).normal(size=5), random.Random(i)))
def pythons_stream(x, r):
    a = x * random.random() + random.uniform(0, 1) + r.gauss(0, 1)
    b = x[random.randint(0, 4)] + r.choice(x) + random.randrange(3)
    y = x * 2 if random.random() < 0.5 else x
    return a, b, y, x[random.sample(range(5), 2)], r.expovariate(1.5)


@prog(lambda i: (R(i).normal(size=4),))
def pythons_stream_seeded(x):
    random.seed(3)
    a = random.random()
    order = list(range(4))
    random.shuffle(order)
    return x[order] * a, random.choice(["a", "b"])


@prog(lambda i: (np.ones(3 + i // 3),))
def draws_before_a_failure(x):
    a, rng = random.random(), np.random.default_rng(1)
    return (rng.normal(size=3) + np.random.rand(3)) @ x * a


@prog(lambda i: (R(i), R(i).normal(size=3)))
def bits_read_between_draws(rng, x):
    a = rng.normal(size=2)
    k = rng.bit_generator.state["state"]["state"] % 97
    return a + k, rng.random(), x * 2


@prog(lambda i: (R(i), R(i).normal(size=3)))
def bits_put_back_between_draws(rng, x):
    before = rng.bit_generator.state
    a = rng.normal(size=2)
    rng.bit_generator.state = before
    return a - rng.normal(size=2), x * 2, rng.integers(0, 9, 3)
