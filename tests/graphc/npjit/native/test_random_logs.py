"""Random logs of operations and stores on arrays of several types, against NumPy."""

import operator
import random

import numpy as np
import pytest

from graphc.npjit.log import PLACE
from graphc.npjit.lookup import attr_fn, method_fn
from graphc.npjit.native import segments

TYPES = ("float64", "float64", "float32", "int64", "int32", "bool")
SHAPE = (4, 4)
PAIRS = [operator.add, operator.sub, operator.mul, np.maximum, np.minimum, operator.lt, operator.ge]
ONES = [np.tanh, np.abs, np.square, np.sign, np.floor, attr_fn("T"), np.flipud, np.ravel, np.negative]
FOLDS = ["sum", "mean", "max", "min", "std", "argmax", "prod", "any"]
KEYS = [
    (slice(1, 3),),
    (slice(None, None, -1),),
    (0,),
    (slice(None), -1),
    (slice(None, None, 2), slice(1, None)),
]
VIEWS = [
    (),
    ((attr_fn("T"), (PLACE,), None),),
    ((np.reshape, (PLACE, (2, 8)), None), (np.reshape, (PLACE, SHAPE), None)),
]


class Writer:
    """Writes one log; operations that NumPy refuses are left out."""

    def __init__(self, log, seed):
        self.log, self.rng = log, random.Random(seed)
        arrays = np.random.default_rng(seed)
        self.whole = [log.input(self.array(arrays)) for _ in range(5)]
        self.made = []

    def array(self, arrays):
        dtype = self.rng.choice(TYPES)
        x = arrays.normal(size=SHAPE) * 3
        x = x > 0 if dtype == "bool" else x.astype(dtype)
        return x if self.rng.random() < 0.7 else np.asfortranarray(x)

    def step(self):
        kind = self.rng.choice(
            ["pair", "pair", "number", "one", "fold", "where", "product", "read", "store", "add"]
        )
        try:
            with np.errstate(all="raise"):
                node = getattr(self, kind)()
        except (TypeError, ValueError, FloatingPointError, IndexError):
            return
        if getattr(node.meta, "dtype", None) == np.float16:
            return
        self.made.append(node)
        if node.meta.kind == "array" and node.meta.shape == SHAPE:
            self.whole.append(node)

    def pick(self):
        return self.rng.choice(self.whole[-6:])

    def pair(self):
        return self.log.op(self.rng.choice(PAIRS), self.pick(), self.pick())

    def number(self):
        number = self.rng.choice([2, 0.5, -1.25, np.float32(1.5), np.float64(0.75), True])
        return self.log.op(self.rng.choice(PAIRS), self.pick(), number)

    def one(self):
        return self.log.op(self.rng.choice(ONES), self.pick())

    def fold(self):
        axis = self.rng.choice([None, 0, 1, -1])
        return self.log.op(method_fn(self.rng.choice(FOLDS)), self.pick(), axis=axis)

    def where(self):
        condition = self.log.op(operator.gt, self.pick(), 0)
        return self.log.op(np.where, condition, self.pick(), self.rng.choice([0, 0.5, self.pick()]))

    def product(self):
        return self.log.op(operator.matmul, self.pick(), self.pick())

    def read(self):
        return self.log.op(operator.getitem, self.pick(), self.rng.choice(KEYS))

    def store(self):
        base = self.pick()
        value = self.rng.choice([0, 1, self.log.op(operator.getitem, self.pick(), 0)])
        return self.log.store(
            base, operator.setitem, self.rng.choice(KEYS[:4]), value, chain=self.chain(base)
        )

    def add(self):
        fn, base = self.rng.choice([operator.iadd, operator.isub, operator.imul]), self.pick()
        return self.log.store(base, fn, self.rng.choice([1, 0.5, self.pick()]), chain=self.chain(base))

    def chain(self, base):
        """A chain of views; reshaping arrays that do not lie by rows would copy."""
        return self.rng.choice(VIEWS if base.value.flags.c_contiguous else VIEWS[:2])


@pytest.mark.parametrize("seed", range(8))
def test_random_log(seed, log, same):
    writer = Writer(log, seed)
    for _ in range(45):
        writer.step()
    done = set(writer.made)
    nodes = [n for n in log.nodes if n.meta.dtype is not None or n in done]
    wanted = [n for n in writer.made if n.meta.kind in ("array", "scalar")]
    program = segments.compile(nodes, wanted)
    assert program.calls
    values = [leaf.value for leaf in program.leaves]
    before = [v.copy() for v in values]
    for got, node in zip(program(*values), wanted, strict=True):
        same(got, node.value)
    for now, then in zip(values, before, strict=True):
        np.testing.assert_array_equal(now, then)
