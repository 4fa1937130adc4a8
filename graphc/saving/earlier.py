"""Weights in the `.h5` files of Keras 1 and 2, in which those of applications are published: read only.

A group for each layer, in the order of an attribute `layer_names`; in it an array for each weight, in the
order of `weight_names`. They fit by order, names do not count. Files of whole models have this in a group
`model_weights`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from graphc.ir.errors import ArgumentError, FileFormatError
from graphc.layers.layer import Layer
from graphc.saving import hdf5
from graphc.saving.hdf5 import Dataset
from graphc.saving.hdf5_attributes import Attribute
from graphc.variable import Variable

if TYPE_CHECKING:
    from graphc.models import Model

ENDINGS = (".h5", ".hdf5")
WHOLE = "model_weights"


def fitting(
    model: Model, data: np.ndarray, file: str, skip_mismatch: bool = False
) -> list[tuple[Variable, Dataset]]:
    """The arrays for the model's weights, layer by layer.

    Raises:
        FileFormatError: the file is damaged, or is none of Keras 1 or 2.
        ArgumentError: numbers of layers or weights, or shapes, differ (shapes may, with `skip_mismatch`).
    """
    found, groups = hdf5.read(data), hdf5.group_attributes(data, depth=2)
    prefix = f"{WHOLE}/" if WHOLE in groups else ""
    names = _list(groups[prefix.rstrip("/")], "layer_names")
    if names is None:
        raise FileFormatError("it has no list of layers, as Keras's .h5 files have.")
    stored = [(name, _list(groups.get(prefix + name, {}), "weight_names") or []) for name in names]
    stored = [(name, weights) for name, weights in stored if weights]
    own = [(layer, _weights(layer)) for layer in model.layers if layer.weights]
    if len(own) != len(stored):
        raise ArgumentError(
            f"{file} has weights of {len(stored)} layers, but '{model.name}' has {len(own)} with weights."
        )
    plan = []
    for (layer, variables), (name, weights) in zip(own, stored):
        arrays = [found.get(f"{prefix}{name}/{weight}") for weight in weights]
        if len(arrays) != len(variables):
            raise ArgumentError(
                f"{file}: layer '{name}' has {len(arrays)} weights, but {layer} has {len(variables)}."
            )
        for variable, array in zip(variables, arrays):
            if array is None:
                raise FileFormatError(f"a weight of the layer '{name}' is missing.")
            if array.shape == variable.shape:
                plan.append((variable, array))
            elif not skip_mismatch:
                raise ArgumentError(
                    f"{file}: a weight of layer '{name}' is {array.shape}, but '{variable.path}' of {layer} "
                    f"is {variable.shape}.\n  fix     make the model as it was, or leave such weights as "
                    "they are: skip_mismatch=True."
                )
    return plan


def _weights(layer: Layer) -> list[Variable]:
    """The weights that training may change, then the others, whether the layer is frozen or not."""
    return sorted(layer.weights, key=lambda v: not v.trainable)


def _list(attributes: Mapping[str, Attribute], name: str) -> list[str] | None:
    """A list of strings; long ones are in pieces called `name0`, `name1`, ..."""
    if name in attributes:
        whole = attributes[name]
        return list(whole) if isinstance(whole, tuple) else None
    pieces: list[str] = []
    number = 0
    while isinstance(piece := attributes.get(f"{name}{number}"), tuple):
        pieces += piece
        number += 1
    return pieces or None
