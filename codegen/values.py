"""The value of a region's node at an index, computed backwards: from where it is stored to the loads that it
needs.

Elementwise ops ask for their operands at the same (broadcast) index, views at another one, and inputs of the
region are loads. What is under a condition (the inside of a pad, one part of a concatenation) is loaded only
where the condition holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from graphc.codegen import index_maps
from graphc.codegen.index_maps import ZERO, Indices, combine, linear, row_major, variable
from graphc.codegen.loops import Axis, Check, Failure, Offset, Table
from graphc.codegen.scalar import BODY, OUTER, Scalar, Scalars
from graphc.ir import Graph, Kind, Node, Value
from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.errors import CompileError
from graphc.ir.types import BOOL, I64
from graphc.passes.plan import Strip

Guard = Scalar | None
DEEP = 50
"""Chains of more nodes than this are not computed by recursion alone."""


@dataclass
class Values:
    """The values of one region while a nest is written.

    `buffers` names the array of each input of the region, `extents` the size of each axis, `known` what is
    there already (a reduction's result), and `hook` may give a value that is kept elsewhere. `cuts` has for
    each axis the counts at which conditions change that were needed so far.
    """

    region: Graph
    buffers: dict[Value, str]
    scalars: Scalars
    extents: dict[str, Dim] = field(default_factory=dict)
    known: dict[Value, tuple[Indices, Scalar]] = field(default_factory=dict)
    hook: Callable[[Value, Indices, Guard], Scalar | None] | None = None
    failures: dict[Failure, int] = field(default_factory=dict)
    tables: dict[Value, Table] = field(default_factory=dict)
    strips: Mapping[str, Strip] = field(default_factory=dict)
    cuts: dict[str, set[int]] = field(default_factory=dict)
    _memo: dict[tuple[Value, Indices, str], Scalar] = field(default_factory=dict)
    _outside: bool = True

    def at(self, value: Value, indices: Indices, guard: Guard = None) -> Scalar:
        """The element of a value at the indices; anything at all where the guard is false."""
        if self._outside:
            self._outside = False
            for earlier in self._chain(value):
                self._at(earlier, indices, guard)
            result = self._at(value, indices, guard)
            self._outside = True
            return result
        return self._at(value, indices, guard)

    def _at(self, value: Value, indices: Indices, guard: Guard) -> Scalar:
        key = (value, indices, guard.name if guard else "")
        if key not in self._memo:
            kept = self.hook(value, indices, guard) if self.hook else None
            self._memo[key] = kept if kept is not None else self.compute(value, indices, guard)
        return self._memo[key]

    def _chain(self, value: Value) -> list[Value]:
        """What a value is made of at its own position, in order: computed first, it keeps the recursion
        shallow.
        """
        found: set[Node] = set()
        todo = [value]
        while todo:
            v = todo.pop()
            node = self.region.producers.get(v)
            if node is None or node in found or v in self.buffers or v in self.known:
                continue
            if node.op.kind is Kind.ELEMENTWISE and v.type.shape == value.type.shape:
                found.add(node)
                todo += node.operands
        return [n.result for n in self.region.nodes if n in found] if len(found) > DEEP else []

    def forget(self) -> None:
        """Begin another body."""
        self.scalars.forget()
        self._memo = {k: s for k, s in self._memo.items() if self.scalars.depth[s.name] < BODY}

    def start(self) -> None:
        """Begin another nest."""
        self._memo.clear()
        self.known.clear()
        self.cuts.clear()
        self.scalars.start()

    def loop(self, name: str) -> Axis:
        """The loop of an axis."""
        return Axis(name, self.extents[name])

    def axis(self, hint: str, extent: Dim, depth: int) -> Offset:
        """A new axis as an index; the constant 0 for an extent of 1."""
        if extent == 1:
            return ZERO
        name = self.scalars.axis(hint, depth)
        self.extents[name] = extent
        return variable(name)

    def fail(self, condition: Scalar, error: str, message: str) -> None:
        """The kernel fails where the condition is false."""
        if self.scalars.number(condition):
            return
        code = self.failures.setdefault(Failure(error, message), len(self.failures) + 1)
        depth = max(OUTER, self.scalars.depth[condition.name])
        check = Check(condition.name, code)
        if check not in self.scalars.code[depth]:
            self.scalars.code[depth].append(check)

    # -- by kind of op -------------------------------------------------------------------------------------
    def compute(self, value: Value, indices: Indices, guard: Guard) -> Scalar:
        """Like `at`, without looking whether the element is there already."""
        if value in self.known:
            expected, scalar = self.known[value]
            if indices != expected:
                raise CompileError(f"%{value.name} is needed at another index than that of its reduction")
            return scalar
        if value in self.buffers:
            return self.load(self.buffers[value], value, indices, guard)
        node = self.region.producers[value]
        rule = RULES.get(node.op.name)
        if rule is not None:
            return rule(self, node, indices, guard)
        if node.op.kind is not Kind.ELEMENTWISE:
            raise CompileError(f"'{node.op.name}' can't be computed element by element inside a kernel")
        return self._elementwise(node, indices, guard)

    def load(self, buffer: str, value: Value, indices: Indices, guard: Guard) -> Scalar:
        """The element of a value that lies in a buffer."""
        fill = self.scalars.constant(0, value.type.dtype) if guard else None
        return self.scalars.load(
            buffer, value.type.dtype, self.place(buffer, indices, value.type.shape), guard, fill
        )

    def place(self, buffer: str, indices: Indices, shape: Shape) -> Offset:
        """Where in a buffer the element of a value of that shape is."""
        return linear(indices, shape, self.strips.get(buffer))

    def strides(self, buffer: str, shape: Shape) -> tuple[Dim, ...]:
        """By how many elements each axis of a value of that shape moves in a buffer."""
        strip = self.strips.get(buffer)
        return row_major(shape if strip is None else (*shape[:-1], strip.width))

    def first(self, buffer: str) -> Offset:
        """Where in a buffer its value begins."""
        strip = self.strips.get(buffer)
        return ZERO if strip is None else combine([], strip.column)

    def _elementwise(self, node: Node, indices: Indices, guard: Guard) -> Scalar:
        args = [self.at(x, index_maps.broadcast(indices, x.type.shape), guard) for x in node.operands]
        return self.scalars.op(node.op.name, *args, **node.attrs)

    # -- conditions ----------------------------------------------------------------------------------------
    def within(self, index: Offset, low: Dim, high: Dim) -> Guard:
        """The condition low <= index < high; None if it always holds."""
        least, most = self.bounds(index)
        s = self.scalars
        result: Guard = None
        if not _at_least(least, low):
            self._cut(index, low)
            result = s.primitive("greater_equal", BOOL, s.index(index), s.constant(low, I64))
        if not _at_least(high, most + 1 if most is not None else None):
            self._cut(index, high)
            below = s.primitive("less", BOOL, s.index(index), s.constant(high, I64))
            result = self.both(result, below)
        return result

    def _cut(self, index: Offset, bound: Dim) -> None:
        """Remember at which count of the one axis of an index it goes past a bound."""
        if len(index.terms) != 1 or not isinstance(bound, int) or not isinstance(index.constant, int):
            return
        ((name, stride),) = index.terms
        if name in self.extents and isinstance(stride, int):
            room = bound - index.constant
            place = -(-room // stride) if stride > 0 else room // stride + 1
            self.cuts.setdefault(name, set()).add(place)

    def never_within(self, index: Offset, low: Dim, high: Dim) -> bool:
        """Whether low <= index < high certainly holds nowhere."""
        least, most = self.bounds(index)
        return _at_least(low, most + 1 if most is not None else None) or _at_least(least, high)

    def both(self, a: Guard, b: Guard) -> Guard:
        """The conjunction of two conditions, where None always holds."""
        if a is None or b is None:
            return a or b
        return self.scalars.primitive("bitwise_and", BOOL, a, b)

    def bounds(self, index: Offset) -> tuple[Dim | None, Dim | None]:
        """The least and the greatest value of an index, where they are known."""
        least: Dim = index.constant
        most: Dim = index.constant
        for name, stride in index.terms:
            if name not in self.extents or not isinstance(stride, int):
                return None, None
            reach = (self.extents[name] - 1) * stride
            if stride > 0:
                most = most + reach
            else:
                least = least + reach
        return least, most

    def table(self, value: Value, array: np.ndarray) -> str:
        """The name of a constant array."""
        if value not in self.tables:
            name = self.scalars.fresh("table")
            self.tables[value] = Table(name, value.type.dtype, tuple(array.reshape(-1).tolist()))
        return self.tables[value].name


def _at_least(a: Dim | None, b: Dim | None) -> bool:
    """Whether a >= b is certain."""
    if a is None or b is None:
        return False
    difference = a - b
    if isinstance(difference, int):
        return difference >= 0
    return all(not isinstance(f, Size) and f >= 0 for m, f in difference.terms) and all(
        isinstance(atom, str) for m, _ in difference.terms for atom in m
    )


Rule = Callable[[Values, Node, Indices, Guard], Scalar]
RULES: dict[str, Rule] = {}
"""How the value of an op at an index is computed, where it is not elementwise (`view_rules`)."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register how the value of an op at an index is computed."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register
