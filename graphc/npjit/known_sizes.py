"""What recordings of calls of one form have found out about sizes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from graphc.npjit.sizes import Sizes

MEMORY = 8
"""Recordings whose shapes are remembered."""
MANY, MANY_LOOPS = 8, 48
"""Fast functions of one call signature: one more is not kept, and the reason logged."""
LOOP, PATIENT, SEEN = 4, 4, 2
"""Iterations that make a loop, recordings after which others must be worth it, and calls that make one so."""
ALIKE = 3
"""So many recordings of calls with the same sizes are in vain if none has been used."""

Place = tuple[str, int]
"""An axis of an input: its path and number."""


class Known:
    """What is known of the sizes in calls of one form: the shapes that recordings found, by path, and the
    axes by which Python was steered, so that they can be no symbols.
    """

    def __init__(self) -> None:
        self.shapes: list[dict[str, tuple[int, ...]]] = []
        self.steering: set[Place] = set()
        self.recordings = self.native = 0
        self.loops = False
        self._calls: Counter[Any] = Counter()
        self._alike: Counter[Any] = Counter()

    def add(self, rec: Sizes) -> None:
        """Learn from a recording."""
        self.steering |= rec.steering
        self.recordings += 1
        self.loops = self.loops or any(len(iterations) > LOOP for iterations in rec.marks)
        if rec.shapes not in self.shapes:
            self.shapes.append(rec.shapes)
            del self.shapes[:-MEMORY]

    @property
    def is_sure(self) -> bool:
        """Whether native code has been the fastest for some numbers of iterations: then it is for others."""
        return self.loops and self.native >= SEEN

    @property
    def many(self) -> int:
        """How many fast functions there may be: more where each number of iterations has one."""
        return MANY_LOOPS if self.loops else MANY

    def waits(self, args: tuple[Any, ...]) -> bool:
        """Whether a call of these sizes is not yet worth a recording: loops of many lengths have been
        recorded, and this one has not been seen often.
        """
        if not self.loops or self.recordings < PATIENT:
            return False
        if len(self._calls) > MANY_LOOPS**2:
            self._calls.clear()
        sizes = sizes_of(args)
        self._calls[sizes] += 1
        return self._calls[sizes] <= SEEN

    def is_in_vain(self, args: tuple[Any, ...], used: int) -> bool:
        """Whether one more recording of such a call would be as useless as those before; how often they have
        been `used`.
        """
        if used >= self.recordings:
            return False
        if len(self._alike) > MANY_LOOPS**2:
            self._alike.clear()
        sizes = sizes_of(args)
        self._alike[sizes] += 1
        return self._alike[sizes] > ALIKE

    def before(self, path: str, axis: int, rank: int) -> tuple[int | None, ...]:
        """The sizes of an axis in earlier recordings."""
        found = [shapes.get(path, ()) for shapes in self.shapes]
        return tuple([s[axis] if len(s) == rank else None for s in found])


def sizes_of(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """What tells calls of different sizes apart."""
    return tuple([_extent(a) for a in args])


def _extent(a: Any) -> Any:
    """What decides how many iterations a loop over an argument has."""
    if isinstance(a, np.ndarray):
        return a.shape
    return a if type(a) is int else len(a) if isinstance(a, list | tuple | dict) else None


Site = tuple[str, int]
"""A line, and how many slices were looked at there before in the same recording."""


class Moves:
    """What the recordings of one function have found at each place: bounds and lengths, and what moves."""

    def __init__(self) -> None:
        self.found: dict[Site, tuple[Any, Any]] = {}
        self.moving: set[Site] = set()

    def moves(self, site: Site, bounds: Any, length: Any) -> bool:
        """Whether something of equal length has been elsewhere at this place."""
        before = self.found.setdefault(site, (bounds, length))
        if before[1] == length and before[0] != bounds:
            self.moving.add(site)
        self.found[site] = bounds, length
        return site in self.moving
