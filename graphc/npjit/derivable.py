"""Which values can have a gradient, and what is said where there is none."""

from __future__ import annotations

import types
from typing import Any

from graphc.ir.errors import GradientError
from graphc.npjit.log import Meta, Parts
from graphc.npjit.rewrite import why_not
from graphc.npjit.values import Sym
from graphc.npjit.vjps.calls import np


def floating(meta: Meta | Parts) -> bool:
    """Whether a value of this meta can have a gradient."""
    if isinstance(meta, Parts):
        return any(map(floating, meta.parts))
    if meta.kind == "python":
        return meta.dtype is float
    return meta.kind in ("array", "scalar") and meta.dtype.kind == "f"


def carries(meta: Meta | Parts) -> bool:
    """Whether a value of this meta can depend on a leaf: also complex ones, through which no gradient
    goes."""
    if isinstance(meta, Parts):
        return any(map(carries, meta.parts))
    wider = meta.dtype is complex or getattr(meta.dtype, "kind", "") == "c"
    return floating(meta) or wider or meta.kind == "object"


def is_complex(x: Any) -> bool:
    """Whether a value can depend on a leaf, but has no gradient."""
    return type(x) is Sym and carries(x.meta) and not floating(x.meta)


def missing(fn: Any, line: str, words: str = "{}") -> GradientError:
    """The error for a function without a rule."""
    inner = getattr(fn, "function", fn)
    module = getattr(inner, "__module__", None) or ""
    name = getattr(inner, "__qualname__", None) or getattr(inner, "__name__", repr(inner))
    if module == "graphc.npjit.texts" or inner in (str, repr, ascii):
        words, name = words.replace("{}", "numbers that are read from {}"), "text"
    dotted = f"np.{name}" if module.startswith("numpy") or type(inner) is type(np.add.fn) else name
    reason = (
        f": {why_not(inner)}"
        if isinstance(inner, types.FunctionType) and dotted == name and words == "{}"
        else ""
    )
    return GradientError(
        f"graphc has no gradient of {words.format(dotted)}{reason}.\n"
        f"  called  at {line}\n"
        "  fix     write it with NumPy functions that have one, or compute it outside of the differentiated "
        "function and pass the result."
    )
