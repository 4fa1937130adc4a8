"""What a call did to outside objects: stores, list and set methods, printed lines; how later calls redo it.

`LINES` has the statement for each kind; {var} is the object, {key} a constant, {value} what is stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

LINES = {
    "attr": "{var}.{key} = {value}",
    "rawattr": "set_raw({var}, {key}, {value})",
    "delattr": "del {var}.{key}",
    "item": "{var}[{key}] = {value}",
    "rawitem": "store_raw({var}, {key}, {value})",
    "setslice": "{var}[{key}] = {value}",
    "delitem": "del {var}[{key}]",
    "appendleft": "{var}.appendleft({value})",
    "popleft": "{var}.popleft()",
    "popright": "{var}.pop()",
    "append": "{var}.append({value})",
    "insert": "{var}.insert({key}, {value})",
    "assign": "{var}[:] = {value}",
    "pop": "{var}.pop({key})",
    "clear": "{var}.clear()",
    "reverse": "{var}.reverse()",
    "add": "{var}.add({value})",
    "discard": "{var}.discard({value})",
    "call": "{var}(*{value}, **{key})",
}
NAMED = frozenset(["attr", "delattr"])
"""Kinds whose key is a name in the statement, not a constant."""


class Effect(NamedTuple):
    """`position`: how many nodes were recorded before it; `undo` takes it back."""

    position: int
    kind: str
    var: str
    key: Any
    value: Any
    undo: Callable[[], Any]


class Change:
    """How an outside container was before its length, order or keys changed in this call.

    `order`: for each present element of a list, its first position, or None for one that was stored in this
    call. `keys`: the keys of a dict, or the elements of a set, before the call.
    """

    __slots__ = ("appended_only", "keys", "length", "order")

    def __init__(self, x: Any) -> None:
        self.length = len(x)
        self.appended_only = True
        self.order: Any = list(range(len(x))) if isinstance(x, list) else None
        if isinstance(x, deque):
            self.order = deque(range(len(x)), x.maxlen)
        self.keys: Any = tuple(x) if isinstance(x, dict | set) else None
