"""Pieces between breaks: compiled once they have shown to be worth it, and found again by their structure.

A function with a break is recorded at each call. What lies between two breaks is run by NumPy the first
times; where that takes long for the number of operations, the same piece of later calls is one program, which
gives the values that something still refers to.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from graphc.ir.errors import NumericsError
from graphc.npjit.checking import refuse_nan
from graphc.npjit.known_sizes import Moves
from graphc.npjit.log import Node, apart, nodes_in
from graphc.npjit.running import LOST, last_uses, run_nodes
from graphc.npjit.values import Sym
from graphc.npjit.warned import strict

if TYPE_CHECKING:
    from graphc.npjit.native.families import Families
    from graphc.npjit.pending import Pending

WORTH = 40_000
"""Nanoseconds per operation from which a piece is compiled: finding its program costs some thousand."""
SEEN = 2
"""How often a piece is measured before."""
KEPT = 200
LONGEST = 2_000
"""Operations of a piece that is still compiled."""


class Pieces:
    """The pieces of one jitted function, over all its recordings."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options, self.check = options, options.get("check")
        self.times: dict[Any, list[int]] = {}
        self.noisy: set[Any] = set()
        self.compiled = 0
        self.moves = Moves()

    @functools.cached_property
    def families(self) -> Families:
        """The graphs of the function, which share code where they differ in sizes alone."""
        from graphc.npjit.native.families import Families

        return Families()

    def run(self, rec: Pending) -> tuple[int, Exception | None]:
        """Compute the pending nodes of a recording; (how far it came, the exception that stopped it)."""
        if self.check == "nan":
            return run_nodes(rec.log, rec.done, rec.warned, refuse_nan)
        nodes = rec.log[rec.done :]
        key = (nodes[0].line, nodes[-1].line, len(nodes)) if nodes else None
        if key is None or rec.differentiating or not self._is_worth(key, len(nodes)):
            return self._measured(rec, key)
        try:
            if any(n.impure for n in nodes) or strict() or not self._by_program(rec, nodes):
                return run_nodes(rec.log, rec.done, rec.warned)
        except NumericsError as difference:
            return rec.done, difference
        self.compiled += 1
        return len(rec.log), None

    def _is_worth(self, key: Any, count: int) -> bool:
        if self.check == "reference":
            return True
        times = self.times.get(key, ())
        slow = len(times) >= SEEN and min(times) > WORTH * count
        return slow and count <= LONGEST and key not in self.noisy

    def _measured(self, rec: Pending, key: Any) -> tuple[int, Exception | None]:
        heard, rec.noisy = rec.noisy, False
        dropped = None if rec.differentiating else last_uses(rec.log[rec.done :], set(needed(rec)))
        begin = perf_counter_ns()
        end = run_nodes(rec.log, rec.done, rec.warned, dropped=dropped)
        took = perf_counter_ns() - begin
        rec.work += took
        if rec.noisy:
            self.noisy.add(key)
        elif len(self.times) < KEPT or key in self.times:
            self.times.setdefault(key, []).append(took)
            del self.times[key][:-SEEN]
        rec.noisy = rec.noisy or heard
        return end

    def _by_program(self, rec: Pending, nodes: Sequence[Node]) -> bool:
        """Compute the nodes by a program. False: it can't be; then nothing has changed."""
        from graphc.codegen.options import resolve
        from graphc.npjit.native import segments

        inside = set(nodes)
        wanted = [n for n in dict.fromkeys(referred(rec)) if n in inside]
        try:
            own = apart(nodes)
            program = segments.compile(
                [own[n] for n in nodes],
                [own[n] for n in wanted],
                None,
                resolve(**self.options),
                families=self.families,
            )
            outer = {inner: n for n, inner in own.items()}
            begin = perf_counter_ns()
            values = program(*[outer.get(leaf, leaf).value for leaf in program.leaves])
            rec.work += perf_counter_ns() - begin
        except NumericsError:  # native code that differs from NumPy
            raise
        except Exception:  # NumPy computes it, and raises what is to be raised
            return False
        for node in nodes:
            node.value = LOST
        for node, value in zip(wanted, values, strict=True):
            node.value = value
        return True


def referred(rec: Pending) -> Iterator[Node]:
    """The nodes whose values may be asked for later."""
    for storage in [*rec.dirty, *rec.incoming]:
        yield storage.node
    for s in living(rec.made):
        if s.node is not None:
            yield s.node
        if s.storage is not None:
            yield s.storage.node
        yield from nodes_in(s.chain)


def needed(rec: Pending) -> Iterator[Node]:
    """The same, and what takes their place where a later node fails."""
    yield from referred(rec)
    yield from rec.tests
    for storage in rec.dirty:
        yield from [node for _, node in storage.history]


def living(made: list[weakref.ref[Sym]]) -> list[Sym]:
    """The deferred values that something still holds; the others are forgotten."""
    found = [s for s in (ref() for ref in made) if s is not None]
    made[:] = [weakref.ref(s) for s in found]
    return found
