"""The loops of a nest as LLVM text: outer loops, shared among members; columns as whole vectors of the lane
axis, and what is left over; in them the stages (`emit_turns`, `emit_rows`).
"""

from __future__ import annotations

from graphc.codegen.emit_body import Body
from graphc.codegen.emit_frame import Frame
from graphc.codegen.emit_lanes import unrolled
from graphc.codegen.emit_rows import Rows
from graphc.codegen.emit_scope import Lanes
from graphc.codegen.emit_shares import Shares
from graphc.codegen.loops import Axis, Fold, Nest, Running, Stage
from graphc.codegen.text import Operand


def emit_nest(frame: Frame, nest: Nest, body: Body | None = None) -> None:
    """Write a nest. Member m of `count` does its share of an outer axis; what can't be shared is done by
    member 0.
    """
    _Writer(frame, nest).write(body or Body(frame))


def emit_columns(frame: Frame, nest: Nest, body: Body, low: Operand, high: Operand) -> None:
    """Write the stages of a nest for the counts low .. high of its lane, inside loops that are written
    already.
    """
    _Writer(frame, nest).columns(nest.outer[-1], low, high, body, bounded=False)


class _Writer(Rows):
    def write(self, body: Body) -> None:
        body.run(self.nest.start)
        shares = Shares(self.frame, self.nest, self.lanes * self._vectors())
        if shares.chosen:
            self._outer(0, body, shares)
            return
        with self.f.when(self.f.equal("%member", 0)):
            self._outer(0, body, shares)

    # -- outer loops -----------------------------------------------------------------------------------------
    def _outer(self, depth: int, body: Body, shares: Shares) -> None:
        if depth == len(self.nest.outer):
            self._stages(body)
            return
        axis = self.nest.outer[depth]
        if axis.name == self.nest.lane:
            self.columns(axis, *shares.of(axis), body, self._vectors())
            return
        low, high = shares.of(axis)
        with self.f.loop(low, high, 1) as loop:
            self._outer(depth + 1, body.inside(counts={axis.name: self.fixed(loop.i)}), shares)

    def _vectors(self) -> int:
        """Vectors of columns that go through a turn together."""
        axis = next((a for a in self.nest.outer if a.name == self.nest.lane), None)
        if axis is None or not any(s.axes for s in self.nest.stages):
            return 1
        return unrolled([i for s in self.nest.stages for i in s.body], self.most_turns(axis))

    def columns(
        self, axis: Axis, low: Operand, high: Operand, body: Body, turns: int = 1, bounded: bool = True
    ) -> None:
        """The stages for a range of the lane, in whole vectors and what is left over; `bounded` says that it
        is the axis's or a share of it in whole blocks.
        """
        known = axis.extent if bounded and isinstance(axis.extent, int) else None
        for stage in self.nest.stages:
            if not stage.axes:
                body.prepare(stage.body)
        for start, stop, lanes, count, mask in self.segments(known, low, high, turns):
            if mask:
                with self.f.when(self.f.less(start, stop)):
                    self._stages(body.inside(self.tail(axis, start, stop)))
                continue
            with self.f.loop(start, stop, lanes * count) as loop:
                inner = any(stage.axes for stage in self.nest.stages)
                i = self.fixed(loop.i) if inner else loop.i
                self._stages(body.inside(Lanes(axis.name, i, lanes, count)))

    # -- stages ----------------------------------------------------------------------------------------------
    def _stages(self, body: Body) -> None:
        body = body.inside()
        for stage in self.nest.stages:
            self._stage(stage, body)
            body.run(stage.finish)

    def _stage(self, stage: Stage, body: Body) -> None:
        folds = [i for i in stage.body if isinstance(i, (Fold, Running))]
        self.learn_sources(stage, body)
        if not stage.axes:
            self.once(stage, folds, body)
        elif stage.axes[-1].name == self.nest.lane:
            self.rows(stage, folds, body)
        else:
            found = self.accumulators(folds, body.lanes)
            result = self.turns(stage, list(stage.axes), body, found, found.neutral())
            self.results(found, result, body)
