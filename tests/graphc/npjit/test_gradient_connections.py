"""Gradients are connected through whatever Python does with values, or an error says where they are not."""

import collections
import copy
import functools
import itertools
import math
import statistics

import numpy as np
import pytest

import graphc
from graphc.ir.errors import GradientError


def in_a_deque(x):
    d = collections.deque()
    d.append(float(x[0]) ** 2)
    d.append(x[1])
    return sum(d)


def put_through_flat(x):
    y = x.copy()
    y.flat[0] = 5.0
    return np.sum(y * y) + sum(v * v for v in x.flat)


def kept_methods(x):
    total, mean = x.sum, getattr(x, "mean")  # noqa: B009
    return total() * mean()


def appended_and_popped(x):
    values = [x[0] ** 2]
    values.extend([x[1]])
    values.insert(0, x[2] ** 3)
    values.pop()
    return np.sum(values) + np.dot([x[0], x[1]], [1.0, 2.0])


CONNECTED = {
    "deque": in_a_deque,
    "flat": put_through_flat,
    "methods": kept_methods,
    "lists": appended_and_popped,
    "chain": lambda x: sum(itertools.chain([x[0] ** 2], [x[1]])),
    "accumulate": lambda x: list(itertools.accumulate([x[0], x[1] * 2]))[-1],
    "reduce": lambda x: functools.reduce(lambda a, b: a * b, [x[0], x[1], x[2]]),
    "deepcopy": lambda x: copy.deepcopy({"a": [x * 2, 3.0]})["a"][0].sum(),
    "sorted": lambda x: sorted([x[0] * 2, x[1], x[2]])[-1] ** 2,
    "items": lambda x: np.array([v.item() ** 2 for v in x]).sum() + np.asarray((x**2).tolist()).sum(),
    "math": lambda x: math.hypot(x[0], x[1]) + math.exp(x[1]) * math.atan2(x[0], x[2]),
    "round": lambda x: round(x[0], 2) + divmod(x[1], 0.7)[1] + pow(x[2], 2),
    "partial": lambda x: functools.partial(np.dot, x)(x),
    "ndenumerate": lambda x: 3.0 if any(False for _ in np.ndenumerate(np.ones(2))) else x[0],
    "fromiter": lambda x: np.fromiter((v * v for v in x), float).sum(),
}
LOST = {
    "bytes": lambda x: np.frombuffer(x.tobytes()).sum(),
    "matrix": lambda x: np.asmatrix(x).sum(),
    "masked": lambda x: np.ma.masked_less(x, 1).sum(),
    "objects": lambda x: x.astype(object).sum(),
    "bits": lambda x: x.copy().view(np.int64).view(np.float64).sum(),
    "nditer": lambda x: sum(float(v) ** 2 for v in np.nditer(x)),
    "statistics": lambda x: statistics.mean([float(x[0]), float(x[1])]),
    "memoryview": lambda x: float(memoryview(x)[0]),
    "fsum": lambda x: math.fsum([x[0], x[1]]),
}


@pytest.mark.parametrize("name", CONNECTED)
def test_ways_through_python_stay_connected(name):
    graphc.check_grads(CONNECTED[name], (np.array([0.4, 1.6, 2.5]),))


@pytest.mark.parametrize("name", LOST)
def test_gradients_are_never_lost_in_silence(name):
    with pytest.raises(GradientError, match="no gradient of"):
        graphc.grad(LOST[name])(np.array([0.5, 1.5, 2.0]))
