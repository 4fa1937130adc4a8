"""Loads and stores as LLVM text: of one element, of neighbours, and of elements anywhere."""

from __future__ import annotations

from graphc.codegen import primitives
from graphc.codegen.element import Element, splat
from graphc.codegen.emit_addresses import Addresses, Base
from graphc.codegen.emit_groups import is_shared, load_backwards, load_shared
from graphc.codegen.emit_scope import Scalar
from graphc.codegen.loops import Load, Store
from graphc.codegen.text import Operand

LINE = 64
"""Bytes of a line of cache."""


class Memory(Addresses):
    """A scope whose accesses can be written."""

    def _guards(self, when: str | None) -> list[str | None]:
        """The mask of each turn: the lanes that are there, and where the condition holds."""
        found = [self.mask(u) for u in range(self.lanes.unroll)]
        if when is None:
            return found
        t = self.element("bool")
        conditions = self.vectors(self.values[when])
        return [c if m is None else self.f(f"and {t.mask} {c}, {m}") for c, m in zip(conditions, found)]

    def load(self, i: Load) -> Scalar:
        guard = self.values[i.when] if i.when is not None else None
        base = self.base(i.buffer, i.offset)
        found = self._load_shared(i, base, guard)
        if found is not None:
            return found
        how, places = self.places(base)
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

    def _load_shared(self, i: Load, base: Base, guard: Scalar | None) -> Scalar | None:
        """A load whose lanes share elements, group by group, or read backwards."""
        fill = None if guard is None or guard.varying else self.values[i.fill or ""].literal
        if guard is not None and fill is None:
            return None
        index, varying = self.uniform(base.offset)
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

    def _load_one(self, i: Load, t: Element, base: Base, place: Operand, guard: Scalar | None) -> str:
        if guard is None:
            return self.f.vload(t, self.f.at(t.stored, base.pointer, place), None, self.tag)
        fill = self.values[i.fill or ""].parts[0]
        with self.f.when(guard.parts[0], [(t.vec, fill)]) as w:
            w.next = [self.f.vload(t, self.f.at(t.stored, base.pointer, place), None, self.tag)]
        return w.results[0]

    def fetch(self, i: Load | Store) -> None:
        """Have the lines of memory in a cache that an access of neighbours means."""
        base = self.base(i.buffer, i.offset)
        t = self.element(self.frame.dtype(i.buffer))
        _, places = self.places(base)
        for place in places:
            for lane in range(0, t.lanes, max(1, LINE // t.size)):
                pointer = self.f.at(t.stored, base.pointer, self.f.add(place, lane))
                self.f.prefetch(pointer, write=isinstance(i, Store))

    def store(self, i: Store) -> None:
        x = self.values[i.value]
        base = self.base(i.buffer, i.offset)
        how, places = self.places(base)
        if how == "one":
            self._store_one(i, x, base, places[0])
            return
        t = self.element(x.dtype)
        for place, value, mask in zip(places, self.vectors(x), self._guards(i.when)):
            if how == "row":
                self.f.vstore(t, value, self.f.at(t.stored, base.pointer, place), mask, self.tag)
            else:
                self._scatter(t, value, base.pointer, str(place), mask)

    def _store_one(self, i: Store, x: Scalar, base: Base, place: Operand) -> None:
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
