"""What was compiled of a jitted function, for people and for Numba."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphc.ir.errors import StateError
from graphc.npjit.choice import Choice
from graphc.npjit.settled import Way

if TYPE_CHECKING:
    from graphc.codegen.compiled import Compiled
    from graphc.ir.graph import Graph

SHOWN = frozenset(["ir", "stages", "diff", "source", "llvm", "asm", "cost", "memory", "html", "parameters"])
"""Members of `graphc.codegen.Compiled` that a jitted function has too."""


class Inspected:
    """The part of a jitted function that shows its compiled graphs."""

    fn: Callable[..., Any]
    name: str
    options: dict[str, Any]
    fast: dict[Any, list[Way]]
    _shown: tuple[Graph, Compiled] | None = None

    @property
    def compiled(self) -> Compiled:
        """The largest graph that was compiled last, as an object that shows every step to machine code.

        Raises
        ------
        StateError
            Nothing of the function is compiled.
        """
        from graphc.codegen.compiled import Compiled
        from graphc.codegen.options import resolve

        ways = [f.ways.get("native") if isinstance(f, Choice) else f for of in self.fast.values() for f in of]
        graphs = next((g for g in (getattr(w, "graphs", None) for w in ways) if g), None)
        if graphs is None:
            raise StateError(
                f"nothing of {self.name} is compiled: call it some times, and see its explain()."
            )
        graph = max(graphs, key=lambda g: len(g.nodes))
        if self._shown is None or self._shown[0] is not graph:  # kept, since Numba's types refer to it weakly
            self._shown = graph, Compiled(graph, resolve(**self.options))
        return self._shown[1]

    def __getattr__(self, name: str) -> Any:
        if name not in SHOWN:
            raise AttributeError(f"a jitted function has no attribute {name!r}", name=name, obj=self)
        return getattr(self.compiled, name)

    @property
    def _numba_type_(self) -> Any:
        """What Numba asks for: in `@njit` code the function is compiled by Numba, from its source."""
        from numba import types

        return types.Dispatcher(self.njit_function)

    @functools.cached_property
    def njit_function(self) -> Any:
        """The function as Numba compiles it."""
        import numba

        return numba.njit(self.fn)
