"""Recordings of which only types and sizes count: how functions are compiled ahead of their first call.

Nothing is computed. Where a recording would have to run (a break, a test on data, printed text), the
rehearsal ends; what the function did to outside objects is taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc.npjit.recording import Recording


class NeedsValues(BaseException):
    """A value is asked for."""


class Rehearsal(Recording):
    """A recording that never runs."""

    is_ahead = True

    def flush(self) -> None:
        self.run_pending()

    def run_pending(self, singly: bool = False) -> None:
        if self.done != len(self.log) or self.dirty:
            raise NeedsValues

    def stop(self, why: str, remedy: str = "") -> None:
        raise NeedsValues(why)

    def effect(self, kind: str, var: str | None, key: Any, value: Any, undo: Callable[[], Any]) -> None:
        if kind == "call":
            raise NeedsValues("a call")
        super().effect(kind, var, key, value, undo)

    def take_back_effects(self) -> None:
        """As if nothing had happened."""
        while self.effects:
            self.effects.pop().undo()
