"""The lines of an error that say which layer, where it was made, built and called, and what to do."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from graphc.ir.errors import GraphcError
from graphc.ir.locations import Location, caller, display_path

if TYPE_CHECKING:
    from graphc.layers.layer import Layer


def blame(error: GraphcError, layer: Layer, place: Location) -> None:
    """Add the layer's places to an error that passes through its call; the innermost layer is named once.

    Its line "fix", or an attribute `fix` of the error, becomes the last line.
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
    told = str(error).removesuffix(f"\n  at {place}").splitlines()
    fix = [line for line in told if line.startswith("  fix ")]
    remedy = getattr(error, "fix", "")
    fix += [f"  fix     {remedy}"] if remedy else []
    rest = [line for line in told if line not in fix]
    error.args = ("\n".join([*rest, *lines, *fix]),)


def blame_making(error: GraphcError, kind: str, name: Any, place: Location) -> None:
    """Add to an error of a layer's `__init__` which layer it is, and where it was to be made."""
    if getattr(error, "blamed", False):
        return
    error.blamed = True  # type: ignore[attr-defined]
    which = f"{kind} '{name}'" if isinstance(name, str) else kind
    told = str(error).splitlines()
    fix = [line for line in told if line.startswith("  fix ")]
    made = [f"  {which}  created at {_where(place)}{_source(place)}"] if place.file else []
    error.args = ("\n".join([*(line for line in told if line not in fix), *made, *fix]),)


Method = TypeVar("Method", bound=Callable[..., Any])


def blaming(method: Method) -> Method:
    """Decorator for a model's method: errors that pass through say where the model was made and called."""

    @wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except GraphcError as error:
            blame(error, self, caller(self.name))
            raise

    return run  # type: ignore[return-value]


def missing_attribute(layer: Layer, error: AttributeError) -> str:
    """The message for an attribute of its own that a layer's `call` does not find."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    assert traceback is not None
    place = f"{display_path(traceback.tb_frame.f_code.co_filename)}:{traceback.tb_lineno}"
    return (
        f"{layer} has no attribute '{error.name}', which its call uses.\n"
        f"  fix     make it in __init__, or, if it is a weight, in build(self, input_shape): "
        f'self.{error.name} = self.add_weight("{error.name}", shape=...).\n'
        f"  at {place} '{layer.name}'"
    )


def _where(place: Location) -> str:
    return f"{place.file}:{place.line}" if place.file else ""


def _source(place: Location) -> str:
    text = linecache.getline(place.file, place.line).strip()
    return f":   {text}" if text else ""
