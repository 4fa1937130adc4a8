"""Where weights lie in files: Keras 3's paths, which follow attributes and classes, not names of layers.

A functional model or a `Sequential` has its layers under `layers/`, each by its class in snake case, numbered
from the second of a class on; other layers and models have theirs under the names of their attributes, in
alphabetical order. A layer that occurs twice is stored where it occurs first. So names of attributes that
hold layers are a part of the file format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from graphc.layers.weighted import Weighted
from graphc.naming import snake_case
from graphc.variable import Variable

if TYPE_CHECKING:
    from graphc.models import Model

OPTIMIZER = "optimizer"
INNER = frozenset({"_state", "_dag", "_placeholders", "_forward", "_compile_arguments", "_objective"})
"""Attributes that hold a layer's own bookkeeping."""
MOST_DEPTH = 8
"""Containers in containers; as for weights (`layers/state.contained`)."""


@dataclass(frozen=True)
class Place:
    """A variable's place in files.

    Attributes:
        path: in HDF5 files, "layers/dense/vars/0".
        label: in files of named arrays, "dense/kernel": like `path`, but with the names of layers that have
            one of their own.
        owner: the name of the layer, or of the optimizer.
        kind: its class.
        variable: what is stored there.
    """

    path: str
    label: str
    owner: str
    kind: str
    variable: Variable


def is_own_name(name: str, kind: str) -> bool:
    """Whether a name was given to a layer, not counted.

    >>> is_own_name("dense_3", "Dense"), is_own_name("head", "Dense")
    (False, True)
    """
    bases = ("model", "functional") if kind in ("Functional", "Model") else (snake_case(kind),)
    return not any(re.fullmatch(rf"{base}(_\d+)?", str(name)) for base in bases)


def weight_places(model: Model) -> list[Place]:
    """A place for each weight of a model.

    >>> from graphc import Sequential, Input
    >>> from graphc.layers import Dense
    >>> model = Sequential([Input((3,)), Dense(2), Dense(1, use_bias=False)])
    >>> [(p.path, p.label) for p in weight_places(model)][1:]
    [('layers/dense/vars/1', 'dense/bias'), ('layers/dense_1/vars/0', 'dense_1/kernel')]
    """
    labels: dict[str, int] = {}
    places = []
    for place in _walk(model, "", "", set()):
        count = labels.get(place.label, 0)
        labels[place.label] = count + 1
        places.append(replace(place, label=f"{place.label}_{count}") if count else place)
    return places


def optimizer_places(model: Model) -> list[Place]:
    """A place for each variable of a compiled model's optimizer; none if the model is not compiled."""
    optimizer = model.optimizer
    if optimizer is None:
        return []
    paths = (f"{OPTIMIZER}/vars/{i}" for i in range(len(optimizer.variables)))
    kind = type(optimizer).__name__
    return [Place(path, path, optimizer.name, kind, v) for path, v in zip(paths, optimizer.variables)]


def is_passed_over(path: str) -> bool:
    """Whether a file's array is state that models of graphc do not keep in their weights: optimizers' slots,
    states of random numbers, and sums of metrics.
    """
    parts = path.split("/")
    known = {OPTIMIZER, "seed_generator", "_loss_tracker", "_compile_metrics", "_metrics", "metrics"}
    return bool(known & set(parts))


def _walk(layer: Weighted, path: str, label: str, seen: set[int]) -> Iterator[Place]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    for i, v in enumerate(layer._own_variables()):
        kind = type(layer).__name__
        yield Place(_join(path, f"vars/{i}"), _join(label, v.name), layer.name, kind, v)
    for name, child in _children(layer):
        shown = label if name == "layers" else _join(label, name)
        yield from _contained(child, _join(path, name), shown, seen)


def _children(layer: Weighted) -> Iterator[tuple[str, Any]]:
    """Attributes that may hold layers, in the order of Keras: a model's `layers` first if it has calls."""
    from graphc.models import Model
    from graphc.sequential import Sequential

    found = {k: v for k, v in vars(layer).items() if k not in INNER}
    if isinstance(layer, Model):
        connected = isinstance(layer, Sequential) or layer.has_own_inputs
        if connected:
            yield "layers", layer.layers
        else:
            found["layers"] = layer.layers
    for name in sorted(found, key=_private_last):
        yield name, found[name]


def _private_last(name: str) -> str:
    return f"~{name}" if name.startswith("_") else name


def _contained(value: Any, path: str, label: str, seen: set[int], depth: int = 0) -> Iterator[Place]:
    """The places of a layer, or of the layers in a container."""
    if isinstance(value, Weighted):
        yield from _walk(value, path, label, seen)
    if not isinstance(value, (list, tuple, dict)) or depth > MOST_DEPTH:
        return
    used: dict[str, int] = {}
    for item in list(value.values() if isinstance(value, dict) else value):
        if not isinstance(item, (Weighted, list, tuple, dict)):
            continue
        kind = type(item).__name__ if isinstance(item, Weighted) else "Container"
        base = snake_case(kind)
        count = used.get(base, 0)
        used[base] = count + 1
        name = f"{base}_{count}" if count else base
        own = item.name if isinstance(item, Weighted) and is_own_name(item.name, kind) else name
        yield from _contained(item, _join(path, name), _join(label, own), seen, depth + 1)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
