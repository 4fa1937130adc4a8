"""One graph with symbols for two graphs that differ in sizes and constants alone, and its code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphc.codegen.options import Options
from graphc.codegen.signature import solution
from graphc.ir import dims
from graphc.ir.builder import Builder
from graphc.ir.dims import Dim, Monomial, Size
from graphc.ir.errors import GraphcError
from graphc.ir.graph import Graph, Value
from graphc.ir.types import TensorType, dtype_of
from graphc.npjit.native.call import NativeCall
from graphc.npjit.native.packs import Argument
from graphc.npjit.native.symbols import LEAST

SIZES = frozenset(["shape", "start", "stop", "length", "low", "high"])
"""Attributes that are sizes and positions; others, like axes, are equal in a family."""
FACTOR, SHIFT = 64, 16
"""A size is taken for a * s + b with a and b up to these."""


@dataclass(frozen=True)
class Member:
    """A graph, and what is like it but for sizes.

    `key`: all that is equal in a family. `sizes`: the others, in order, those of the parameters first, with
    the symbols of the log named in order. `constants`: the values of constants outside regions.
    """

    graph: Graph
    key: Any
    sizes: tuple[Dim, ...]
    constants: tuple[Any, ...]
    arguments: list[Argument]

    @staticmethod
    def of(graph: Graph, bounds: Sequence[Dim], arguments: list[Argument]) -> Member:
        """A graph with the sizes that must not be negative where it runs, and what its inputs are."""
        walk = _Walk({name: dims.symbol(f"b{i}") for i, name in enumerate(graph.symbols)})
        key = walk.graph(graph, True)
        walk.sizes += map(walk.size, bounds)
        return Member(graph, (key, len(bounds)), tuple(walk.sizes), tuple(walk.constants), arguments)

    def equals(self, other: Member) -> bool:
        """Whether two graphs of a family are the same."""
        return self.sizes == other.sizes and all(map(is_same, self.constants, other.constants))

    @cached_property
    def parameters(self) -> int:
        """How many of the sizes are those of parameters."""
        return sum(v.type.rank for v in self.graph.parameters)


class _Walk:
    """Takes a graph apart."""

    def __init__(self, names: dict[str, Dim]) -> None:
        self.names = names
        self.sizes: list[Dim] = []
        self.constants: list[Any] = []

    def size(self, d: Dim) -> Dim:
        return dims.substitute(d, self.names) if isinstance(d, Size) else d

    def graph(self, graph: Graph, outermost: bool) -> Any:
        """The key of a graph."""
        numbers = {v: i for i, v in enumerate(graph.values())}
        for v in graph.parameters:
            self.sizes += map(self.size, v.type.shape)
        nodes = []
        for n in graph.nodes:
            free = outermost and n.op.name == "constant"
            attrs = tuple([self.attribute(k, v, free) for k, v in n.attrs.items() if k != "message"])
            regions = tuple([self.graph(r, False) for r in n.regions])
            nodes.append((n.op.name, tuple([numbers[v] for v in n.operands]), attrs, regions))
        for r in graph.requirements:
            self.sizes += [self.size(r.left), self.size(r.right)]
        inputs = tuple([(v.type.dtype.name, v.type.rank) for v in graph.parameters])
        updates = tuple([(numbers[u.target], numbers[u.new]) for u in graph.updates])
        outputs = tuple([numbers[v] for v in graph.outputs])
        return inputs, len(graph.weights), tuple(nodes), updates, outputs, len(graph.requirements)

    def attribute(self, name: str, value: Any, free: bool) -> Any:
        """The key of an attribute; `free`: a value may differ."""
        if name in SIZES:
            given = value if isinstance(value, tuple) else (value,)
            self.sizes += map(self.size, given)
            return name, len(given)
        if isinstance(value, Size):
            self.sizes.append(self.size(value))
            return name, Size
        if name == "value" and free:
            self.constants.append(value)
            return name, type(value), np.ndim(value)
        return name, same(value)


def same(value: Any) -> Any:
    """A value such that it can be compared, NaN and -0.0 included."""
    if isinstance(value, np.ndarray):
        return value.shape, str(value.dtype), value.tobytes()
    return (float, value.hex()) if isinstance(value, float) else (type(value), value)


def is_same(a: Any, b: Any) -> bool:
    """Whether two constants are one."""
    return bool(same(a) == same(b))


@dataclass(frozen=True)
class Template:
    """The graph of a family, with its code. `given`: the constants that come in as inputs, by number;
    `trips`: the symbols that come in with arrays of bools.
    """

    call: NativeCall
    sizes: tuple[Dim, ...]
    constants: tuple[Any, ...]
    given: tuple[int, ...]
    shapes: tuple[tuple[Dim, ...], ...]
    symbols: frozenset[str]
    trips: tuple[str, ...]

    def extras(self, member: Member) -> tuple[Any, ...] | None:
        """What the code takes beside the inputs of a graph; None where it is not for that graph."""
        values = self.solved(member)
        if values is None or not self._fits(member, values):
            return None
        found = [np.asarray(member.constants[i], self._dtype(k)) for k, i in enumerate(self.given)]
        numbers = [x if x.ndim else x[()] for x in found]
        return *numbers, *(np.empty(values[name], bool) for name in self.trips)

    def _dtype(self, k: int) -> np.dtype:
        first = len(self.call.graph.inputs) - len(self.trips) - len(self.given)
        return self.call.graph.inputs[first + k].type.dtype.numpy

    def solved(self, member: Member) -> dict[str, int] | None:
        """The values of the symbols."""
        values: dict[str, int] = {}
        shapes = zip(self.shapes, (np.shape(member.constants[i]) for i in self.given))
        pairs = [*zip(self.sizes, member.sizes), *(p for mine, its in shapes for p in zip(mine, its))]
        for mine, its in pairs:
            found = solution(mine)
            if found is not None and isinstance(its, int) and found[0] in self.symbols:
                name, factor, shift = found
                if (its - shift) % factor or values.setdefault(name, (its - shift) // factor) < LEAST:
                    return None
        if values.keys() != self.symbols:
            return None
        known: dict[str, Dim] = {**values}
        return values if all(dims.substitute(mine, known) == its for mine, its in pairs) else None

    def _fits(self, member: Member, values: dict[str, int]) -> bool:
        """Whether the constants are equal, and no size is 0 where code was made for elements."""
        pairs = enumerate(zip(self.constants, member.constants))
        equal = all(is_same(a, b) for i, (a, b) in pairs if i not in self.given)
        known: dict[str, Dim] = {**values}
        sizes = (d for n in self.call.graph.nodes for r in n.results for d in r.type.shape)
        return equal and all(dims.substitute(d, known) != 0 for d in dict.fromkeys(sizes))


class Pairing:
    """Sizes for pairs of numbers, of one graph and of another."""

    def __init__(self) -> None:
        self.symbols: dict[str, tuple[int, int]] = {}
        self.trips: list[str] = []

    def symbol(self, pair: tuple[int, int]) -> Dim:
        """The symbol of a pair.

        Raises
        ------
        DifferentError
            One of the numbers is 0 or 1.
        """
        if min(pair) < LEAST:
            raise DifferentError
        known = next((name for name, p in self.symbols.items() if p == pair), None)
        if known is None:
            known = f"t{len(self.symbols)}"
            self.symbols[known] = pair
        return dims.symbol(known)

    def size(self, old: Dim, new: Dim, parameter: bool = False) -> Dim:
        """A size that is `old` in the one graph and `new` in the other."""
        if old == new:
            return old
        if isinstance(old, int) and isinstance(new, int):
            if parameter:
                return self.symbol((old, new))
            return self._expressed(old, new)
        first, second = _terms(old), _terms(new)
        if first.keys() != second.keys():
            raise DifferentError
        total: Dim = 0
        for monomial, factor in first.items():
            total = total + Size(((monomial, 1),)) * self.size(factor, second[monomial])
        return total

    def _expressed(self, old: int, new: int) -> Dim:
        for name, (a, b) in self.symbols.items():
            factor, rest = divmod(new - old, b - a)
            if not rest and 0 < factor <= FACTOR and abs(old - factor * a) <= SHIFT:
                return dims.symbol(name) * factor + (old - factor * a)
        for name, (a, b) in self.symbols.items():
            for other, (c, d) in self.symbols.items():
                factor, rest = divmod(old, a * c)
                if not rest and factor * b * d == new:
                    return dims.symbol(name) * dims.symbol(other) * factor
        found = self.symbol((old, new))
        self.trips.append(str(found))
        return found


def _terms(size: Dim) -> dict[Monomial, int]:
    return dict(size.terms) if isinstance(size, Size) else {(): size}


class DifferentError(Exception):
    """Two graphs are not one but for sizes."""


def generalized(old: Member, new: Member, options: Options) -> Template:
    """The template of two graphs.

    Raises
    ------
    DifferentError
        They have none.
    """
    pairing = Pairing()
    count = old.parameters
    sizes = [pairing.size(a, b, i < count) for i, (a, b) in enumerate(zip(old.sizes, new.sizes))]
    given = [i for i, (a, b) in enumerate(zip(old.constants, new.constants)) if not is_same(a, b)]
    shapes = [
        tuple(pairing.size(a, b) for a, b in zip(np.shape(old.constants[i]), np.shape(new.constants[i])))
        for i in given
    ]
    rebuilding = Rebuilding(iter(sizes), dict(zip(given, shapes)))
    try:
        graph = rebuilding.outermost(old.graph, pairing.trips)
    except (GraphcError, TypeError, ValueError) as e:
        raise DifferentError from e
    bounds = sizes[len(sizes) - old.key[1] :]
    call = NativeCall(graph, options, [d for d in bounds if isinstance(d, Size)])
    made = Template(
        call,
        tuple(sizes),
        old.constants,
        tuple(given),
        tuple(shapes),
        frozenset(pairing.symbols),
        tuple(pairing.trips),
    )
    if made.extras(old) is None or made.extras(new) is None:
        raise DifferentError
    return made


class Rebuilding:
    """Makes a graph anew with other sizes, in the order of `_Walk`; some constants become inputs."""

    def __init__(self, sizes: Iterator[Dim], given: dict[int, tuple[Dim, ...]]) -> None:
        self.sizes, self.given = sizes, given
        self.constants = 0

    def outermost(self, graph: Graph, trips: Iterable[str]) -> Graph:
        """The whole graph: inputs, given constants, arrays that bring symbols."""
        b = Builder(graph.name)
        new = {v: b.input(v.name, self.type(v)).value for v in graph.inputs}
        new.update((w.value, b.weight(w.value.name, self.type(w.value), w.path).value) for w in graph.weights)
        self.nodes(b, graph, new, True)
        for u in graph.updates:
            b.update(new[u.target], new[u.new])
        b.output(*(new[v] for v in graph.outputs))
        for name in trips:
            b.input(name, TensorType(dtype_of("bool"), (dims.symbol(name),)))
        return b.build()

    def region(self, graph: Graph) -> Graph:
        b = Builder(graph.name)
        new = {v: b.input(v.name, self.type(v)).value for v in graph.inputs}
        self.nodes(b, graph, new, False)
        b.output(*(new[v] for v in graph.outputs))
        return b.build()

    def type(self, v: Value) -> TensorType:
        return v.type.with_shape(tuple([next(self.sizes) for _ in v.type.shape]))

    def nodes(self, b: Builder, graph: Graph, new: dict[Value, Value], outermost: bool) -> None:
        for n in graph.nodes:
            attrs = {k: self.attribute(k, v) for k, v in n.attrs.items()}
            regions = tuple([self.region(r) for r in n.regions])
            number = self.constants
            if outermost and n.op.name == "constant" and not isinstance(n.attrs["value"], Size):
                self.constants += 1
                if number in self.given:
                    kind = n.result.type.with_shape(self.given[number])
                    new[n.result] = b.input(n.result.name, kind).value
                    continue
            made = b.node(
                n.op,
                [new[v] for v in n.operands],
                attrs,
                regions,
                [r.name for r in n.results],
                location=n.location,
            )
            new.update(zip(n.results, made.results, strict=True))
        for r in graph.requirements:
            b.require(next(self.sizes), next(self.sizes), r.reason)

    def attribute(self, name: str, value: Any) -> Any:
        if name in SIZES:
            return tuple([next(self.sizes) for _ in value]) if isinstance(value, tuple) else next(self.sizes)
        return next(self.sizes) if isinstance(value, Size) else value
