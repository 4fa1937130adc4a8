"""Stages whose last axis is the lane: whole vectors along a row, several at once where folds gain by it, then
what is left over. Folds across lanes come at the end.
"""

from __future__ import annotations

from collections.abc import Callable

from graphc.codegen.accumulators import Accumulators, Carried, Joined
from graphc.codegen.emit_body import Body
from graphc.codegen.emit_frame import Frame
from graphc.codegen.emit_lanes import unrolled
from graphc.codegen.emit_scope import ALONE, Lanes
from graphc.codegen.emit_turns import Turns
from graphc.codegen.loops import Axis, Fold, Nest, Running, Stage
from graphc.codegen.rows_ahead import rows_ahead
from graphc.codegen.text import Operand


class Rows(Turns):
    """Writes rows, and fetches the next one (`rows_ahead`)."""

    def __init__(self, frame: Frame, nest: Nest) -> None:
        super().__init__(frame, nest)
        self.ahead = rows_ahead(frame.kernel, nest)

    def rows(self, stage: Stage, folds: list[Fold | Running], body: Body) -> None:
        axis = stage.axes[-1]
        turns = unrolled(stage.body, self.most_turns(axis)) if folds else 1
        vector = self.accumulators(folds, Lanes(axis.name, 0, self.lanes))
        single = self.accumulators(folds, ALONE)
        width = len(vector.neutral()) if self.lanes > 1 else 0
        both = Joined(vector if self.lanes > 1 else None, single)

        known = axis.extent if isinstance(axis.extent, int) and axis.piece is None else None
        length = self.length(axis, body)

        def row(inner: Body, carried: Carried) -> Carried:
            inner.prepare(stage.body)
            inner.prepare(self.ahead.of(stage))
            wide, one = carried[:width], carried[width:]
            for start, stop, lanes, count, mask in self.segments(known, 0, length, turns):
                if lanes == 1:
                    one = self._row_segment(stage, axis, start, stop, Lanes(axis.name, 0), inner, single, one)
                elif mask:
                    wide = self._row_tail(stage, axis, start, stop, inner, vector, wide)
                elif count == 1:
                    lanes_here = Lanes(axis.name, 0, lanes)
                    wide = self._row_segment(stage, axis, start, stop, lanes_here, inner, vector, wide)
                else:
                    wide = self._row_unrolled(stage, axis, start, stop, count, inner, vector, wide)
            return [*wide, *one]

        carried = self._row_loops(list(stage.axes[:-1]), body, both, both.neutral(), row)
        wide, one = carried[:width], carried[width:]
        if self.lanes > 1:
            one = [
                x
                for folder, lone, a, b in zip(
                    vector.folders, single.folders, vector.split(wide), single.split(one)
                )
                for x in lone.merge(self.f, folder.across(self.f, a[0]), b[0])
            ]
        self.results(single, one, body)

    def _row_loops(
        self,
        axes: list[Axis],
        body: Body,
        both: Joined,
        carried: Carried,
        row: Callable[[Body, Carried], Carried],
    ) -> Carried:
        if not axes:
            after = row(body, both.restarted(carried))
            return both.resumed(self.f, carried, after)
        axis, *rest = axes
        types = both.types()
        with self.f.loop(0, self.length(axis, body), 1, list(zip(types, carried))) as loop:
            after = self._row_loops(
                rest, body.inside(counts={axis.name: loop.i}), both, both.restarted(loop.values), row
            )
            loop.next = both.resumed(self.f, loop.values, after)
        return loop.results

    def _row_segment(
        self,
        stage: Stage,
        axis: Axis,
        start: Operand,
        stop: Operand,
        lanes: Lanes,
        body: Body,
        found: Accumulators,
        carried: Carried,
    ) -> Carried:
        def turn(i: Operand, values: Carried) -> Carried:
            inner = body.inside(Lanes(axis.name, i, lanes.lanes, lanes.unroll))
            if not lanes.scalar:
                for access in self.ahead.of(stage):
                    inner.fetch(access)
            return self.turn(stage, inner, found, values)

        step = lanes.lanes * lanes.unroll
        if step == 1 and self.lanes > 1:  # fewer turns than lanes are left
            return self.plain(start, stop, step, found, carried, turn)
        return self.blocked(start, stop, step, found, carried, turn)

    def _row_unrolled(
        self,
        stage: Stage,
        axis: Axis,
        start: Operand,
        stop: Operand,
        count: int,
        body: Body,
        vector: Accumulators,
        carried: Carried,
    ) -> Carried:
        many = Accumulators(vector.folds, vector.folders, count)
        lanes = Lanes(axis.name, 0, self.lanes, count)
        after = self._row_segment(stage, axis, start, stop, lanes, body, many, many.neutral())
        pairs = zip(vector.folders, vector.split(carried), vector.split(many.folded_copies(self.f, after)))
        return [x for folder, a, b in pairs for x in folder.merge(self.f, a[0], b[0])]

    def _row_tail(
        self,
        stage: Stage,
        axis: Axis,
        start: Operand,
        stop: Operand,
        body: Body,
        vector: Accumulators,
        carried: Carried,
    ) -> Carried:
        with self.f.when(self.f.less(start, stop), list(zip(vector.types(), carried))) as w:
            inner = body.inside(self.tail(axis, start, stop))
            w.next = self.turn(stage, inner, vector, carried)
        return w.results
