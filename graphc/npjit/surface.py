"""The base of the runtime's parts, which call each other's methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphc.npjit.current import RECORDING

if TYPE_CHECKING:
    from graphc.npjit.recording import Recording


class Surface:
    """Knows the recording of this thread; None in code that outlives its recording (a generator)."""

    @property
    def rec(self) -> Recording:
        return RECORDING.get()

    def call_text(
        self, f: Any, args: Sequence[Any], kwargs: Mapping[str, Any], text: Callable[[Any], str | None]
    ) -> str | None:
        """The text of a later call of `f`, with `text` of each argument; None if one has none."""
        texts = [(f"{k}=" if k else "", text(a)) for k, a in (*(("", a) for a in args), *kwargs.items())]
        if any(found is None for _, found in texts):
            return None
        return f"{self.rec.const(f)}({', '.join(f'{key}{found}' for key, found in texts)})"

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
