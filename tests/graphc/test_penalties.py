"""Regularizers and constraints: values, gradient-safe corners, names and JSON."""

import json

import numpy as np
import pytest

from graphc import constraints, regularizers
from graphc.ir.errors import ArgumentError, ShapeError

X = np.array([[1.0, -2.0, 0.0], [3.0, 4.0, -5.0]])


@pytest.mark.parametrize(
    ("penalty", "value"),
    [
        (regularizers.L1(0.5), 0.5 * 15),
        (regularizers.L2(0.1), 0.1 * 55),
        (regularizers.L1L2(0.5, 0.1), 0.5 * 15 + 0.1 * 55),
        (regularizers.L1L2(), 0.0),
        (regularizers.l1_l2(), 0.01 * 15 + 0.01 * 55),
        (regularizers.get("l1_l2"), 0.01 * 15 + 0.01 * 55),
        (regularizers.get("l2"), 0.01 * 55),
        (regularizers.get("L1"), 0.01 * 15),
        (regularizers.L1(None), 0.01 * 15),
        (regularizers.Regularizer(), 0.0),
    ],
)
def test_penalties(penalty, value):
    np.testing.assert_allclose(penalty(X), value, rtol=1e-14)
    assert np.ndim(penalty(X)) == 0


def test_float32_stays_float32():
    x = X.astype(np.float32)
    for penalty in (regularizers.L1(0.1), regularizers.L1L2(0.1, 0.2), regularizers.OrthogonalRegularizer()):
        assert penalty(x).dtype == np.float32
    for constraint in (constraints.MaxNorm(), constraints.UnitNorm(), constraints.MinMaxNorm(0.1, 1.0, 0.5)):
        assert constraint(x).dtype == np.float32


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_orthogonal_penalty_is_the_mean_over_pairs(mode):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 6))
    rows = x if mode == "rows" else x.T
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [abs(unit[i] @ unit[j]) for i in range(len(unit)) for j in range(i)]
    np.testing.assert_allclose(
        regularizers.OrthogonalRegularizer(0.3, mode)(x), 0.3 * np.mean(pairs), rtol=1e-6
    )


def test_orthogonal_penalty_of_zeros_one_row_and_orthogonal_rows():
    penalty = regularizers.OrthogonalRegularizer()
    assert penalty(np.zeros((3, 2))) == 0
    assert penalty(np.ones((1, 5))) == 0
    assert penalty(np.eye(4)) == 0
    with pytest.raises(ShapeError, match=r"takes a matrix, but got shape \(2, 2, 2\)"):
        penalty(np.zeros((2, 2, 2)))


W = np.array([[3.0, 0.1, 0.0], [4.0, -0.2, 0.0]])
NORMS = np.array([5.0, np.sqrt(0.05), 0.0])


def test_max_norm_shortens_long_vectors_only():
    got = constraints.MaxNorm(2)(W)
    np.testing.assert_allclose(np.linalg.norm(got, axis=0), [2.0, NORMS[1], 0.0], rtol=1e-6)
    np.testing.assert_allclose(got[:, 0], [1.2, 1.6], rtol=1e-6)


def test_unit_norm_leaves_zero_vectors():
    np.testing.assert_allclose(np.linalg.norm(constraints.UnitNorm()(W), axis=0), [1, 1, 0], rtol=1e-6)


def test_min_max_norm_goes_a_share_of_the_way():
    got = np.linalg.norm(constraints.MinMaxNorm(0.5, 1.0, rate=0.5)(W), axis=0)
    np.testing.assert_allclose(got, [3.0, 0.5 * 0.5 + 0.5 * NORMS[1], 0.0], rtol=1e-5)


def test_non_neg():
    assert constraints.NonNeg()(W).tolist() == [[3.0, 0.1, 0.0], [4.0, 0.0, 0.0]]
    assert np.isnan(constraints.NonNeg()(np.array([np.nan]))).all()


def test_several_axes():
    kernel = np.random.default_rng(1).standard_normal((3, 3, 2, 4))
    got = constraints.UnitNorm(axis=[0, 1, 2])(kernel)
    np.testing.assert_allclose(np.sqrt((got**2).sum((0, 1, 2))), np.ones(4), rtol=1e-6)


@pytest.mark.parametrize(
    ("module", "name", "config"),
    [
        (regularizers, "L1L2", {"l1": 0.1, "l2": 0.2}),
        (regularizers, "L1", {"l1": 0.1}),
        (regularizers, "L2", {"l2": 0.1}),
        (regularizers, "OrthogonalRegularizer", {"factor": 0.01, "mode": "rows"}),
        (constraints, "MaxNorm", {"max_value": 2, "axis": 0}),
        (constraints, "NonNeg", {}),
        (constraints, "UnitNorm", {"axis": 0}),
        (constraints, "MinMaxNorm", {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0}),
    ],
)
def test_json_is_keras_3s(module, name, config):
    kind = module.__name__.replace("graphc", "keras")
    stored = {"module": kind, "class_name": name, "config": config, "registered_name": None}
    assert json.loads(json.dumps(module.serialize(module.deserialize(stored)))) == stored
    assert type(module.get(name)).__name__ == name


def test_names_functions_and_none():
    def own(x):
        return 2 * x

    for module in (regularizers, constraints):
        assert module.get(None) is None
        assert module.get(own) is own
        assert module.serialize(own) == "own"
        assert module.deserialize("own", {"own": own}) is own
        assert module.serialize(None) is None
    assert isinstance(constraints.get("max_norm"), constraints.MaxNorm)
    assert isinstance(constraints.get("nonneg"), constraints.NonNeg)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: regularizers.L2(-1.0), "l2 should be finite and not negative, not -1.0"),
        (lambda: regularizers.L1(float("nan")), "l1 should be finite and not negative, not nan"),
        (lambda: regularizers.L1("a"), "l1 should be a number, not 'a'"),
        (lambda: regularizers.OrthogonalRegularizer(mode="row"), "mode should be 'rows' or 'columns'"),
        (lambda: regularizers.get("l3"), "unknown regularizer 'l3': did you mean "),
        (lambda: constraints.get("max_nrm"), "unknown constraint 'max_nrm': did you mean 'max_norm'"),
    ],
)
def test_errors(act, message):
    with pytest.raises(ArgumentError, match=message):
        act()


@pytest.mark.parametrize(
    ("function", "rank"),
    [
        (regularizers.L1(0.5), 0),
        (regularizers.L1L2(0.5, 0.1), 0),
        (regularizers.OrthogonalRegularizer(0.3), 0),
        (regularizers.OrthogonalRegularizer(0.3, "columns"), 0),
        (constraints.MaxNorm(2), 2),
        (constraints.NonNeg(), 2),
        (constraints.UnitNorm(), 2),
        (constraints.MinMaxNorm(0.5, 1.0, 0.5), 2),
    ],
)
def test_symbolic_tensors_give_the_values_of_arrays(function, rank):
    from graphc import Input, Model

    x = Input(batch_shape=(2, 3))
    y = function(x)
    assert len(y.shape) == rank
    values = X.astype(np.float32)
    np.testing.assert_allclose(Model(x, y)(values), function(values), rtol=1e-5, atol=1e-6)
