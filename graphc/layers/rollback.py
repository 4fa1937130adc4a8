"""A layer as it was, when building or calling it fails: bad input leaves nothing half-made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphc.layers.layer import Layer

STATE = ("built", "build_shape", "calls", "variables")


@contextmanager
def unchanged_on_error(layer: Layer) -> Iterator[None]:
    """Give the layer, and those in it that are not built yet, their attributes, weights and calls back if the
    block fails.
    """
    inner = [x for x in layer._flatten_layers() if x is layer or not x.built]
    before = [(x, _copied(x.__dict__), _copied({k: getattr(x._state, k) for k in STATE})) for x in inner]
    try:
        yield
    except BaseException:
        for x, attributes, state in before:
            x.__dict__.clear()
            x.__dict__.update(_restored(attributes))
            for name, value in _restored(state).items():
                setattr(x._state, name, value)
        raise


def _copied(values: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Each value, with the items of those that are changed in place."""
    return {k: (v, list(v) if type(v) is list else None) for k, v in values.items()}


def _restored(copies: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    for value, items in copies.values():
        if items is not None:
            value[:] = items
    return {k: value for k, (value, _) in copies.items()}
