"""The ways in which a jitted function's calls are done, by form of call: which comes first, and which go."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from graphc.npjit.choice import Choice
from graphc.npjit.current import LOCK
from graphc.npjit.emit import MISS
from graphc.npjit.inspected import Inspected
from graphc.npjit.known_sizes import Known
from graphc.npjit.settled import SELDOM, Aside, Plain, Way, joined
from graphc.npjit.straight import ANY, Straight, form_of
from graphc.passes.log import log

FAR = 4
"""The place of a fast function from which it comes to the front when it is used."""
BRANCHES = 7
"""Recordings of one call signature that differ in outcomes of tests on data."""
FEW_BRANCHES = 3
"""The same, where none of them has been used a second time."""
WAYS = {"native": "native code", "flat": "NumPy without Python between", "plain": "plain Python"}


class Ways(Straight, Inspected):
    """The part of a jitted function that knows the ways of doing its calls.

    The key of a form is the number of arguments, and the names of those that have some. Plain Python is the
    last of the ways of a form; where it is the only one of all forms, calls go straight to it.
    """

    def __init__(self) -> None:
        self.fast: dict[Any, list[Way]] = {}
        self.aside: dict[Any, Aside] = {}
        self.known: dict[Any, Known] = {}
        self.branches: dict[Any, list[Way]] = {}
        self.detours: dict[Any, Aside] = {}
        self.unbranched: set[Any] = set()
        self.notes: list[str] = []
        self._hits = 0

    @property
    def hits(self) -> int:
        """Calls that were not recorded."""
        return self._hits + (self.straight_calls if self.fast else 0)

    def plain(self) -> Callable[..., Any] | None:
        """The function as Python runs it; None if that can't be done."""
        return self.fn

    def slow(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that no fast function is for."""
        raise AssertionError("a jitted function records it")

    def note(self, text: str) -> None:
        """Keep a line for `explain`, and log it."""
        if text not in self.notes:
            self.notes.append(text)
            log("trace", f"{self.name}: {text}")

    # ---- plain Python for good

    def arrange(self, key: Any, ways: list[Way]) -> None:
        """Take these ways for the calls of a form, plain Python behind all others."""
        plain = [w for w in ways if type(w) is Plain]
        while len(plain) > 1:
            plain[-2:] = [joined(*plain[-2:])]
        self.fast[key] = [*(w for w in ways if type(w) is not Plain), *plain]
        self._hits += self.go_long()
        self._straighten()

    def _straighten(self) -> None:
        """Calls of a form that only plain Python does go straight to it; of all forms, if there are more."""
        alone = {k: w[0] for k, w in self.fast.items() if len(w) == 1 and type(w[0]) is Plain}
        others = {form_of(*k) for k in self.fast if k not in alone}
        forms = {form_of(*k): w for k, w in alone.items() if form_of(*k) not in others}
        if forms:
            form = ANY if len(forms) > 1 and not others else next(iter(forms))
            self.go_straight(self.fn, self._looked_at, min(w.every for w in forms.values()), form)

    def _looked_at(self, *args: Any, **kwargs: Any) -> Any:
        """One of many calls that go straight to plain Python."""
        key = (len(args), *kwargs) if kwargs else (len(args),)
        ways = self.fast.get(key)
        r = ways[0].look(args, kwargs) if ways and type(ways[0]) is Plain else MISS
        return r if r is not MISS else self.slow(key, args, kwargs)

    def leave_to_python(self) -> None:
        """Nothing of the function can be recorded, as it seems."""
        self.go_straight(self.fn, self._looked_at, SELDOM)

    # ---- one form

    def by_others(self, key: Any, ways: list[Way], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of the first fast function that the call is for, or MISS."""
        detour = self.detours.get(key) if key in self.branches else None
        plain = self.plain() if detour is not None and detour.tries_plain else None
        if detour is not None and plain is not None:
            try:
                return detour.call(plain, args, kwargs)
            finally:
                if detour.won:
                    self._leave_branches(key, detour, plain)
        begin = perf_counter_ns()
        for i, fast in enumerate(ways, 1):
            r = fast(args, kwargs)
            if r is not MISS:
                if key in self.branches:
                    self._detoured(key, fast, perf_counter_ns() - begin)
                elif i >= FAR and type(fast) is not Plain:
                    self._to_front(key, fast)
                return r
        return MISS

    def _detoured(self, key: Any, fast: Way, took: int) -> None:
        """Ways through tests on data were tried in vain: each did its operations up to the test."""
        detour = self.detours.setdefault(key, Aside())
        if not detour.plain:
            detour.add(took, took)
        self._to_front(key, fast)

    def _leave_branches(self, key: Any, detour: Aside, plain: Callable[..., Any]) -> None:
        """Plain Python does what goes now this way, now that."""
        ways = self.branches.pop(key, [])
        self.fast[key] = [f for f in self.fast[key] if f not in ways]
        self.detours.pop(key, None)
        detour.failing, self.aside[key] = False, detour
        self.step_aside(key, detour, plain)

    def _to_front(self, key: Any, fast: Way) -> None:
        """What was used last is tried first; plain Python would take all calls."""
        if type(fast) is not Plain and LOCK.acquire(blocking=False):
            try:
                others = [f for f in self.fast[key] if f is not fast]
                if len(others) < len(self.fast[key]):  # a choice that was made by this very call is gone
                    self.fast[key] = [fast, *others]
            finally:
                LOCK.release()

    def step_aside(self, key: Any, aside: Aside, plain: Callable[..., Any]) -> None:
        """Plain Python does calls of this form from now on."""
        if self.aside.pop(key, None) is None:  # an inner call of a recursion has done it
            return
        self.note(f"steps aside for calls like this: {aside.summary()}")

        def reopen(way: Plain) -> None:
            self.arrange(key, [f for f in self.fast[key] if f is not way])

        used = [f for f in self.fast.get(key, ()) if not isinstance(f, Choice)]  # others were for few calls
        self.arrange(key, [*used, Plain(plain, min(aside.plain), (), aside.failing, reopen)])

    def give_up(
        self, key: Any, why: str, args: tuple[Any, ...], kwargs: dict[str, Any], kept: list[Way]
    ) -> Any:
        """Plain Python does this call, and from now on those of its form that no way in `kept` is for."""
        self.note(f"graph break: it runs as Python: {why}")
        self.aside.pop(key, None)
        begin = perf_counter_ns()
        try:
            return self.fn(*args, **kwargs)
        finally:
            self.arrange(key, [*kept, Plain(self.fn, perf_counter_ns() - begin)])

    def add(self, key: Any, choice: Choice, tests: bool) -> None:
        """One more recording's fast ways, of which the best is to be found; `tests`: with tests on data."""
        self.arrange(key, [choice, *self.fast.get(key, ())])
        if not tests:
            return
        ways = self.branches.setdefault(key, [])
        ways.append(choice)
        most = BRANCHES if self.hits else min(FEW_BRANCHES, BRANCHES)
        if len(ways) > most:  # calls are recorded each time instead
            self.arrange(key, [f for f in self.fast[key] if f not in ways])
            self.unbranched.add(key)
            self.note(f"more than {most} ways through tests on data")

    def settle(self, key: Any, choice: Choice, name: str, way: Way) -> None:
        """A choice has been made."""
        if name == "native":
            self.known[key].native += 1
        reason = f"; not compiled: {choice.reason}" if choice.reason else ""
        self.note(f"{WAYS[name]} is the fastest ({choice.summary()}){reason}")
        for step in getattr(choice.ways.get("native"), "kept", ()):
            self.note(f"{step.line}: {step.what} stays NumPy's: {step.reason}")
        if key in self.branches:
            self.branches[key] = [way if f is choice else f for f in self.branches[key]]
        self.arrange(key, [way if f is choice else f for f in self.fast.get(key, ())])
