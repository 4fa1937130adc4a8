"""The runtime's part for dataclasses, whose methods are made from text that nobody finds again."""

from __future__ import annotations

import dataclasses
import inspect
import types
from typing import Any

from graphc.npjit.lookup import in_class
from graphc.npjit.surface import Surface

METHODS = frozenset(["__init__", "__eq__", "__lt__", "__le__", "__gt__", "__ge__"])


def made_by_dataclass(f: Any) -> bool:
    """Whether f is a method that `dataclass` made."""
    if type(f) is not types.FunctionType:
        return False
    return f.__code__.co_filename == "<string>" and f.__name__ in METHODS


class Records(Surface):
    def dataclass(self, cls: Any, args: Any, kwargs: Any) -> Any:
        """A new object, as the `__init__` that dataclass made makes it."""
        x = cls.__new__(cls)
        try:
            given = inspect.signature(cls.__init__).bind(x, *args, **kwargs).arguments
        except TypeError:
            return cls(*args, **kwargs)  # raises
        after, stored = [], dataclasses.fields(cls)
        for f in cls.__dataclass_fields__.values():
            if f.name in given:
                v = given[f.name]
            elif f.default_factory is not dataclasses.MISSING:
                v = self.call(f.default_factory)
            elif f.default is not dataclasses.MISSING and f.init:
                v = self.getattr(cls, f.name)
            else:
                continue
            if f in stored:
                self._set_field(cls, x, f.name, v)
            elif f._field_type.name == "_FIELD_INITVAR":
                after.append(v)
        if in_class(cls, "__post_init__") is not None:
            self.method(x, "__post_init__", *after)
        return x

    def _set_field(self, cls: Any, x: Any, name: str, v: Any) -> None:
        if cls.__dataclass_params__.frozen:
            object.__setattr__(x, name, v)
        else:
            self.setattr(v, x, name)

    def compared_fields(self, x: Any) -> tuple[Any, ...]:
        """The values of the fields that count in a comparison."""
        return tuple([self.getattr(x, f.name) for f in dataclasses.fields(x) if f.compare])
