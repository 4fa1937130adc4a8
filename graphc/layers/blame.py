"""The lines of an error that say which layer, where it was made, built and called, and what to do."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING

from graphc.ir.errors import GraphcError
from graphc.ir.locations import Location

if TYPE_CHECKING:
    from graphc.layers.layer import Layer


def blame(error: GraphcError, layer: Layer, place: Location) -> None:
    """Add the layer's places to an error that passes through its call; the innermost layer is named once.

    An attribute `fix` of the error becomes the last line.
    """
    if getattr(error, "blamed", False):
        return
    error.blamed = True  # type: ignore[attr-defined]
    created, built = _where(layer.created_at), _where(layer.built_at)
    lines = (
        [f"  {layer.name}  created at {created}" + (f", built at {built}" if built else "")]
        if created
        else []
    )
    lines += [f"  called  at {_where(place)}{_source(place)}"] if place.file else []
    fix = getattr(error, "fix", "")
    lines += [f"  fix     {fix}"] if fix else []
    message = str(error).removesuffix(f"\n  at {place}")
    error.args = ("\n".join([message, *lines]),)


def _where(place: Location) -> str:
    return f"{place.file}:{place.line}" if place.file else ""


def _source(place: Location) -> str:
    text = linecache.getline(place.file, place.line).strip()
    return f":   {text}" if text else ""
