"""Floating-point errors: NumPy's warnings point to the user's line, and code that gives them stays NumPy's.

Native code sets no warnings off and raises no FloatingPointError. So what warned while it was recorded is not
compiled (`alarms` finds out what would warn in a later call only), and where `np.errstate` or `np.seterr` ask
for more than warnings, calls are done by NumPy.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy._core import umath

from graphc.npjit.log import Meta, Node, mutate
from graphc.npjit.values import OPERATORS, Num

QUIET = frozenset(["warn", "ignore"])
NAMES = {
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "mul": "multiply",
    "sub": "subtract",
    "pow": "power",
    "astype": "cast",
    "cumsum": "accumulate",
    **dict.fromkeys(("sum", "prod", "mean", "nansum", "nanmean"), "reduce"),
}
"""NumPy's names of operators, as its warnings give them."""

_context: Any = getattr(umath, "_extobj_contextvar", None)
_known: dict[Any, bool] = {}
_registries: dict[str, dict[Any, Any]] = {}


def strict() -> bool:
    """Whether floating-point errors must raise, print or call something here."""
    state = _context.get() if _context is not None else None
    found = _known.get(state) if state is not None else None
    if found is None:
        found = not QUIET.issuperset(np.geterr().values())
        if state is not None:
            if len(_known) > 64:
                _known.clear()
            _known[state] = found
    return found


@contextlib.contextmanager
def noticing(current: Callable[[], Node], noticed: Callable[[], None]) -> Iterator[None]:
    """While nodes run: warnings name the line of the node; `noticed` is told that there was one."""
    state = np.geterr()
    if not QUIET.issuperset(state.values()) or "warn" not in state.values():
        yield
        return

    def warn(kind: str, _flag: int) -> None:
        node = current()
        if node.quiet:
            return
        noticed()
        file, _, line = node.line.rpartition(":")
        text = f"{kind} encountered in {_name(node)}"
        number = int(line) if line.isdigit() else 0
        registry = _registries.setdefault(file, {})
        warnings.warn_explicit(text, RuntimeWarning, file or "?", number, registry=registry)

    modes: Any = {k: "call" for k, v in state.items() if v == "warn"}
    with np.errstate(call=warn, **modes):
        yield


def _is_whole(a: Any) -> bool:
    return type(a) is Node and isinstance(a.meta, Meta) and getattr(a.meta.dtype, "kind", "") in "biu"


def _is_scalar(a: Any) -> bool:
    if type(a) is Node:
        return isinstance(a.meta, Meta) and a.meta.kind in ("scalar", "python")
    return type(a) is Num or isinstance(a, int | float | complex | np.generic)


POWERS = {0.5: "sqrt", 2: "square", -1: "reciprocal"}
"""Exponents for which NumPy's operator calls another function."""


def _name(node: Node) -> str:
    fn, args = (node.args[2], node.args[3]) if node.fn is mutate else (node.fn, node.args)
    name = getattr(fn, "__name__", "?")
    if fn in OPERATORS.values() and all(map(_is_scalar, [node, *args])):
        return f"scalar {NAMES.get(name, name)}"
    if name.removeprefix("i") == "pow" and isinstance(args[1], int | float) and args[1] in POWERS:
        return "power" if _is_whole(args[0]) and args[1] != 2 else POWERS[args[1]]
    return NAMES.get(name) or NAMES.get(name.removeprefix("i"), name)
