"""`tune=True` of models and functions: the same results, and a line in `graphc cache info`."""

import numpy as np
import pytest

import graphc
from graphc import cli
from graphc.codegen import tuner
from graphc.codegen.meter import Meter
from graphc.layers import Dense, Input


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    """Every policy is quicker than none, and that is soon known."""
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(tuner, "SECONDS", 0.0)

    def seconds(self, kernels):
        return [0.5 if self.program.choices.get(k) else 1.0 for k in kernels]

    monkeypatch.setattr(Meter, "seconds", seconds)


def model():
    graphc.utils.set_random_seed(1)
    found = graphc.Sequential([Input((300,)), Dense(128, activation="relu"), Dense(2)])
    found.compile("sgd", "mse")
    found.get_weights()
    return found


def data():
    rng = np.random.default_rng(0)
    return rng.random((4, 300)).astype("f4"), rng.random((4, 2)).astype("f4")


def test_a_tuned_step_trains_as_any_other():
    x, y = data()
    models = [model(), model()]
    steps = [graphc.compile(m, step="train", tune=i == 0) for i, m in enumerate(models)]
    for _ in range(3):
        assert steps[0](x, y) == steps[1](x, y)
    assert ".near" in steps[0].compiled.program.choices.values()
    for a, b in zip(models[0].get_weights(), models[1].get_weights()):
        assert a.tobytes() == b.tobytes()
    assert models[0].predict(x, verbose=0).tobytes() == models[1].predict(x, verbose=0).tobytes()


def test_a_tuned_function_has_its_effects_once():
    def f(x, w, total):
        total += 1
        return np.maximum(x @ w, 0)

    rng = np.random.default_rng(0)
    x, w = rng.random((4, 300)).astype("f4"), rng.random((300, 128)).astype("f4")
    tuned, plain = graphc.jit(f, tune=True), graphc.jit(f)
    totals = np.zeros(3, "f4"), np.zeros(3, "f4")
    for _ in range(6):
        np.testing.assert_allclose(tuned(x, w, totals[0]), plain(x, w, totals[1]), rtol=1e-5)
    np.testing.assert_array_equal(totals[0], totals[1])
    np.testing.assert_array_equal(totals[0], np.full(3, 6, "f4"))


def test_cache_info_tells_of_it(capsys):
    assert cli.main(["cache", "info"]) == 0
    assert "tune" not in capsys.readouterr().out
    graphc.compile(model(), tune=True)(data()[0])
    assert cli.main(["cache", "info"]) == 0
    assert "what was measured by tune=True, for 1 graph\n" in capsys.readouterr().out
