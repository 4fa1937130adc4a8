"""Counters of the whole process: what `graphc.stats()` returns."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from graphc.codegen.cache import COUNTERS


@dataclass
class Stats:
    """How much was compiled so far. `compile_seconds` is the time until the compiled object was ready."""

    compiles: int = 0
    compile_seconds: float = 0.0
    graph_breaks: int = 0
    reference_fallbacks: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def compiled(self, seconds: float) -> None:
        """Count one finished compile."""
        with self.lock:
            self.compiles += 1
            self.compile_seconds += seconds

    def count(self, name: str) -> None:
        """Add one to a counter, from any thread."""
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)


STATS = Stats()


def stats() -> dict[str, int | float]:
    """The counters by name, at this moment.

    >>> sorted(stats())[:4]
    ['cache_damaged', 'cache_hits', 'cache_misses', 'compile_seconds']
    """
    return {
        "compiles": STATS.compiles,
        "compile_seconds": STATS.compile_seconds,
        **COUNTERS.as_dict(),
        "graph_breaks": STATS.graph_breaks,
        "reference_fallbacks": STATS.reference_fallbacks,
    }
