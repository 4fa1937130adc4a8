"""Graphs that are one but for their sizes share code.

A loop of T steps is recorded unrolled and rolled up afterwards, so each T has a graph of its own. Two graphs
that differ in sizes, lengths of loops and constants alone make one with symbols, whose code is for all sizes.
A third graph takes that code if it is exactly what the symbols give with some values: so whatever Python did
in the loop, the code does the same. Lengths that no input has come in with arrays of that many bools.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphc.codegen.forks import free_in_children
from graphc.codegen.options import Options
from graphc.ir.dims import Dim
from graphc.ir.graph import Graph
from graphc.npjit.native.call import NativeCall
from graphc.npjit.native.packs import Argument, packed
from graphc.npjit.native.periods import EAGER
from graphc.npjit.native.rolling import roll
from graphc.npjit.native.templates import Member, Template, generalized

ATTEMPTS = 4
"""Graphs with symbols of one family."""
KEPT, REMEMBERED = 32, 3
"""Families that a function remembers, and graphs whose loops are not rolled up."""


class TooLargeError(Exception):
    """A graph that would take too long to compile as a whole."""

    def __init__(self, nodes: int, most: int) -> None:
        super().__init__(f"a graph of {nodes} nodes, more than {most}")
        self.nodes = nodes


@dataclass(frozen=True)
class Code:
    """The code of a graph: what its inputs are, and what it takes beside them."""

    call: NativeCall
    arguments: list[Argument]
    extras: tuple[Any, ...] = ()


@dataclass
class Family:
    """What is compiled of one key."""

    members: list[tuple[Member, NativeCall]] = field(default_factory=list)
    templates: list[Template] = field(default_factory=list)


@dataclass(frozen=True)
class Unrolled:
    """A graph whose loops are not rolled up, and the sizes that must not be negative where it runs."""

    graph: Graph
    bounds: Sequence[Dim]

    @cached_property
    def eager(self) -> Member:
        """The graph with also its short loops rolled up."""
        rolled, arguments = packed(roll(self.graph, EAGER))
        return Member.of(rolled, self.bounds, arguments)


class Families:
    """The graphs of one function, by what they have in common."""

    def __init__(self) -> None:
        self._known: dict[Any, Family] = {}
        self._graphs: list[Unrolled] = []
        self._lock = free_in_children(threading.Lock())
        self.shared = 0

    def call(self, graph: Graph, options: Options, bounds: Sequence[Dim], most: int | None = None) -> Code:
        """The code of a graph whose loops are not yet rolled up.

        Raises
        ------
        TooLargeError
            It has more than `most` nodes then.
        """
        rolled, arguments = packed(roll(graph))
        if most is not None and len(rolled.nodes) > most:
            raise TooLargeError(len(rolled.nodes), most)
        usual, unrolled = Member.of(rolled, bounds, arguments), Unrolled(graph, bounds)
        with self._lock:
            found = self._found(usual, options) or self._eagerly(unrolled, usual, options)
            if found is None:
                call = NativeCall(rolled, options, bounds)
                self._enter(usual, options, self._family(usual, options)).members.append((usual, call))
                self._graphs.append(unrolled)
                del self._graphs[:-REMEMBERED]
                found = Code(call, arguments)
            else:
                self.shared += 1
            return found

    def _family(self, member: Member, options: Options) -> Family:
        return self._known.get((member.key, options)) or Family()

    def _enter(self, member: Member, options: Options, family: Family) -> Family:
        """Remember a family."""
        self._known[member.key, options] = family
        while len(self._known) > KEPT:
            self._known.pop(next(iter(self._known)))
        return family

    def _found(self, member: Member, options: Options) -> Code | None:
        """The code of a graph like this one."""
        family = self._family(member, options)
        for old, call in family.members:
            if old.equals(member):
                return Code(call, member.arguments)
        for template in family.templates:
            extras = template.extras(member)
            if extras is not None:
                return Code(template.call, member.arguments, extras)
        return self._general(family, member, [m for m, _ in family.members], options)

    def _general(
        self, family: Family, member: Member, others: Sequence[Member], options: Options
    ) -> Code | None:
        """The code of a template for this graph and an earlier one."""
        for old in reversed(others if len(family.templates) < ATTEMPTS else ()):
            try:
                template = generalized(old, member, options)
            except Exception:  # whatever keeps them from having a graph with symbols: each has its own code
                continue
            self._enter(member, options, family).templates.append(template)
            extras = template.extras(member)
            return Code(template.call, member.arguments, extras) if extras is not None else None
        return None

    def _eagerly(self, unrolled: Unrolled, usual: Member, options: Options) -> Code | None:
        """The code of a graph that is like an earlier one if also short loops are rolled up."""
        if not self._graphs:
            return None
        member = unrolled.eager
        found = self._found(member, options) if member.key != usual.key else None
        if found is not None:
            return found
        alike = [g.eager for g in self._graphs if g.eager.key == member.key]
        return self._general(self._family(member, options), member, alike, options)
