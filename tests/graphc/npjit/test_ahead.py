"""`graphc.compile(fn, spec, ...)` of NumPy functions: what `jit` gives, compiled before the first call."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import spec

X = np.arange(6, dtype="f4").reshape(2, 3) + 0.5


def strong_scalar(x):
    return x * np.float64(2)


def size_in_a_root(x):
    return x / np.sqrt(x.shape[1])


def two_names(x):
    y = x * 2
    z = y
    z += 1
    return y


def through_a_view(x):
    y = x * 2
    row = y[0]
    row += 1
    y[1, :2] = 7
    return y


def integers(x):
    return x.astype(int) // 2 + np.arange(3)


def scalar(x):
    return np.mean(x) * np.array(2.0)


def branch(x):
    return x if x.sum() > 3 else -x


def several(x):
    return {"sum": x.sum(axis=0), "parts": (x[0], [x.T])}


@pytest.mark.parametrize("backend", ["llvm", "reference"])
@pytest.mark.parametrize(
    "fn",
    [strong_scalar, size_in_a_root, two_names, through_a_view, integers, scalar, branch, several],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("rows", [2, None])
def test_values_and_types_are_numpys(fn, rows, backend):
    compiled = graphc.compile(fn, spec((rows, 3)), backend=backend)
    for n in (2,) if rows else (2, 5, 3, 5):
        rows_of_x = np.resize(X, (n, 3))
        for x in (rows_of_x, -rows_of_x):
            assert_equal(compiled(x), fn(x.copy()))


def assert_equal(got, want):
    if isinstance(want, dict):
        assert list(got) == list(want)
        got, want = list(got.values()), list(want.values())
    if isinstance(want, (list, tuple)):
        assert type(got) is type(want)
        for a, b in zip(got, want, strict=True):
            assert_equal(a, b)
        return
    assert type(got) is type(want)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_arguments_are_changed_as_the_function_does():
    def step(w, g, rate):
        w -= rate * g
        return w.sum()

    compiled = graphc.compile(step, spec(3, "float64"), spec(3, "float64"), spec((), "float64"))
    w = np.ones(3)
    assert compiled(w, np.ones(3), 0.5) == 1.5
    assert w.tolist() == [0.5, 0.5, 0.5]


def test_it_is_compiled_before_the_first_call_and_for_all_sizes():
    def layer(x, w):
        return np.tanh(x @ w)

    w = np.ones((30, 20), "f4")
    compiled = graphc.compile(layer, spec((None, 30)), spec((30, 20)))
    assert "f32[s" in str(compiled.ir())
    assert compiled.ir().name == "layer"
    before = graphc.stats()["compiles"]
    for n in (2, 7, 64):
        x = np.full((n, 30), 0.01, "f4")
        np.testing.assert_allclose(compiled(x, w), layer(x, w), rtol=1e-6)
    assert graphc.stats()["compiles"] == before


def test_what_the_function_does_outside_happens_in_calls_alone():
    seen, net = [], {"steps": 0, "w": np.zeros(3, "f4")}

    def step(x):
        seen.append(x.sum())
        net["steps"] += 1
        net["w"] += x
        return net["w"] * 2

    compiled = graphc.compile(step, spec(3))
    assert (seen, net["steps"], net["w"].tolist()) == ([], 0, [0, 0, 0])
    assert compiled(np.ones(3, "f4")).tolist() == [2, 2, 2]
    assert (seen, net["steps"], net["w"].tolist()) == ([3], 1, [1, 1, 1])


def test_printed_text_and_random_numbers_are_left_to_calls(capsys):
    def noisy(x):
        print("called")
        return x + np.random.rand(3)

    np.random.seed(0)
    state = np.random.get_state()[1].tolist()
    compiled = graphc.compile(noisy, spec(3, "float64"))
    assert capsys.readouterr().out == ""
    assert np.random.get_state()[1].tolist() == state
    got = compiled(np.zeros(3))
    np.random.seed(0)
    np.testing.assert_array_equal(got, np.random.rand(3))
    assert capsys.readouterr().out == "called\n"


def test_arguments_that_do_not_fit_are_told_by_name():
    compiled = graphc.compile(lambda image, w: image @ w, spec(("B", 3)), spec((3, "B")))
    assert compiled(np.ones((2, 3), "f4"), np.ones((3, 2), "f4")).shape == (2, 2)
    with pytest.raises(graphc.GraphcError, match="input 'image'"):
        compiled(np.ones((2, 4), "f4"), np.ones((3, 2), "f4"))
    with pytest.raises(graphc.GraphcError, match="'w'"):
        compiled(np.ones((2, 3), "f4"), np.ones((3, 4), "f4"))


def test_operands_that_do_not_fit_are_numpys_error():
    compiled = graphc.compile(lambda a, b: a @ b, spec((2, 3)), spec((2, 3)))
    with pytest.raises(ValueError, match="matmul"):
        compiled(np.ones((2, 3)), np.ones((2, 3)))


def test_functions_of_symbolic_tensors_stay_those():
    compiled = graphc.compile(lambda a: graphc.ops.sum(a * 2), spec((None,)))
    assert compiled.ir("traced").nodes
    assert float(compiled(np.ones(3, "f4"))) == 6
