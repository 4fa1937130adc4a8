"""What `compile` was told, as `.keras` files hold it, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from graphc import losses, metrics, optimizers
from graphc.ir.errors import FileFormatError
from graphc.saving import registry

if TYPE_CHECKING:
    from graphc.models import Model

OBJECTIVE: dict[str, ModuleType] = {"loss": losses, "metrics": metrics, "weighted_metrics": metrics}
FIXED = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": True}
"""Options of Keras that mean nothing here; it wants to find them."""


def compile_config(model: Model) -> dict[str, Any]:
    """The arguments of `compile` as JSON holds them; empty if the model is not compiled.

    >>> from graphc import Sequential, Input
    >>> from graphc.layers import Dense
    >>> model = Sequential([Input((3,)), Dense(1)])
    >>> model.compile("sgd", "mse"); compile_config(model)["loss"]
    'mse'
    """
    if not model.compiled:
        return {}
    given = model.objective.given
    return {
        "optimizer": optimizers.serialize(model.optimizer),
        "loss": _stored(given["loss"], losses),
        "loss_weights": given["loss_weights"],
        **{name: _stored(given[name], metrics) for name in ("metrics", "weighted_metrics")},
        **FIXED,
    }


def compile_from_config(
    model: Model, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> None:
    """Compile a model by what `compile_config`, of graphc or Keras 3, gave.

    Raises:
        FileFormatError: the configuration is damaged.
        ArgumentError: it names a loss, metric or optimizer that is not known.
    """
    with registry.custom_object_scope(custom_objects):
        known = {key.split(">")[-1]: item for key, item in registry.custom_objects().items()}
        if not isinstance(config, Mapping) or not isinstance(config.get("optimizer"), (dict, str)):
            raise FileFormatError("the file's compile_config names no optimizer.")
        arguments = {name: _revived(config.get(name), lookup, known) for name, lookup in OBJECTIVE.items()}
        model.compile(
            optimizer=optimizers.deserialize(config["optimizer"], known),
            loss_weights=_plain(config.get("loss_weights")),
            **arguments,
        )


def _stored(value: Any, lookup: ModuleType) -> Any:
    if isinstance(value, dict):
        return {k: _stored(v, lookup) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stored(v, lookup) for v in value]
    if value is None or isinstance(value, str):
        return value
    return lookup.serialize(value) if hasattr(value, "get_config") else registry.serialize_function(value)


def _revived(value: Any, lookup: ModuleType, known: Mapping[str, Any]) -> Any:
    value = _plain(value)
    if isinstance(value, dict) and value.get("class_name") == "function":
        for key in (value.get("registered_name"), value["config"]):
            if key in registry.custom_objects():
                return registry.custom_objects()[key]
        return lookup.get(value["config"])
    if isinstance(value, dict) and "class_name" in value:
        return lookup.deserialize(value, known)
    if isinstance(value, dict):
        return {k: _revived(v, lookup, known) for k, v in value.items()}
    if isinstance(value, list):
        return [_revived(v, lookup, known) for v in value]
    return known[value] if isinstance(value, str) and value in known else value


def _plain(value: Any) -> Any:
    """A stored tuple as a list."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        return list(value["config"])
    return value
