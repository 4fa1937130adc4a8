"""States of random streams, taken before each call that draws and put back where the call must be done again.

`RandomState.get_state` takes some 50 microseconds, as much as a small training step. What NumPy keeps is some
memory, whose layout is tried out once for each class of bit generator: where a stream does not go on as it
should after its memory was put back, NumPy's own functions are used.
"""

from __future__ import annotations

import ctypes
import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np

Places = tuple[tuple[int, int], ...]
"""Addresses and numbers of bytes."""
_MT19937, _PCG64_HEAD, _PCG64 = 624 * 4 + 4, 16, 32
_known: dict[tuple[type, type], bool] = {}
_GAUSS = 16  # whether there is a second normal number, and which


def random_state(source: Any) -> Any:
    """The state of a RandomState, a Generator or one of Python's streams."""
    if isinstance(source, random.Random):
        return source.getstate()
    bits = source.bit_generator if isinstance(source, np.random.Generator) else source._bit_generator
    if is_known(type(source), type(bits)):
        return _content(source, bits)
    return _by_numpy(source)


def restore(source: Any, state: Any) -> None:
    """Put a stream back to a state."""
    if isinstance(source, random.Random):
        source.setstate(state)
    elif isinstance(state, list):
        for at, content in state:
            ctypes.memmove(at, content, len(content))
    elif isinstance(source, np.random.Generator):
        source.bit_generator.state = state
    else:
        source.set_state(state)


def _by_numpy(source: Any) -> Any:
    if isinstance(source, np.random.Generator):
        return source.bit_generator.state
    return source.get_state(legacy=False)


def _content(source: Any, bits: Any) -> list[tuple[int, bytes]]:
    return [(at, (ctypes.c_char * size).from_address(at).raw) for at, size in places(source, bits)]


def places(source: Any, bits: Any) -> Places:
    """The memory that a stream's state is."""
    at = bits.ctypes.state_address
    if isinstance(source, np.random.RandomState):
        return (at, _MT19937), (id(source) + gauss_at(), _GAUSS)
    if type(bits) is np.random.MT19937:
        return ((at, _MT19937),)
    return (at, _PCG64_HEAD), (ctypes.c_void_p.from_address(at).value or 0, _PCG64)


def is_known(kind: type, bits: type) -> bool:
    """Whether a stream of these classes goes on as it should when its memory is put back."""
    found = _known.get((kind, bits))
    if found is None:
        found = _known[kind, bits] = _is_as_thought(kind, bits)
    return found


def _is_as_thought(kind: type, bits: type) -> bool:
    made: Callable[[Any], Any] | None = {
        np.random.RandomState: np.random.RandomState,
        np.random.Generator: np.random.Generator,
    }.get(kind)
    if made is None or bits not in (np.random.MT19937, np.random.PCG64, np.random.PCG64DXSM):
        return False
    if kind is np.random.RandomState and (bits is not np.random.MT19937 or not gauss_at()):
        return False
    return all(_comes_back(made(bits(seed)), before) for seed in (1, 2) for before in range(3))


def _comes_back(source: Any, before: int) -> bool:
    """Try it, after some draws."""
    _draw(source, before)
    bits = source.bit_generator if isinstance(source, np.random.Generator) else source._bit_generator
    wanted, state = str(_by_numpy(source)), _content(source, bits)
    expected = _draw(source, 9)
    restore(source, state)
    return str(_by_numpy(source)) == wanted and _draw(source, 9) == expected


def _draw(source: Any, count: int) -> list[Any]:
    """Numbers of all kinds that leave something for the next call."""
    integers = getattr(source, "integers", None) or source.randint
    return [
        f()
        for _ in range(count)
        for f in (source.standard_normal, lambda: int(integers(0, 9, dtype=np.int32)))
    ]


@functools.cache
def gauss_at() -> int:
    """Where a RandomState has the second normal number of a pair, and before it, whether there is one: the
    distance from the object's beginning, or 0.
    """
    found = []
    for value in (0.123456789, -3.987654321):
        source = np.random.RandomState(0)
        source.set_state({**source.get_state(legacy=False), "has_gauss": 1, "gauss": value})
        memory = ctypes.string_at(id(source), np.random.RandomState.__basicsize__)
        wanted = (1).to_bytes(4, "little"), np.float64(value).tobytes()
        found.append(
            [
                i
                for i in range(0, len(memory) - 15, 8)
                if (memory[i : i + 4], memory[i + 8 : i + 16]) == wanted
            ]
        )
    return found[0][0] if found[0] == found[1] and len(found[0]) == 1 else 0
