"""The loops of a nest as LLVM text: whole vectors of the lane axis, several at once where folds gain by it,
and what is left over.

Sums of floats start anew after some turns of a loop (`BLOCKS`) and are then added up, so that the error grows
with the blocks and not with the elements; the blocks do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from graphc.codegen.accumulators import Accumulators, Carried, Joined
from graphc.codegen.element import Element
from graphc.codegen.emit_body import ALONE, Body, Lanes, Scalar
from graphc.codegen.emit_folds import Folder
from graphc.codegen.emit_frame import Frame
from graphc.codegen.emit_lanes import masked_tail, unrolled, vector_lanes
from graphc.codegen.loops import Axis, Check, Fold, Index, Nest, Running, Stage, Store
from graphc.codegen.rows_ahead import rows_ahead
from graphc.codegen.text import Operand

BLOCKS = {1: (16, 3), 2: (128, 2)}
"""Turns of a block, and levels of blocks: of scalar counts (each lane is a sum of its own), and of vectors
along a row, whose errors the lanes average out.
"""
ENOUGH, PLENTY = 4, 8
"""Turns for each member with which an axis is divided well: one with fewer leaves it to a longer one inside
it (the rows of a single image). Turns, if they are known, with which no other axis is considered.
"""


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


def is_divided(nest: Nest) -> bool:
    """Whether members share a nest. One whose turns have an order can be shared along its lanes only, which
    never meet.
    """
    return bool(nest.outer) and (not nest.ordered or nest.outer[-1].name == nest.lane)


class _Writer:
    def __init__(self, frame: Frame, nest: Nest) -> None:
        self.frame, self.nest, self.f = frame, nest, frame.f
        self.lanes = vector_lanes(nest, frame.target) if nest.lane is not None else 1
        self.masked = masked_tail(nest, frame.target)
        self.sources: dict[str, str] = {}
        self.divided: dict[str, str] = {}
        self.ahead = rows_ahead(frame.kernel, nest)

    def write(self, body: Body) -> None:
        body.run(self.nest.start)
        if is_divided(self.nest):
            self.divided = self._divided()
            self._outer(0, body)
            return
        with self.f.when(self.f.equal("%member", 0)):
            self._outer(0, body)

    # -- outer loops -----------------------------------------------------------------------------------------
    def _outer(self, depth: int, body: Body) -> None:
        if depth == len(self.nest.outer):
            self._stages(body)
            return
        axis = self.nest.outer[depth]
        if axis.name == self.nest.lane:
            self._columns(axis, body)
            return
        low, high = self._share(axis, 1)
        with self.f.loop(low, high, 1) as loop:
            self._outer(depth + 1, body.inside(counts={axis.name: self._fixed(loop.i)}))

    def _fixed(self, count: str) -> str:
        """A count that loops further in take as it is: LLVM's strength reduction spends its time on sums of
        counts.
        """
        return self.f(f"freeze i64 {count}")

    def _divided(self) -> dict[str, str]:
        """By outer axis whether members divide it: the first of enough turns, else that of the most."""
        f, outer = self.f, self.nest.outer
        if self.nest.ordered:
            return {outer[-1].name: "true"}
        plenty = [i for i, a in enumerate(outer) if isinstance(a.extent, int) and a.extent >= PLENTY]
        axes = outer[: plenty[0] + 1 if plenty else len(outer)]
        if len(axes) == 1:
            return {axes[0].name: "true"}
        units = [self._units(axis) for axis in axes]
        enough = f.mul("%count", ENOUGH)
        chosen, most = str(len(axes) - 1), units[-1]
        for i in reversed(range(len(axes) - 1)):
            better = f.negate(f.less(units[i], f.minimum(enough, most)))
            chosen, most = f.select("i64", better, i, chosen), f.select("i64", better, units[i], most)
        return {axis.name: f.equal(chosen, i) for i, axis in enumerate(axes)}

    def _units(self, axis: Axis) -> Operand:
        """In how many pieces an axis can be divided."""
        n = self.frame.size(axis.extent)
        return self.f.ceildiv(n, self.lanes * self._vectors(axis)) if axis.name == self.nest.lane else n

    def _share(self, axis: Axis, block: int) -> tuple[Operand, Operand]:
        """The range of this member, in whole blocks: everything where the axis is not divided."""
        f, n = self.f, self.frame.size(axis.extent)
        divided = self.divided.get(axis.name)
        if divided is None:
            return 0, n
        count, member = "%count", "%member"
        if divided != "true":
            count, member = f.select("i64", divided, count, 1), f.select("i64", divided, member, 0)
        blocks = f.ceildiv(n, block) if block > 1 else n
        each = f.mul(f.ceildiv(blocks, count), block)
        low = f.minimum(f.mul(member, each), n)
        return low, f.minimum(f.add(low, each), n)

    def _vectors(self, axis: Axis) -> int:
        """Vectors of columns that go through a turn together."""
        if not any(s.axes for s in self.nest.stages):
            return 1
        return unrolled([i for s in self.nest.stages for i in s.body], self._most_turns(axis))

    def _columns(self, axis: Axis, body: Body) -> None:
        """Whole vectors of columns, then the rest of them."""
        turns = self._vectors(axis)
        low, high = self._share(axis, self.lanes * turns)
        self.columns(axis, low, high, body, turns)

    def columns(
        self, axis: Axis, low: Operand, high: Operand, body: Body, turns: int = 1, bounded: bool = True
    ) -> None:
        """The stages for a range of the lane; `bounded` says that it is the axis's or a share of it in whole
        blocks.
        """
        known = axis.extent if bounded and isinstance(axis.extent, int) else None
        for stage in self.nest.stages:
            if not stage.axes:
                body.prepare(stage.body)
        for start, stop, lanes, count, mask in self._segments(known, low, high, turns):
            if mask:
                with self.f.when(self.f.less(start, stop)):
                    self._stages(body.inside(self._tail(axis, start, stop)))
                continue
            with self.f.loop(start, stop, lanes * count) as loop:
                inner = any(stage.axes for stage in self.nest.stages)
                i = self._fixed(loop.i) if inner else loop.i
                self._stages(body.inside(Lanes(axis.name, i, lanes, count)))

    def _most_turns(self, axis: Axis) -> int:
        """No more vectors at once than the axis has."""
        return max(1, -(-axis.extent // self.lanes)) if isinstance(axis.extent, int) else 4

    def _tail(self, axis: Axis, start: Operand, stop: Operand) -> Lanes:
        mask = self.f.lanes_below(Element("i32", self.lanes), self.f.sub(stop, start))
        return Lanes(axis.name, start, self.lanes, 1, (mask,))

    def _segments(
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

    # -- stages ----------------------------------------------------------------------------------------------
    def _stages(self, body: Body) -> None:
        body = body.inside()
        for stage in self.nest.stages:
            self._stage(stage, body)
            body.run(stage.finish)

    def _stage(self, stage: Stage, body: Body) -> None:
        folds = [i for i in stage.body if isinstance(i, (Fold, Running))]
        self._learn_sources(stage, body)
        if not stage.axes:
            self._once(stage, folds, body)
        elif stage.axes[-1].name == self.nest.lane:
            self._rows(stage, folds, body)
        else:
            found = self._accumulators(folds, body.lanes)
            result = self._turns(stage, list(stage.axes), body, found, found.neutral())
            self._results(found, result, body)

    def _learn_sources(self, stage: Stage, body: Body) -> None:
        """The element type of what each fold folds."""
        types = {name: x.dtype for name, x in body.values.items()}
        for i in stage.body:
            if isinstance(i, Index):
                types[i.result] = "i64"
            elif not isinstance(i, (Store, Check)):
                types[i.result] = i.dtype.name
            if isinstance(i, (Fold, Running)):
                self.sources[i.result] = types[i.value]

    def _accumulators(self, folds: list[Fold | Running], lanes: Lanes) -> Accumulators:
        folders = [Folder.of(i, self.sources[i.result], lanes.lanes) for i in folds]
        return Accumulators(folds, folders, lanes.unroll)

    def _once(self, stage: Stage, folds: list[Fold | Running], body: Body) -> None:
        """A stage without loops: its scalars stay visible, and a fold is one turn."""
        found = self._accumulators(folds, body.lanes)
        result = self._turn(stage, body, found, found.neutral())
        self._results(found, result, body)

    def _results(self, found: Accumulators, carried: Carried, body: Body) -> None:
        for fold, folder, copies in zip(found.folds, found.folders, found.split(carried)):
            parts = tuple(folder.result(self.f, c) for c in copies)
            body.values[fold.result] = Scalar(fold.dtype.name, parts, folder.lanes > 1)

    # -- one turn --------------------------------------------------------------------------------------------
    def _turn(self, stage: Stage, body: Body, found: Accumulators, carried: Carried) -> Carried:
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
    def _turns(
        self, stage: Stage, axes: list[Axis], body: Body, found: Accumulators, carried: Carried
    ) -> Carried:
        if not axes:
            return self._turn(stage, body.inside(), found, carried)
        axis, *rest = axes
        if not rest:
            body.prepare(stage.body)

        def turn(i: Operand, values: Carried) -> Carried:
            count = self._fixed(str(i)) if rest else i
            return self._turns(stage, rest, body.inside(counts={axis.name: count}), found, values)

        stop = self._length(axis, body)
        return self._blocked(0, stop, 1, found, carried, body, turn, inner=not rest)

    def _length(self, axis: Axis, body: Body) -> Operand:
        """How far a stage's axis counts."""
        whole = self.frame.size(axis.extent)
        if axis.piece is None:
            return whole
        number, total = axis.piece
        done = self.f.mul(body.counts[number], whole)
        return self.f.minimum(self.f.sub(self.frame.size(total), done), whole)

    def _blocked(
        self,
        start: Operand,
        stop: Operand,
        step: int,
        found: Accumulators,
        carried: Carried,
        body: Body,
        turn: Callable[[Operand, Carried], Carried],
        inner: bool = True,
    ) -> Carried:
        """A loop in steps; sums of floats in blocks, and in blocks of blocks."""
        f = self.f
        if not any(folder.blocked for folder in found.folders):
            return self._plain(start, stop, step, found, carried, turn)
        if not inner:
            return self._plain(start, stop, step, found, carried, self._restarting(found, body, turn))

        def block(size: int, inside: Callable[..., Carried]) -> Callable[..., Carried]:
            def run(low: Operand, high: Operand, values: Carried, sure: bool = False) -> Carried:
                def part(i: Operand, inner_values: Carried) -> Carried:
                    end = f.minimum(f.add(i, size), high)
                    after = inside(self._fixed(str(i)), end, found.restarted(inner_values), sure=True)
                    return found.resumed(self.f, inner_values, after)

                return self._plain(low, high, size, found, values, part, sure)

            return run

        def innermost(low: Operand, high: Operand, values: Carried, sure: bool = False) -> Carried:
            return self._plain(low, high, step, found, values, turn, sure)

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
        self, found: Accumulators, body: Body, turn: Callable[[Operand, Carried], Carried]
    ) -> Callable[[Operand, Carried], Carried]:
        def run(i: Operand, values: Carried) -> Carried:
            return found.resumed(self.f, values, turn(i, found.restarted(values)))

        return run

    def _plain(
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

    # -- loops of a stage whose last axis is the lane --------------------------------------------------------
    def _rows(self, stage: Stage, folds: list[Fold | Running], body: Body) -> None:
        axis = stage.axes[-1]
        turns = unrolled(stage.body, self._most_turns(axis)) if folds else 1
        vector = self._accumulators(folds, Lanes(axis.name, 0, self.lanes))
        single = self._accumulators(folds, ALONE)
        width = len(vector.neutral()) if self.lanes > 1 else 0
        both = Joined(vector if self.lanes > 1 else None, single)

        known = axis.extent if isinstance(axis.extent, int) and axis.piece is None else None
        length = self._length(axis, body)

        def row(inner: Body, carried: Carried) -> Carried:
            inner.prepare(stage.body)
            inner.prepare(self.ahead.of(stage))
            wide, one = carried[:width], carried[width:]
            for start, stop, lanes, count, mask in self._segments(known, 0, length, turns):
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
        self._results(single, one, body)

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
        with self.f.loop(0, self._length(axis, body), 1, list(zip(types, carried))) as loop:
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
            return self._turn(stage, inner, found, values)

        step = lanes.lanes * lanes.unroll
        if step == 1 and self.lanes > 1:  # fewer turns than lanes are left
            return self._plain(start, stop, step, found, carried, turn)
        return self._blocked(start, stop, step, found, carried, body, turn)

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
            inner = body.inside(self._tail(axis, start, stop))
            w.next = self._turn(stage, inner, vector, carried)
        return w.results
