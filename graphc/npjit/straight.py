"""Calls that plain Python does for good go straight to it, in machine code: some 40 ns each.

`*args, **kwargs` of a Python method cost ten times that. Objects are made of a class in C that has only one
thing more than its base: Python's vectorcall protocol, with these fields behind the base's own:

    0  vectorcall   the machine code, or 0: then the class's `__call__` is called, as always
    1  total        calls that went straight
    2  mask         where total & mask is 0, a call is looked at
    3  form         how many arguments a straight call has, and whether some have names; -1 for any
    4  straight     the function that does the calls
    5  look         what does each so manieth call
    6  long         what does calls of other forms

Methods are found as those of functions are: without a Python function that makes them.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
import sysconfig
import types
from collections.abc import Callable
from typing import Any

from graphc.codegen import target as targets
from graphc.codegen.errors import LinkError
from graphc.codegen.loader import Code, stored_object

VECTORCALL, TOTAL, MASK, FORM, STRAIGHT, LOOK, LONG, FIELDS = range(8)
ANY, NAMED = -1, 1 << 62
KNOWN = ((3, 11),)
"""Versions of Python for which this was tried; on others all calls go the long way."""
DESCR_GET, MEMBERS, SIZE, READONLY = 54, 72, 19, 1  # Py_tp_descr_get, Py_tp_members, T_PYSSIZET
MANAGED_DICT = 1 << 4
BASE, HAVE_VECTORCALL, METHOD_DESCRIPTOR, VERSIONED = 1 << 10, 1 << 11, 1 << 17, 1 << 18

_TEXT = """
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)

define ptr @call(ptr %self, ptr %args, i64 %count, ptr %names) nounwind {{
  %fields = getelementptr i8, ptr %self, i64 {offset}
  %total.at = getelementptr i64, ptr %fields, i64 1
  %mask.at = getelementptr i64, ptr %fields, i64 2
  %form.at = getelementptr i64, ptr %fields, i64 3
  %straight.at = getelementptr ptr, ptr %fields, i64 4
  %look.at = getelementptr ptr, ptr %fields, i64 5
  %long.at = getelementptr ptr, ptr %fields, i64 6
  %form = load i64, ptr %form.at
  %given = and i64 %count, {most}
  %no.names = icmp eq ptr %names, null
  %named = select i1 %no.names, i64 0, i64 {named}
  %this = or i64 %given, %named
  %same = icmp eq i64 %this, %form
  %any = icmp eq i64 %form, -1
  %fits = or i1 %same, %any
  br i1 %fits, label %counted, label %long
counted:
  %total = load i64, ptr %total.at
  %more = add i64 %total, 1
  store i64 %more, ptr %total.at
  %mask = load i64, ptr %mask.at
  %low = and i64 %more, %mask
  %turn = icmp eq i64 %low, 0
  br i1 %turn, label %look, label %straight
straight:
  %f = load ptr, ptr %straight.at
  %r = tail call ptr @PyObject_Vectorcall(ptr %f, ptr %args, i64 %count, ptr %names)
  ret ptr %r
look:
  %g = load ptr, ptr %look.at
  %s = tail call ptr @PyObject_Vectorcall(ptr %g, ptr %args, i64 %count, ptr %names)
  ret ptr %s
long:
  %h = load ptr, ptr %long.at
  %t = tail call ptr @PyObject_Vectorcall(ptr %h, ptr %args, i64 %count, ptr %names)
  ret ptr %t
}}
"""


class Straight:
    """The base of objects that can hand their calls to a function."""

    _straight: tuple[Callable[..., Any], ...] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(_CLASSES.get(cls) or _class_of(cls))

    def _fields(self) -> Any:
        """The fields, as integers; None where the class has none."""
        base = type(self).__base__
        if type(self) not in _IN_C or base is None:
            return None
        return (ctypes.c_int64 * FIELDS).from_address(id(self) + base.__basicsize__)

    def go_straight(
        self, fn: Callable[..., Any], look: Callable[..., Any], every: int, form: int = ANY
    ) -> bool:
        """Let `fn` do the calls of a form, `look` each `every`th of them (a power of 2), and `__call__` those
        of other forms.

        False where that can't be done: then nothing changes.
        """
        fields, base = self._fields(), type(self).__base__
        code = _code(base.__basicsize__) if fields is not None and base is not None else None
        if code is None:
            return False
        self.go_long()
        long = type(self).__call__.__get__(self)
        self._straight = fn, look, long  # the fields own nothing
        fields[TOTAL], fields[MASK], fields[FORM] = 0, every - 1, form
        fields[STRAIGHT], fields[LOOK], fields[LONG] = id(fn), id(look), id(long)
        fields[VECTORCALL] = code.address("call")
        return True

    def go_long(self) -> int:
        """Let `__call__` do all calls again; how many went straight."""
        fields = self._fields()
        if fields is None or not fields[VECTORCALL]:
            return 0
        fields[VECTORCALL] = 0
        return int(fields[TOTAL])

    def __del__(self) -> None:
        try:  # collected with what the fields refer to: no call goes straight then
            self.go_long()
        except Exception:  # the interpreter ends, and modules are empty
            return

    @property
    def straight_calls(self) -> int:
        """How many calls went straight since they began to."""
        fields = self._fields()
        return int(fields[TOTAL]) if fields is not None and fields[VECTORCALL] else 0


def form_of(count: int, *names: str) -> int:
    """The form of calls with so many arguments without names, and with others of these names."""
    return count | (NAMED if names else 0)


class _Member(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


class _Slot(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int), ("value", ctypes.c_void_p)]


class _Spec(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("size", ctypes.c_int),
        ("item", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.c_void_p),
    ]


_CLASSES: dict[type, type] = {}
"""The class in C of each class; where there is none, and of those in C themselves, the same class."""
_IN_C: set[type] = set()
_FOREVER: list[Any] = []
"""What classes in C refer to."""


def _class_of(cls: type) -> type:
    made = cls
    if is_known():
        with contextlib.suppress(Exception):
            made = _made(cls)
            _IN_C.update({made} - {cls})
    return _CLASSES.setdefault(cls, _CLASSES.setdefault(made, made))


def is_known() -> bool:
    """Whether calls can go straight in this Python."""
    return (
        sys.implementation.name == "cpython"
        and sys.version_info[:2] in KNOWN
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and ctypes.sizeof(ctypes.c_void_p) == 8
    )


def _made(cls: type) -> type:
    """A class in C: the same, with the fields."""
    size = cls.__basicsize__
    if size % 8:
        return cls
    members = (_Member * 2)(_Member(b"__vectorcalloffset__", SIZE, size, READONLY, None))
    api = ctypes.pythonapi
    get_slot = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_int)(("PyType_GetSlot", api))
    slots = (_Slot * 3)(
        _Slot(DESCR_GET, get_slot(types.FunctionType, DESCR_GET)),
        _Slot(MEMBERS, ctypes.addressof(members)),
    )
    name = f"{cls.__module__}.{cls.__qualname__}".encode()
    flags = BASE | HAVE_VECTORCALL | METHOD_DESCRIPTOR | VERSIONED
    spec = _Spec(name, size + 8 * FIELDS, 0, flags, ctypes.addressof(slots))
    _FOREVER.append((members, slots, name, spec))
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object)
    made: type = prototype(("PyType_FromSpecWithBases", api))(ctypes.addressof(spec), (cls,))
    inherits = all(getattr(made, n) == getattr(cls, n) for n in ("__dictoffset__", "__weakrefoffset__"))
    inherits = inherits and not (made.__flags__ ^ cls.__flags__) & MANAGED_DICT
    return made if inherits else cls


@functools.cache
def _code(offset: int) -> Code | None:
    """The machine code for fields at an offset; None where there is no machine code."""
    machine = targets.host()
    text = _TEXT.format(offset=offset, most=(1 << 62) - 1, named=NAMED)
    try:
        data = stored_object(text, lambda: text, machine)
        address = ctypes.cast(ctypes.pythonapi.PyObject_Vectorcall, ctypes.c_void_p).value
        code = Code([data], machine, {"PyObject_Vectorcall": address or 0})
    except (LinkError, OSError, ImportError):
        return None
    code.keep_forever()  # a thread may be inside when the interpreter ends
    return code
