"""A memory plan proved by going through it: every read must find the value that was last computed, in every
turn.

Values are tokens, memory is a table of tokens, and loops run a given number of turns: in three, each way of a
carry goes through all that it does. That slots which live at one time share no bytes is checked
elsewhere; here every access must be in its slot's lifetime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from graphc.ir.errors import VerifyError
from graphc.ir.graph import Graph, Node, Value
from graphc.ir.opdef import Kind
from graphc.passes.plan import Carry, ControlPlan, Plan
from graphc.passes.schedule import is_alias, roots_of
from graphc.passes.times import Times, region_times, times_of

Token = Any
"""What stands for the contents of a value: anything that can be compared."""
Path = tuple[int, ...]
"""A slot, then the slices inside of it; a strip that begins at column c is the slice -1 - c."""

Overwrites = Callable[[Node, Value, Value, Mapping[Value, Value]], bool]


def walk(graph: Graph, plan: Plan, turns: int, choice: int, may_overwrite: Overwrites) -> None:
    """VerifyError if some node reads what it should not, where loops take so many turns and each cond runs
    that branch.

    `may_overwrite(node, old, new, root)` says whether a kernel may write a result over an operand.
    """
    walker = _Walker(plan, turns, choice, may_overwrite)
    values: dict[Value, Token] = {v: ("given", v.name) for v in graph.parameters}
    for v, token in values.items():
        walker.write((plan.places[v.name],), token, -1)
    walker.run(graph, times_of(graph), plan.places, {}, values)


def _fail(text: str) -> NoReturn:
    raise VerifyError(f"memory plan: {text}")


class _Walker:
    def __init__(self, plan: Plan, turns: int, choice: int, may_overwrite: Overwrites) -> None:
        self.plan, self.turns, self.choice, self.may_overwrite = plan, turns, choice, may_overwrite
        self.memory: dict[Path, Token] = {}
        self.count = 0

    # -- memory ---------------------------------------------------------------------------------------------
    def _alive(self, path: Path, time: int) -> None:
        slot = self.plan.slots[path[0]]
        if slot.kind == "moved" or not slot.first <= time <= slot.last:
            _fail(f"slot {path[0]} is used at step {time}, but lives from {slot.first} to {slot.last}")

    def read(self, path: Path, time: int) -> Token:
        """What is there."""
        self._alive(path, time)
        return self._content(path)

    def _content(self, path: Path) -> Token:
        for length in range(len(path), 0, -1):
            if path[:length] in self.memory:
                token = self.memory[path[:length]]
                for index in path[length:]:
                    token = part(token, index)
                return token
        if any(p[: len(path)] == path for p in self.memory):
            return ("stack", tuple(self._content((*path, i)) for i in range(self.turns)))
        return ("nothing", path)

    def write(self, path: Path, token: Token, time: int) -> None:
        """Put a token there, in the place of what was there."""
        self._alive(path, time) if time >= 0 else None
        for length in range(1, len(path)):
            whole = self.memory.pop(path[:length], None)
            if whole is not None:
                self.memory |= {(*path[:length], i): part(whole, i) for i in range(self.turns)}
        self.memory = {p: t for p, t in self.memory.items() if p[: len(path)] != path}
        self.memory[path] = token

    def expect(self, path: Path, token: Token, time: int, what: str) -> None:
        """Fail unless that token is there."""
        if not self.turns and isinstance(token, tuple) and token[0] == "stack":
            return  # no bytes
        if isinstance(token, tuple) and token[0] == "joined":
            for place, mine in token[1]:
                self.expect(place, mine, time, what)
            return
        found = self.read(path, time)
        if found != token:
            _fail(f"at step {time}, {what} should be {token}, but its place holds {found}")

    # -- nodes ----------------------------------------------------------------------------------------------
    def run(
        self,
        graph: Graph,
        times: Times,
        places: Mapping[str, int],
        moved: Mapping[int, Path],
        values: dict[Value, Token],
    ) -> None:
        """Run the nodes of a graph or a region; `moved` has where moved slots are, `values` what is known."""
        root = roots_of(graph)
        whole = places is self.plan.places
        strips, joined = (self.plan.strips, self.plan.joined) if whole else ({}, frozenset())

        def at(value: Value) -> Path:
            slot = places[value.name]
            if value.name in strips:
                return (slot, -1 - strips[value.name].column)
            return moved.get(slot, (slot,))

        for node, (begin, end) in times.nodes.items():
            if is_alias(node):
                values[node.result] = values[node.operands[0]]
                continue
            if node.results and node.results[0].name in joined:
                values[node.results[0]] = _joined([(at(v), values[v]) for v in node.operands])
                continue
            for v in node.operands:
                self.expect(at(v), values[v], begin, f"%{v.name}")
            if node.op.kind is Kind.CONTROL:
                results = _Control(self, node, begin, moved, [values[v] for v in node.operands]).run()
            else:
                results = self._kernel(node, at, root)
            for r, token in zip(node.results, results, strict=True):
                values[r] = token
                if node.op.kind is Kind.CONTROL:
                    self.expect(at(r), token, end, f"%{r.name}")
                else:
                    self.write(at(r), token, end)

    def _kernel(self, node: Node, at: Callable[[Value], Path], root: Mapping[Value, Value]) -> list[Token]:
        for r in node.results:
            for v in dict.fromkeys(root[v] for v in node.operands):
                if at(r) == at(v) and not self.may_overwrite(node, v, r, root):
                    _fail(f"%{r.name} overwrites %{v.name} while {node!r} still reads it")
        if len({at(r) for r in node.results}) < len(node.results):
            _fail(f"two results of {node!r} lie in one place")
        self.count += 1
        return [("made", self.count, i) for i in range(len(node.results))]


def _joined(operands: list[tuple[Path, Token]]) -> Token:
    """The token of what lies in its place when its operands do."""
    found: list[tuple[Path, Token]] = []
    for path, token in operands:
        inner = isinstance(token, tuple) and token[0] == "joined"
        found += token[1] if inner else [(path, token)]
    return ("joined", tuple(found))


def part(token: Token, index: int) -> Token:
    """The slice of a token."""
    if isinstance(token, tuple) and token[0] == "stack":
        return token[1][index]
    return ("slice", token, index)


class _Control:
    """One run of a control op; `moved` has where moved slots are, those of ops around this one included."""

    def __init__(
        self, walker: _Walker, node: Node, begin: int, moved: Mapping[int, Path], given: list[Token]
    ) -> None:
        self.walker, self.node, self.given = walker, node, given
        self.plan: ControlPlan = walker.plan.controls[begin]
        self.times = region_times(node, begin)
        self.begin, self.end = begin, self.times[-1].end
        self.moved = dict(moved)

    def run(self) -> list[Token]:
        """The tokens of the results."""
        if self.node.op.name == "cond":
            return self._region(self.walker.choice, self.given[1:])
        return self._loop()

    def _path(self, slot: int) -> Path:
        return self.moved.get(slot, (slot,))

    def _copy(self, target: Path, source: Path, time: int) -> None:
        if target != source:
            self.walker.write(target, self.walker.read(source, time), time)

    def _region(self, number: int, given: list[Token]) -> list[Token]:
        """Run a region; the tokens of its outputs."""
        graph, plan, times = self.node.regions[number], self.plan.regions[number], self.times[number]
        values = dict(zip(graph.inputs, given, strict=True))
        self.walker.run(graph, times, plan.places, self.moved, values)
        for copy in plan.copies:
            self._copy(self._path(copy.target), self._path(copy.source), times.end)
        return [values[v] for v in graph.outputs]

    # -- loops ----------------------------------------------------------------------------------------------
    def _loop(self) -> list[Token]:
        self._check_span()
        turns, walker = self.walker.turns, self.walker
        count = len(self.plan.carries)
        state, rest = self.given[:count], self.given[count:]
        slices, constants = rest[: len(self.plan.scanned)], rest[len(self.plan.scanned) :]
        for carry in self.plan.carries:
            self._start(carry)
        pieces: dict[int, list[Token]] = {}
        for turn in range(turns):
            index = self._index(turn)
            self._move(turn, index)
            given = [*state, *(part(x, index) for x in slices), *constants]
            self._condition(given)
            found = self._region(len(self.times) - 1, given)
            self._check_turn(found)
            state, pieces[index] = found[:count], found[count:]
            for carry in self.plan.carries:
                self._turn(carry)
        if self.node.op.name == "while":
            self._condition([*state, *constants])
        for carry in self.plan.carries:
            self._finish(carry)
        stacks = [("stack", tuple(pieces[i][j] for i in range(turns))) for j in range(len(self.plan.pieces))]
        for carry, token in zip(self.plan.carries, state):
            walker.expect(self._path(carry.home), token, self.end, f"a carry that {carry.way}")
        return [*state, *stacks]

    def _check_span(self) -> None:
        """What lives from one turn to the next lives as long as the loop."""
        moved = {s.moved for s in (*self.plan.scanned, *self.plan.pieces)}
        moved |= {x for c in self.plan.carries if c.way not in ("stays", "over") for x in (c.now, c.then)}
        parameters = [
            r.places[v.name] for r, g in zip(self.plan.regions, self.node.regions) for v in g.inputs
        ]
        arrays = [s.array for s in (*self.plan.scanned, *self.plan.pieces)]
        carried = [x for c in self.plan.carries for x in (c.home, *([c.spare] if c.way == "swap" else []))]
        for slot in {*parameters, *arrays, *carried} - moved:
            for time in (self.begin, self.end):
                self.walker.read(self._path(slot), time)

    def _index(self, turn: int) -> int:
        return self.walker.turns - 1 - turn if self.node.attrs.get("reverse") else turn

    def _condition(self, given: list[Token]) -> None:
        if self.node.op.name == "while":
            (holds,) = self._region(0, given)
            slot = self.plan.regions[0].places[self.node.regions[0].outputs[0].name]
            self.walker.expect(self._path(slot), holds, self.times[0].end, "the condition")

    def _start(self, carry: Carry) -> None:
        first, home = self._path(carry.first), self._path(carry.home)
        if carry.way == "over":
            self._copy(home, first, self.begin)
        elif carry.way == "history" and self.walker.turns:
            piece = self.plan.pieces[carry.piece]
            self._copy((*self._path(piece.array), self._index(0)), first, self.begin)
        elif carry.way == "swap":
            odd = self.node.op.name == "scan" and self.walker.turns % 2 and first != home
            self.moved[carry.now] = first
            self.moved[carry.then] = home if odd else self._path(carry.spare)
        elif carry.way == "follows":
            self.moved[carry.now] = first

    def _move(self, turn: int, index: int) -> None:
        """Where the turn's slices are."""
        for s in (*self.plan.scanned, *self.plan.pieces):
            self.moved[s.moved] = (*self._path(s.array), index)
        for c in self.plan.carries:
            if c.way == "history":
                array = self._path(self.plan.pieces[c.piece].array)
                last = turn + 1 == self.walker.turns
                self.moved[c.then] = self._path(c.home) if last else (*array, self._index(turn + 1))

    def _check_turn(self, found: list[Token]) -> None:
        places = [c.then if c.way != "stays" else c.first for c in self.plan.carries]
        for slot, token in zip([*places, *(p.moved for p in self.plan.pieces)], found, strict=True):
            self.walker.expect(self._path(slot), token, self.end, "what a turn hands on")

    def _turn(self, carry: Carry) -> None:
        if carry.way == "swap":
            written, home = self.moved[carry.then], self._path(carry.home)
            self.moved[carry.now] = written
            self.moved[carry.then] = self._path(carry.spare) if written == home else home
        elif carry.way == "follows":
            self.moved[carry.now] = self.moved[carry.then]

    def _finish(self, carry: Carry) -> None:
        home = self._path(carry.home)
        if carry.way in ("swap", "follows"):
            self._copy(home, self.moved[carry.now], self.end)
        elif carry.way == "stays" or (carry.way == "history" and not self.walker.turns):
            self._copy(home, self._path(carry.first), self.end)
