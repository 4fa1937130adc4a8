"""A model's architecture as JSON, in the form of Keras 3, read and written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from graphc import structure
from graphc.functional import Call
from graphc.ir.errors import FileFormatError, GraphcError
from graphc.layers.input import InputLayer
from graphc.layers.layer import Layer
from graphc.layers.operation import Operation
from graphc.models import Functional, Model
from graphc.saving import registry
from graphc.sequential import Sequential
from graphc.tensor import Tensor

DAMAGE = (TypeError, KeyError, ValueError, IndexError, RecursionError, OverflowError, MemoryError)
"""What reading a configuration may raise that is not as it should be."""


def to_json(model: Model, **options: Any) -> str:
    """The model's classes, names, configurations and connections; not its weights."""
    return json.dumps(json_values(registry.serialize(model)), **options)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model that `to_json`, of graphc or of Keras 3, described; with new weights.

    Raises:
        FileFormatError: the text is no JSON, or not of a model, or names an unknown class.

    >>> from graphc import Sequential, Input
    >>> from graphc.layers import Dense
    >>> model = Sequential([Input((3,)), Dense(2, name="out")], name="small")
    >>> model_from_json(model.to_json()).get_layer("out").units
    2
    """
    try:
        config = json.loads(json_string)
    except (json.JSONDecodeError, TypeError) as e:
        raise FileFormatError(f"the model's text is not JSON: {e}.") from e
    return model_from_config(config, custom_objects)


def model_from_config(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model that a parsed JSON describes.

    Raises:
        FileFormatError: the configuration is damaged, or names an unknown class.
    """
    try:
        made = registry.deserialize(config, custom_objects)
        if not isinstance(made, Model):
            raise FileFormatError(f"the file describes {made}, which is no model.")
        shape = (config.get("build_config") or {}).get("input_shape")
        if not made.built and shape:
            made.build(_any_batch(shape))
    except GraphcError:
        raise
    except (*DAMAGE, AttributeError, AssertionError) as e:
        raise FileFormatError(f"the stored configuration can't be read: {type(e).__name__}: {e}.") from e
    return made


# -- sequential -----------------------------------------------------------------------------------
def sequential_config(model: Any) -> dict[str, Any]:
    """The configuration of a Sequential."""
    config = {
        **Layer.get_config(model),
        "layers": [registry.serialize(layer) for layer in _all_layers(model)],
    }
    if model.built:
        config["build_input_shape"] = list(model.input_shape)
    return config


def _all_layers(model: Any) -> list[Layer]:
    return ([model.inputs[0].layer] if model.built else []) + model.layers


def sequential_from_config(cls: type, config: dict[str, Any], custom_objects: Any = None) -> Any:
    """The Sequential of a configuration."""
    model = cls(name=config.get("name"), trainable=config.get("trainable", True))
    for entry in _list(config, "layers"):
        layer = registry.deserialize(entry, custom_objects)
        model.add(layer)
    shape = config.get("build_input_shape")
    if shape and not model.built and model.layers:
        model.build(_tuples(shape))
    return model


# -- functional -----------------------------------------------------------------------------------
def functional_config(model: Model) -> dict[str, Any]:
    """The configuration of a functional model: layers with their calls, then inputs and outputs."""
    dag = model._dag
    assert dag is not None, "only a functional model has calls"
    numbers: dict[int, int] = {}
    calls: dict[int, list[Call]] = {}
    for call in sorted(dag.calls, key=lambda c: c.index):
        numbers[id(call)] = len(calls.setdefault(id(call.layer), []))
        calls[id(call.layer)].append(call)
    layers = []
    for layer in model.layers:
        made = [c for c in calls.get(id(layer), ()) if not c.is_input]
        inbound = [_call_config(c, numbers) for c in made]
        layers.append({**registry.serialize(layer), "name": layer.name, "inbound_nodes": inbound})
    inputs, outputs = (
        structure.transform(lambda t: _end(t, numbers), given) for given in (model.input, model.output)
    )
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": inputs,
        "output_layers": outputs,
    }


def _history(tensor: Tensor, numbers: dict[int, int]) -> list[Any]:
    assert tensor.history is not None
    call, index = tensor.history
    return [call.layer.name, numbers.get(id(call), 0), index]


def _end(tensor: Tensor, numbers: dict[int, int]) -> list[Any]:
    """An input or output of the model; calls of a model within count from 1 there, as Keras counts them."""
    name, node, index = _history(tensor, numbers)
    return [name, node + _first_call(tensor.layer), index]


def _first_call(layer: Any) -> int:
    return int(isinstance(layer, Functional) and not isinstance(layer, Sequential))


def _call_config(call: Call, numbers: dict[int, int]) -> dict[str, Any]:
    def stored(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        config = {
            "shape": list(leaf.shape),
            "dtype": leaf.dtype.name,
            "keras_history": _history(leaf, numbers),
        }
        return {"class_name": "__keras_tensor__", "config": config}

    tuples = isinstance(call.layer, Operation)
    args, kwargs = (_stored(given, stored, tuples) for given in (list(call.args), call.kwargs))
    return {"args": args, "kwargs": kwargs}


def _stored(value: Any, stored: Callable[[Any], Any], tuples: bool) -> Any:
    """An argument as JSON holds it. An operation's tuples are marked, since in an index they mean something
    else than lists.
    """
    if isinstance(value, slice):
        parts = [_stored(v, stored, tuples) for v in (value.start, value.stop, value.step)]
        return {"class_name": "__slice__", "config": parts}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(value, (list, tuple)):
        items = [_stored(v, stored, tuples) for v in value]
        return {"class_name": "__tuple__", "config": items} if tuples and isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {k: _stored(v, stored, tuples) for k, v in value.items()}
    return stored(value)


def functional_from_config(cls: type, config: dict[str, Any], custom_objects: Any = None) -> Any:
    """The functional model of a configuration: each layer is made, then called as soon as its inputs are
    there.
    """
    made: dict[str, Any] = {}
    results: dict[tuple[str, int], list[Any]] = {}
    waiting: list[tuple[str, int, dict[str, Any]]] = []
    for entry in _list(config, "layers"):
        layer = registry.deserialize(entry, custom_objects)
        name = entry.get("name") or entry["config"]["name"]
        made[name] = layer
        if isinstance(layer, InputLayer):
            results[name, 0] = [layer.output]
        waiting += [(name, i, call) for i, call in enumerate(entry.get("inbound_nodes") or [])]
    while waiting:
        later = [item for item in waiting if not _ready(item[2], results)]
        if len(later) == len(waiting):
            raise FileFormatError(
                f"the stored model is not connected: nothing makes the inputs of '{waiting[0][0]}'."
            )
        for name, index, call in waiting:
            if (name, index, call) not in later:
                args, kwargs = (
                    _revived(call.get("args", []), results),
                    _revived(call.get("kwargs", {}), results),
                )
                results[name, index] = structure.leaves(_called(made[name], args, kwargs))
        waiting = later
    ends = {(name, node + _first_call(made[name])): found for (name, node), found in results.items()}
    inputs, outputs = _ends(config, "input_layers", ends), _ends(config, "output_layers", ends)
    kind = Functional if cls in (Model, Functional) else cls
    model = kind(inputs, outputs, name=config.get("name"))
    if not config.get("trainable", True):
        model.trainable = False
    return model


def _called(layer: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    try:
        return layer(*args, **kwargs)
    except GraphcError:
        raise
    except TypeError as e:
        raise FileFormatError(f"the stored call of '{layer.name}' does not fit it: {e}.") from e


def _references(value: Any) -> list[tuple[str, int]]:
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            name, node, _ = value["config"]["keras_history"]
            return [(name, node)]
        return [r for v in value.values() for r in _references(v)]
    if isinstance(value, list):
        return [r for v in value for r in _references(v)]
    return []


def _ready(call: dict[str, Any], results: dict[tuple[str, int], list[Any]]) -> bool:
    return all(reference in results for reference in _references(call))


def _revived(value: Any, results: dict[tuple[str, int], list[Any]]) -> Any:
    if isinstance(value, dict):
        kind = value.get("class_name")
        if kind == "__keras_tensor__":
            name, node, index = value["config"]["keras_history"]
            return results[name, node][index]
        if kind == "__slice__":
            return slice(*(_revived(v, results) for v in value["config"]))
        if kind == "__tuple__":
            return tuple(_revived(v, results) for v in value["config"])
        if kind == "__ellipsis__":
            return Ellipsis
        return {k: _revived(v, results) for k, v in value.items()}
    return [_revived(v, results) for v in value] if isinstance(value, list) else value


def _ends(config: dict[str, Any], key: str, results: dict[tuple[str, int], list[Any]]) -> Any:
    """The model's inputs or outputs: [name, node, tensor], or a list or dict of such."""

    def end(value: Any) -> Any:
        if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
            found = results.get((value[0], value[1]))
            if found is None:
                raise FileFormatError(f"the stored model has no tensor {value[0]}[{value[1]}][{value[2]}].")
            return found[value[2]]
        if isinstance(value, dict):
            return {k: end(v) for k, v in value.items()}
        return [end(v) for v in value]

    return end(_list(config, key))


def _list(config: dict[str, Any], key: str) -> Any:
    if not isinstance(config.get(key), (list, dict)):
        raise FileFormatError(f"the stored model has no {key!r}.")
    return config[key]


def _any_batch(shape: Any) -> Any:
    """A stored shape, or several, for any number of samples."""
    if isinstance(shape, dict):
        return {k: _any_batch(v) for k, v in shape.items()}
    if any(isinstance(d, (list, tuple, dict)) for d in shape):
        return [_any_batch(s) for s in shape]
    return (None, *shape[1:])


def _tuples(shape: Any) -> Any:
    return tuple(_tuples(d) for d in shape) if isinstance(shape, (list, tuple)) else shape


def json_values(value: Any) -> Any:
    """The same with plain Python values, as JSON can hold them."""
    import numpy as np

    if isinstance(value, dict):
        return {k: json_values(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_values(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value.tolist() if isinstance(value, np.ndarray) else value
