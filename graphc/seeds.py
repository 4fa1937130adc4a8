"""The one source of seeds of the front end: for initial weights, shuffling, and the random ops."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

_lock = Lock()
_source = np.random.default_rng()
_base = secrets.randbits(63)
_listeners: list[Callable[[int], None]] = []


def base_seed() -> int:
    """The number given to `set_random_seed`, or one that differs from process to process."""
    return _base


def on_reset(listener: Callable[[int], None]) -> None:
    """Call `listener(seed)` whenever `set_random_seed` is called."""
    _listeners.append(listener)


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and graphc's random numbers, so that a program gives the same results again.

    Args:
        seed: a whole number, 0 <= seed < 2**32.

    Raises:
        ValueError: `seed` is out of range.

    >>> set_random_seed(1); first = fresh_seed(); set_random_seed(1); fresh_seed() == first
    True
    """
    global _source, _base
    np.random.seed(seed)
    random.seed(seed)
    with _lock:
        _source, _base = np.random.default_rng(seed), seed
    for listener in _listeners:
        listener(seed)


def fresh_seed() -> int:
    """The next number below 2**63 of the stream that `set_random_seed` starts."""
    with _lock:
        return int(_source.integers(2**63))


def state() -> dict[str, Any]:
    """Where the stream of `fresh_seed` is, as JSON can hold it; for `restore`."""
    with _lock:
        return {"base": _base, "source": _source.bit_generator.state}


def restore(given: dict[str, Any]) -> None:
    """Go on with the stream of seeds where `state` was taken."""
    global _base
    with _lock:
        _base = int(given["base"])
        _source.bit_generator.state = given["source"]


def generator(seed: int | None = None) -> np.random.Generator:
    """A generator for `seed`, or for a fresh seed when it is None.

    >>> generator(7).integers(100) == generator(7).integers(100)
    np.True_
    """
    return np.random.default_rng(fresh_seed() if seed is None else seed)
