"""What a recording does to outside objects: noted, taken back where it fails, and left with real values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.npjit import effects
from graphc.npjit.breaks import Break
from graphc.npjit.log import Node
from graphc.npjit.lookup import CLASS_ATTRIBUTES, raw_method
from graphc.npjit.publish import LEAVES, Publisher, item
from graphc.npjit.sizes import Sizes
from graphc.npjit.values import Num, Sym


class Outside(Sizes):
    """The part of a recording that knows what was changed outside of it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lent: list[tuple[Callable[[], Any], Callable[[Any], Any], Any, Any]] = []
        self.effects: list[effects.Effect] = []
        self.written: set[tuple[int, Any]] = set()
        self.added: set[tuple[int, Any]] = set()
        self.changes: dict[int, effects.Change] = {}
        self.slots: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []
        self.lists: dict[int, list[Any]] = {}
        self.lasting: dict[int, Any] = {}
        self.viewed: dict[int, list[dict[Any, Any]]] = {}
        self.namespaces: set[str] = set()
        self.rolled_back = False
        self.log: list[Node] = []
        self.done, self.differentiating, self.settled = 0, 0, False
        self.breaks: list[Break] = []

    def real(self, s: Sym) -> Any:
        raise AssertionError("a recording runs its log")

    def forget(self) -> None:
        """After foreign code: objects, lists and classes may be others than they were."""
        self.memo.clear()
        self.changes.clear()
        self.lists.clear()
        CLASS_ATTRIBUTES.clear()
        for s in self.syms.values():
            if s.real is not None:
                s.readonly = not s.real.flags.writeable

    def entangled(self) -> None:
        """Attributes are read by name and as a dict, and written in between."""
        self.stop("attributes as a dict", "use getattr and setattr")
        self.pathless = True

    def stop(self, why: str, remedy: str = "") -> None:
        raise AssertionError("a recording knows its breaks")

    def effect(self, kind: str, var: str | None, key: Any, value: Any, undo: Callable[[], Any]) -> None:
        """Note what was just done to an outside object."""
        assert var is not None
        if var in self.namespaces:
            self.entangled()
        self.effects.append(effects.Effect(len(self.log), kind, var, key, value, undo))

    def can_roll_back(self) -> bool:
        """Whether nothing has been written, drawn or printed."""
        drawn = any(n.impure for n in self.log[: self.done])
        return not (self.settled or self.breaks or drawn or any(e.kind == "call" for e in self.effects))

    def roll_back(self) -> bool:
        """Take back everything, if that can be done: as if the call had not begun."""
        if not self.can_roll_back():
            return False
        while self.effects:
            self.effects.pop().undo()
        self.rolled_back = True
        return True

    def finish(self) -> None:
        """Run what is pending, and leave only real values behind."""
        try:
            self.flush()
        finally:
            self.clean()

    def publish(self, x: Any, publisher: Publisher | None = None) -> Any:
        """x with every Sym and Num replaced by its real value."""
        return (publisher or Publisher(self))(x)

    def last(self, *made: Any) -> None:
        """Containers that were made in the call and that others hold: what is put into them later gets real
        values too.
        """
        for x in made:
            if (
                type(x) not in (Sym, Num, *LEAVES)
                and not isinstance(x, np.generic)
                and id(x) not in self.objects
            ):
                self.lasting[id(x)] = x

    def clean(self) -> None:
        """Real values into the dirty slots of outside objects."""
        publisher = Publisher(self)
        for v in self.lasting.values():
            publisher(v)
        for get, put in self.slots:
            try:
                v = get()
            except (KeyError, AttributeError, IndexError):
                continue
            self.last(v)
            n = publisher(v)
            if n is not v:
                put(n)
                if self.differentiating:
                    self.lent.append((get, put, v, n))
        for x in self.lists.values():
            order = self.changes[id(x)].order or ()
            for i, origin in enumerate(order):
                if origin is None:
                    v, n = x[i], publisher(x[i])
                    if n is not v:
                        put = functools.partial(raw_method(x, "__setitem__"), i)
                        put(n)
                        if self.differentiating:
                            self.lent.append((functools.partial(item, x, i), put, v, n))
        self.slots.clear()

    def take_back(self) -> None:
        """After a break in a differentiated function: deferred values in the place of real ones, where they
        still are.

        A real number in a list or attribute would be a constant for the gradient.
        """
        for get, put, deferred, real in self.lent:
            try:
                found = get()
            except (KeyError, AttributeError, IndexError, ValueError):
                continue
            if found is real:
                put(deferred)
                self.slots.append((get, put))
        self.lent.clear()
