"""Final graph -> machine code: `compile(graph) -> Compiled`.

In comes a traced graph; out goes a callable that runs forward, backward and update in one native call, and
that shows every step on the way. Read in this order: `compiled` (calls), `stages` (the passes), `backends`
(native, numba, reference), `loops` and `lower` (loop nests), `emit_llvm` and `emit_numba` (their text),
`kernels/` (tiles of products), `control_steps` (loops and branches around kernels), `team` (threads),
`loader`, `cache` and `entry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphc.codegen.compiled import Compiled, compile

__all__ = ["Compiled", "compile"]

_HOMES = {"Compiled": "compiled", "compile": "compiled"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
