"""The runtime's part for methods of lists, dicts, tuples and sets: done at once, and undone by a list."""

from __future__ import annotations

import functools
import operator
import types
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from graphc.npjit.builtin_calls import in_order
from graphc.npjit.lookup import in_class, key, raw_method
from graphc.npjit.surface import Surface

_MISSING = object()


class Containers(Surface):
    def container_method(self, x: Any, name: str, args: Any, kwargs: Any) -> Any:
        outside = self.rec.var(x) is not None
        if name in RELIES and any(_is_in_python(x, n) for n in (name, RELIES[name])):
            if outside:
                return self.opaque(raw_method(x, name), *args, **kwargs)
            args = [list(self.iter(a)) if isinstance(a, list) and self.rec.var(a) else a for a in args]
            return raw_method(x, name)(*args, **kwargs)
        if isinstance(x, dict):
            table = DICT_METHODS
        elif isinstance(x, list):
            table = LIST_METHODS
        elif isinstance(x, deque):
            table = DEQUE_METHODS
        else:
            table = SET_METHODS if isinstance(x, set) else {}
        handler = table.get(name)
        if handler is not None and (outside or name in BOTH):
            return handler(self, x, *args, **kwargs)
        if isinstance(x, tuple) and hasattr(x, "_fields") and name in ("_replace", "_asdict"):
            return self.named(x, name, kwargs)
        if name in ("index", "count", "copy") and not isinstance(x, dict | set | frozenset):
            elements = self.listed_in_full(x, name != "copy") if outside else x
            args = [self.listed_in_full(a, True) for a in args]
            return raw_method(elements, name)(*args, **kwargs)
        if not outside:
            args = [list(self.iter(a)) if isinstance(a, list) and self.rec.var(a) else a for a in args]
            return raw_method(x, name)(*args, **kwargs)
        if name in READ_ONLY:
            self.guard_structure(x)
            return raw_method(x, name)(*args, **kwargs)
        return self.opaque(raw_method(x, name), *args, **kwargs)

    def named(self, x: Any, name: str, changes: dict[str, Any]) -> Any:
        """A named tuple with other values, or its values by their names."""
        if not set(changes) <= set(x._fields):
            return getattr(x, name)(**changes)  # raises
        values = {**dict(zip(x._fields, self.iter(x), strict=True)), **changes}
        return values if name == "_asdict" else x._make(values.values())

    def edit(self, x: Any, kind: str, arguments: tuple[Any, ...]) -> Any:
        """A change of the order, length or keys of an outside container; gives what was taken out."""
        return EDITS[kind](self, x, *arguments)

    def appended(self, x: list[Any], v: Any) -> None:
        rec = self.rec
        change = self.changed(x)
        list.append(x, v)
        change.order.append(None)
        rec.lists[id(x)] = x
        rec.effect("append", rec.var(x), None, v, lambda: (x.pop(), change.order.pop()))

    def put_back(self, x: list[Any]) -> Callable[[], None]:
        """What takes a list back to how it is now."""
        order, saved, saved_order = self.changed(x).order, list(x), list(self.changed(x).order)

        def undo() -> None:
            for sequence, contents in ((x, saved), (order, saved_order)):
                raw_method(sequence, "clear")()
                raw_method(sequence, "extend")(contents)

        return undo

    def reordered(self, x: list[Any], kind: str, k: Any, v: Any, do: Callable[[list[Any]], Any]) -> Any:
        """Any other method of a list: `do` is done to it and to the list of first positions alike."""
        rec = self.rec
        change, undo = self.changed(x), self.put_back(x)
        self.guard_structure(x)
        change.appended_only = False
        r = do(x)
        do(change.order)
        rec.lists[id(x)] = x
        rec.effect(kind, rec.var(x), k, v, undo)
        return r

    def taken(self, x: list[Any], i: Any, kind: str) -> Any:
        """list.pop, del: the element goes out by its path."""
        self.guard_structure(x)
        i = self.steered(i)
        if not x:
            x.pop()  # raises
        v = self.rec.wrap(x[i], self.item_path(x, i))
        self.reordered(x, kind, i, None, functools.partial(_pop, i))
        return v

    def list_insert(self, x: list[Any], i: Any, v: Any) -> None:
        i = self.steered(i)
        change, undo = self.changed(x), self.put_back(x)
        self.guard_structure(x)
        list.insert(x, i, v)
        change.order.insert(i, None)
        self.rec.lists[id(x)] = x
        self.rec.effect("insert", self.rec.var(x), i, v, undo)

    def list_sort(self, x: list[Any], *, key: Any = None, reverse: Any = False) -> None:
        keys = [self.steered(self.call(key, v) if key is not None else v) for v in self.iter(x)]
        keys = in_order(self, keys)
        places = sorted(range(len(x)), key=keys.__getitem__, reverse=bool(reverse))
        self.iter(x)
        values = [self.rec.wrap(x[i], self.item_path(x, i)) for i in places]
        self.reordered(
            x, "assign", None, values, lambda y: operator.setitem(y, slice(None), [y[i] for i in places])
        )

    def queued(self, x: Any, kind: str, v: Any) -> None:
        """deque.append and appendleft: at its full length an element falls off the other end."""
        self.guard_structure(x)
        undo, change = self.put_back(x), self.changed(x)
        getattr(x, kind)(v)
        getattr(change.order, kind)(None)
        self.rec.lists[id(x)] = x
        self.rec.effect(kind, self.rec.var(x), None, v, undo)

    def unqueued(self, x: Any, kind: str, i: int) -> Any:
        """deque.pop and popleft."""
        self.guard_structure(x)
        if not x:
            getattr(x, kind)()  # raises
        v = self.rec.wrap(x[i], self.item_path(x, i))
        undo, change = self.put_back(x), self.changed(x)
        getattr(x, kind)()
        getattr(change.order, kind)()
        self.rec.lists[id(x)] = x
        self.rec.effect(kind if kind == "popleft" else "popright", self.rec.var(x), None, None, undo)
        return v

    def list_remove(self, x: list[Any], v: Any) -> None:
        i = self.listed_in_full(x, True).index(self.listed_in_full(v, True))
        self.taken(x, i, "delitem")

    def dict_taken(self, x: dict[Any, Any], k: Any, *default: Any) -> Any:
        k = self.steered(k)
        if not self.contains(x, k):
            return default[0] if default else x.pop(k)
        v = self.element(x, k)
        rec, saved = self.rec, dict(x)
        self.changed(x)
        raw_method(x, "__delitem__")(k)
        for seen in rec.viewed.get(id(x), ()):
            seen.pop(k, None)
        rec.written.add((id(x), key(k)))
        rec.effect("delitem", rec.var(x), k, None, functools.partial(_restore, x, saved))
        return v

    def dict_clear(self, x: dict[Any, Any]) -> None:
        rec, saved = self.rec, dict(x)
        self.guard_structure(x)
        self.changed(x)
        rec.written.update((id(x), key(k)) for k in x)
        raw_method(x, "clear")()
        for seen in rec.viewed.get(id(x), ()):
            seen.clear()
        rec.effect("clear", rec.var(x), None, None, functools.partial(_restore, x, saved))

    def dict_popitem(self, x: dict[Any, Any], last: bool = True) -> Any:
        self.guard_structure(x)
        if not x or (type(x) is dict and not last):
            type(x).popitem(x, **({} if last else {"last": last}))  # raises
        k = next(reversed(x) if last else iter(x))
        return k, self.dict_taken(x, k)

    def set_change(self, kind: str, x: set[Any], v: Any) -> None:
        rec, v = self.rec, self.steered(v)
        self.contains(x, v)
        self.changed(x)
        saved = set(x)
        rec.written.add((id(x), key(v)))
        getattr(set, kind)(x, v)
        rec.effect(kind, rec.var(x), None, v, functools.partial(_restore, x, saved))

    def dict_update(self, x: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
        other = args[0] if args else ()
        if isinstance(other, dict):
            pairs = [(k, self.element(other, k)) for k in self.iter(other)]
        else:
            pairs = [tuple(self.iter(p)) for p in self.iter(other)]
        for k, v in [*pairs, *kwargs.items()]:
            self.setitem(v, x, k)

    def dict_get(self, x: dict[Any, Any], k: Any, default: Any = None) -> Any:
        return self.element(x, k) if self.contains(x, k) else default

    def dict_setdefault(self, x: dict[Any, Any], k: Any, default: Any = None) -> Any:
        if not self.contains(x, k):
            self.setitem(default, x, k)
        return self.element(x, k)

    def snapshot(self, x: dict[Any, Any]) -> dict[Any, Any]:
        """An outside dict with its values by their paths."""
        return {k: self.element(x, k) for k in self.iter(x)}

    def in_view(self, x: dict[Any, Any], with_values: bool = True) -> dict[Any, Any]:
        """The same for `keys()` and its like: what is stored in x later is seen there too."""
        found = self.snapshot(x) if with_values else dict.fromkeys(self.iter(x))
        self.rec.viewed.setdefault(id(x), []).append(found)
        return found

    def dict_copy(self, x: dict[Any, Any]) -> Any:
        if isinstance(x, defaultdict):
            return type(x)(x.default_factory, self.snapshot(x))
        return type(x)(self.snapshot(x))

    def list_extend(self, x: list[Any], values: Any) -> None:
        for v in list(self.iter(values)):
            self.appended(x, v)


def _is_in_python(x: Any, name: str) -> bool:
    """Whether the class of x has a method of its own."""
    return type(in_class(type(x), name)) is types.FunctionType


def _pop(i: int, x: list[Any]) -> Any:
    return list.pop(x, i)


def _restore(x: Any, saved: Any) -> None:
    x.clear()
    x.update(saved)


def _set_slice(rt: Any, x: list[Any], k: slice, values: list[Any]) -> None:
    change, undo = rt.changed(x), rt.put_back(x)
    rt.guard_structure(x)
    list.__setitem__(x, k, values)
    change.order[k] = [None] * len(values)
    rt.rec.lists[id(x)] = x
    rt.rec.effect("setslice", rt.rec.var(x), k, values, undo)


def _del_item(rt: Any, x: Any, k: Any) -> None:
    if isinstance(x, dict):
        if not rt.contains(x, k):
            del x[k]  # raises
        rt.dict_taken(x, k)
    elif type(k) is slice:
        rt.reordered(x, "delitem", k, None, functools.partial(_del, k))
    else:
        x[k]  # raises where there is none
        rt.taken(x, k, "delitem")


def _del(k: slice, x: list[Any]) -> None:
    del x[k]


EDITS: dict[str, Callable[..., Any]] = {"setslice": _set_slice, "delitem": _del_item}
LIST_METHODS: dict[str, Callable[..., Any]] = {
    "append": lambda rt, x, v: rt.appended(x, v),
    "extend": lambda rt, x, v: rt.list_extend(x, v),
    "pop": lambda rt, x, i=-1: rt.taken(x, i, "pop"),
    "insert": lambda rt, x, i, v: rt.list_insert(x, i, v),
    "clear": lambda rt, x: rt.reordered(x, "clear", None, None, list.clear),
    "reverse": lambda rt, x: rt.reordered(x, "reverse", None, None, list.reverse),
    "sort": lambda rt, x, **options: rt.list_sort(x, **options),
    "remove": lambda rt, x, v: rt.list_remove(x, v),
}
DICT_METHODS: dict[str, Callable[..., Any]] = {
    "items": lambda rt, x: rt.in_view(x).items(),
    "values": lambda rt, x: rt.in_view(x).values(),
    "keys": lambda rt, x: rt.in_view(x, False).keys(),
    "get": lambda rt, x, k, d=None: rt.dict_get(x, k, d),
    "setdefault": lambda rt, x, k, d=None: rt.dict_setdefault(x, k, d),
    "update": lambda rt, x, *a, **k: rt.dict_update(x, *a, **k),
    "copy": lambda rt, x: rt.dict_copy(x),
    "pop": lambda rt, x, k, *d: rt.dict_taken(x, k, *d),
    "popitem": lambda rt, x, **options: rt.dict_popitem(x, **options),
    "clear": lambda rt, x: rt.dict_clear(x),
}
DEQUE_METHODS: dict[str, Callable[..., Any]] = {
    "append": lambda rt, x, v: rt.queued(x, "append", v),
    "appendleft": lambda rt, x, v: rt.queued(x, "appendleft", v),
    "pop": lambda rt, x: rt.unqueued(x, "pop", -1),
    "popleft": lambda rt, x: rt.unqueued(x, "popleft", 0),
    "clear": lambda rt, x: rt.reordered(x, "clear", None, None, lambda y: y.clear()),
}
SET_METHODS: dict[str, Callable[..., Any]] = {
    "add": lambda rt, x, v: rt.set_change("add", x, v),
    "discard": lambda rt, x, v: rt.set_change("discard", x, v),
}
RELIES = {
    **dict.fromkeys(("append", "extend", "insert", "remove", "reverse", "clear", "add", "discard"), ""),
    **dict.fromkeys(("appendleft", "popleft"), ""),
    **dict.fromkeys(("pop", "popitem"), "__delitem__"),
    **dict.fromkeys(("sort", "update", "setdefault"), "__setitem__"),
}
"""Methods that change a container, and the operation by which it is done here or in later calls, which a
class must not have made its own.
"""
BOTH = frozenset(["get", "setdefault", "copy", "update"])
"""Methods that are handled for containers made in the call as well: keys and defaults may be symbolic."""
READ_ONLY = frozenset(
    ["union", "intersection", "difference", "issubset", "issuperset", "isdisjoint", "__len__"]
)
