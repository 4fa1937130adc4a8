"""Objects named by a string or stored as JSON: one table per kind (initializers, regularizers, ...)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphc.ir.errors import ArgumentError


def snake_case(name: str) -> str:
    """A class name in the spelling that Keras gives to layers and files.

    >>> snake_case("Conv2DTranspose"), snake_case("GlorotUniform"), snake_case("L1L2")
    ('conv2d_transpose', 'glorot_uniform', 'l1l2')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


class Configured:
    """Something whose constructor arguments describe it wholly, so that JSON can hold it."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as values that JSON can hold."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The object that `get_config` described."""
        return cls(**config)


class Lookup:
    """The objects of one kind, found by name, by configuration, or passed through.

    Args:
        kind: what the objects are called in messages, such as "initializer".
        module: where Keras has them, such as "keras.initializers"; stored in files.
        entries: the classes.
        aliases: further names, for a class or a function that makes an object.
    """

    def __init__(
        self,
        kind: str,
        module: str,
        entries: Iterable[type[Configured]],
        aliases: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.kind, self.module = kind, module
        self.classes = {entry.__name__: entry for entry in entries}
        snakes = {snake_case(name): entry for name, entry in self.classes.items()}
        self.named: dict[str, Callable[..., Any]] = {**snakes, **self.classes, **(aliases or {})}

    def get(self, identifier: Any) -> Any:
        """The object that `identifier` means: None, a name, a configuration, a class, or a callable.

        Raises:
            ArgumentError: no object has this name, or `identifier` is none of these.
        """
        if identifier is None:
            return None
        if isinstance(identifier, str):
            return self.find(identifier)()
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if isinstance(identifier, type):
            identifier = identifier()
        if callable(identifier) or isinstance(identifier, Configured):
            return identifier
        raise ArgumentError(
            f"{identifier!r} is no {self.kind}: give a name such as '{next(iter(self.named))}', "
            f"an object, or a function"
        )

    def find(self, name: str, custom_objects: Mapping[str, Any] | None = None) -> Callable[..., Any]:
        """The class or function of that name.

        Raises:
            ArgumentError: no object has this name; the message proposes the nearest ones.
        """
        known = {**self.named, **(custom_objects or {})}
        if name in known:
            return known[name]
        near = difflib.get_close_matches(name, known, n=3) or sorted(self.classes)
        raise ArgumentError(f"unknown {self.kind} '{name}': did you mean {' or '.join(map(repr, near))}?")

    def serialize(self, obj: Any) -> Any:
        """The object as JSON holds it, in Keras 3's form; a function by its name."""
        if obj is None:
            return None
        if not hasattr(obj, "get_config"):
            return obj.__name__
        name = type(obj).__name__
        own = name in self.classes
        return {
            "module": self.module if own else None,
            "class_name": name,
            "config": obj.get_config(),
            "registered_name": None if own else f"Custom>{name}",
        }

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The object that `serialize` stored; `custom_objects` names classes and functions of the user's.

        Raises:
            ArgumentError: the class is unknown, or `config` is not a configuration.
        """
        if config is None:
            return None
        if isinstance(config, str):
            found = self.find(config, custom_objects)
            return found() if config in self.named else found
        if not isinstance(config, dict) or "class_name" not in config:
            raise ArgumentError(
                f"a stored {self.kind} is a dict with 'class_name' and 'config', not {config!r}"
            )
        found = self.find(config["class_name"], custom_objects)
        arguments = config.get("config") or {}
        maker = getattr(found, "from_config", None)
        return maker(arguments) if maker else found(**arguments)
