"""Locks that are free in a child process: a thread that held one there is not there any more.

LOCK = free_in_children(threading.Lock())
"""

from __future__ import annotations

import os
import weakref
from typing import Any, TypeVar

L = TypeVar("L")

_locks: weakref.WeakSet[Any] = weakref.WeakSet()


def free_in_children(lock: L) -> L:
    """The lock itself; a child process that is forked while a thread holds it finds it free."""
    _locks.add(lock)
    return lock


def held_by_forks(lock: L) -> L:
    """The lock itself; a process is forked only while no other thread holds it."""
    if hasattr(os, "register_at_fork"):
        held: Any = lock
        os.register_at_fork(before=held.acquire, after_in_parent=held.release, after_in_child=held.release)
    return lock


def _renew() -> None:
    for lock in _locks:
        lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
