"""What a recording has not run yet: it runs at the end, at breaks, and before tests on data; the caller's
arrays are written when nobody can see a later state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

import numpy as np

from graphc.npjit.breaks import REMEDIES, Break, TooLong, may_fail
from graphc.npjit.deciding import inside
from graphc.npjit.determined import UNDETERMINED, Determined
from graphc.npjit.inputs import where
from graphc.npjit.known_sizes import Known
from graphc.npjit.log import Node, follow, mutate
from graphc.npjit.outside import Outside
from graphc.npjit.pieces import Pieces
from graphc.npjit.running import preserve, run_nodes
from graphc.npjit.values import Num, Storage, Sym

MANY_BREAKS, BEARABLE, OUTWEIGHED = 32, 100_000_000, 4
"""Hopeless: a recording with many breaks, after a tenth of a second, four times the work itself."""
MANY_TESTS = 128
"""With so many tests on data another call hardly ever takes the same way."""


class Pending(Outside):
    """The part of a recording that runs its log."""

    def __init__(self, known: Known | None, pieces: Pieces | None, branching: bool) -> None:
        super().__init__(known)
        self.pieces = pieces if pieces is not None else Pieces({})
        self.tainted: dict[int, Any] = {}
        self.dirty: list[Storage] = []
        self.noisy = False
        self.tests: dict[Node, bool] = {}
        self.branching = branching
        self.found = Determined()
        self.trying = 0
        self.since, self.work = perf_counter_ns(), 0
        self.is_long = False
        self.can_give_up = False  # where somebody else can do the call

    def read(self, s: Sym) -> Node:
        raise AssertionError("a recording has the log")

    def record(self, fn: Callable[..., Any], args: Sequence[Any]) -> Any:
        raise AssertionError("a recording has the log")

    def taint(self, x: Any, node: Node) -> None:
        raise AssertionError("a recording has the log")

    def flush(self) -> None:
        """Run what is pending, and write back into the caller's arrays."""
        if self.done == len(self.log) and not self.dirty:
            return
        self._settle(*self._run())

    def run_pending(self, singly: bool = False) -> None:
        """Run what is pending, where nobody looks at the caller's arrays: these are written later."""
        end, error = self._run(singly)
        if error is not None:
            self._settle(end, error)
        self.done = len(self.log)

    def _run(self, singly: bool = False) -> tuple[int, Exception | None]:
        end, error = run_nodes(self.log, self.done, self.warned) if singly else self.pieces.run(self)
        if error is not None:
            self.leak("an operation that failed")
            while self.effects and self.effects[-1].position > end:
                self.effects.pop().undo()  # what the program did after the node that failed
        return end, error

    def _settle(self, end: int, error: Exception | None) -> None:
        """Write back what was computed, up to the node `end` where one failed.

        A change in place that failed has written what NumPy writes before it fails.
        """
        if error is not None and self.log[end].fn is mutate and self.log[end].value is not None:
            end += 1
        self.settled = True
        for storage in self.dirty:
            while error is not None and storage.history and storage.history[-1][0] > end:
                storage.node = storage.history.pop()[1]
            self._write_back(storage)
            storage.history.clear()
        self.dirty.clear()
        self.done = len(self.log)
        if error is not None:
            raise error

    def warned(self) -> None:
        """NumPy warned of a floating-point error."""
        self.noisy = True

    def _write_back(self, storage: Storage) -> None:
        real = storage.real
        if real is None or real is storage.node.value:
            return
        if not self.breaks:
            self.leak("an array that was written before the end")
        if self.differentiating:
            preserve(self.log, real, storage.history)
        np.copyto(real, storage.node.value)
        written, storage.node = storage.node, Node(None, meta=storage.node.meta)
        storage.node.value, storage.node.var, storage.node.origin = real, storage.var, written

    def stop(self, why: str, remedy: str = "") -> None:
        """Note a break."""
        self.breaks.append(
            Break(where(), why, remedy or REMEDIES.get(why, "compute it outside of the function"))
        )

    def give_up(self, why: str) -> None:
        """Have plain Python do the call from its beginning, if that is still possible."""
        if self.can_give_up and not self.differentiating and not self.trying:
            self.can_give_up = self.can_roll_back()
            if self.can_give_up:
                raise TooLong(why)

    @property
    def is_hopeless(self) -> bool:
        """Whether Python would have been much faster so far, and will be: with breaks, or with too many
        operations, the recording is of no use for later calls.
        """
        few = len(self.breaks) < MANY_BREAKS and not self.is_long
        if few or self.differentiating or self.pieces.check is not None:
            return False
        took = perf_counter_ns() - self.since
        return took > BEARABLE and took > OUTWEIGHED * self.work

    def determined(self, s: Sym, kinds: Any = object) -> Any:
        """The value of s if known numbers decide it, all of them of `kinds`, which are guarded then."""
        numbers: list[Num] = []
        found = self.found.value(self.read(s), numbers)
        kinds = (int, np.integer) if self.differentiating else kinds  # others may be what is differentiated
        if found is UNDETERMINED or not all(isinstance(n.value, kinds) for n in numbers):
            return UNDETERMINED
        for n in numbers:
            n.steer()
        return found

    def fixed(self, a: Any) -> Any:
        """An argument that says a size, as a constant if it is determined."""
        if type(a) is not Sym or a.meta.kind == "object":
            return a
        found = self.determined(a)
        if found is UNDETERMINED:
            return a
        return found.tolist() if type(found) is np.ndarray else found

    def force(self, s: Sym, why: str) -> Any:
        """The value itself is needed now: a break, unless known numbers decide it."""
        if s.meta.kind in ("python", "scalar"):
            found = self.determined(s)
            if found is not UNDETERMINED:
                return found
        computed = s.storage is None and s.node is not None and s.node.value is not None
        if s.meta.kind != "none" and not (computed and self.breaks):
            self.stop(why)
        found = self.real(s)
        if self.differentiating and s.meta.kind == "object" and s.node is not None:
            self.taint(found, s.node)
        return found

    def truth(self, s: Sym) -> bool:
        """A test on data: later calls whose outcome is another take another recording."""
        unknown = s.meta.kind == "object" or (s.meta.kind == "array" and None in s.meta.shape)
        known = UNDETERMINED if unknown else self.determined(s, (int, np.integer))
        if known is not UNDETERMINED:
            return bool(known)
        if unknown or self.breaks or not self.branching:
            return bool(self.force(s, "a test on data"))
        if s.meta.dtype is not bool:
            s = self.record(bool, (s,))
        assert s.node is not None
        self.run_pending()
        outcome = self.tests[s.node] = s.node.value
        if len(self.tests) == MANY_TESTS:
            self.give_up(f"{MANY_TESTS} tests on data")
            self.branching = False
        return outcome

    def real(self, s: Sym) -> Any:
        """The real object behind s, always the same one."""
        self.flush()
        storage = s.storage
        if storage is None:
            assert s.node is not None
            return s.node.value
        if s.real is None:
            if storage.real is None:
                storage.real = storage.node.value
            s.real = follow(storage.real, s.chain)
            self.kept.append(s.real)
            self.syms.setdefault(id(s.real), s)
        return s.real

    def boundary(self) -> None:
        """In front of `with`: what may fail must fail here."""
        if "raise" in np.geterr().values() or any(map(may_fail, self.log[self.done :])):
            self.run_pending()

    def hold(self, a: Any) -> None:
        """An operation has failed on account of types, sizes or known numbers: these steer the program."""
        if self.all_symbols:
            self.settle_sizes()
        for x in inside(a):
            if type(x) is Num:
                x.steer()
