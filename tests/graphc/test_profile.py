"""`profile` of models, their steps and functions, which leaves all state as it is."""

import numpy as np
import pytest

import graphc
from graphc import ops
from graphc.ir.errors import GraphcError
from graphc.layers import BatchNormalization, Dense, Dropout, Input


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "profile"))


def model():
    graphc.utils.set_random_seed(1)
    found = graphc.Sequential(
        [
            Input((6,)),
            Dense(5, activation="relu", name="hidden"),
            BatchNormalization(),
            Dropout(0.5, seed=3),
            Dense(3),
        ]
    )
    found.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    found.get_weights()  # their first values are drawn now
    return found


def data():
    rng = np.random.default_rng(0)
    return rng.random((8, 6)).astype("f4"), rng.integers(0, 3, 8)


def test_a_training_step_goes_on_as_if_it_had_not_been_profiled():
    models = [model(), model()]
    steps = [graphc.compile(m, step="train") for m in models]
    results = []
    for _ in range(3):
        results.append([step(*data()) for step in steps])
        before = [np.array(v) for v in models[0].variables]
        found = steps[0].profile(*data(), rounds=2)
        assert all((a == np.array(v)).all() for a, v in zip(before, models[0].variables))
        assert found.sizes == {"B": 8}
    assert all(a == b for a, b in results)
    assert "hidden" in {name for row in found for name in row.layers}
    assert any(
        line.startswith("test_profile.py:") or "/test_profile.py:" in line for r in found for line in r.lines
    )


def test_profiling_before_the_first_call_changes_nothing():
    models = [model(), model()]
    steps = [graphc.compile(m, step="train") for m in models]
    steps[0].profile(*data(), rounds=1)
    assert steps[0](*data()) == steps[1](*data())


def test_a_forward_pass():
    m = model()
    f = graphc.compile(m)
    x, _ = data()
    found = f.profile(x, rounds=2)
    assert [r.name for r in found if r.bytes] == [k.name for k in f.lowered.kernels]
    assert found.sizes == {"B": 8}


def test_a_function_with_structured_arguments():
    spec = graphc.spec
    f = graphc.compile(lambda a: ops.exp(a["x"]) @ a["y"], {"x": spec((None, 3)), "y": spec((3, 2))})
    found = f.profile({"x": np.ones((5, 3), "f4"), "y": np.ones((3, 2), "f4")}, rounds=2)
    assert found.sizes["N0_0"] == 5
    assert sum(r.flops for r in found) == 5 * 3 + 2 * 5 * 3 * 2


@pytest.mark.parametrize("shape", [(8, 5), (8, 6, 1, 1)])
def test_wrong_shapes_are_one_clear_error(shape):
    x, y = np.zeros(shape, "f4"), data()[1]
    for call in (
        graphc.compile(model()).profile,
        lambda a: graphc.compile(model(), step="train").profile(a, y),
    ):
        with pytest.raises(GraphcError) as error:
            call(x)
        assert isinstance(error.value, ValueError)
        assert str(shape) in str(error.value)


def test_examples_fit_models_and_their_losses():
    step = graphc.compile(model(), step="train")
    batch = step.example(4)
    assert [a.shape for a in (*batch.x, *batch.y)] == [(4, 6), (4,)]
    assert batch.y[0].dtype == np.int64
    assert graphc.compile(model(), step="predict").example(4).y == []
