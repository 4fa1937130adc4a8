"""Classes by name, as files name them: a fixed table and what users register. Nothing is imported because a
file says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from graphc.ir.errors import ArgumentError, FileFormatError, GraphcError

_registered: dict[str, Any] = {}
_scoped: ContextVar[Mapping[str, Any]] = ContextVar("custom_objects", default=MappingProxyType({}))


def register(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """Decorator: let files name a class or function of the user's, as `package>name`.

    >>> @register("mine")
    ... class Doubler: pass
    >>> custom_objects()["mine>Doubler"] is Doubler
    True
    """

    def add(item: Any) -> Any:
        _registered[f"{package}>{name or item.__name__}"] = item
        return item

    return add


register_keras_serializable = register


@contextmanager
def custom_object_scope(objects: Mapping[str, Any] | None) -> Iterator[None]:
    """These names mean these classes and functions inside."""
    token = _scoped.set({**_scoped.get(), **(objects or {})})
    try:
        yield
    finally:
        _scoped.reset(token)


def custom_objects() -> dict[str, Any]:
    """All names that were registered, or are given by a scope."""
    return {**_registered, **_scoped.get()}


def find(name: str, registered_name: str | None = None) -> Any:
    """The class for a stored name: one of graphc's layers and models, or a registered one.

    Raises:
        FileFormatError: there is none.
    """
    from graphc import layers, models

    given = custom_objects()
    for key in (registered_name, name):
        if key in given:
            return given[key]
    if name in ("Functional", "Model", "Sequential"):
        return getattr(models, name)
    if name in layers.CLASSES:
        return getattr(layers, name)
    raise FileFormatError(
        f"the file names a class '{name}', which graphc does not know.\n"
        f"  fix     if it is yours, give custom_objects={{'{name}': {name}}}, or register it above its "
        "definition:\n"
        f"          @graphc.saving.register_keras_serializable({_registration(registered_name, name)})"
    )


def _registration(registered: str | None, name: str) -> str:
    """The arguments with which a class is registered under the name that a file has."""
    package, _, own = str(registered or name).rpartition(">")
    return ", ".join(filter(None, [f'package="{package}"' if package else "", f'name="{own}"']))


def registered_name(cls: type) -> str | None:
    """The name under which a class was registered; None for graphc's own classes."""
    for name, item in custom_objects().items():
        if item is cls:
            return name
    from graphc import layers, models

    own = cls in (models.Model, models.Functional, models.Sequential) or (
        cls.__name__ in layers.CLASSES and getattr(layers, cls.__name__) is cls
    )
    return None if own else f"Custom>{cls.__name__}"


def serialize(obj: Any) -> dict[str, Any]:
    """A layer or model as JSON holds it."""
    cls = type(obj)
    own = registered_name(cls) is None
    is_layer = hasattr(obj, "traced_call")
    module = ("keras.layers" if is_layer else "keras") if own else None
    stored: dict[str, Any] = {
        "module": "keras" if cls.__name__ == "Sequential" else module,
        "class_name": cls.__name__,
        "config": obj.get_config(),
        "registered_name": registered_name(cls),
    }
    if cls.__name__ == "Functional":
        stored["module"], stored["registered_name"] = "keras.src.models.functional", "Functional"
    if is_layer and (build := obj.get_build_config()):
        stored["build_config"] = build
    return stored


def deserialize(config: Any, objects: Mapping[str, Any] | None = None) -> Any:
    """The layer, model or function that `serialize` stored.

    Raises:
        FileFormatError: the class is unknown or may not come from a file (Lambda), or the configuration does
        not fit it.
    """
    if not isinstance(config, dict) or "class_name" not in config:
        raise FileFormatError(
            f"a stored object is a dict with 'class_name' and 'config', not {str(config)[:80]!r}."
        )
    name, arguments = config["class_name"], config.get("config") or {}
    if name == "Lambda":
        raise FileFormatError(
            f"the file holds a Lambda layer '{arguments.get('name', '')}': code from a file is not run.\n"
            "  fix     write a Layer subclass for it, and give it as custom_objects."
        )
    with custom_object_scope(objects):
        if name == "function":
            return _function(
                arguments if isinstance(arguments, str) else config["config"], config.get("registered_name")
            )
        if str(config.get("module")).startswith("keras.src.ops"):
            return _operation(name, arguments)
        cls = find(name, config.get("registered_name"))
        try:
            made = cls.from_config(dict(arguments))
        except GraphcError:
            raise
        except (TypeError, KeyError, ValueError, AttributeError, IndexError, OverflowError) as e:
            raise FileFormatError(f"the stored configuration of {name} does not fit it: {e}.") from e
    return made


def _operation(name: str, arguments: dict[str, Any]) -> Any:
    """A function on tensors, which Keras stores as a class of its own: `GetItem`, `Add`, `Mean`."""
    from graphc.layers.operation import Operation
    from graphc.lookup import snake_case
    from graphc.ops.dispatch import OPERATIONS

    function = {"get_item": "getitem", "re_lu": "relu", "re_lu6": "relu6"}.get(
        snake_case(name), snake_case(name)
    )
    if function not in OPERATIONS:
        raise FileFormatError(f"the file names an operation '{name}', which graphc does not know.")
    given = {k: v for k, v in arguments.items() if k not in ("name", "dtype", "trainable")}
    return Operation(function, arguments.get("name"), arguments=given)


def serialize_function(function: Any) -> Any:
    """A user's function as JSON holds it: its name."""
    name = getattr(function, "__name__", "")
    if not name or name == "<lambda>":
        raise ArgumentError(
            f"{function!r} can't be stored: it has no name.\n"
            "  fix     define it with def, and give it as custom_objects when loading."
        )
    known = {id(item): key for key, item in custom_objects().items()}
    return {
        "module": "builtins",
        "class_name": "function",
        "config": name,
        "registered_name": known.get(id(function), "function"),
    }


def _function(name: str, registered: str | None) -> Any:
    from graphc import activations

    given = custom_objects()
    for key in (registered, name):
        if key in given:
            return given[key]
    return activations.get(name)
