"""The base of the runtime's parts, which call each other's methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphc.npjit.current import RECORDING

if TYPE_CHECKING:
    from graphc.npjit.recording import Recording


class Surface:
    """Knows the recording of this thread; None in code that outlives its recording (a generator)."""

    @property
    def rec(self) -> Recording:
        return RECORDING.get()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
