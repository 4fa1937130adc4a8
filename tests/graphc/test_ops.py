"""Operations on arrays, on tensors of a trace, and through NumPy's own functions: all give NumPy's values."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import Variable, ops
from graphc.trace import Trace, active

RNG = np.random.default_rng(7)
X = RNG.normal(size=(3, 4)).astype("f4")
Y = RNG.uniform(0.5, 2, size=(3, 4)).astype("f4")
Z = RNG.normal(size=(2, 3, 4)).astype("f4")
K = np.array([2, 0, 1])

SAME_IN_NUMPY = {
    "arithmetic": lambda np, x, y: (x + y) * 2 - x / y,
    "right operators": lambda np, x, y: 1 / y + (3 - x) ** 2,
    "power": lambda np, x, y: y**x + y**0.5,
    "floor_divide": lambda np, x, y: x // y + x % y,
    "negative": lambda np, x, y: abs(-x),
    "compare": lambda np, x, y: (x < y) & ~(x >= 0) | (x == y),
    "unary": lambda np, x, y: np.exp(x) + np.log(y) + np.sqrt(y) + np.tanh(x) + np.sin(x) * np.cos(y),
    "rounding": lambda np, x, y: np.floor(x) + np.ceil(y) + np.round(x) + np.trunc(x),
    "maximum": lambda np, x, y: np.maximum(x, 0) + np.minimum(y, 1.0),
    "clip": lambda np, x, y: np.clip(x, -0.5, 0.5),
    "where": lambda np, x, y: np.where(x > 0, x, y),
    "isfinite": lambda np, x, y: np.isfinite(x) | np.isnan(y) | np.isinf(y),
    "sum": lambda np, x, y: np.sum(x, axis=1) + x.sum(axis=-1) * np.sum(y),
    "keepdims": lambda np, x, y: x - x.mean(axis=0, keepdims=True),
    "statistics": lambda np, x, y: np.var(x, axis=1) + np.std(y, axis=1),
    "extrema": lambda np, x, y: x.max(axis=0) - np.min(y),
    "products": lambda np, x, y: np.prod(y, axis=1),
    "truth": lambda np, x, y: np.any(x > 1, axis=0) | np.all(y > 1, axis=0),
    "positions": lambda np, x, y: np.argmax(x, axis=1) + np.argmin(y),
    "cumsum": lambda np, x, y: np.cumsum(x, axis=1) + np.reshape(np.cumsum(y), (3, 4)),
    "count": lambda np, x, y: np.count_nonzero(x > 0, axis=1),
    "matmul": lambda np, x, y: x @ y.T + np.matmul(x, np.transpose(y)),
    "dot": lambda np, x, y: np.dot(x, y[0]) + x[0].dot(y[1]),
    "tensordot": lambda np, x, y: np.tensordot(x, y, ((0, 1), (0, 1))),
    "einsum": lambda np, x, y: np.einsum("ij,kj->ik", x, y) + np.einsum("ij,ij->i", x, y)[:, None],
    "outer": lambda np, x, y: np.outer(x[0], y[1]),
    "reshape": lambda np, x, y: x.reshape(2, -1) + np.reshape(y, (2, 6)),
    "flatten": lambda np, x, y: x.ravel() + y.flatten(),
    "axes": lambda np, x, y: np.swapaxes(np.expand_dims(x, 1), 0, 2) + np.moveaxis(y[None], 0, 1).T,
    "squeeze": lambda np, x, y: np.squeeze(x[:1]) + np.squeeze(y[:, :1], axis=1)[0],
    "joining": lambda np, x, y: np.concatenate([x, y], axis=1) + np.stack([x, y], axis=1).reshape(3, 8),
    "splitting": lambda np, x, y: np.split(x, 2, axis=1)[1] + np.split(y, [2], axis=1)[0],
    "flip": lambda np, x, y: np.flip(x, axis=0) + np.flip(y) + x[::-1, ::-1],
    "roll": lambda np, x, y: np.roll(x, 1, axis=1) + np.roll(y, -2),
    "repeat": lambda np, x, y: np.repeat(x, 2, axis=0) + np.tile(y, (2, 1)),
    "pad": lambda np, x, y: np.pad(x, ((1, 0), (2, 1))),
    "broadcast": lambda np, x, y: np.broadcast_to(x[:, :1], (3, 4)) + y,
    "index": lambda np, x, y: x[1] + y[-1, :] + x[:, 2][0] + x[0, -1],
    "slices": lambda np, x, y: x[1:, ::2] + y[:-1, 1::2] + x[-2:, :2],
    "empty slice": lambda np, x, y: x[3:] + y[2:1],
    "new axes": lambda np, x, y: x[:, None, :, None] + y[..., None, :, None],
    "array index": lambda np, x, y: x[[2, 0, 1]] + y[:, [0, 0, 1, 3]],
    "two array indices": lambda np, x, y: x[[0, 1, 2], [3, 2, -1]] + np.take(y, 2),
    "ones_like": lambda np, x, y: np.ones_like(x) + np.zeros_like(y) + np.full_like(x, 3),
    "norm": lambda np, x, y: np.linalg.norm(x, axis=1) + np.linalg.norm(y),
    "logical": lambda np, x, y: np.logical_and(x > 0, y > 1) ^ np.logical_not(x > 0.5),
    "shape arithmetic": lambda np, x, y: x.reshape(x.shape[0] * x.shape[1]) + y.reshape(y.shape[0] * 4),
}


@pytest.fixture(autouse=True)
def reference(monkeypatch):
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")


def assert_same(got, wanted):
    assert got.shape == wanted.shape
    assert got.dtype.kind == wanted.dtype.kind
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6)


NEED_SIZES = frozenset(
    [
        "two array indices",
        "roll",
        "slices",
        "empty slice",
        "broadcast",
        "reshape",
        "repeat",
        "cumsum",
        "shape arithmetic",
        "joining",
        "squeeze",
        "array index",
        "splitting",
    ]
)
"""Cases that mix the first size with numbers, so that it must be known."""


@pytest.mark.parametrize(
    ("name", "first"),
    [(n, 3) for n in SAME_IN_NUMPY] + [(n, "B") for n in SAME_IN_NUMPY if n not in NEED_SIZES],
)
def test_numpy_code_on_tensors(name, first):
    function = SAME_IN_NUMPY[name]
    spec = graphc.spec((first, 4))
    compiled = graphc.compile(lambda x, y: function(np, x, y), spec, spec)
    assert_same(compiled(X, Y), np.asarray(function(np, X, Y)))


@pytest.mark.parametrize("name", [n for n in SAME_IN_NUMPY if n != "norm"])
def test_operations_on_arrays_at_once(name):
    function = SAME_IN_NUMPY[name]
    assert_same(np.asarray(function(ops, X, Y)), np.asarray(function(np, X, Y)))


def test_index_arrays_apart_move_axes_as_in_numpy():
    for key in [
        (0, slice(None), K),
        (slice(None), K[:2], K[:2]),
        (K[1:], slice(None), K[1:]),
        (slice(None), 1, K),
    ]:
        assert_same(ops.getitem(Z, key), Z[key])


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_slices_of_an_open_size(length):
    x = np.arange(length, dtype="f4")
    for s in [
        slice(2, None),
        slice(None, -1),
        slice(None, 3),
        slice(1, -1),
        slice(-2, None),
        slice(None, None, 2),
    ]:
        compiled = graphc.compile(lambda v, s=s: v[s], graphc.spec((None,)))
        np.testing.assert_array_equal(compiled(x), x[s])


def trace_dtype(function):
    with Trace("types") as trace:
        made = {
            name: trace.input(name, graphc.ir.tensor(name, 2))
            for name in ("bool", "i32", "i64", "u8", "f32", "f64")
        }
        return function(made).dtype.name


@pytest.mark.parametrize(
    ("function", "dtype"),
    [
        (lambda t: t["f32"] + 1.5, "float32"),
        (lambda t: t["f32"] + np.float64(1.5), "float32"),
        (lambda t: t["f32"] * np.ones(2), "float32"),
        (lambda t: t["f32"] + t["i64"], "float32"),
        (lambda t: t["f32"] + t["f64"], "float64"),
        (lambda t: t["i32"] + 1, "int32"),
        (lambda t: t["i32"] + 1.0, "float32"),
        (lambda t: t["i32"] + t["i64"], "int64"),
        (lambda t: t["i32"] / t["i32"], "float32"),
        (lambda t: t["bool"] + 1, "int32"),
        (lambda t: np.exp(t["i64"]), "float32"),
        (lambda t: t["f64"] + 1, "float64"),
        (lambda t: ops.mean(t["u8"]), "float32"),
        (lambda t: t["u8"] == 3, "bool"),
    ],
)
def test_element_types(function, dtype):
    assert trace_dtype(function) == dtype


def test_constants_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="300 does not fit the element type uint8"):
        trace_dtype(lambda t: t["u8"] + 300)


def test_neural_operations():
    soft = np.exp(X) / np.exp(X).sum(1, keepdims=True)
    assert_same(ops.softmax(X), soft)
    assert_same(ops.log_softmax(X), np.log(soft))
    assert_same(ops.softmax(Z, axis=(0, 2)), np.exp(Z) / np.exp(Z).sum((0, 2), keepdims=True))
    assert_same(ops.logsumexp(X, axis=1), np.log(np.exp(X).sum(1)))
    assert_same(ops.sparse_categorical_crossentropy(K, soft), -np.log(soft[range(3), K]))
    assert_same(
        ops.categorical_crossentropy(np.eye(4, dtype="f4")[K], X, from_logits=True),
        -np.log(soft[range(3), K]),
    )
    assert_same(ops.one_hot(K, 4), np.eye(4, dtype="f4")[K])
    assert_same(ops.one_hot(K, 4, axis=0), np.eye(4, dtype="f4")[K].T)
    assert_same(ops.relu(X), np.maximum(X, 0))


def test_index_out_of_range_fails_when_it_runs():
    with pytest.raises(IndexError):
        ops.take(X, np.array([3]), axis=0)
    with pytest.raises(IndexError):
        ops.getitem(X, (np.array([3]), np.array([0])))
    with pytest.raises(IndexError, match="index 4 is out of range for axis 1"):
        ops.getitem(X, (0, 4))


def test_masks_as_indices_say_what_to_write():
    with pytest.raises(ValueError, match=r"graphc\.ops\.where"):
        graphc.Input((3,))[np.array([True, False, True])]


def test_unknown_numpy_functions_say_what_to_do():
    with pytest.raises(TypeError, match=r"np\.interp is not possible on a symbolic tensor"):
        np.interp(graphc.Input((3,)), [0.0], [0.0])
    with pytest.raises(TypeError, match=r"np\.add with out="):
        np.add(graphc.Input((3,)), 1, out=np.ones(3))


def test_variables_in_numpy_expressions():
    v = Variable(X, name="v")
    for got in (v + 1, 1 + v, np.add(v, 1), np.concatenate([v, v])[:3] + 1, v[:] + 1):
        assert isinstance(got, np.ndarray)
        np.testing.assert_array_equal(got, X + 1)
    copy = np.asarray(v)
    copy[:] = 0
    np.testing.assert_array_equal(v.numpy(), X)
    assert v.array.ctypes.data % 64 == 0
    assert [row.shape for row in v] == [(4,)] * 3


def test_assignment_copies_in_place_and_counts():
    v = Variable(np.zeros(3, "f4"))
    storage, before = v.array, v.version
    v.assign([1, 2, 3])
    v.assign_add(1.0)
    v.assign_sub([1.0, 0.0, 0.0])
    assert v.array is storage
    assert v.version == before + 3
    assert v.numpy().tolist() == [1, 3, 4]
    with pytest.raises(ValueError, match="has the shape"):
        v.assign(np.zeros(4))


def test_assignment_while_tracing_is_an_update():
    v = Variable(np.float32(3), name="v")

    def function(x):
        first = x * v
        v.assign(v + 1)
        return first + v

    compiled = graphc.compile(function, graphc.spec(()))
    assert float(v.array) == 3
    assert float(compiled(np.float32(2))) == 2 * 3 + 4
    assert float(v.array) == 4
    assert v.version == 1
    assert active() is None


def test_random_numbers():
    graphc.set_random_seed(5)
    from graphc import randomness

    a, b = randomness.uniform((1000,), 2.0, 3.0), randomness.uniform((1000,), 2.0, 3.0)
    assert not np.array_equal(a, b)
    assert a.min() >= 2
    assert a.max() < 3
    n = randomness.normal((2000,), 1.0, 2.0)
    assert abs(n.mean() - 1) < 0.2
    assert abs(n.std() - 2) < 0.2
    graphc.set_random_seed(5)
    np.testing.assert_array_equal(randomness.uniform((1000,), 2.0, 3.0), a)


def test_compiled_functions_keep_structure():
    compiled = graphc.compile(lambda x: {"twice": x * 2, "parts": [x[0], (x[1],)]}, graphc.spec((2,)))
    result = compiled(np.array([3, 4], "f4"))
    assert result["twice"].tolist() == [6, 8]
    assert float(result["parts"][1][0]) == 4


def test_import_is_light():
    import subprocess
    import sys

    heavy = ("numba", "llvmlite", "rich", "graphc.codegen")
    code = f"import graphc, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_glu_is_a_gate_of_one_half_for_the_other():
    from graphc import activations

    x = np.random.default_rng(0).standard_normal((3, 8)).astype("f4")
    expected = x[:, :4] / (1 + np.exp(-x[:, 4:]))
    np.testing.assert_allclose(activations.get("glu")(x), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(activations.glu(x.T, axis=0), expected.T, rtol=1e-5, atol=1e-6)


def test_the_other_names_of_activations_are_functions_too():
    from graphc import activations

    assert activations.swish is activations.silu is activations.get("swish")
    assert activations.hard_swish is activations.hard_silu
