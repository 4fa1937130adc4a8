"""The runtime's part for items: of arrays, and of the user's lists, dicts and sets."""

from __future__ import annotations

import collections
import functools
import operator
import types
from typing import Any

import numpy as np

from graphc.npjit.attributes import PLAIN
from graphc.npjit.effects import Change
from graphc.npjit.inputs import NUMBER
from graphc.npjit.lookup import in_class, is_array, key, raw_method
from graphc.npjit.rewrite import Slots
from graphc.npjit.surface import Surface
from graphc.npjit.values import Num, Sym, settled

INDEX_OBJECTS = (type(np.r_), type(np.c_), type(np.s_), type(np.mgrid), type(np.ogrid))
_MISSING = object()


class Items(Surface):
    # ---- reading

    def getitem(self, x: Any, k: Any) -> Any:
        t, rec = type(x), self.rec
        if rec is None:
            return settled(x)[settled_key(k)]
        if t is Sym or (t is np.ndarray and is_array(x)):
            if t is Sym and x.meta.kind == "object":
                return self.given(rec.force(x, "item of a Python object made from data")[self.steered(k)])
            return rec.record(operator.getitem, (x, self.absorb(k)), getitem=True)
        if isinstance(x, INDEX_OBJECTS):
            return rec.record(x.__getitem__, (self.absorb(k),))
        f = in_class(t, "__getitem__")
        return self.call(f, x, k) if type(f) is types.FunctionType else self.element(x, k)

    def element(self, x: Any, k: Any) -> Any:
        """An item of a container itself, past what its class says in Python."""
        t, rec = type(x), self.rec
        if type(k) is Num and self._moves(x, k):
            return rec.wrap(x[k.value], f"{rec.var(x)}[{k.expr}]")
        k = self.steered(k)
        if type(k) is slice and isinstance(x, list | tuple) and rec.var(x) is not None:
            self.guard_structure(x)
            elements = [self.element(x, i) for i in range(*k.indices(len(x)))]
            return elements if isinstance(x, list) else tuple(elements)
        if isinstance(x, dict) and k not in x and in_class(t, "__missing__") is not None:
            return self._missing(x, k)
        v = (
            x[k]
            if type(in_class(t, "__getitem__")) is not types.FunctionType
            else raw_method(x, "__getitem__")(k)
        )
        if id(x) in rec.tainted:
            return rec.tainted[id(x)].tracked(v)
        return rec.wrap(v, self.item_path(x, k)) if t is not np.ndarray else self.given(v)

    def given(self, v: Any) -> Any:
        """What an outside iterator or an array of objects gives: no path leads there, but others see what is
        stored in it.
        """
        rec = self.rec
        if isinstance(v, (*NUMBER, *PLAIN, Sym, Num)) or rec.var(v) is not None:
            return v
        rec.leak("a value without a path")
        return rec.wrap(v, f"given_{rec.new('g')}")

    def _moves(self, x: Any, k: Num) -> bool:
        """Whether an element of an outside list or tuple has another number in each call, as batches have."""
        rec = self.rec
        if type(x) not in (list, tuple) or rec.var(x) is None or id(x) in rec.changes or id(x) in rec.tainted:
            return False
        if not isinstance(k.value, int | np.integer) or not -len(x) <= k.value < len(x):
            return False
        v = x[k.value]
        return rec.moves((k,), (type(v), v.shape, v.dtype) if is_array(v) else type(v))

    def _missing(self, x: Any, k: Any) -> Any:
        """A key that is not in a dict of a class with `__missing__`."""
        f = in_class(type(x), "__missing__")
        self.contains(x, k)
        if f is collections.Counter.__missing__:
            return 0
        if type(f) is types.FunctionType:
            return self.call(f, x, k)
        if not isinstance(x, collections.defaultdict) or x.default_factory is None:
            return x[k]
        v = self.call(x.default_factory)
        self.store_item(v, x, k)
        return v

    def item_path(self, x: Any, k: Any) -> str | None:
        """The path of x[k], as it was before the call; None if it was stored in this call or x has none."""
        rec = self.rec
        var = rec.var(x)
        if var is None:
            return None
        if (
            isinstance(x, list | collections.deque)
            and id(x) in rec.changes
            and isinstance(k, int | np.integer)
        ):
            order = rec.changes[id(x)].order or ()
            if k < 0:
                self.guard_structure(x)
            first = order[k]
            return None if first is None else self._path(x, var, str(first))
        return None if (id(x), key(k)) in rec.written else self._path(x, var, rec.const(k))

    def _path(self, x: Any, var: str, k: str) -> str:
        """The text of an item that is read past what its class says."""
        own = type(in_class(type(x), "__getitem__")) is types.FunctionType
        return f"{self.rec.const(raw_item)}({var}, {k})" if own else f"{var}[{k}]"

    def steered(self, k: Any) -> Any:
        """A key or index with its value, guarded."""
        t, rec = type(k), self.rec
        if rec is None:
            return settled_key(k)
        if t is Num:
            return k.steer()
        if t is Sym:
            return rec.force(k, "an index from data")
        if isinstance(k, tuple):
            parts = [self.steered(e) for e in (self.iter(k) if rec.var(k) is not None else k)]
            return tuple(parts) if t is tuple else t(*parts) if hasattr(t, "_fields") else k
        if t is slice:
            return slice(self.steered(k.start), self.steered(k.stop), self.steered(k.step))
        var = rec.var(k)
        if isinstance(k, set | frozenset):
            self.guard_structure(k)
        elif var is not None and var not in rec.consts and not isinstance(k, list | dict | collections.deque):
            rec.guard(f"{var} is not {rec.const(k)}")  # how it is hashed and compared, its class says
        return k

    def all_steered(self, x: Any) -> list[Any]:
        """The elements of x with their values, guarded."""
        return [self.steered(v) for v in self.iter(x)]

    # ---- storing

    def setitem(self, v: Any, x: Any, k: Any) -> None:
        t, rec = type(x), self.rec
        if rec is None:
            settled(x)[settled_key(k)] = settled(v)
            return
        if t is np.ndarray and is_array(x):
            x, t = rec.array(x, None), Sym
        if t is Sym and x.meta.kind == "array":
            rec.change(x, operator.setitem, (x, self.absorb(k), self.absorb(v)))
            return
        f = in_class(t, "__setitem__") if t is not Sym else None
        if type(f) is types.FunctionType:
            self.call(f, x, k, v)
        elif t is Sym or not isinstance(x, dict | list):
            self.opaque(operator.setitem, x, k, v)
        else:
            self.store_item(v, x, self.steered(k))

    def store_item(self, v: Any, x: Any, k: Any) -> None:
        """The store into a dict or list itself."""
        var = self.rec.var(x)
        if var is None:
            raw_method(x, "__setitem__")(k, v)
        elif isinstance(x, dict):
            self.put(x, k, v, var)
        elif type(k) is slice:
            self.edit(x, "setslice", (k, list(self.iter(v))))
        else:
            self._put_in_list(x, k, v, var)

    def put(self, x: dict[Any, Any], k: Any, v: Any, var: str) -> None:
        """A store into an outside dict (or a module's globals)."""
        rec = self.rec
        old, store = dict.get(x, k, _MISSING), raw_method(x, "__setitem__")
        if old is _MISSING:
            self.changed(x)
        store(k, v)
        for seen in rec.viewed.get(id(x), ()):
            seen[k] = v
        rec.written.add((id(x), key(k)))
        undo = functools.partial(store, k, old)
        if old is _MISSING:
            undo = functools.partial(raw_method(x, "pop"), k)
        by_class = type(in_class(type(x), "__setitem__")) is types.FunctionType
        rec.effect("rawitem" if by_class else "item", var, k, v, undo)
        if type(v) not in PLAIN:
            rec.slots.append((functools.partial(_held, x, k), functools.partial(store, k)))

    def _put_in_list(self, x: list[Any], k: Any, v: Any, var: str) -> None:
        if k < 0:
            self.guard_structure(x)
        list.__getitem__(x, k)  # raises where there is none
        k = range(len(x))[k]
        change, undo = self.changed(x), self.put_back(x)
        list.__setitem__(x, k, v)
        assert change.order is not None
        change.order[k] = None
        self.rec.lists[id(x)] = x
        self.rec.effect("item", var, k, v, undo)

    def items(self, x: Any) -> Slots:
        """For items as parts of targets: `items(x)[k] = v`."""
        return Slots(lambda k, v: self.setitem(v, x, k), lambda k: self.delitem(x, k))

    def item_slot(self, x: Any, k: Any) -> tuple[Any, Any, Any]:
        """The place `x[k]` of an augmented assignment, and the value that stands there."""
        return x, k, self.getitem(x, k)

    def iitem(self, op: str, slot: tuple[Any, Any, Any], v: Any) -> None:
        x, k, old = slot
        new = self.iop(op, old, v)
        if new is not old or not self._is_view_of(old, x):  # a view has been changed in its place
            self.setitem(new, x, k)

    def _is_view_of(self, v: Any, x: Any) -> bool:
        if type(v) is not Sym or v.storage is None or self.rec is None:
            return False
        base = self.rec.array(x, None) if is_array(x) else x
        return type(base) is Sym and base.storage is v.storage

    def delitem(self, x: Any, k: Any) -> None:
        rec = self.rec
        if rec is None:
            del settled(x)[settled_key(k)]
            return
        f = in_class(type(x), "__delitem__")
        if type(f) is types.FunctionType:
            self.call(f, x, k)
            return
        k = self.steered(k)
        if rec.var(x) is None or not isinstance(x, list | dict):
            operator.delitem(x, k)
        else:
            self.edit(x, "delitem", (k,))

    # ---- structure

    def changed(self, x: Any) -> Change:
        """Before the keys, the length or the order of an outside container change."""
        changes = self.rec.changes
        if id(x) not in changes:
            changes[id(x)] = Change(x)
        return changes[id(x)]

    def guard_structure(self, x: Any) -> None:
        """The keys or the length steer the program: what later calls must find."""
        rec = self.rec
        var = rec.var(x)
        if var is None:
            return
        change = rec.changes.get(id(x))
        if isinstance(x, dict | set | frozenset):
            rec.guard(f"tuple({var}) != {rec.const(change.keys if change is not None else tuple(x))}")
        else:
            rec.guard(f"len({var}) != {change.length if change is not None else len(x)}")

    def contained(self, k: Any, x: Any) -> bool:
        return self.contains(x, k)

    def contains(self, x: Any, k: Any) -> bool:
        rec = self.rec
        if rec is None:
            return settled(k) in settled(x)
        t = type(x)
        if t in (str, bytes, range):
            return self.steered(k) in x
        f = in_class(t, "__contains__")
        if type(f) is types.FunctionType:
            return self.truth(self.call(f, x, k))
        if t is Sym and x.meta.kind == "object":
            return self.contains(rec.force(x, "a Python object made from data"), k)
        if t is Sym or is_array(x):
            return bool(rec.record(operator.contains, (x, k)))
        if not isinstance(x, dict | set | frozenset):
            return any(k is v or self.truth(self.op("eq", v, k)) for v in self.iter(x))
        k = self.steered(k)
        found = k in x
        var = rec.var(x)
        if var is not None and (id(x), key(k)) not in rec.written:
            rec.guard(f"({rec.const(k)} in {var}) is not {found}")
        return found


def settled_key(k: Any) -> Any:
    """A key with the values of what its recording left in it."""
    if type(k) is tuple:
        return tuple([settled_key(e) for e in k])
    if type(k) is slice:
        return slice(settled(k.start), settled(k.stop), settled(k.step))
    return settled(k)


def raw_item(x: Any, k: Any) -> Any:
    """x[k], past what the class of x says in Python."""
    return raw_method(x, "__getitem__")(k)


def _held(x: dict[Any, Any], k: Any) -> Any:
    """What a dict has for a key, without what its class would make for a missing one."""
    found = dict.get(x, k, _MISSING)
    if found is _MISSING:
        raise KeyError(k)
    return found
