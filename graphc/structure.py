"""Nested lists, tuples and dicts of tensors: their leaves, and maps over them.

>>> leaves({"b": [1, (2,)], "a": 3})
[3, 1, 2]
>>> transform(lambda x: x * 10, [1, (2, {"k": 3})])
[10, (20, {'k': 30})]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


def leaves(structure: Any) -> list[Any]:
    """All leaves in order; a dict's in the order of its sorted keys."""
    return list(_walk(structure))


def _walk(structure: Any) -> Iterator[Any]:
    if isinstance(structure, (list, tuple)):
        for item in structure:
            yield from _walk(item)
    elif isinstance(structure, dict):
        for key in _keys(structure):
            yield from _walk(structure[key])
    else:
        yield structure


def _keys(mapping: dict[Any, Any]) -> Iterable[Any]:
    try:
        return sorted(mapping)
    except TypeError:
        return list(mapping)


def transform(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same structure with `function(leaf)` for each leaf."""
    if isinstance(structure, (list, tuple)):
        items = [transform(function, item) for item in structure]
        if isinstance(structure, tuple) and hasattr(structure, "_fields"):
            return type(structure)(*items)
        return tuple(items) if isinstance(structure, tuple) else items
    if isinstance(structure, dict):
        return {key: transform(function, item) for key, item in structure.items()}
    return function(structure)


def pack(structure: Any, values: Iterable[Any]) -> Any:
    """The same structure with its leaves replaced by `values`, in the order of `leaves`."""
    remaining = iter(values)

    def fill(part: Any) -> Any:
        if isinstance(part, (list, tuple)):
            items = [fill(item) for item in part]
            return tuple(items) if isinstance(part, tuple) else items
        if isinstance(part, dict):
            filled = {key: fill(part[key]) for key in _keys(part)}
            return {key: filled[key] for key in part}
        return next(remaining)

    return fill(structure)
