"""Logs written by hand, and what NumPy makes of them."""

import numpy as np
import pytest

from graphc.npjit.infer import meta_of
from graphc.npjit.log import PLACE, Chain, Node, Parts, evaluate, mutate


class Log:
    """Nodes of a log, computed by NumPy as they are written."""

    def __init__(self):
        self.nodes, self.leaves = [], []

    def input(self, value):
        node = Node(None, (), None, meta_of(value))
        node.value, node.var = value, f"x{len(self.leaves)}"
        self.leaves.append(node)
        return node

    def inputs(self, value):
        """Arrays and NumPy scalars of nested arguments as inputs."""
        if isinstance(value, (np.ndarray, np.generic)):
            return self.input(value)
        if type(value) in (tuple, list):
            return type(value)(self.inputs(v) for v in value)
        return {k: self.inputs(v) for k, v in value.items()} if type(value) is dict else value

    def op(self, fn, *args, impure=False, **kwargs):
        node = Node(fn, args, kwargs or None, impure=impure)
        with np.errstate(all="ignore"):
            node.run()
        node.meta = tree(node.value)
        self.nodes.append(node)
        return node

    def store(self, base, fn, *args, chain=(), **kwargs):
        """`fn(view, *args)` on the view of `base` that the chain leads to: a new version of it."""
        node = Node(mutate, (base, Chain(chain), fn, (PLACE, *args), kwargs))
        given = [PLACE, *evaluate(list(args))]
        node.value = mutate(base.value, Chain(chain), fn, given, evaluate(kwargs))
        node.meta = meta_of(node.value)
        self.nodes.append(node)
        return node


def tree(value):
    if isinstance(value, (tuple, list)):
        return Parts(type(value), tuple(map(tree, value)))
    return meta_of(value)


def agree(got, want, exact=False):
    """Equal class, dtype, shape; numbers to rounding, NaN and the sign of zero included where `exact`."""
    assert type(got) is type(want), f"{type(got)} and not {type(want)}"
    got, want = np.asarray(got), np.asarray(want)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    rtol, slack = (1e-6, 2e-6) if want.dtype == np.float32 else (1e-12, 1e-12)
    finite = np.abs(want[np.isfinite(want)])
    np.testing.assert_allclose(got, want, rtol=rtol, atol=slack * (finite.max() if finite.size else 0))
    if exact:
        np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))


@pytest.fixture
def log():
    return Log()


@pytest.fixture(scope="session")
def new_log():
    return Log


@pytest.fixture(scope="session")
def same():
    return agree
