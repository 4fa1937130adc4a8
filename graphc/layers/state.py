"""What a layer knows beside its attributes, and how variables and layers are found among these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphc.ir.locations import NOWHERE, Location
from graphc.variable import Variable

if TYPE_CHECKING:
    from graphc.functional import Call


@dataclass(eq=False)
class LayerState:
    """Kept apart from a layer's attributes, so that subclasses may name theirs as they like."""

    created: Location = NOWHERE
    built: Location = NOWHERE
    build_shape: Any = None
    calls: list[Call] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    first_arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    revision: int = 0


def contained(value: Any, kind: type, depth: int = 0) -> Iterator[Any]:
    """The objects of a class in an attribute's value: itself, or anywhere in lists, tuples and dicts."""
    if isinstance(value, kind):
        yield value
    elif depth < 8 and isinstance(value, (list, tuple, set)):
        for item in value:
            yield from contained(item, kind, depth + 1)
    elif depth < 8 and isinstance(value, dict):
        for item in value.values():
            yield from contained(item, kind, depth + 1)


def unique(items: Iterator[Any]) -> list[Any]:
    """Each object once, in order."""
    return list({id(item): item for item in items}.values())
