"""When to trace again: a count of all changes to layers and variables that a compiled function depends on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Epoch:
    """Counts, for the whole process, every change of a layer's attributes and of a variable's `trainable`.

    While the count stands still, nothing has to be looked at; else each model compares what it is made of.
    """

    count: int = 0

    def advance(self) -> None:
        """Note a change."""
        self.count += 1


EPOCH = Epoch()
