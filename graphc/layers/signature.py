"""What a layer's `call` and `build` take, read once per class."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from graphc.ir.locations import is_own_code


@dataclass(frozen=True)
class CallSignature:
    """The parameters of a `call` without self; `users` says whether its code is the user's, not graphc's."""

    signature: inspect.Signature
    users: bool

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self.signature.parameters)

    @property
    def takes_training(self) -> bool:
        return "training" in self.names

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """All arguments by name; TypeError, as Python raises it, if they don't fit."""
        return dict(self.signature.bind(*args, **kwargs).arguments)


@lru_cache(maxsize=4096)
def call_signature(function: Any) -> CallSignature:
    """The signature of a class's `call` function."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    code = getattr(inspect.unwrap(function), "__code__", None)
    return CallSignature(
        inspect.Signature(parameters), users=code is not None and not is_own_code(code.co_filename)
    )


@lru_cache(maxsize=4096)
def build_parameters(function: Any) -> tuple[str, ...]:
    """The names of the shapes that a class's `build` function takes."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return tuple(p.name for p in parameters if p.kind not in kinds)
