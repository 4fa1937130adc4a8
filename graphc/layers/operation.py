"""`Operation`: a call of a function of `graphc.ops` on functional tensors, as a layer of the model."""

from __future__ import annotations

from typing import Any

from graphc.ir.errors import ArgumentError
from graphc.layers.layer import Layer
from graphc.naming import unique_name
from graphc.ops.dispatch import OPERATIONS


class Operation(Layer):
    """Made by operators and functions on functional tensors: `a + b`, `ops.mean(x, axis=1)`.

    The arguments of the function are those of the call, and are stored with it; `arguments` are further ones
    by name.
    """

    def __init__(
        self, function: str, name: str | None = None, arguments: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        if function not in OPERATIONS:
            raise ArgumentError(f"there is no operation {function!r} in graphc.ops")
        super().__init__(name=name or unique_name(function), **kwargs)
        self.autocast = False
        self.function, self.arguments = function, dict(arguments or {})
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return OPERATIONS[self.function](*args, **{**self.arguments, **kwargs})

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"name": self.name, "function": self.function}
        return {**config, "arguments": self.arguments} if self.arguments else config
