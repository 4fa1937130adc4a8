"""The one source of seeds of the front end: for initial weights, shuffling, and the random ops."""

from __future__ import annotations

import random
from threading import Lock

import numpy as np

_lock = Lock()
_source = np.random.default_rng()


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and graphc's random numbers, so that a program gives the same results again.

    Args:
        seed: a whole number, 0 <= seed < 2**32.

    Raises:
        ValueError: `seed` is out of range.

    >>> set_random_seed(1); first = fresh_seed(); set_random_seed(1); fresh_seed() == first
    True
    """
    global _source
    np.random.seed(seed)
    random.seed(seed)
    with _lock:
        _source = np.random.default_rng(seed)


def fresh_seed() -> int:
    """The next number below 2**63 of the stream that `set_random_seed` starts."""
    with _lock:
        return int(_source.integers(2**63))


def generator(seed: int | None = None) -> np.random.Generator:
    """A generator for `seed`, or for a fresh seed when it is None.

    >>> generator(7).integers(100) == generator(7).integers(100)
    np.True_
    """
    return np.random.default_rng(fresh_seed() if seed is None else seed)
