"""Which parts of a kernel must wait for which: a *phase* is a run of parts of which none reads or writes what
another one writes. Members that share a kernel meet at a barrier between two phases, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from graphc.codegen.loops import Instruction, Kernel, Load, Nest, Part, Product, Store

Place = str | int


@dataclass(frozen=True)
class Touched:
    """Memory that code reads and writes: names, or places in the table of pointers."""

    reads: frozenset[Place] = frozenset()
    writes: frozenset[Place] = frozenset()

    def __or__(self, other: Touched) -> Touched:
        return Touched(self.reads | other.reads, self.writes | other.writes)

    def meets(self, later: Touched) -> bool:
        """Whether code that touches `later` must wait for this."""
        return bool(self.writes & (later.reads | later.writes) or self.reads & later.writes)


def touched(part: Part, place: Callable[[str], Place] = str) -> Touched:
    """What a part touches; memory of one member's own is left out."""
    own = {t.name for t in part.temporaries} if isinstance(part, Nest) else set()
    code = list(_instructions(part))
    reads = {i.buffer for i in code if isinstance(i, Load)}
    writes = {i.buffer for i in code if isinstance(i, Store)}
    if isinstance(part, Product):
        reads |= {part.a.buffer, part.b.buffer} | ({part.init.buffer} if part.init is not None else set())
        writes.add(part.c.buffer)
    return Touched(
        frozenset(place(n) for n in reads - own),
        frozenset(place(n) for n in writes - own),
    )


def _instructions(part: Part) -> Iterator[Instruction]:
    yield from part.start
    nest = part.tile if isinstance(part, Product) else part
    if nest is not None:
        for stage in nest.stages:
            yield from stage.body
            yield from stage.finish


def place_in(slots: Mapping[str, int]) -> Callable[[str], Place]:
    """Where a buffer lies: values of different names may share memory; temporaries are all different."""
    return lambda name: slots.get(name, name)


def phases(kernel: Kernel, slots: Mapping[str, int]) -> list[tuple[Part, ...]]:
    """The parts of a kernel in phases; `slots` has the place in the table of each buffer."""
    found: list[list[Part]] = []
    together = Touched()
    for part in kernel.parts:
        mine = touched(part, place_in(slots))
        if not found or together.meets(mine):
            found.append([])
            together = Touched()
        found[-1].append(part)
        together |= mine
    return [tuple(parts) for parts in found]
