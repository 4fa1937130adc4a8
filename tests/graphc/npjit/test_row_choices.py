"""One element of each row, read or written by its number, as a choice by column: x[np.arange(len(x)), y]."""

from __future__ import annotations

import numpy as np
import pytest

import graphc

COLUMNS = 7
LABELS = [2, 0, -1, 6, -7]


def scores(x, y):
    return (x - np.max(x, axis=1, keepdims=True))[np.arange(len(x)), y]


def marked(x, y):
    d = x * 2
    d[np.arange(len(x)), y] -= 1
    return d


def compiled(function, rows, columns=COLUMNS):
    return graphc.compile(
        lambda x, y: function(x, y), graphc.spec((rows, columns)), graphc.spec((rows,), "int64")
    )


def ops(step) -> set[str]:
    return {n.op.name for k in step.ir().nodes for region in k.regions for n in region.nodes}


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("function", [scores, marked])
def test_values(function, rows):
    x = np.random.default_rng(0).normal(size=(rows, COLUMNS)).astype("f4")
    y = np.resize(LABELS, rows)
    step = compiled(function, rows)
    assert not ops(step) & {"gather", "scatter_add"}
    np.testing.assert_array_equal(step(x, y), function(x.copy(), y))


def test_special_values_of_other_columns_do_not_count():
    x = np.array([[np.nan, 1, 3], [np.inf, 2, 0]], "f4")
    y = np.array([1, 1])
    twice = compiled(lambda x, y: (x * 2)[np.arange(2), y], 2, 3)
    np.testing.assert_array_equal(twice(x, y), [2, 4])


@pytest.mark.parametrize("rows", [1, 5])
def test_gradients_are_written_by_column(rows):
    x = np.random.default_rng(1).normal(size=(rows, COLUMNS)).astype("f4")
    y = np.resize(LABELS, rows)
    gradient = graphc.grad(lambda x: np.sum((x * 3)[np.arange(rows), y] * np.arange(1.0, rows + 1)))
    want = np.zeros_like(x)
    want[np.arange(rows), y] = 3 * np.arange(1.0, rows + 1)
    for _ in range(3):
        np.testing.assert_allclose(gradient(x), want, rtol=1e-6)


@pytest.mark.parametrize("function", [scores, marked])
@pytest.mark.parametrize("label", [COLUMNS, -COLUMNS - 1])
def test_numbers_out_of_range_are_refused(function, label):
    with pytest.raises(IndexError):
        compiled(function, 2)(np.ones((2, COLUMNS), "f4"), np.array([0, label]))


@pytest.mark.parametrize(
    "function", [lambda x, y: x[np.arange(5), y], lambda x, y: (x * 2)[[0, 2, 1], y[:3]]]
)
def test_what_lies_in_memory_and_rows_in_another_order_are_gathered(function):
    step = compiled(function, 5)
    assert "gather" in ops(step)
    x = np.random.default_rng(0).normal(size=(5, COLUMNS)).astype("f4")
    np.testing.assert_array_equal(step(x, np.array(LABELS)), function(x, np.array(LABELS)))


def test_cross_entropy_with_its_gradient_is_one_kernel():
    def loss(z, y):
        z = z - np.max(z, axis=1, keepdims=True)
        log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
        return -np.mean(log_p[np.arange(z.shape[0]), y])

    z = np.random.default_rng(0).normal(size=(300, 100)).astype("f4")
    y = np.arange(300) % 100
    differentiated = graphc.value_and_grad(loss)
    step = compiled(lambda z, y: differentiated(z, y), 300, 100)
    assert len(step.ir().nodes) == 1
    value, gradient = step(z, y)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(value, -np.log(p[np.arange(300), y]).mean(), rtol=1e-5)
    p[np.arange(300), y] -= 1
    np.testing.assert_allclose(gradient, p / 300, rtol=1e-4, atol=1e-8)
