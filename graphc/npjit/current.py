"""The recording that this thread is in, if any, and the lock that recordings take turns with."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from graphc.codegen.forks import free_in_children

if TYPE_CHECKING:
    from graphc.npjit.recording import Recording
    from graphc.npjit.runtime import Runtime

RECORDING: ContextVar[Any] = ContextVar("graphc recording", default=None)

# A recording writes deferred values into the user's own objects for a while: one at a time.
LOCK = free_in_children(threading.RLock())


def recording() -> Recording:
    """The recording that is going on; only called where there is one."""
    return RECORDING.get()


def runtime() -> Runtime:
    """What rewritten code calls."""
    from graphc.npjit.runtime import RUNTIME

    return RUNTIME
