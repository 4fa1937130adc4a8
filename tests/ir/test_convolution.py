"""Convolutions and pools: gradients of gradients, ties, and what does not fit."""

import numpy as np
import pytest

from graphc.ir import Builder, tensor
from graphc.ir.differentiate import gradients
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.ir.evaluate import run

STEP = {"size": (2, 3), "strides": (2, 1), "padding": ((1, 0), (1, 1))}
CONV = {**STEP, "dilation": (1, 1)}


def evaluated(make, *arrays):
    b = Builder("f")
    inputs = [b.input(f"x{i}", tensor(a.dtype, *a.shape)) for i, a in enumerate(arrays)]
    result = make(b, *inputs)
    b.output(*(result if isinstance(result, (list, tuple)) else [result]))
    return run(b.build(), {f"x{i}": a for i, a in enumerate(arrays)}).outputs


def squared(name, attrs):
    """The gradients of the sum of squares of an op's gradient: second order."""

    def make(b, *xs):
        y = b.op(name, *xs, **attrs)
        first = gradients(b, list(b.nodes), [y], [y * y], xs)
        total = [b.sum(g * g, axes=tuple(range(g.rank))) for g in first]
        second = gradients(b, list(b.nodes), total, [b.constant(1.0, "f64")] * len(total), xs)
        value = total[0]
        for t in total[1:]:
            value = value + t
        return [value, *second]

    return make


@pytest.mark.parametrize(
    ("name", "attrs", "shapes"),
    [
        ("conv", CONV, [(2, 5, 4, 3), (2, 3, 3, 4)]),
        ("conv", {**CONV, "groups": 3}, [(2, 5, 4, 3), (2, 3, 1, 6)]),
        ("max_pool", STEP, [(2, 5, 4, 3)]),
        ("average_pool", STEP, [(2, 5, 4, 3)]),
    ],
)
def test_second_order_gradients_are_those_of_finite_differences(name, attrs, shapes):
    rng = np.random.default_rng(0)
    arrays = [rng.permutation(int(np.prod(s))).reshape(s) / 16 - 2.0 for s in shapes]
    directions = [rng.standard_normal(s) for s in shapes]
    make = squared(name, attrs)
    _, *found = evaluated(make, *arrays)
    slope = sum(float((g * d).sum()) for g, d in zip(found, directions))
    h = 1e-6
    ahead, behind = (
        float(evaluated(make, *(a + s * h * d for a, d in zip(arrays, directions)))[0]) for s in (1, -1)
    )
    assert slope == pytest.approx((ahead - behind) / (2 * h), rel=1e-6)


def test_the_gradient_of_equal_elements_goes_to_the_first():
    x = np.array([3.0, 3.0, 1.0, 3.0]).reshape(1, 4, 1)
    step = {"size": (2,), "strides": (1,), "padding": ((0, 0),)}

    def gradient(b, x):
        y = b.max_pool(x, **step)
        return gradients(b, list(b.nodes), [y], [b.constant(np.array([[[1.0], [2.0], [4.0]]]))], [x])

    assert evaluated(gradient, x)[0].ravel().tolist() == [1.0, 2.0, 0.0, 4.0]


def test_means_leave_padding_out():
    step = {"size": (3,), "strides": (1,), "padding": ((1, 1),)}
    (y,) = evaluated(lambda b, x: b.average_pool(x, **step), np.array([3.0, 5.0, 10.0]).reshape(1, 3, 1))
    assert y.ravel().tolist() == [4.0, 6.0, 7.5]


WRONG = {
    "too large": (
        (2, 4, 4, 3),
        (5, 5, 3, 4),
        {"size": (5, 5)},
        ShapeError,
        "a window of size 5 does not fit",
    ),
    "channels": ((2, 4, 4, 3), (2, 2, 4, 4), {"size": (2, 2)}, ShapeError, "the channels of f32"),
    "groups": ((2, 4, 4, 4), (2, 2, 2, 3), {"size": (2, 2), "groups": 2}, ShapeError, "3 output channels"),
    "strides": (
        (2, 4, 4, 3),
        (2, 2, 3, 4),
        {"size": (2, 2), "strides": (0, 1)},
        ArgumentError,
        "strides takes whole numbers above 0, got (0, 1)",
    ),
    "padding": (
        (2, 4, 4, 3),
        (2, 2, 3, 4),
        {"size": (2, 2), "padding": ((-1, 0), (0, 0))},
        ArgumentError,
        "padding needs a pair (low, high) of at least 0",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused(name):
    x, kernel, attrs, error, message = WRONG[name]
    b = Builder("f")
    plain = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    with pytest.raises(error) as caught:
        b.conv(b.input("x", tensor("f32", *x)), b.input("k", tensor("f32", *kernel)), **{**plain, **attrs})
    assert message in str(caught.value)
