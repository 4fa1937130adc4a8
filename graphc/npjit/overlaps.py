"""Arrays from outside that lie in the same memory.

Each is a piece of memory of its own as long as nobody writes into what two of them share: rows of one data
set, or the parts of a flat vector of weights. Where somebody does, they become views of the array that owns
the memory, and no later call is done from the recording.
"""

from __future__ import annotations

import weakref
from typing import Protocol

import numpy as np

from graphc.npjit.infer import meta_of
from graphc.npjit.log import PLACE, Node, window
from graphc.npjit.values import Storage, Sym


class Recorder(Protocol):
    """What is needed of a recording."""

    incoming: list[Storage]
    made: list[weakref.ref[Sym]]

    def flush(self) -> None: ...

    def leak(self, why: str) -> None: ...


def arrived(rec: Recorder, s: Sym) -> None:
    """An array has come in: it may lie in memory that was written already."""
    assert s.storage is not None
    rec.incoming.append(s.storage)
    for other in [o for o in rec.incoming if o.mutated]:
        _join(rec, s, other)


def before_change(rec: Recorder, s: Sym) -> None:
    """The memory of s is about to be written for the first time."""
    for other in list(rec.incoming):
        _join(rec, s, other)


def _join(rec: Recorder, s: Sym, other: Storage) -> None:
    """Make the memory of s and `other` one, if they have elements in common."""
    own = s.storage
    if own is None or own is other or own.real is None or other.real is None:
        return
    if not np.may_share_memory(own.real, other.real):
        return
    rec.flush()
    rec.leak("overlapping arrays")
    owner = owner_of(own.real)
    if owner is not owner_of(other.real):  # memory from a buffer or file: nothing may wait
        own.overlaps = other.overlaps = True
        return
    node = Node(None, meta=meta_of(owner))
    node.value = owner
    joint = Storage(node, owner)
    joint.members, joint.mutated = own.members + other.members, own.mutated or other.mutated
    for made in [x for x in (ref() for ref in rec.made) if x is not None]:
        if made.storage is own or made.storage is other:
            _move(made, joint)
    rec.incoming[:] = [o for o in rec.incoming if o is not own and o is not other] + [joint]


def _move(s: Sym, joint: Storage) -> None:
    """Make s a view of `joint`, which has the memory of its storage."""
    real, whole = s.storage.real if s.storage is not None else None, joint.real
    assert real is not None
    assert whole is not None
    if real is not whole:
        s.chain = ((window, (PLACE, *_geometry(real, whole)), None), *s.chain)
    s.storage, s.at = joint, None


def owner_of(v: np.ndarray) -> np.ndarray:
    """The array that owns the memory of v."""
    while type(v.base) is np.ndarray:
        v = v.base
    return v


def _geometry(v: np.ndarray, owner: np.ndarray) -> tuple[int, tuple[int, ...], tuple[int, ...], np.dtype]:
    offset = v.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return offset, v.shape, v.strides, v.dtype
