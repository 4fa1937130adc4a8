"""Loops with carried values, and conditions, as blocks of LLVM text.

Loops are in rotated form (guard, body, test at the bottom), which is what the back end wants, so that nothing
here needs an IR pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

from graphc.codegen.integers import Integers
from graphc.codegen.lines import Operand

Carried = Sequence[tuple[str, str]]
"""Pairs of a type and a value."""


@dataclass
class Loop:
    """A loop that is being written: set `next` in the body to the values that the next turn carries."""

    function: Flow
    i: str
    values: list[str]
    carry: list[tuple[str, str]]
    start: Operand
    stop: Operand
    step: Operand
    body: str
    done: str
    before: str
    where: int
    sure: bool
    next: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)

    def __enter__(self) -> Loop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.function._close_loop(self)


@dataclass
class When:
    """An if that is being written: set `next` in the body to the values that replace the carried ones."""

    function: Flow
    carry: list[tuple[str, str]]
    done: str
    before: str
    next: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)

    def __enter__(self) -> When:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.function._close_when(self)


class Flow(Integers):
    """A function with loops and conditions."""

    def loop(
        self, start: Operand, stop: Operand, step: Operand, carry: Carried = (), sure: bool = False
    ) -> Loop:
        """`with f.loop(0, "%n", 16, [(type, initial), ...]) as l:` with `l.i` and `l.values`; set `l.next`;
        afterwards `l.results`.

        The body runs while i < stop (signed), possibly never; at least once if the caller is `sure`.
        """
        body, done, i = self.label("body"), self.label("done"), self.name()
        names, before = [self.name() for _ in carry], self.block
        enter = "true" if sure else self.less(start, stop)
        sure = enter == "true"
        self.do(f"br label %{body}" if sure else f"br i1 {enter}, label %{body}, label %{done}")
        self.begin(body)
        where = len(self.lines)
        return Loop(self, i, names, list(carry), start, stop, step, body, done, before, where, sure)

    def _close_loop(self, loop: Loop) -> None:
        if len(loop.next) != len(loop.carry):
            raise ValueError(f"the loop carries {len(loop.carry)} values, but next has {len(loop.next)}")
        following = self.add(loop.i, loop.step)
        latch, before = self.block, loop.before
        phis = [f"  {loop.i} = phi i64 [{loop.start}, %{before}], [{following}, %{latch}]"]
        ends = [(ty, f"[{v}, %{before}], [{x}, %{latch}]") for (ty, v), x in zip(loop.carry, loop.next)]
        phis += [f"  {name} = phi {ty} {edges}" for name, (ty, edges) in zip(loop.values, ends)]
        self.lines[loop.where : loop.where] = phis
        self.do(f"br i1 {self.less(following, loop.stop)}, label %{loop.body}, label %{loop.done}")
        self.begin(loop.done)
        loop.results = loop.next if loop.sure else [self(f"phi {ty} {edges}") for ty, edges in ends]

    def when(self, condition: str, carry: Carried = ()) -> When:
        """`with f.when(cond, [(type, otherwise), ...]) as w:` runs the body if the i1 holds; set `w.next`;
        afterwards `w.results`.
        """
        then, done, before = self.label("then"), self.label("done"), self.block
        self.do(f"br i1 {condition}, label %{then}, label %{done}")
        self.begin(then)
        return When(self, list(carry), done, before)

    def _close_when(self, when: When) -> None:
        if len(when.next) != len(when.carry):
            raise ValueError(f"the condition carries {len(when.carry)} values, but next has {len(when.next)}")
        last = self.block
        self.do(f"br label %{when.done}")
        self.begin(when.done)
        when.results = [
            self(f"phi {ty} [{x}, %{last}], [{v}, %{when.before}]")
            for (ty, v), x in zip(when.carry, when.next)
        ]

    def give_up(self, condition: str, ret: str) -> None:
        """Return `ret` (type and value) at once if the i1 holds."""
        leave, stay = self.label("leave"), self.label("stay")
        self.do(f"br i1 {condition}, label %{leave}, label %{stay}")
        self.begin(leave)
        self.do(f"ret {ret}")
        self.begin(stay)
