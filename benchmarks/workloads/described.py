"""A network as files: its layers as JSON, its weights and data as arrays; written once, read by all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

KEPT = ("activation", "padding", "strides", "pool_size", "epsilon", "momentum", "target_shape", "size")
"""What of a layer's settings twins look at."""


@dataclass(frozen=True)
class Layer:
    """A layer: its class, the names of the layers before it, its settings."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any]
    weights: int
    trainable: bool


@dataclass(frozen=True)
class Description:
    """The network in a folder."""

    folder: Path

    @cached_property
    def layers(self) -> list[Layer]:
        """All layers, each behind those that it reads."""
        return [Layer(**d) for d in json.loads((self.folder / "layers.json").read_text())]

    @cached_property
    def _arrays(self) -> Mapping[str, np.ndarray]:
        return np.load(self.folder / "arrays.npz")

    @property
    def x(self) -> np.ndarray:
        return self._arrays["x"]

    @property
    def y(self) -> np.ndarray:
        return self._arrays["y"]

    def weights(self, layer: Layer) -> list[np.ndarray]:
        """A layer's weights, in Keras's order and layout."""
        return [self._arrays[f"{layer.name}/{i}"] for i in range(layer.weights)]

    def model_weights(self) -> list[np.ndarray]:
        """Those of the whole model in Keras's order, which is that of its layers."""
        names = json.loads((self.folder / "order.json").read_text())
        return [self._arrays[name] for name in names]


def write(model: Any, x: np.ndarray, y: np.ndarray, folder: Path) -> None:
    """Write a model of graphc, with random weights of its own, and data."""
    rng = np.random.default_rng(1)
    arrays: dict[str, Any] = {"x": x, "y": y}
    layers, order = [], []
    for layer in model.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        for i, w in enumerate(layer.weights):
            order.append(f"{layer.name}/{i}")
            arrays[order[-1]] = _weight(rng, w.numpy())
        given = layer.input if isinstance(layer.input, (list, tuple)) else [layer.input]
        settings = {k: v for k, v in layer.get_config().items() if k in KEPT}
        layers.append(
            {
                "name": layer.name,
                "kind": type(layer).__name__,
                "inputs": [t.layer.name for t in given],
                "settings": settings,
                "weights": len(layer.weights),
                "trainable": layer.trainable,
            }
        )
    np.savez(folder / "arrays.npz", **arrays)
    (folder / "layers.json").write_text(json.dumps(layers))
    (folder / "order.json").write_text(json.dumps(order))
    parameters = sum(arrays[name].size for name in order)
    (folder / "size.json").write_text(json.dumps({"layers": len(layers), "parameters": parameters}))


def _weight(rng: np.random.Generator, first: np.ndarray) -> np.ndarray:
    """Kernels that keep the size of what passes through them; vectors stay as layers begin."""
    if first.ndim < 2:
        return first
    fan = int(np.prod(first.shape[:-1]))
    return (rng.standard_normal(first.shape) * (1.5 / fan) ** 0.5).astype("f4")
