"""Which stage of a row fetches the next row into the cache, and where that is.

A nest that goes over each row several times waits for memory where it begins a row and where it writes one,
and not at all in between. So the stage that computes most fetches both for the next row: softmax of 1000
columns takes 0.75 of the time, a norm 0.8.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphc.codegen.loops import Compute, Kernel, Load, Nest, Offset, Stage, Store

SHORT, LONG = 256, 16384
"""Elements: the processor fetches shorter rows by itself, and caches nearby do not keep longer ones."""


@dataclass(frozen=True)
class Ahead:
    """The accesses of the next row that `stage` fetches."""

    stage: Stage | None = None
    accesses: tuple[Load | Store, ...] = ()

    def of(self, stage: Stage) -> tuple[Load | Store, ...]:
        """What a stage fetches."""
        return self.accesses if stage is self.stage else ()


def rows_ahead(kernel: Kernel, nest: Nest) -> Ahead:
    """What a nest fetches ahead, if it goes over rows of known length more than once; memory behind the last
    row is fetched too, which no processor minds.
    """
    stages = [s for s in nest.stages if s.axes]
    if not nest.outer or len(stages) < 2 or not all(_is_row(s, nest) for s in stages):
        return Ahead()
    row = nest.outer[-1].name
    own = {t.name for t in kernel.temporaries} | {t.name for t in kernel.tables}
    found: dict[tuple[type, str], Load | Store] = {}
    for stage in stages:
        for i in stage.body:
            if isinstance(i, (Load, Store)) and i.buffer not in own and i.when is None:
                step = i.offset.stride(row)
                if step != 0 and i.offset.stride(stage.axes[0].name) == 1:
                    there = Offset(i.offset.terms, i.offset.constant + step)
                    found.setdefault((type(i), i.buffer), replace(i, offset=there))
    dearest = max(stages, key=lambda s: sum(isinstance(i, Compute) for i in s.body))
    return Ahead(dearest, tuple(found.values()))


def _is_row(stage: Stage, nest: Nest) -> bool:
    """Whether a stage has one loop, over a row that is worth fetching."""
    axis, *others = stage.axes
    known = isinstance(axis.extent, int) and SHORT <= axis.extent <= LONG
    return known and not others and axis.name == nest.lane and axis.piece is None
