"""Where functions and methods of NumPy take the array that a result goes to, if it comes by position."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

C_FUNCTIONS = {"dot": 2, "concatenate": 2, "take": 3, "choose": 2, "compress": 3, "outer": 2}
"""Functions that tell no signature."""
METHODS = {
    **dict.fromkeys(
        ("sum", "prod", "mean", "std", "var", "cumsum", "cumprod", "clip", "take", "compress"), 2
    ),
    **dict.fromkeys(("max", "min", "argmax", "argmin", "any", "all", "round", "dot", "choose", "ptp"), 1),
    "trace": 4,
}
"""Methods of arrays: the place behind the array itself."""
UFUNC_METHODS = {"reduce": 3, "accumulate": 3, "reduceat": 4}
OVERWRITES = {
    "nan_to_num": ("copy", 1, False),
    **dict.fromkeys(("median", "nanmedian"), ("overwrite_input", 3, True)),
    **dict.fromkeys(("percentile", "quantile", "nanpercentile", "nanquantile"), ("overwrite_input", 4, True)),
}
"""Functions that change their first argument where an option is so: its name, its place and the value."""

OLD_FORMS = frozenset([np.maximum, np.minimum])
"""Ufuncs that take `out` by position with a warning, which NumPy itself gives at each call."""


@functools.cache
def by_position(f: np.ufunc) -> Callable[..., Any]:
    """The function (..., out=out) -> f(..., out)."""

    def call(*args: Any, out: Any, **kwargs: Any) -> Any:
        return f(*args, out, **kwargs)

    call.__name__ = call.__qualname__ = f.__name__
    return call


@functools.cache
def place_of(f: Callable[..., Any]) -> int | None:
    """The position of `out` among the arguments; None where it comes by name only, or is not taken."""
    found = C_FUNCTIONS.get(getattr(f, "__name__", ""))
    if found is not None:
        return found
    if "out" not in (getattr(f, "__text_signature__", None) or "out"):  # parsing that takes milliseconds
        return None
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        return None
    by_position = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return next((i for i, p in enumerate(parameters) if p.name == "out" and p.kind is by_position), None)


def named_out(place: int | None, args: list[Any], kwargs: dict[str, Any]) -> bool:
    """Move `out` to the keywords; False where others follow it, which then have no place."""
    if place is None or len(args) <= place:
        return True
    if len(args) > place + 1:
        return args[place] is None
    out = args.pop()
    if out is not None:
        kwargs["out"] = out
    return True


def overwrites(name: str, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether the call changes its first argument."""
    if name not in OVERWRITES:
        return False
    option, place, value = OVERWRITES[name]
    given = args[place] if len(args) > place else kwargs.get(option, not value)
    return bool(given) is value
