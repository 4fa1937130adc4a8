"""Layers and models against results of Keras 3 that were recorded on the same weights: outputs, state,
gradients, JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc import layers
from graphc.models import model_from_json

FOLDER = Path(__file__).parents[1] / "oracle"
FILES = ("front", "windows", "recurrent", "attention")
PARTS = [json.loads((FOLDER / f"{name}.json").read_text()) for name in FILES]
ARRAYS = {key: array for name in FILES for key, array in np.load(FOLDER / f"{name}.npz").items()}
LAYERS = {c["name"]: c for part in PARTS for c in part["layers"]}
MODELS = {c["name"]: c for part in PARTS for c in part["models"]}
CONFIGS = {name: config for part in PARTS for name, config in part["configs"].items()}


@pytest.fixture(autouse=True)
def reference(monkeypatch):
    """Graphs run by the evaluator, unless a test says otherwise: it is the front end that is tested here."""
    monkeypatch.setenv("GRAPHC_BACKEND", "reference")
    graphc.backend.clear_session()


def arrays(name: str, kind: str, count: int) -> list[Any]:
    keys = [f"{name}|{kind}{i}" for i in range(count)]
    return [ARRAYS.get(k) for k in keys]


def one(items: list[Any]) -> Any:
    return items[0] if len(items) == 1 else list(items)


def several(results: Any) -> list[Any]:
    return list(results) if isinstance(results, (list, tuple)) else [results]


def assert_close(got: Any, wanted: np.ndarray, dev: float = 0.0) -> None:
    assert got.shape == wanted.shape
    tolerance = 2e-5 * max(1.0, float(np.abs(wanted).max(initial=0))) + 5 * dev
    np.testing.assert_allclose(got.astype("f8"), wanted.astype("f8"), rtol=0, atol=tolerance)


def argument(value: Any) -> Any:
    """JSON as constructor arguments: layers are made, lists become tuples."""
    if isinstance(value, dict) and "__layer__" in value:
        return getattr(layers, value["__layer__"])(**argument(value["config"]))
    if isinstance(value, dict):
        return {k: argument(v) for k, v in value.items()}
    return tuple(argument(v) for v in value) if isinstance(value, list) else value


def build(case: dict[str, Any]) -> graphc.Model:
    inputs = [graphc.Input(tuple(s.get("sym") or s["shape"][1:]), dtype=s["dtype"]) for s in case["inputs"]]
    results: list[Any] = []

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(v) for v in value]
        table = {"$": inputs, "%": results}.get(value[:1], ()) if isinstance(value, str) else ()
        return table[int(value[1:])] if table else value

    for step in case["steps"]:
        layer = getattr(layers, step["cls"])(**argument(step["config"]))
        kwargs = {k: resolved(v) for k, v in step["kwargs"].items()}
        results.append(layer(*(resolved(a) for a in step["args"]), **kwargs))
    last = results[-1]
    return graphc.Model(one(inputs), list(last) if isinstance(last, tuple) else last)


def check_gradients(model: graphc.Model, case: dict[str, Any], xs: list[Any], training: bool) -> None:
    name, dev = case["name"], case["dev"]
    ct = arrays(name, "ct", case["outputs"])
    dx, dw = graphc.vjp(model, training=training)(one(xs), one(ct))
    for got, wanted, d in zip(dx, arrays(name, "dx", len(xs)), dev["dx"], strict=True):
        if wanted is None:
            assert got is None
        else:
            assert_close(got, wanted, d or 0.0)
    wanted_dw = arrays(name, "dw", sum(w["trainable"] for w in case["weights"]))
    for got, wanted, d in zip(dw, wanted_dw, dev["dw"]):
        assert_close(got, wanted, d or 0.0)


@pytest.mark.parametrize("backend", ["reference", "llvm"])
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, backend, monkeypatch):
    monkeypatch.setenv("GRAPHC_BACKEND", backend)
    case = LAYERS[name]
    model = build(case)
    xs, weights = arrays(name, "x", len(case["inputs"])), arrays(name, "w", len(case["weights"]))
    assert [w.path for w in model.weights] == [w["path"] for w in case["weights"]]
    model.set_weights(weights)
    check_gradients(model, case, xs, case["training"])
    model.set_weights(weights)
    got = model(one(xs), training=True) if case["training"] else model(one(xs))
    for y, wanted, d in zip(several(got), arrays(name, "y", case["outputs"]), case["dev"]["y"], strict=True):
        assert y.dtype == wanted.dtype
        assert_close(y, wanted, d)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_survives_json(name):
    case = LAYERS[name]
    model = build(case)
    twin = model_from_json(model.to_json())
    assert json.loads(twin.to_json()) == json.loads(model.to_json())
    twin.set_weights(model.get_weights())
    xs = arrays(name, "x", len(case["inputs"]))
    for got, wanted in zip(several(twin(one(xs))), several(model(one(xs))), strict=True):
        np.testing.assert_array_equal(got, wanted)


def run_source(source: str) -> graphc.Model:
    names = {"layers": layers, "Input": graphc.Input, "Model": graphc.Model, "Sequential": graphc.Sequential}
    exec(compile(source, "<case>", "exec"), names)
    return names["model"]


@pytest.mark.parametrize("name", MODELS)
def test_model(name):
    case = MODELS[name]
    model = run_source(case["source"])
    assert [layer.name for layer in model.layers] == case["layer_names"]
    assert model.count_params() == case["count_params"]
    xs = arrays(name, "x", len(case["inputs"]))
    weights = arrays(name, "w", len(case["weights"]))
    model.set_weights(weights)
    wanted = arrays(name, "y", case["outputs"])
    twin = model_from_json(case["json"])
    twin.set_weights(weights)
    for got in (model(one(xs)), graphc.compile(model)(*xs), twin(one(xs))):
        for y, w, d in zip(several(got), wanted, case["dev"]["y"], strict=True):
            assert_close(y, w, d)
    check_gradients(model, case, xs, False)


@pytest.mark.parametrize("name", MODELS)
def test_json_is_keras_json(name):
    """The same classes, configurations and connections, key for key."""
    case = MODELS[name]
    wanted, got = json.loads(case["json"]), json.loads(run_source(case["source"]).to_json())
    for key in ("class_name", "module", "registered_name"):
        assert got[key] == wanted[key]
    assert without_absent(got["config"]) == without_absent(wanted["config"])


def without_absent(config: Any) -> Any:
    """Without arguments of calls that are None."""
    if isinstance(config, list):
        return [without_absent(c) for c in config]
    if not isinstance(config, dict):
        return config
    found = {k: without_absent(v) for k, v in config.items()}
    return (
        found | {"kwargs": {k: v for k, v in found["kwargs"].items() if v is not None}}
        if "kwargs" in found
        else found
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_configuration_is_keras_configuration(name):
    """The same keys in the same order, with the same values."""
    wanted = CONFIGS[name]
    got = json.loads(json.dumps(getattr(layers, name).from_config(wanted).get_config()))
    assert got == wanted
    assert list(got) == list(wanted)
