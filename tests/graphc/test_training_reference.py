"""Whole training runs against Keras 3 (JAX backend): loss and metrics of each epoch, and the final weights.

The reference data (tests/oracle/training.*, algorithms.*) hold the program of each case, its start
weights and what Keras computed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc import backend, constraints, layers, losses, metrics, optimizers, regularizers

FOLDER = Path(__file__).parents[1] / "oracle"
TRAINING = json.loads((FOLDER / "training.json").read_text())
ALGORITHMS = json.loads((FOLDER / "algorithms.json").read_text())["training"]
CASES = {c["name"]: c for c in (*TRAINING, *ALGORITHMS)}


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    both: dict[str, np.ndarray] = {}
    for file in ("training.npz", "algorithms.npz"):
        with np.load(FOLDER / file) as found:
            both |= {name: found[name] for name in found.files}
    return both


def environment(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The names that the programs use."""
    names = {
        m.__name__.rsplit(".", 1)[1]: m
        for m in (layers, losses, metrics, optimizers, regularizers, constraints)
    }
    data = {k.split("|")[1]: v for k, v in arrays.items() if k.startswith("data|")}
    return {
        **names,
        **data,
        "np": np,
        "Input": graphc.Input,
        "Model": graphc.Model,
        "Sequential": graphc.Sequential,
    }


@pytest.mark.parametrize("name", CASES)
def test_training_matches_keras(name: str, arrays: dict[str, np.ndarray]) -> None:
    backend.clear_session()
    case, env = CASES[name], environment(arrays)
    exec(case["source"], env)
    model = env["model"]
    model.set_weights([arrays[f"{name}|w{i}"] for i in range(case["weights"])])
    exec(case["train"], env)
    history = env["h"].history
    assert sorted(history) == sorted(case["history"])
    for key, expected in case["history"].items():
        np.testing.assert_allclose(history[key], expected, rtol=1e-4, atol=1e-5, err_msg=key)
    for i, weight in enumerate(model.get_weights()):
        expected = arrays[f"{name}|fw{i}"]
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=3e-5, err_msg=f"weight {i}")
