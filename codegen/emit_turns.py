"""The loops of a stage and one turn of them as LLVM text: folds are carried, sums of floats in blocks.

Sums of floats start anew after some turns of a loop (`BLOCKS`) and are then added up, so that the error grows
with the blocks and not with the elements; the blocks do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from graphc.codegen.accumulators import Accumulators, Carried
from graphc.codegen.element import Element
from graphc.codegen.emit_body import Body
from graphc.codegen.emit_folds import Folder
from graphc.codegen.emit_frame import Frame
from graphc.codegen.emit_lanes import masked_tail, vector_lanes
from graphc.codegen.emit_scope import Lanes, Scalar
from graphc.codegen.loops import Axis, Check, Fold, Index, Nest, Running, Stage, Store
from graphc.codegen.text import Operand

BLOCKS = {1: (16, 3), 2: (128, 2)}
"""Turns of a block, and levels of blocks: of scalar counts (each lane is a sum of its own), and of vectors
along a row, whose errors the lanes average out.
"""


class Turns:
    """Writes turns of the stages of a nest; `lanes` are those of its vectors."""

    def __init__(self, frame: Frame, nest: Nest) -> None:
        self.frame, self.nest, self.f = frame, nest, frame.f
        self.lanes = vector_lanes(nest, frame.target) if nest.lane is not None else 1
        self.masked = masked_tail(nest, frame.target)
        self.sources: dict[str, str] = {}

    # -- ranges of the lane ----------------------------------------------------------------------------------
    def most_turns(self, axis: Axis) -> int:
        """No more vectors at once than the axis has."""
        return max(1, -(-axis.extent // self.lanes)) if isinstance(axis.extent, int) else 4

    def tail(self, axis: Axis, start: Operand, stop: Operand) -> Lanes:
        mask = self.f.lanes_below(Element("i32", self.lanes), self.f.sub(stop, start))
        return Lanes(axis.name, start, self.lanes, 1, (mask,))

    def segments(
        self, known: int | None, low: Operand, high: Operand, turns: int
    ) -> Iterator[tuple[Operand, Operand, int, int, bool]]:
        """(start, stop, lanes, vectors at once, masked) of the loops that cover low..high; segments known to
        be empty are left out.
        """
        f, lanes = self.f, self.lanes
        if lanes == 1:
            yield low, high, 1, 1, False
            return
        span = f.sub(high, low)
        at: Operand = low
        left = known
        for count in dict.fromkeys((turns, 1)):
            step = lanes * count
            if left is not None and left < step:
                continue
            whole = left is not None and left % step == 0
            stop = high if whole else f.add(low, f.sub(span, f.urem(span, step)))
            yield at, stop, lanes, count, False
            if whole:
                return
            at, left = stop, None if left is None else left % step
        if self.masked:
            yield at, high, lanes, 1, True
        else:
            yield at, high, 1, 1, False

    def fixed(self, count: str) -> str:
        """A count that loops further in take as it is: LLVM's strength reduction spends its time on sums of
        counts.
        """
        return self.f(f"freeze i64 {count}")

    # -- folds -----------------------------------------------------------------------------------------------
    def learn_sources(self, stage: Stage, body: Body) -> None:
        """The element type of what each fold folds."""
        types = {name: x.dtype for name, x in body.values.items()}
        for i in stage.body:
            if isinstance(i, Index):
                types[i.result] = "i64"
            elif not isinstance(i, (Store, Check)):
                types[i.result] = i.dtype.name
            if isinstance(i, (Fold, Running)):
                self.sources[i.result] = types[i.value]

    def accumulators(self, folds: list[Fold | Running], lanes: Lanes) -> Accumulators:
        folders = [Folder.of(i, self.sources[i.result], lanes.lanes) for i in folds]
        return Accumulators(folds, folders, lanes.unroll)

    def once(self, stage: Stage, folds: list[Fold | Running], body: Body) -> None:
        """A stage without loops: its scalars stay visible, and a fold is one turn."""
        found = self.accumulators(folds, body.lanes)
        result = self.turn(stage, body, found, found.neutral())
        self.results(found, result, body)

    def results(self, found: Accumulators, carried: Carried, body: Body) -> None:
        for fold, folder, copies in zip(found.folds, found.folders, found.split(carried)):
            parts = tuple(folder.result(self.f, c) for c in copies)
            body.values[fold.result] = Scalar(fold.dtype.name, parts, folder.lanes > 1)

    # -- one turn --------------------------------------------------------------------------------------------
    def turn(self, stage: Stage, body: Body, found: Accumulators, carried: Carried) -> Carried:
        """The body for one turn of the stage's loops; the new accumulators."""
        copies = dict(zip((i.result for i in found.folds), found.split(carried)))
        folders = dict(zip((i.result for i in found.folds), found.folders))
        for i in stage.body:
            if not isinstance(i, (Fold, Running)):
                body.step(i)
                continue
            before = copies[i.result]
            copies[i.result] = self._folded(stage, i, folders[i.result], body, before)
            if isinstance(i, Running):
                shown = before if i.exclusive else copies[i.result]
                body.values[i.result] = Scalar(i.dtype.name, tuple(c[0] for c in shown), body.lanes.lanes > 1)
        return [x for i in found.folds for copy in copies[i.result] for x in copy]

    def _folded(
        self, stage: Stage, i: Fold | Running, folder: Folder, body: Body, before: list[list[str]]
    ) -> list[list[str]]:
        values = body.vectors(body.values[i.value]) if folder.lanes > 1 else list(body.values[i.value].parts)
        places = body.positions(stage.axes) if folder.positional else [None] * len(values)
        result = []
        for u, (carried, value, place) in enumerate(zip(before, values, places)):
            after = folder.into(self.f, carried, value, place)
            mask = body.mask(u)
            if mask is not None and folder.lanes > 1:
                pairs = zip(folder.types, after, carried)
                after = [self.f(f"select {t.mask} {mask}, {t.vec} {a}, {t.vec} {b}") for t, a, b in pairs]
            result.append(after)
        return result

    # -- loops of a stage with scalar counts -----------------------------------------------------------------
    def turns(
        self, stage: Stage, axes: list[Axis], body: Body, found: Accumulators, carried: Carried
    ) -> Carried:
        if not axes:
            return self.turn(stage, body.inside(), found, carried)
        axis, *rest = axes
        if not rest:
            body.prepare(stage.body)

        def turn(i: Operand, values: Carried) -> Carried:
            count = self.fixed(str(i)) if rest else i
            return self.turns(stage, rest, body.inside(counts={axis.name: count}), found, values)

        stop = self.length(axis, body)
        return self.blocked(0, stop, 1, found, carried, turn, inner=not rest)

    def length(self, axis: Axis, body: Body) -> Operand:
        """How far a stage's axis counts."""
        whole = self.frame.size(axis.extent)
        if axis.piece is None:
            return whole
        number, total = axis.piece
        done = self.f.mul(body.counts[number], whole)
        return self.f.minimum(self.f.sub(self.frame.size(total), done), whole)

    def blocked(
        self,
        start: Operand,
        stop: Operand,
        step: int,
        found: Accumulators,
        carried: Carried,
        turn: Callable[[Operand, Carried], Carried],
        inner: bool = True,
    ) -> Carried:
        """A loop in steps; sums of floats in blocks, and in blocks of blocks."""
        f = self.f
        if not any(folder.blocked for folder in found.folders):
            return self.plain(start, stop, step, found, carried, turn)
        if not inner:
            return self.plain(start, stop, step, found, carried, self._restarting(found, turn))

        def block(size: int, inside: Callable[..., Carried]) -> Callable[..., Carried]:
            def run(low: Operand, high: Operand, values: Carried, sure: bool = False) -> Carried:
                def part(i: Operand, inner_values: Carried) -> Carried:
                    end = f.minimum(f.add(i, size), high)
                    after = inside(self.fixed(str(i)), end, found.restarted(inner_values), sure=True)
                    return found.resumed(self.f, inner_values, after)

                return self.plain(low, high, size, found, values, part, sure)

            return run

        def innermost(low: Operand, high: Operand, values: Carried, sure: bool = False) -> Carried:
            return self.plain(low, high, step, found, values, turn, sure)

        levels = innermost
        turns, depth = BLOCKS[1 if step == 1 else 2]
        size = step * turns
        length = stop if isinstance(stop, int) and start == 0 else None
        for _ in range(depth):
            if length is None or length > size:
                levels = block(size, levels)
            size *= turns
        return levels(start, stop, carried)

    def _restarting(
        self, found: Accumulators, turn: Callable[[Operand, Carried], Carried]
    ) -> Callable[[Operand, Carried], Carried]:
        def run(i: Operand, values: Carried) -> Carried:
            return found.resumed(self.f, values, turn(i, found.restarted(values)))

        return run

    def plain(
        self,
        start: Operand,
        stop: Operand,
        step: int,
        found: Accumulators,
        carried: Carried,
        turn: Callable[[Operand, Carried], Carried],
        sure: bool = False,
    ) -> Carried:
        with self.f.loop(start, stop, step, list(zip(found.types(), carried)), sure) as loop:
            loop.next = turn(loop.i, loop.values)
        return loop.results
