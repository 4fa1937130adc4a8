"""Outputs around reductions of one shape over one set of axes: stages by the number of reductions that a
value depends on.

softmax: stage 0 folds the maximum; stage 1 computes exp, keeps it in a temporary and folds the sum; stage 2
divides and stores
"""

from __future__ import annotations

from collections.abc import Mapping

from graphc.codegen import index_maps
from graphc.codegen.index_maps import ZERO, Indices
from graphc.codegen.loops import Fold, Nest, Offset, Stage, Store, Temporary
from graphc.codegen.lower_map import Outputs
from graphc.codegen.scalar import BODY, FORMULAS, OUTER, Scalar
from graphc.codegen.values import Guard, Values
from graphc.ir import Kind, Node, Value
from graphc.ir.dims import Dim, Shape, product
from graphc.ir.types import BOOL, I64

EMPTY = {"max": "maximum", "min": "minimum"}
ARGUMENT = ("argmax", "argmin")
NEAR, FAR = 6, 32
"""So many instructions take longer than a value's way into the first cache and back, or into memory."""
LONG = 1 << 16
"""Elements of a row that no cache nearby keeps."""
WORK = {"divide": 4, "sqrt": 4, "rsqrt": 4, "broadcast": 0, "reshape": 0, "constant": 0, "iota": 0}
"""Instructions that an op counts for, if not one; formulas are always dear."""


def lower_reduce(
    values: Values,
    outputs: Outputs,
    shape: Shape,
    axes: tuple[int, ...],
    in_place: Mapping[str, str] | None = None,
) -> Nest:
    """A nest over the kept axes, with a stage per level of reductions over the others.

    A result that takes the place of an operand (`in_place`; any of its type where that is not given) is
    stored in the last stage, when nothing reads the operand any more.
    """
    return _Reduce(values, outputs, shape, axes, in_place).nest()


class _Reduce:
    def __init__(
        self,
        values: Values,
        outputs: Outputs,
        shape: Shape,
        axes: tuple[int, ...],
        in_place: Mapping[str, str] | None,
    ) -> None:
        self.values, self.outputs, self.shape, self.axes = values, outputs, shape, axes
        self.in_place = in_place
        self.last = 0
        self.levels: dict[Value, int] = {}
        self.indices: Indices = tuple(
            values.axis(f"{'j' if axis in axes else 'i'}{axis}", d, BODY if axis in axes else OUTER)
            for axis, d in enumerate(shape)
        )
        self.outer = [
            values.loop(i.terms[0][0]) for a, i in enumerate(self.indices) if i.terms and a not in axes
        ]
        self.inner = [values.loop(i.terms[0][0]) for a, i in enumerate(self.indices) if i.terms and a in axes]
        self.rows = bool(shape) and self._last_axis() in axes
        self.stages: list[Stage] = []
        self.temporaries: dict[Value, Temporary] = {}
        self.stored: set[Value] = set()
        self.count: Dim = product(shape[a] for a in axes)
        short = self.outer and not (isinstance(self.count, int) and self.count > LONG)
        self.dear = NEAR if short else FAR

    def _last_axis(self) -> int:
        return max((a for a, d in enumerate(self.shape) if d != 1), default=0)

    # -- levels ----------------------------------------------------------------------------------------------
    def level(self, value: Value) -> int:
        """How many reductions, one after the other, a value depends on."""
        return self.levels.get(value, 0)

    def _learn_levels(self) -> None:
        for node in self.values.region.nodes:
            for result in node.results:
                if self._producer(result) is not None:
                    below = max((self.level(x) for x in node.operands), default=0)
                    self.levels[result] = below + (node.op.kind is Kind.REDUCTION)

    def _producer(self, value: Value) -> Node | None:
        """What this nest computes a value by; None if it lies in memory."""
        return None if value in self.values.buffers else self.values.region.producers.get(value)

    def reductions(self) -> list[Node]:
        """The reductions that the outputs need, in order."""
        needed: set[Value] = set()
        todo = [v for _, v in self.outputs]
        while todo:
            value = todo.pop()
            node = self._producer(value)
            if node is not None and value not in needed:
                needed.add(value)
                todo += node.operands
        return [n for n in self.values.region.nodes if n.op.kind is Kind.REDUCTION and n.result in needed]

    # -- the nest --------------------------------------------------------------------------------------------
    def nest(self) -> Nest:
        """The finished nest."""
        self._learn_levels()
        reductions = self.reductions()
        levels = [self.level(n.result) for n in reductions] + [self.level(v) for _, v in self.outputs]
        self.last = max(levels)
        if self.rows and self.inner:
            self._choose_temporaries(reductions, self.last)
        self.values.hook = self._kept
        for stage in range(self.last + 1):
            self._stage(stage, [n for n in reductions if self.level(n.operands[0]) == stage])
        self.values.hook = None
        self._flush()
        order = (self.inner, self.outer) if self.rows else (self.outer, self.inner)
        lane = next((axes[-1].name for axes in order if axes), None)
        start = tuple(self.values.scalars.code[0])
        temporaries = tuple(self.temporaries.values())
        return Nest(tuple(self.outer), tuple(self.stages), lane, temporaries, start)

    def _stage(self, number: int, reductions: list[Node]) -> None:
        scalars = self.values.scalars
        whole = self._outputs_at(number)
        results = [(n, self._folded(n)) for n in reductions]
        for buffer, value in whole:
            element = self.values.at(value, self.indices)
            scalars.code[BODY].append(
                Store(buffer, self.values.place(buffer, self.indices, self.shape), element.name)
            )
        folds = []
        for node, folded in results:
            name = scalars.fresh(node.op.name)
            kind = "sum" if node.op.name == "mean" else node.op.name
            dtype = I64 if kind in ARGUMENT else folded.dtype
            folds.append((node, scalars.named(name, dtype, OUTER)))
            scalars.code[BODY].append(Fold(name, dtype, kind, folded.name))
        if scalars.code[BODY]:
            self._flush()
            self.stages.append(Stage(tuple(self.inner), tuple(scalars.code[BODY])))
        self.values.forget()
        for node, fold in folds:
            self._finish(node, fold)
        for buffer, value in self.outputs:
            level = self.level(value)
            if value.type.shape != self.shape and (level == number + 1 or level == number == 0):
                self._store_reduced(buffer, value)

    def _flush(self) -> None:
        """What was written for each turn of the outer axes goes behind the last stage, or into one of its
        own.
        """
        outer = self.values.scalars.code[OUTER]
        if not outer:
            return
        if self.stages:
            last = self.stages[-1]
            self.stages[-1] = Stage(last.axes, last.body, (*last.finish, *outer))
        else:
            self.stages.append(Stage((), tuple(outer)))
        outer.clear()

    def _outputs_at(self, number: int) -> Outputs:
        """The outputs of the nest's whole shape that a stage stores."""
        whole = [(b, v) for b, v in self.outputs if v.type.shape == self.shape]
        return [
            (b, v) for b, v in whole if (self.last if self._overwrites(b, v) else self.level(v)) == number
        ]

    def _overwrites(self, buffer: str, value: Value) -> bool:
        if self.in_place is not None:
            return buffer in self.in_place
        return any(v.type == value.type for v in self.values.buffers)

    # -- folds -----------------------------------------------------------------------------------------------
    def _folded(self, node: Node) -> Scalar:
        """The element that a reduction folds."""
        value = self.values.at(node.operands[0], self.indices)
        dtype = node.result.type.dtype
        if node.op.name in (*ARGUMENT, "max", "min") or value.dtype == dtype:
            return value
        return self.values.scalars.primitive("cast", dtype, value)

    def _finish(self, node: Node, fold: Scalar) -> None:
        scalars = self.values.scalars
        if node.op.name in (*EMPTY, *ARGUMENT) and not (isinstance(self.count, int) and self.count > 0):
            some = scalars.primitive(
                "greater", BOOL, scalars.constant(self.count, I64), scalars.constant(0, I64)
            )
            self.values.fail(some, "value", _empty_message(node.op.name))
        if node.op.name == "mean":
            fold = scalars.primitive("divide", fold.dtype, fold, scalars.constant(self.count, fold.dtype))
        if fold.dtype != node.result.type.dtype:
            fold = scalars.primitive("cast", node.result.type.dtype, fold)
        self.values.known[node.result] = (self._reduced_indices(node.result.type.shape), fold)

    def _reduced_indices(self, shape: Shape) -> Indices:
        keep = len(shape) == len(self.shape)
        return tuple(
            ZERO if axis in self.axes else i
            for axis, i in enumerate(self.indices)
            if keep or axis not in self.axes
        )

    def _store_reduced(self, buffer: str, value: Value) -> None:
        indices = self._reduced_indices(value.type.shape)
        element = self.values.at(value, indices)
        offset = self.values.place(buffer, indices, value.type.shape)
        self.values.scalars.code[OUTER].append(Store(buffer, offset, element.name))

    # -- temporaries -----------------------------------------------------------------------------------------
    def _choose_temporaries(self, reductions: list[Node], last: int) -> None:
        """What two stages need is kept from the first to the others, if it takes many instructions."""
        made: set[Value] = set()
        for stage in range(last + 1):
            roots = [n.operands[0] for n in reductions if self.level(n.operands[0]) == stage]
            roots += [v for _, v in self._outputs_at(stage)]
            mine: set[Value] = set()
            while roots:
                value = roots.pop()
                node = self._producer(value)
                if node is None or value in mine or node.op.kind is Kind.REDUCTION:
                    continue
                mine.add(value)
                if value in made and value.type.shape == self.shape and self._work(value) >= self.dear:
                    if value not in self.temporaries:
                        name = self.values.scalars.fresh(f"kept_{value.name}")
                        self.temporaries[value] = Temporary(name, value.type.dtype, self.count)
                else:
                    roots += node.operands
            made |= mine

    def _work(self, value: Value) -> int:
        """How many instructions compute a value from what lies in memory or is folded; more than enough
        are not counted.
        """
        work, seen, todo = 0, set[Value](), [value]
        while todo and work < self.dear:
            v = todo.pop()
            node = self._producer(v)
            if node is None or v in seen or node.op.kind is Kind.REDUCTION:
                continue
            seen.add(v)
            if v in self.temporaries and v is not value:
                continue
            if v.type.shape == self.shape:
                work += WORK.get(node.op.name, FAR if node.op.name in FORMULAS else 1)
            todo += node.operands
        return work

    def _place(self) -> Offset:
        inner = [(i, d) for a, (i, d) in enumerate(zip(self.indices, self.shape)) if a in self.axes]
        return index_maps.linear(tuple(i for i, _ in inner), tuple(d for _, d in inner))

    def _kept(self, value: Value, indices: Indices, guard: Guard) -> Scalar | None:
        if value not in self.temporaries or indices != self.indices or guard is not None:
            return None
        temporary, scalars = self.temporaries[value], self.values.scalars
        if value in self.stored:
            return scalars.load(temporary.name, temporary.dtype, self._place())
        self.stored.add(value)
        element = self.values.compute(value, indices, guard)
        scalars.code[BODY].append(Store(temporary.name, self._place(), element.name))
        return element


def _empty_message(op: str) -> str:
    if op in EMPTY:
        return f"zero-size array to reduction operation {EMPTY[op]} which has no identity"
    return f"attempt to get {op} of an empty sequence"
