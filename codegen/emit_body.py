"""Instructions of the loop-nest form as LLVM text, for one turn of `lanes` neighbours of the lane axis.

What does not depend on the lane stays a scalar and is computed once; what does is `unroll` vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from graphc.codegen import primitives
from graphc.codegen.element import Element, const, splat
from graphc.codegen.emit_frame import Frame
from graphc.codegen.emit_groups import is_shared, load_backwards, load_shared
from graphc.codegen.index_maps import row_major
from graphc.codegen.loops import (
    Axis,
    Check,
    Compute,
    Constant,
    Index,
    Instruction,
    Load,
    Offset,
    Store,
)
from graphc.codegen.text import Function, Operand
from graphc.ir.dims import Dim, Size

LINE = 64
"""Bytes of a line of cache."""


@dataclass(frozen=True)
class Scalar:
    """A value of the nest in registers: one name for all lanes (`varying` is false), or one vector for each
    unrolled turn. `counts`: it is the count of the lane axis, which is cheaper made narrow than cut; `width`:
    the count divided by that number.
    """

    dtype: str
    parts: tuple[str, ...]
    varying: bool = False
    literal: float | int | bool | None = None
    counts: bool = False
    width: int = 0


@dataclass(frozen=True)
class Lanes:
    """Which turns of the lane axis are done at once: `unroll` vectors of `lanes`, from the count `start`;
    only where `masks` hold.

    One lane is scalar code: then nothing varies.
    """

    axis: str | None = None
    start: Operand = 0
    lanes: int = 1
    unroll: int = 1
    masks: tuple[str, ...] | None = None

    @property
    def scalar(self) -> bool:
        return self.lanes == 1


ALONE = Lanes()


@dataclass(frozen=True)
class _Base:
    """A pointer that is computed already, and what is to be added; `relative`: the lanes' start is in the
    pointer.
    """

    pointer: str
    offset: Offset
    relative: bool


@dataclass
class Body:
    """Writes instructions; `values` has the scalars that are known, `counts` the counts of loops (not that of
    a vectorised lane).
    """

    frame: Frame
    lanes: Lanes = ALONE
    values: dict[str, Scalar] = field(default_factory=dict)
    counts: dict[str, Operand] = field(default_factory=dict)
    tag: str = ""
    bases: dict[tuple[str, Offset], _Base] = field(default_factory=dict)

    @property
    def f(self) -> Function:
        return self.frame.f

    def inside(self, lanes: Lanes | None = None, counts: Mapping[str, Operand] | None = None) -> Body:
        """The same scope further in: with more counts, or with other lanes."""
        found = self.lanes if lanes is None else lanes
        counts = dict(counts or {})
        if found.scalar and found.axis is not None:
            counts[found.axis] = found.start
        bases = (
            dict(self.bases)
            if found is self.lanes
            else {k: b for k, b in self.bases.items() if not b.relative}
        )
        return Body(self.frame, found, dict(self.values), self.counts | counts, self.tag, bases)

    # -- values ----------------------------------------------------------------------------------------------
    def element(self, dtype: str) -> Element:
        return Element(dtype, self.lanes.lanes)

    def vector(self, x: Scalar, turn: int = 0) -> str:
        """A value as a vector, whether it varies or not."""
        if x.varying:
            return x.parts[turn]
        t = self.element(x.dtype)
        return splat(t, x.literal) if x.literal is not None else self.f.broadcast(t, x.parts[0])

    def vectors(self, x: Scalar) -> list[str]:
        """A value as one vector for each unrolled turn."""
        if not x.varying:
            return [self.vector(x)] * self.lanes.unroll
        return list(x.parts)

    def mask(self, turn: int) -> str | None:
        return self.lanes.masks[turn] if self.lanes.masks is not None else None

    def run(self, code: Iterable[Instruction]) -> None:
        """Write instructions that are no folds."""
        for i in code:
            self.step(i)

    def step(self, i: Instruction) -> None:
        """Write one instruction."""
        match i:
            case Constant():
                self.values[i.result] = self._constant(i)
            case Index():
                self.values[i.result] = self._index(i.axis)
            case Load():
                self.values[i.result] = self._load(i)
            case Compute():
                self.values[i.result] = self._compute(i)
            case Store():
                self._store(i)
            case Check():
                self._check(i)

    def _constant(self, i: Constant) -> Scalar:
        t = Element(i.dtype.name, 1)
        if isinstance(i.value, Size):
            size = self.frame.size(i.value)
            return Scalar(t.dtype, (primitives.cast(self.f, Element("i64", 1), t, str(size)),))
        return Scalar(t.dtype, (const(t, i.value),), literal=i.value)

    def _index(self, axis: str) -> Scalar:
        if axis in self.counts:
            return Scalar("i64", (str(self.counts[axis]),))
        return Scalar("i64", tuple(self._lane_numbers()), True, counts=True)

    def _lane_numbers(self, start: Operand | None = None, dtype: str = "i64") -> list[str]:
        """The counts of the lane axis, from `start` on (default: where the lanes are)."""
        lanes = self.lanes
        start = lanes.start if start is None else start
        t = self.element(dtype)
        if t.bits == 64:
            first = self.f.lane_numbers(t, start)
        else:
            narrow = self.f.broadcast(t, self.f(f"trunc i64 {start} to {t.name}"))
            numbers = ", ".join(f"{t.name} {lane}" for lane in range(t.lanes))
            first = self.f(f"add {t.vec} {narrow}, <{numbers}>")
        step = [splat(t, u * lanes.lanes) for u in range(lanes.unroll)]
        return [first if u == 0 else self.f(f"add {t.vec} {first}, {step[u]}") for u in range(lanes.unroll)]

    def positions(self, axes: Sequence[Axis]) -> list[str]:
        """The row-major position of this turn of the axes, for each unrolled turn."""
        strides = row_major(tuple(a.extent for a in axes))
        total: Operand = 0
        for axis, stride in zip(axes, strides):
            if axis.name in self.counts:
                total = self.f.add(total, self.f.mul(self.counts[axis.name], self.frame.size(stride)))
        if self.lanes.scalar:
            return [str(total)]
        t = self.element("i64")
        base = self.f.broadcast(t, str(total))
        if self.lanes.axis not in {a.name for a in axes}:
            return [base] * self.lanes.unroll
        return [self.f(f"add {t.vec} {base}, {n}") for n in self._lane_numbers()]

    def _compute(self, i: Compute) -> Scalar:
        args = [self.values[a] for a in i.args]
        if not any(a.varying for a in args):
            return Scalar(i.dtype.name, (self._apply(i, 1, [a.parts[0] for a in args]),))
        if i.op == "cast" and args[0].counts and i.dtype.bits == 32 and i.dtype.is_integer:
            return Scalar(i.dtype.name, tuple(self._lane_numbers(dtype=i.dtype.name)), True)
        lists = [self.vectors(a) for a in args]
        width = self.lanes.lanes
        parts = tuple(self._apply(i, width, list(xs)) for xs in zip(*lists))
        shared = int(args[1].literal or 0) if i.op == "index_divide" and args[0].counts else 0
        return Scalar(i.dtype.name, parts, True, width=shared)

    def _apply(self, i: Compute, lanes: int, args: list[str]) -> str:
        types = [Element(self.values[a].dtype, lanes) for a in i.args]
        if i.op == "cast":
            return primitives.cast(self.f, types[0], Element(i.dtype.name, lanes), args[0])
        if i.op == "select":
            # LLVM would make a masked store of what chooses between memory and a constant: slow where a mask
            # is no register of its own. It does not see the load behind a freeze.
            x, y = (self.f(f"freeze {t.vec} {a}") if a[0] == "%" else a for t, a in zip(types[1:], args[1:]))
            return primitives.select(self.f, types[1], args[0], x, y)
        if i.op in ("shift_left", "shift_right"):
            amount = self.values[i.args[1]].literal
            if amount is not None and 0 <= amount < types[0].bits:
                return primitives.shift(self.f, types[0], args[0], args[1], i.op == "shift_left")
        return primitives.emit(self.f, i.op, types[0], args)

    # -- addresses -------------------------------------------------------------------------------------------
    def _uniform(self, offset: Offset) -> tuple[Operand, list[tuple[str, Operand]]]:
        """The part of an offset that all lanes share, and the (variable, stride) that differ."""
        total: Operand = self.frame.size(offset.constant)
        varying: list[tuple[str, Operand]] = []
        for name, stride in offset.terms:
            step = self.frame.size(stride)
            if name in self.counts:
                total = self.f.add(total, self.f.mul(self.counts[name], step))
            elif name in self.values and not self.values[name].varying:
                total = self.f.add(total, self.f.mul(self.values[name].parts[0], step))
            else:
                varying.append((name, step))
        return total, varying

    def place(self, offset: Offset) -> Operand:
        """The index of the one element that all lanes mean."""
        return self._uniform(offset)[0]

    def prepare(self, code: Iterable[Instruction]) -> None:
        """Compute what is known already of the addresses in a loop that follows.

        The pointers are opaque to LLVM's strength reduction, which would spend its time on sums of counts.
        Those that are a number of elements apart share one register.
        """
        near: dict[tuple[str, tuple[tuple[str, Dim], ...]], tuple[str, int]] = {}
        for i in code:
            if isinstance(i, (Load, Store)) and (i.buffer, i.offset) not in self.bases:
                known = [t for t in i.offset.terms if self._is_known(t[0])]
                rest = tuple(t for t in i.offset.terms if not self._is_known(t[0]))
                relative = not self.lanes.scalar and any(name == self.lanes.axis for name, _ in rest)
                if not rest or not (known or relative or i.offset.constant != 0):
                    continue
                if isinstance(i.offset.constant, int) and (i.buffer, i.offset.terms) in near:
                    first, constant = near[i.buffer, i.offset.terms]
                    pointer = self._beside(i.buffer, first, i.offset.constant - constant)
                else:
                    place = self.place(Offset(tuple(known), i.offset.constant))
                    if relative:
                        step = self.frame.size(i.offset.stride(str(self.lanes.axis)))
                        place = self.f.add(place, self.f.mul(self.lanes.start, step))
                    pointer = self._beside(i.buffer, self.frame.pointer(i.buffer), place)
                    pointer = self.f(f"freeze ptr {pointer}")
                    if isinstance(i.offset.constant, int):
                        near[i.buffer, i.offset.terms] = pointer, i.offset.constant
                self.bases[i.buffer, i.offset] = _Base(pointer, Offset(rest), relative)

    def _beside(self, buffer: str, pointer: str, place: Operand) -> str:
        """The address so many elements on, which need not be in the buffer where nobody reads it."""
        if place == 0:
            return pointer
        return self.f(f"getelementptr {self.frame.stored(buffer)}, ptr {pointer}, i64 {place}")

    def _is_known(self, name: str) -> bool:
        return name in self.counts or (name in self.values and not self.values[name].varying)

    def _base(self, buffer: str, offset: Offset) -> _Base:
        """The pointer from which an access counts, and its offset from there."""
        found = self.bases.get((buffer, offset))
        return found or _Base(self.frame.pointer(buffer), offset, False)

    def _places(self, base: _Base) -> tuple[str, list[Operand]]:
        """How the lanes lie: "one" element for all, "row" of neighbours or "any"; and the index of each turn
        (i64 vectors for any).
        """
        index, varying = self._uniform(base.offset)
        lanes = self.lanes
        first: Operand = 0 if base.relative else lanes.start
        if not varying:
            return "one", [index]
        if len(varying) == 1 and varying[0] == (lanes.axis, 1):
            start = self.f.add(index, first)
            return "row", [self.f.add(start, u * lanes.lanes) for u in range(lanes.unroll)]
        t = self.element("i64")
        result = [self.f.broadcast(t, str(index)) for _ in range(lanes.unroll)]
        for name, step in varying:
            numbers = self._lane_numbers(first) if name == lanes.axis else self.vectors(self.values[name])
            scale = self.f.broadcast(t, str(step)) if step != 1 else None
            for u, number in enumerate(numbers):
                term = self.f(f"mul {t.vec} {number}, {scale}") if scale else number
                result[u] = self.f(f"add {t.vec} {result[u]}, {term}")
        return "any", list(result)

    # -- memory ----------------------------------------------------------------------------------------------
    def _guards(self, when: str | None) -> list[str | None]:
        """The mask of each turn: the lanes that are there, and where the condition holds."""
        found = [self.mask(u) for u in range(self.lanes.unroll)]
        if when is None:
            return found
        t = self.element("bool")
        conditions = self.vectors(self.values[when])
        return [c if m is None else self.f(f"and {t.mask} {c}, {m}") for c, m in zip(conditions, found)]

    def _load(self, i: Load) -> Scalar:
        guard = self.values[i.when] if i.when is not None else None
        base = self._base(i.buffer, i.offset)
        found = self._load_shared(i, base, guard)
        if found is not None:
            return found
        how, places = self._places(base)
        one = Element(i.dtype.name, 1)
        if how == "one" and (guard is None or not guard.varying):
            return Scalar(one.dtype, (self._load_one(i, one, base, places[0], guard),))
        t = self.element(i.dtype.name)
        fills = self.vectors(self.values[i.fill]) if i.fill is not None else [None] * self.lanes.unroll
        elsewhere = self._elsewhere(i, t) if how == "row" else None
        guards = self._guards(i.when if elsewhere is None else None)
        if how == "one":
            places = [self.f.broadcast(self.element("i64"), str(places[0]))] * self.lanes.unroll
        result = []
        for place, mask, fill in zip(places, guards, fills):
            if how == "row":
                pointer = self.f.at(t.stored, base.pointer, place)
                if elsewhere is not None and guard is not None:
                    pointer = self.f.select("ptr", guard.parts[0], pointer, elsewhere)
                result.append(self.f.vload(t, pointer, mask, self.tag, fill))
                continue
            x = self.f.gather(t, base.pointer, str(place), mask, self.tag)
            result.append(x if fill is None else primitives.select(self.f, t, str(mask), x, fill))
        return Scalar(t.dtype, tuple(result), True)

    def _load_shared(self, i: Load, base: _Base, guard: Scalar | None) -> Scalar | None:
        """A load whose lanes share elements, group by group, or read backwards."""
        fill = None if guard is None or guard.varying else self.values[i.fill or ""].literal
        if guard is not None and fill is None:
            return None
        index, varying = self._uniform(base.offset)
        (name, step) = varying[0] if len(varying) == 1 else ("", 0)
        if (name, step) == (self.lanes.axis, -1) and guard is None and self.lanes.masks is None:
            first: Operand = 0 if base.relative else self.lanes.start
            return Scalar(i.dtype.name, tuple(load_backwards(self, i, base.pointer, index, first)), True)
        shared = self.values.get(name)
        if shared is None or not is_shared(self, i, step, shared):
            return None
        where = None if guard is None else (guard.parts[0], float(fill or 0))
        parts = load_shared(self, i, base.pointer, index, int(step), shared.width, where)
        return Scalar(i.dtype.name, tuple(parts), True)

    def _elsewhere(self, i: Load, t: Element) -> str | None:
        """Where lanes with one condition for all are read if it is false: a vector of the number that they
        are then. A masked load of no lanes costs a hundred times as much where there is no memory.
        """
        if i.when is None or self.values[i.when].varying:
            return None
        fill = self.values[i.fill or ""].literal
        return None if fill is None else self.frame.vector_of(t, fill)

    def _load_one(self, i: Load, t: Element, base: _Base, place: Operand, guard: Scalar | None) -> str:
        if guard is None:
            return self.f.vload(t, self.f.at(t.stored, base.pointer, place), None, self.tag)
        fill = self.values[i.fill or ""].parts[0]
        with self.f.when(guard.parts[0], [(t.vec, fill)]) as w:
            w.next = [self.f.vload(t, self.f.at(t.stored, base.pointer, place), None, self.tag)]
        return w.results[0]

    def fetch(self, i: Load | Store) -> None:
        """Have the lines of memory in a cache that an access of neighbours means."""
        base = self._base(i.buffer, i.offset)
        t = self.element(self.frame.dtype(i.buffer))
        _, places = self._places(base)
        for place in places:
            for lane in range(0, t.lanes, max(1, LINE // t.size)):
                pointer = self.f.at(t.stored, base.pointer, self.f.add(place, lane))
                self.f.prefetch(pointer, write=isinstance(i, Store))

    def _store(self, i: Store) -> None:
        x = self.values[i.value]
        base = self._base(i.buffer, i.offset)
        how, places = self._places(base)
        if how == "one":
            self._store_one(i, x, base, places[0])
            return
        t = self.element(x.dtype)
        for place, value, mask in zip(places, self.vectors(x), self._guards(i.when)):
            if how == "row":
                self.f.vstore(t, value, self.f.at(t.stored, base.pointer, place), mask, self.tag)
            else:
                self._scatter(t, value, base.pointer, str(place), mask)

    def _store_one(self, i: Store, x: Scalar, base: _Base, place: Operand) -> None:
        t = Element(x.dtype, 1)
        pointer = self.f.at(t.stored, base.pointer, place)
        if i.when is None:
            self.f.vstore(t, x.parts[0], pointer, None, self.tag)
            return
        with self.f.when(self.values[i.when].parts[0]):
            self.f.vstore(t, x.parts[0], pointer, None, self.tag)

    def _scatter(self, t: Element, value: str, base: str, indices: str, mask: str | None) -> None:
        f = self.f
        value = f.to_memory(t, value)
        s = Element("i8", t.lanes) if t.kind == "b" else t
        pointers = f(f"getelementptr inbounds {t.stored}, ptr {base}, {t.of('i64')} {indices}")
        every = splat(Element("bool", t.lanes), True)
        where = f"{t.of('ptr')} align {t.size} {pointers}, {t.mask} {mask or every}"
        f.do(f"call void @llvm.masked.scatter.{s.suffix}.v{t.lanes}p0({s.vec} {value}, {where}){self.tag}")

    def _check(self, i: Check) -> None:
        x = self.values[i.condition]
        status = f"i64 {i.code}"
        if not x.varying:
            self.f.give_up(self.f(f"xor i1 {x.parts[0]}, true"), status)
            return
        t = self.element("bool")
        for u, holds in enumerate(x.parts):
            fails = self.f(f"xor {t.mask} {holds}, {splat(t, True)}")
            mask = self.mask(u)
            fails = fails if mask is None else self.f(f"and {t.mask} {fails}, {mask}")
            some = self.f(f"call i1 @llvm.vector.reduce.or.{t.suffix}({t.mask} {fails})")
            self.f.give_up(some, status)
