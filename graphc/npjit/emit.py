"""A recording without a break as one flat Python function: guards, operations, write-back, effects, result.

The function returns MISS where a guard fails or an operation raises; then nothing has been changed, and the
call is recorded again, where an exception is exact.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from graphc.codegen.options import resolve
from graphc.npjit import alarms
from graphc.npjit.array_guard import Geometry, fit, table
from graphc.npjit.expressions import CannotError, Expressions
from graphc.npjit.log import Meta, Node, apart, follow, mutate, pick
from graphc.npjit.lookup import store_raw
from graphc.npjit.narrowing import Narrowed
from graphc.npjit.native import segments
from graphc.npjit.random_states import random_state, restore
from graphc.npjit.recording import Recording
from graphc.npjit.running import last_uses
from graphc.npjit.stretches import stretches
from graphc.npjit.values import Num, Storage
from graphc.npjit.warned import QUIET, strict

MISS = object()
MISSES = "(AttributeError, KeyError, IndexError, TypeError, ValueError, ArithmeticError)"


MOST_TESTS = 8
"""Tests on data between which the parts of a recording are compiled; with more of them NumPy does it."""


FLOATS = (np.float64, np.float32)


class Elsewhere(Exception):
    """A test on data came out otherwise than recorded: the call is for another recording."""


class Fast(NamedTuple):
    """Three ways of doing a call again. Each: (args, kwargs) -> result or MISS."""

    flat: Callable[..., Any]
    guards: Callable[..., Any]
    native: Callable[[], Callable[..., Any] | None]
    """Compiles when it is asked for; None where nothing of the recording can be compiled."""


class Store(NamedTuple):
    """An input array that takes a new value: its variable, the nodes before and after, and the text of it."""

    var: str
    before: Node
    after: Node
    text: str


class Emitter(Expressions):
    """Writes the functions of one recording."""

    def __init__(
        self,
        rec: Recording,
        options: dict[str, Any] | None = None,
        hot: Callable[[tuple[int, ...]], bool] | None = None,
    ) -> None:
        self.narrowed = Narrowed(rec.log, storages_of(rec), rec.shadows)
        super().__init__(rec, self.narrowed)
        self.tests = {self.moved.get(n, n): outcome for n, outcome in rec.tests.items()}
        self.options, self.hot = options or {}, hot
        self.symbols = tuple(rec.all_symbols)
        self.covered = False  # whether native code does it for all sizes
        self.opening: list[str] = []  # what is made behind the guards

    # ---- the function

    def distinct(self) -> list[str]:
        """What was written must not be reachable under another name of this call."""
        rec, lines, storages = self.rec, [], storages_of(self.rec)
        if any(s.members > 1 for s in storages):
            raise CannotError("overlapping arrays")
        lines += self.fits([s.var or "" for s in storages if s.mutated])
        boxes = [
            k.var
            for k in rec.objects.values()
            if k.var
            and (k.var[0] == "o" or type(k.value) is types.CellType)
            and k.var not in rec.begun
            and not isinstance(k.value, types.MethodType)
        ]
        if rec.effects and len(boxes) > 1:
            lines.append(f"if len({{{', '.join(f'id({v})' for v in boxes)}}}) != {len(boxes)}: return MISS")
        return lines

    def fits(self, written: list[str]) -> list[str]:
        """The arrays have their element types, sizes and orders, and what is written stands apart."""
        rec = self.rec
        rows = {v: rec.geometry[v]._replace(writeable=True) for v in written}
        rows |= {v: g for v, g in rec.geometry.items() if v not in rows}
        if not rows:
            return []
        native = fit()
        if native is None:
            return _python_fits(rec, rows, written)
        for g in rows.values():
            rec.const(g.dtype)  # keeps it
        call = f"{rec.const(native)}({rec.const(table(list(rows.values())))}, {', '.join(rows)})"
        return [f"if not {call}: return MISS"]

    def fast(self, result: Any) -> Fast:
        """The ways of doing the recorded call again.

        Raises
        ------
        CannotError
            No later call can be done from this recording.
        """
        stores = [self.store(s) for s in storages_of(self.rec) if s.mutated]
        end: list[str] = []
        for e in self.rec.effects:
            text = self.effect(e)
            end += [*self.lines, text]
            self.lines = []
        returned = self.template(result)
        end += [*self.lines, f"return {returned}"]
        wanted = list(self.wanted)
        graph = self.graph()
        checks = self.checked([*self.rec.pre, *self.distinct()])
        start = ["try:", *_indented(checks), f"except {MISSES}: return MISS"]
        back = [f"copyto({s.var}, {s.text})" for s in stores]
        counted = [*start, *self.known_sizes()]
        flat = self.compiled([*counted, *self.opening, *self.guarded(graph), *back, *end])
        guards = self.compiled([*counted, "return None"])
        alarm = self.alarm([*start, *self.opening], graph)
        return Fast(flat, guards, lambda: self.native(wanted, stores, start, end, flat, alarm))

    def alarm(self, begin: list[str], graph: list[str]) -> alarms.Alarm:
        """What finds out by NumPy's operations alone, made when it is needed, whether they warn."""
        saves, restores = self.streams()
        body = [*begin, *saves, "try:", *_indented(graph), "except Exception: pass", *restores]
        consts = self.rec.consts

        def probe(args: Any, kw: Any) -> Any:
            return function(body, consts)(args, kw)

        return alarms.Alarm(probe)

    def store(self, s: Storage) -> Store:
        """The store into an input, or into the part of it that stands for it."""
        after = self.moved.get(s.node, s.node)
        var, part = s.var or "", self.narrowed.parts.get(id(s))
        if part is not None:
            part.leaf.var = self.rec.new("w")
            self.opening.append(f"{part.leaf.var} = {var}[{self.expr(part.key)}]")
            var = part.leaf.var
        before = after
        while before in self.positions:
            before = before.args[0]
        return Store(var, before, after, self.expr(after))

    def graph(self) -> list[str]:
        """The operations by NumPy, in the states for floating-point errors that they were recorded in."""
        lines: list[str] = []
        states, before = self.rec.states, ""
        dropped = last_uses(self.log, self.wanted)
        for i, n in enumerate(self.log):
            state = next((s for at, s in reversed(states) if at <= i), None)
            changed = {k: v for k, v in state.items() if states[0][1][k] != v} if state else {}
            keywords = ", ".join(f"{k}={v!r}" for k, v in changed.items())
            if keywords and keywords != before:
                lines.append(f"with errstate({keywords}):")
            text = [*self.node(n), *self.test(n)]
            text += [f"del r{self.positions[x]}" for x in dropped.get(i, ())]
            lines += _indented(text) if keywords else text
            before = keywords
        return lines

    def test(self, n: Node) -> list[str]:
        """Another outcome of a test is for another recording."""
        if n not in self.tests:
            return []
        return [f"if {self.expr(n)} is not {self.tests[n]}: raise Elsewhere"]

    def native(
        self,
        wanted: list[Node],
        stores: list[Store],
        start: list[str],
        end: list[str],
        flat: Callable[..., Any],
        alarm: alarms.Alarm,
    ) -> Callable[..., Any] | None:
        """The function whose operations are one compiled program."""
        raising = any(not QUIET.issuperset(state.values()) for _, state in self.rec.states[1:])
        if self.rec.noisy or raising or len(self.tests) > MOST_TESTS:
            return None
        options = resolve(**self.options)
        lines: list[str] = []
        scope: dict[str, Any] = {"flat": flat}
        graphs: list[Any] = []
        programs: list[Any] = []
        in_place: set[str] = set()
        runs = stretches(self.log, self.tests, wanted)
        # a view from an earlier part must keep its elements
        viewed = any(n.fn in (follow, pick) for r in runs[:-1] for n in r.wanted)
        for number, run in enumerate(runs):
            pairs = (
                {s.before: s.after for s in stores if run.changes(s.before, s.after)}
                if run.last and not viewed
                else {}
            )
            own = apart(run.nodes)
            outer = {inner: n for n, inner in own.items()}
            program = segments.compile(
                [own[n] for n in run.nodes],
                [own[n] for n in run.wanted],
                {before: own[after] for before, after in pairs.items()},
                options,
                self.rec.name,
                self.rec.for_native(
                    self.symbols, own | {n: own[m] for n, m in self.moved.items() if m in own}
                ),
                families=self.rec.pieces.families,
                always=self.rec.is_ahead,
            )
            leaves = [x.expr if type(x) is Num else self.expr(outer.get(x, x)) for x in program.leaves]
            results = "".join(f"{self.expr(n)}, " for n in run.wanted)
            call = f"program{number}({', '.join(leaves)})"
            lines += [f"{results}= {call}" if results else call]
            lines += [t for n in run.nodes for t in self.test(n)]
            scope[f"program{number}"] = program.run
            graphs += [c.graph for c in program.calls]
            programs.append(program)
            in_place |= {leaves[i] for i in program.in_place}
        if not graphs:
            return None
        kept = [x for program in programs for x in program.explain() if not x.native]
        self.covered = not kept
        lines = self._in_states(lines) if kept else lines
        back = [f"copyto({s.var}, {s.text})" for s in stores if s.var not in in_place]
        begin = [*start, "if strict(): return flat(args, kw)"]
        if (raised := alarms.raised()) is not None:
            begin = [*start, "if strict() or alarm.off: return flat(args, kw)"]
            begin += ["if alarm.suspect and alarm.warns(args, kw): return flat(args, kw)"] if in_place else []
            lines = alarms.guarded(lines, self.suspicious(wanted), bool(in_place))
            scope |= alarms.SCOPE | {"raised": raised, "alarm": alarm}
        made: Any = self.compiled([*begin, *self.opening, *self.guarded(lines), *back, *end], scope)
        made.graphs, made.kept = graphs, kept
        return made

    def suspicious(self, wanted: list[Node]) -> list[str]:
        """Results that are numbers, where there are logarithms."""
        if not any(n.fn in alarms.LOGARITHMS for n in self.log):
            return []
        metas = [(n, n.meta) for n in wanted if isinstance(n.meta, Meta) and n in self.positions]
        return [
            self.expr(n) for n, m in metas if m.kind in ("scalar", "python") and m.dtype in (float, *FLOATS)
        ]

    def _in_states(self, lines: list[str]) -> list[str]:
        """What NumPy does warns of nothing that was ignored in the recording."""
        states = [state for _, state in self.rec.states]
        ignored = {k for s in states[1:] for k, v in s.items() if v == "ignore" and states[0][k] != v}
        keywords = ", ".join(f"{k}='ignore'" for k in sorted(ignored))
        return [f"with errstate({keywords}):", *_indented(lines)] if ignored else lines

    def checked(self, checks: list[str]) -> list[str]:
        """The guards; streams that they look at are made among them, others behind them."""
        for var, made in self.rec.begun.items():
            place = next((i for i, line in enumerate(checks) if re.search(rf"\b{var}\b", line)), None)
            if place is not None:
                checks.insert(place, f"{var} = {made}")
            else:
                self.opening.append(f"{var} = {made}")
        if self.opening:
            self.opening = ["try:", *_indented(self.opening), "except Exception: return MISS"]
        return checks

    def known_sizes(self) -> list[str]:
        """Where sizes are symbols without native code: ask whether these are worth a recording of their
        own.
        """
        symbols = "".join(f"{s.expr}, " for s in self.symbols)
        return [f"if {self.rec.const(self._is_hot)}(({symbols})): return MISS"] if symbols else []

    def _is_hot(self, sizes: tuple[int, ...]) -> bool:
        return not self.covered and self.hot is not None and self.hot(sizes)

    def guarded(self, graph: list[str]) -> list[str]:
        """The operations; where one raises, random streams go back to where they were."""
        saves, restores = self.streams()
        back = _indented(restores) if restores else []
        noisy = any("NoisyError" in line for line in graph)
        again = ["except NoisyError:", *back, "    return flat(args, kw)"] if noisy else []
        return [*saves, "try:", *_indented(graph), *again, "except Exception:", *back, "    return MISS"]

    def streams(self) -> tuple[list[str], list[str]]:
        """Lines that keep the states of the streams that are drawn from, and that put them back."""
        draws = [n for n in self.log if n.impure]
        sources = sorted({self.expr(n.args[3][1] if n.fn is mutate else n.args[0]) for n in draws})
        saves = [f"state{i} = random_state({s})" for i, s in enumerate(sources)]
        return saves, [f"restore({s}, state{i})" for i, s in enumerate(sources)]

    def compiled(self, body: list[str], more: dict[str, Any] | None = None) -> Callable[..., Any]:
        """The lines as a function."""
        return function(body, self.rec.consts | (more or {}))


def function(body: list[str], names: dict[str, Any]) -> Callable[..., Any]:
    """Lines as a function of (args, kw)."""
    text = "def fast(args, kw):\n    " + "\n    ".join(body) + "\n"
    scope: dict[str, Any] = {**GLOBALS, **names}
    exec(compile(text, "<graphc fast path>", "exec"), scope)
    scope["fast"].text = text
    made: Callable[..., Any] = scope["fast"]
    return made


def storages_of(rec: Recording) -> list[Storage]:
    """The pieces of memory that came in."""
    return list({id(s.storage): s.storage for _, s in rec.arrays if s.storage is not None}.values())


def _python_fits(rec: Recording, rows: dict[str, Geometry], written: list[str]) -> list[str]:
    """What `array_guard.fit` checks, as lines."""
    lines = []
    for v, g in rows.items():
        lines.append(f"type({v}) is not ndarray or {v}.dtype is not {rec.const(g.dtype)}")
        sizes = [f"{v}.ndim != {len(g.shape)}"]
        sizes += [f"{v}.shape[{i}] {'< 2' if n == -1 else f'!= {n}'}" for i, n in enumerate(g.shape)]
        lines.append(" or ".join(sizes))
        lines.append(f"{v}.strides != {g.strides!r}" if g.strides else f"not {v}.flags.c_contiguous")
        if g.writeable:
            lines.append(f"not {v}.flags.writeable")
    others = list(rows)
    for v in written:
        others.remove(v)
        lines += [f"may_share_memory({v}, {other})" for other in others]
    return [f"if {line}: return MISS" for line in lines]


def _indented(lines: list[str]) -> list[str]:
    return ["    " + x for x in lines or ["pass"]]


GLOBALS: dict[str, Any] = {
    "MISS": MISS,
    "Elsewhere": Elsewhere,
    "ndarray": np.ndarray,
    "copyto": np.copyto,
    "may_share_memory": np.may_share_memory,
    "errstate": np.errstate,
    "strict": strict,
    "random_state": random_state,
    "restore": restore,
    "set_raw": object.__setattr__,
    "store_raw": store_raw,
}
"""What the generated lines call."""
