"""What recorded code is told of a result beforehand is what NumPy gives: kind, dtype, shape, strides."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
import pytest

from graphc.npjit.infer import Alias, ForeignError, UnknownError, infer, meta_of, stand_in_of
from graphc.npjit.log import Meta, Parts
from graphc.npjit.promotion import elementwise
from graphc.npjit.values import Num, Sym

FUNCTIONS = [operator.add, operator.mul, operator.truediv, operator.pow, operator.lt, np.maximum, np.arctan2]
ONE = [np.exp, np.sqrt, operator.neg, np.isfinite, np.sign, operator.abs]
DTYPES = ["f4", "f8", "i4", "i8", "u1", "?", "c8", "f2"]
SHAPES = [(3, 4), (1, 4), (4,), (), (0, 4), (2, 1, 4)]


def sym(x: Any) -> Sym:
    return Sym(meta_of(x), None)


def check(fn: Any, values: list[Any], args: list[Any]) -> None:
    try:
        with np.errstate(all="ignore"):
            expected = meta_of(fn(*values))
    except Exception as e:  # whatever NumPy raises is raised here too
        with pytest.raises(type(e)):
            infer(fn, args, {})
        return
    assert infer(fn, args, {})[0] == expected, (fn, values)


@pytest.mark.parametrize("fn", FUNCTIONS)
def test_elementwise_of_two(fn: Any) -> None:
    for a, b in itertools.product(DTYPES, DTYPES):
        for s, t in itertools.product(SHAPES, SHAPES[:4]):
            x, y = np.ones(s, a), np.ones(t, b)
            check(fn, [x, y], [sym(x), sym(y)])


@pytest.mark.parametrize("fn", FUNCTIONS)
@pytest.mark.parametrize("number", [2, 2.5, True, np.float32(2), np.float64(2), np.int8(2), 300, 1j])
def test_elementwise_with_numbers(fn: Any, number: Any) -> None:
    for a, s in itertools.product(DTYPES, SHAPES):
        x = np.ones(s, a)
        check(fn, [x, number], [sym(x), Num(number, "n")])
        check(fn, [number, x], [number, sym(x)])


@pytest.mark.parametrize("fn", ONE)
def test_orders_of_elements(fn: Any) -> None:
    base = np.ones((4, 6, 2))
    views = [base, base.T, base[::2], base[:, ::-1], base.swapaxes(0, 1), base[:, :, 0], base[0].T, base[:1]]
    for x in views:
        check(fn, [x], [sym(x)])
        check(operator.add, [x, x], [sym(x), sym(x)])


def test_aliases_of_views() -> None:
    x = np.ones((4, 6))
    assert infer(np.transpose, [sym(x)], {}) == (Meta("array", x.dtype, (6, 4), (8, 48)), Alias("view", 0))
    assert infer(np.asarray, [sym(x)], {})[1] == Alias("same", 0)
    assert infer(np.ravel, [sym(x.T)], {})[1] is None
    assert infer(np.broadcast_to, [sym(x), (2, 4, 6)], {})[1] == Alias("view", 0, False)
    tree, alias = infer(np.split, [sym(x), 2], {})
    assert isinstance(tree, Parts)
    assert tree.cls is list
    assert alias == Alias("views", 0)


def test_sizes_that_depend_on_data_are_open() -> None:
    x, mask = np.ones((4, 6)), np.ones((4, 6), bool)
    tree, _ = infer(operator.getitem, [sym(x), sym(mask)], {}, getitem=True)
    assert isinstance(tree, Meta)
    assert tree.shape == (None,)
    with pytest.raises(UnknownError):
        infer(np.reshape, [Sym(tree, None), (5, 5)], {})


def test_objects_are_foreign() -> None:
    with pytest.raises(ForeignError):
        infer(np.add, [sym(np.ones(3)), np.ma.masked_array([1.0, 2, 3])], {})
    with pytest.raises(ForeignError):
        infer(np.add, [np.array([None, 1]), 1], {})


def test_stand_ins_have_the_layout() -> None:
    x = np.ones((6, 4))[::-2, 1:].T
    d = stand_in_of(meta_of(x))
    assert (d.shape, d.strides, d.dtype) == (x.shape, x.strides, x.dtype)
    assert elementwise(np.exp, [sym(x)]) is None  # strides that only NumPy knows
