"""Options of `jit`: `check=` names the operation that goes wrong; `backend=` and `passes=` choose code."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.codegen import backends, checked
from graphc.ir.errors import NumericsError


def logs(x, w):
    h = x @ w
    y = np.log(h)
    return y.sum()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_line_that_gives_a_nan_is_named_in_every_call():
    checked = graphc.jit(logs, check="nan")
    x, w = np.ones((4, 3)), np.ones((3, 2))
    for _ in range(6):
        assert checked(x, w) == logs(x, w)
    with pytest.raises(NumericsError, match=r"log gave a NaN: element \[0, 0\] of float64\[4, 2\]") as found:
        checked(x, -w)
    assert f"test_checks.py:{logs.__code__.co_firstlineno + 2}" in str(found.value)
    assert checked(x, w) == logs(x, w)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_changes_after_the_nan_do_not_happen():
    def step(net, x):
        net["w"] -= x
        net["w"] /= x
        net["steps"] += 1

    checked = graphc.jit(step, check="nan")
    net = {"w": np.array([1.0, 4.0]), "steps": 0}
    checked(net, np.array([2.0, 4.0]))
    with pytest.raises(NumericsError, match="itruediv gave a NaN"):
        checked(net, np.array([-0.5, 0.0]))  # 0 / 0
    assert net["steps"] == 1
    np.testing.assert_array_equal(net["w"], [0.0, np.nan])


def test_nan_that_comes_in_is_said_to_be_an_operands():
    checked = graphc.jit(lambda x: (x * 2).sum(), check="nan")
    with pytest.raises(NumericsError, match="an operand of it holds NaN already"):
        checked(np.array([1.0, np.nan]))


def descend(net, x, t):
    h = np.tanh(x @ net["w"])
    d = h - t
    net["w"] -= 0.1 * (x.T @ (d * (1 - h * h)))
    return np.mean(d * d)


def trained(fn, calls=8):
    """What some calls give, and what they leave behind."""
    rng = np.random.default_rng(0)
    net = {"w": rng.normal(size=(30, 20))}
    x, t = rng.normal(size=(64, 30)), rng.normal(size=(64, 20))
    return [fn(net, x, t) for _ in range(calls)], net["w"]


@pytest.mark.parametrize(
    "options", [{"check": "reference"}, {"backend": "numba"}, {"passes": "simplify"}], ids=str
)
def test_options_choose_the_program_that_runs(options, monkeypatch):
    chosen = []
    build = backends.build

    def noted(pipeline, options):
        chosen.append((options.backend, options.check, options.passes))
        return build(pipeline, options)

    monkeypatch.setattr(backends, "build", noted)
    losses, w = trained(graphc.jit(descend, **options))
    plain_losses, plain_w = trained(descend)
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-12)
    np.testing.assert_allclose(w, plain_w, rtol=1e-12, atol=1e-13)
    assert chosen
    assert set(chosen) == {(options.get("backend", "llvm"), options.get("check"), options.get("passes"))}


def test_native_code_that_differs_from_numpy_is_named(monkeypatch):
    monkeypatch.setattr(checked, "TOLERANCE", {"f64": 1e-30})
    with pytest.raises(NumericsError, match="differs from the evaluator"):
        trained(graphc.jit(descend, check="reference"))
