"""The team of threads that works inside native calls: one for the whole process.

The caller is member 0. Workers never touch Python: they wait for the next call for a bounded time and then
sleep. A caller who finds the team at work for someone else runs its task alone, so nobody waits for a
stranger. A child process has a team of its own, whose workers are started when a call first wants them, as
the parent's were. The state and the code of the team are never freed: a worker may be waiting in them when
the interpreter ends.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import time

from graphc.codegen import cache
from graphc.codegen.forks import free_in_children
from graphc.codegen.loader import Code, stored_object
from graphc.codegen.target import Target, host
from graphc.codegen.team_text import (
    BARRIERS,
    BYTES,
    FUNCTIONS,
    GRAIN_AT,
    MOST,
    RUN,
    STATE,
    WORKERS_AT,
    is_supported,
    team_text,
)

GRAIN = 20
"""A kernel is divided if the time it takes alone is at least so many times that of a barrier: two barriers,
and what one member wrote must reach the other's caches (`benchmarks/threads.py` finds the number).
"""
_ROUNDS, _TURNS, _SECONDS = 100, 400, 0.02
_LEAST, _BUSY = 5e-8, 3e-7
"""Times of a barrier that are believed; where measuring gives more, other processes had the cores."""


class Team:
    """The team's code and state."""

    def __init__(self, target: Target) -> None:
        memory = ctypes.create_string_buffer(BYTES + 64)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))  # never freed
        self.address = -(-ctypes.addressof(memory) // 64) * 64
        code = Code([team_object(target)], target, {STATE: self.address})
        found = {name: code.address(name) for name in FUNCTIONS}
        code.keep_forever()
        self._run = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(found[RUN])
        self._barriers = found.pop(BARRIERS)
        self.symbols = found | {STATE: self.address}
        """What code binds that works with the team."""
        self.barrier_seconds = self.measure()
        self.grain = round(GRAIN * self.barrier_seconds * 1e12)
        os.register_at_fork(after_in_child=self._restart)

    @property
    def workers(self) -> int:
        """Threads that were started; the caller of a task is none of them."""
        return ctypes.c_int64.from_address(self.address + WORKERS_AT).value

    @property
    def grain(self) -> int:
        """Picoseconds that a kernel must take alone before it is divided; steps look at it at each call."""
        return ctypes.c_int64.from_address(self.address + GRAIN_AT).value

    @grain.setter
    def grain(self, picoseconds: int) -> None:
        ctypes.c_int64.from_address(self.address + GRAIN_AT).value = picoseconds

    def run(self, pieces: int, task: int, argument: int) -> None:
        """Let the caller and workers run `task(i64 member, i64 pieces, ptr argument)`; those who come late
        may find that it is over.
        """
        self._run(pieces, task, argument)

    def measure(self) -> float:
        """Seconds that a barrier of two members takes, at its quickest: at most 20 ms are spent on it. There
        are so many in a run that waking the other member counts for little.
        """
        best, start = 1.0, time.perf_counter()
        for _ in range(_ROUNDS):
            argument = (ctypes.c_int64 * 2)(_TURNS, 0)
            before = time.perf_counter()
            self.run(2, self._barriers, ctypes.addressof(argument))
            best = min(best, time.perf_counter() - before)
            if not self.workers or time.perf_counter() - start > _SECONDS:
                break
        return min(max(best / _TURNS, _LEAST), _BUSY)

    def _restart(self) -> None:
        """In a child process: nobody is inside a call, and there are no workers."""
        grain = self.grain
        ctypes.memset(self.address, 0, BYTES)
        self.grain = grain


_LOCK = free_in_children(threading.Lock())


def team_object(target: Target, store: cache.Cache | None = None) -> bytes:
    """The object file of the team, from the cache if it is there."""
    return stored_object("team", lambda: team_text(target), target, store)


def team() -> Team:
    """The team of this process, which is made at the first call."""
    with _LOCK:
        return _team()


@functools.cache
def _team() -> Team:
    return Team(host())


def symbols_for(threads: int, target: Target) -> dict[str, int]:
    """What code for that many threads binds."""
    return team().symbols if members(threads, target) > 1 else {}


def members(threads: int, target: Target) -> int:
    """How many members a call may have for that many threads on a target: one where teams do not work.

    >>> members(1, host())
    1
    """
    return min(threads, MOST) if is_supported(target) else 1
