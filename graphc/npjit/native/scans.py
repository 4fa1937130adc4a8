"""A loop that `rolling` found, as one `scan` in a new graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import get_op
from graphc.npjit.native.accumulators import Accumulator, accumulators, total
from graphc.npjit.native.buffers import sliced
from graphc.npjit.native.placed import summed
from graphc.npjit.native.rolling import Carried, Local, Loop, Origin, Same, Scanned
from graphc.npjit.native.sliding import overlapping

Row = tuple[Value, int]
"""Row j of an array that the new graph has."""


def rolled(graph: Graph, loop: Loop, roll: Callable[[Graph], Graph]) -> Graph:
    """The graph with the loop as a scan; `roll` is used on its body."""
    return Rebuilding(graph, loop, roll).graph()


class Rebuilding:
    """Makes the new graph. `new` has the new value of each old one; `rows` those that are rows of results."""

    def __init__(self, graph: Graph, loop: Loop, roll: Callable[[Graph], Graph]) -> None:
        self.old, self.loop, self.roll = graph, loop, roll
        self.b = Builder(graph.name)
        self.new: dict[Value, Value] = {}
        self.rows: dict[Value, Row] = {}
        self.makers: dict[Value, Node] = {}
        start = loop.stretch.start
        self.before, self.after = graph.nodes[:start], graph.nodes[start + loop.stretch.nodes :]
        self.inside = graph.nodes[start : start + loop.stretch.nodes]

    def graph(self) -> Graph:
        """The whole graph."""
        for v in self.old.inputs:
            self.new[v] = self.b.input(v.name, v.type).value
        for w in self.old.weights:
            self.new[w.value] = self.b.weight(w.value.name, w.value.type, w.path).value
        for node in self.before:
            self.copied(node)
        for i, node in enumerate(self.inside):
            if i % self.loop.stretch.period in self.loop.lifted:
                self.copied(node)
        Scan(self).made()
        for node in self.after:
            self.copied(node)
        for u in self.old.updates:
            self.b.update(self.new[u.target], self.value(u.new))
        self.b.output(*(self.value(v) for v in self.old.outputs))
        for r in self.old.requirements:
            self.b.require(r.left, r.right, r.reason)
        return self.b.build()

    def copied(self, node: Node) -> None:
        """A node of the old graph."""
        if node.op.name == "concatenate" and any(v in self.rows for v in node.operands):
            joined = self.joined(node)
            self.new[node.results[0]] = joined.value
            return
        made = copy(self.b, node, [self.value(v) for v in node.operands])
        self.new.update(zip(node.results, made.results, strict=True))
        self.makers.update((r, made) for r in made.results)

    def value(self, v: Value) -> Value:
        """The new value of an old one; rows of results are cut out when somebody needs them."""
        found = self.new.get(v)
        if found is None:
            array, j = self.rows[v]
            whole = Expr(self.b, array)
            row = sliced(self.b, whole, _rows(whole, j, j + 1))
            found = self.new[v] = _reshaped(self.b, row, v.type.shape).value
        return found

    # -- several values in one -------------------------------------------------------------------------------
    def stacked(self, values: Sequence[Value]) -> Expr:
        """Old values of one type, one after the other along a new first axis."""
        found = self._rows_in_order(values) or self._slices_in_order(values) or self._numbers(values)
        if found is not None:
            return found
        parts = [Expr(self.b, self.value(v)) for v in values]
        rows = [_reshaped(self.b, p, (1, *p.shape)) for p in parts]
        return self.b.concatenate(*rows, axis=0)

    def _rows_in_order(self, values: Sequence[Value]) -> Expr | None:
        """Rows that follow each other, up or down, in one result."""
        places = [self.rows.get(v) for v in values]
        if any(p is None or p[0] is not places[0][0] for p in places):  # type: ignore[index]
            return None
        return _run(self.b, Expr(self.b, places[0][0]), [p[1] for p in places])  # type: ignore[index]

    def _numbers(self, values: Sequence[Value]) -> Expr | None:
        """Constants."""
        nodes = [self.makers.get(self.new.get(v)) for v in values]  # type: ignore[arg-type]
        if any(n is None or n.op.name != "constant" or n.results[0].type.rank for n in nodes):
            return None
        numbers = [n.attrs["value"] for n in nodes]  # type: ignore[union-attr]
        dtype = values[0].type.dtype
        return self.b.constant(np.array(numbers, dtype.numpy), dtype)

    def _slices_in_order(self, values: Sequence[Value]) -> Expr | None:
        """Boxes of one array that lie beside each other along one axis, up or down."""
        nodes = [self.makers.get(self.new.get(v)) for v in values]  # type: ignore[arg-type]
        if any(n is None or n.op.name != "slice" or any(s != 1 for s in n.attrs["step"]) for n in nodes):
            return None
        given: list[Node] = nodes  # type: ignore[assignment]
        if any(n.operands[0] is not given[0].operands[0] for n in given):
            return None
        starts = np.array([n.attrs["start"] for n in given], object)
        moving = np.flatnonzero((starts != starts[0]).any(0)).tolist()
        beside = self._beside(given, starts, moving[0]) if len(moving) == 1 else None
        return beside if beside is not None else overlapping(self.b, given, starts, moving)

    def _beside(self, nodes: Sequence[Node], starts: np.ndarray, axis: int) -> Expr | None:
        x, shape = Expr(self.b, nodes[0].operands[0]), nodes[0].results[0].type.shape
        extent, count = shape[axis], len(nodes)
        if isinstance(extent, Size) or any(isinstance(s, Size) for s in starts[:, axis]):
            return None
        steps = set(np.diff(starts[:, axis]).tolist())
        if len(steps) != 1 or (abs(min(steps)) != extent and extent != 1):
            return None
        step = abs(min(steps))
        low, high = (int(x) for x in (starts[:, axis].min(), starts[:, axis].max()))
        first = [a if i != axis else low for i, a in enumerate(starts[0])]
        ends = [
            a + d if i != axis else high + extent for i, (a, d) in enumerate(zip(first, shape, strict=True))
        ]
        by = [1] * x.rank
        by[axis] = step if extent == 1 else 1
        block = self.b.slice(x, start=tuple(first), stop=tuple(ends), step=tuple(by))
        block = self.b.reshape(block, shape=(*shape[:axis], count, extent, *shape[axis + 1 :]))
        if axis:
            order = (axis, *(i for i in range(block.rank) if i != axis))
            block = self.b.transpose(block, axes=order)
        return block if min(steps) > 0 else self.b.reverse(block, axes=(0,))

    def joined(self, node: Node) -> Expr:
        """A concatenation in which rows of one result follow each other: they are one part."""
        parts: list[Expr] = []
        values = list(node.operands)
        axis = node.attrs["axis"]
        while values:
            run = self._run_length(values)
            if run > 1:
                parts.append(self._as_one(values[:run], axis))
            else:
                run = 1
                parts.append(Expr(self.b, self.value(values[0])))
            del values[:run]
        return parts[0] if len(parts) == 1 else self.b.concatenate(*parts, axis=axis)

    def _run_length(self, values: Sequence[Value]) -> int:
        first = self.rows.get(values[0])
        if first is None:
            return 1
        step, count = 0, 1
        for v in values[1:]:
            row = self.rows.get(v)
            if row is None or row[0] is not first[0]:
                break
            step = step or row[1] - first[1]
            if abs(step) != 1 or row[1] != first[1] + count * step:
                break
            count += 1
        return count

    def _as_one(self, values: Sequence[Value], axis: int) -> Expr:
        block = self._rows_in_order(values)
        assert block is not None
        shape = values[0].type.shape
        if axis:
            order = (*range(1, axis + 1), 0, *range(axis + 1, block.rank))
            block = self.b.transpose(block, axes=order)
        return self.b.reshape(block, shape=(*shape[:axis], len(values) * shape[axis], *shape[axis + 1 :]))


class Scan:
    """The scan of a loop: its operands, its body, and what later nodes read of it."""

    def __init__(self, outer: Rebuilding) -> None:
        self.outer, self.loop, self.b = outer, outer.loop, outer.b
        self.period, self.trips = self.loop.stretch.period, self.loop.stretch.trips
        self.left_out = set(self.loop.lifted) | {k for p, _ in self.loop.placed for k in p.places}
        self.body = Builder("body")
        self.carries: dict[Carried, list[Value]] = {}
        self.given: dict[Origin, Value] = {}
        self.inner: dict[tuple[int, int], Value] = {}

    def made(self) -> None:
        """Append the node, and enter what it gives."""
        read = self.read_later()
        for p, added in self.loop.placed:
            read.pop((p.stores, 0), None)
            if isinstance(added, Local | Carried):
                read.setdefault(added.place, set()).update(range(self.trips))
        sums = list(accumulators(self.outer.inside, self.loop, read))
        for s in sums:
            self.left_out |= {s.adds, s.multiplies}
            read.pop((s.adds, 0), None)
            for f in s.factors:
                if isinstance(f, Local):
                    # all iterations, though nobody else may read them
                    read.setdefault(f.place, set()).update(range(self.trips))
        origins = list(
            dict.fromkeys(o for k, os in enumerate(self.loop.origins) if k not in self.left_out for o in os)
        )
        carried = [o for o in origins if isinstance(o, Carried)]
        scanned = [o for o in origins if isinstance(o, Scanned)]
        constant = [o for o in origins if isinstance(o, Same)]
        last = [p for p, trips in read.items() if trips == {self.trips - 1}]
        alone = [p for p in last if not any(o.place == p for o in carried)]
        pieces = [p for p in read if p not in last]
        states = self.parameters(carried, alone, scanned, constant)
        outputs = self.body_outputs(carried, alone, pieces)
        self.body.output(*outputs)
        operands = [*states, *(self.outer.stacked(o.values) for o in scanned)]
        operands += [Expr(self.b, self.outer.value(o.value)) for o in constant]
        attrs = {"carries": len(states), "scanned": len(scanned), "length": self.trips, "reverse": False}
        node = self.b.node(get_op("scan"), operands, attrs, regions=(self.outer.roll(self.body.build()),))
        self.enter(node, carried, alone, pieces)
        for s in sums:
            self.add_up(s)
        for p, added in self.loop.placed:
            first = Expr(self.b, self.outer.value(p.first))
            final = self.old_value((p.stores, 0), self.trips - 1)
            self.outer.new[final] = summed(self.b, first, self.all_of(added), p).value

    def all_of(self, origin: Origin) -> Expr:
        """What comes from an origin in all iterations, along a first axis."""
        if isinstance(origin, Scanned):
            return self.outer.stacked(origin.values)
        if isinstance(origin, Same):
            x = Expr(self.b, self.outer.value(origin.value))
            return self.b.broadcast(_reshaped(self.b, x, (1, *x.shape)), shape=(self.trips, *x.shape))
        early = origin.first if isinstance(origin, Carried) else ()
        made = self.outer.stacked([self.old_value(origin.place, j) for j in range(self.trips - len(early))])
        return self.b.concatenate(self.outer.stacked(early), made, axis=0) if early else made

    def add_up(self, s: Accumulator) -> None:
        """The last value of a sum of products."""
        left, right = (
            self.outer.stacked(
                f.values
                if isinstance(f, Scanned)
                else [self.old_value(f.place, j) for j in range(self.trips)]
            )
            for f in s.factors
        )
        first = Expr(self.b, self.outer.value(s.first))
        last = self.old_value((s.adds, 0), self.trips - 1)
        self.outer.new[last] = total(self.b, first, left, right, s.turned).value

    def read_later(self) -> dict[tuple[int, int], set[int]]:
        """The places whose values are read behind the loop, and of which iterations."""
        places = {
            v: (i, r)
            for i, n in enumerate(self.outer.inside)
            if i % self.period not in self.loop.lifted
            for r, v in enumerate(n.results)
        }
        readers = [v for n in self.outer.after for v in n.operands]
        readers += [*self.outer.old.outputs, *(u.new for u in self.outer.old.updates)]
        found: dict[tuple[int, int], set[int]] = {}
        for v in readers:
            place = places.get(v)
            if place is not None:
                found.setdefault((place[0] % self.period, place[1]), set()).add(place[0] // self.period)
        return found

    def type_at(self, place: tuple[int, int]) -> Any:
        return self.outer.inside[place[0]].results[place[1]].type

    def parameters(
        self,
        carried: Sequence[Carried],
        alone: Sequence[tuple[int, int]],
        scanned: Sequence[Scanned],
        constant: Sequence[Same],
    ) -> list[Expr]:
        """The body's parameters; gives the first states."""
        states: list[Expr] = []
        for o in carried:
            # the value of one iteration ago comes first
            states += [Expr(self.b, self.outer.value(v)) for v in reversed(o.first)]
            kind = self.type_at(o.place)
            self.carries[o] = [self.body.input("carry", kind).value for _ in o.first]
        for place in alone:
            kind = self.type_at(place)
            zero = self.b.constant(0 if kind.dtype.kind != "b" else False, kind.dtype)
            states.append(self.b.broadcast(zero, shape=kind.shape) if kind.rank else zero)
            self.body.input("last", kind)
        outside: list[tuple[Origin, Value]] = [(x, x.values[0]) for x in scanned]
        outside += [(c, c.value) for c in constant]
        for origin, value in outside:
            self.given[origin] = self.body.input("x", value.type).value
        return states

    def body_outputs(
        self, carried: Sequence[Carried], alone: Sequence[tuple[int, int]], pieces: Sequence[tuple[int, int]]
    ) -> list[Value]:
        """The nodes of an iteration; gives the next states and the pieces."""
        for k in range(self.period):
            if k in self.left_out:
                continue
            node = self.outer.inside[k]
            made = copy(self.body, node, [self.operand(o) for o in self.loop.origins[k]])
            self.inner.update(((k, r), v) for r, v in enumerate(made.results))
        outputs = []
        for o in carried:
            outputs += [self.inner[o.place], *self.carries[o][:-1]]
        return [*outputs, *(self.inner[p] for p in (*alone, *pieces))]

    def operand(self, origin: Origin) -> Value:
        if isinstance(origin, Local):
            return self.inner[origin.place]
        if isinstance(origin, Carried):
            return self.carries[origin][-1]
        return self.given[origin]

    def enter(
        self,
        node: Node,
        carried: Sequence[Carried],
        alone: Sequence[tuple[int, int]],
        pieces: Sequence[tuple[int, int]],
    ) -> None:
        """What the old values of the loop are in the new graph."""
        results = iter(node.results)
        final: dict[tuple[int, int], Value] = {}
        for o in carried:
            states = [next(results) for _ in o.first]
            final.setdefault(o.place, states[0])
        final.update((place, next(results)) for place in alone)
        for place, value in final.items():
            self.outer.new[self.old_value(place, self.trips - 1)] = value
        for place in pieces:
            array = next(results)
            for j in range(self.trips):
                self.outer.rows[self.old_value(place, j)] = array, j

    def old_value(self, place: tuple[int, int], trip: int) -> Value:
        return self.outer.inside[trip * self.period + place[0]].results[place[1]]


def copy(b: Builder, node: Node, operands: Sequence[Value]) -> Node:
    """A node of another graph on new operands."""
    names, types = [r.name for r in node.results], [r.type for r in node.results]
    return b.node(node.op, operands, node.attrs, node.regions, names, types, node.location)


def _reshaped(b: Builder, x: Expr, shape: Any) -> Expr:
    return x if x.shape == tuple(shape) else b.reshape(x, shape=tuple(shape))


def _rows(x: Expr, first: int, last: int) -> Any:
    return ((first, last), *((0, d) for d in x.shape[1:]))


def _run(b: Builder, x: Expr, rows: list[int]) -> Expr | None:
    """Rows of an array that follow each other, up or down."""
    up, down = (list(range(rows[0], rows[0] + s * len(rows), s)) for s in (1, -1))
    if rows not in (up, down):
        return None
    block = sliced(b, x, _rows(x, min(rows), max(rows) + 1))
    return block if rows == up else b.reverse(block, axes=(0,))
