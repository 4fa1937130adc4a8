"""The way from a Python call into native code, in some 40 ns: a METH_FASTCALL function written as LLVM text.

Python calls `fn(frame, x0, x1, ...)` and gets the step's status (an int), or NotImplemented if an argument
is not exactly what the code was made for; then Python converts it, or raises a readable error. Each x must
be an exact ndarray (no subclass) of the right dtype object (so in native byte order), C-contiguous,
aligned, of the right rank, and of the sizes that the frame expects.

The frame is a one-dimensional C-contiguous int64 or uint64 array, a table of 8-byte slots:

    0 .. n-1                        the data pointers of the n arguments; the entry writes them
    dims_slot .. dims_slot + r - 1  the sizes that are expected, of all arguments one after the other (r:
    the sum of the ranks);
                                    the caller of the entry wrote them. `dims_slot` is n unless it is given
    the rest                        belongs to the step: buffers, sizes, arena, ...

The entry then calls `i64 step(ptr frame_table)`. Two threads may be inside at once if each has a frame of
its own.

Python's objects (the ndarray type, dtypes, NotImplemented) are external symbols which `symbols()` binds
when the object file is loaded, so that the file is the same in all processes and can be cached.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from graphc.codegen.errors import LinkError
from graphc.codegen.loader import Code
from graphc.codegen.text import Function

# PyArrayObject, the same in NumPy 1 and 2: `layout_is_known` looks whether it still is so.
_TYPE, _DATA, _RANK, _DIMS, _DTYPE, _FLAGS = 8, 16, 24, 32, 56, 64
_CONTIGUOUS_ALIGNED = 0x1 | 0x100
_WRITEABLE = 0x400
_METH_FASTCALL = 0x80

_DTYPES: dict[str, np.dtype] = {
    "bool": np.dtype(np.bool_),
    **{f"{kind}{8 * size}": np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)},
    **{f"f{8 * size}": np.dtype(f"f{size}") for size in (4, 8)},
}
_FUNCTIONS = ("PyEval_SaveThread", "PyEval_RestoreThread", "PyLong_FromLongLong", "Py_IncRef")
_ARRAY_TYPE, _NOT_IMPLEMENTED = "graphc_ndarray_type", "graphc_not_implemented"
_FLOAT_TYPE, _NUMBER = "graphc_float_type", 16  # where the value of a float or a NumPy scalar is


@functools.cache
def layout_is_known() -> bool:
    """Whether arrays of this NumPy lie in memory as the entry expects; if not, call the step through ctypes
    instead.
    """
    x = np.zeros((3, 5), "f4")

    def at(offset: int, kind: Any = ctypes.c_int64) -> Any:
        return kind.from_address(id(x) + offset).value

    return bool(
        at(_TYPE) == id(np.ndarray)
        and at(_DATA) == x.ctypes.data
        and at(_RANK, ctypes.c_int32) == 2
        and at(_DTYPE) == id(x.dtype)
        and at(_FLAGS, ctypes.c_int32) & (_CONTIGUOUS_ALIGNED | _WRITEABLE)
        == _CONTIGUOUS_ALIGNED | _WRITEABLE
        and list((ctypes.c_int64 * 2).from_address(at(_DIMS))) == [3, 5]
        and all(ctypes.c_double.from_address(id(n) + _NUMBER).value == 0.1 for n in _SAMPLES)
    )


_SAMPLES = (0.1, np.float64(0.1))


@functools.cache
def symbols() -> dict[str, int]:
    """The addresses in this process of everything that an entry refers to."""
    objects: dict[str, object] = {_ARRAY_TYPE: np.ndarray, _NOT_IMPLEMENTED: NotImplemented}
    objects |= {f"graphc_dtype_{name}": kind for name, kind in _DTYPES.items()}
    objects |= {f"graphc_scalar_{name}": kind.type for name, kind in _DTYPES.items()}
    objects[_FLOAT_TYPE] = float
    functions = {
        name: ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value for name in _FUNCTIONS
    }
    return {name: id(item) for name, item in objects.items()} | cast(dict[str, int], functions)


def entry_globals() -> str:
    """The declarations that a module with entries needs, for `module(top=...)`."""
    return "\n".join(f"@{name} = external global i8" for name in symbols() if name not in _FUNCTIONS)


def entry_text(
    name: str,
    step_symbol: str,
    arguments: Sequence[tuple[str, int]],
    release_gil: bool,
    dims_slot: int | None = None,
) -> str:
    """The entry `name` for arguments of (dtype, rank), which calls `i64 step_symbol(ptr frame_table)`.

    Releasing the GIL costs 30 to 40 ns: worth it from some microseconds of work on.
    """
    f = Function(name, "ptr %self, ptr %args, i64 %count", ret="ptr")
    first = len(arguments) if dims_slot is None else dims_slot
    _require(f, "i64", "%count", 1 + len(arguments))
    slots = first + sum(rank for _, rank in arguments)
    table = _checked_frame(f, f.load("ptr", "%args"), slots)
    at = first
    for i, (dtype, rank) in enumerate(arguments):
        data = _checked_argument(f, f.load("ptr", f.at("ptr", "%args", i + 1)), dtype, rank, table, at)
        f.store("ptr", data, f.at("i64", table, i))
        at += rank
    status = _call_step(f, step_symbol, table, release_gil)
    f.do(f"ret ptr {f(f'call ptr @PyLong_FromLongLong(i64 {status})')}")
    f.begin("unexpected")
    f.do(f"call void @Py_IncRef(ptr @{_NOT_IMPLEMENTED})")
    return f.text(f"ptr @{_NOT_IMPLEMENTED}")


def _call_step(f: Function, step: str, table: str, release_gil: bool) -> str:
    if not release_gil:
        return f(f"call i64 @{step}(ptr {table})")
    state = f("call ptr @PyEval_SaveThread()")
    status = f(f"call i64 @{step}(ptr {table})")
    f.do(f"call void @PyEval_RestoreThread(ptr {state})")
    return status


def _require(f: Function, ty: str, value: str, want: str | int) -> None:
    _go_on_if(f, f(f"icmp eq {ty} {value}, {want}"))


def _go_on_if(f: Function, condition: str) -> None:
    expected = f.label("expected")
    f.do(f"br i1 {condition}, label %{expected}, label %unexpected")
    f.begin(expected)


def _field(f: Function, ty: str, array: str, offset: int) -> str:
    return f.load(ty, f.at("i8", array, offset))


def _checked_array(f: Function, array: str, rank: int, flags: int) -> str:
    """Type, rank and flags; the address of the sizes."""
    _require(f, "ptr", _field(f, "ptr", array, _TYPE), f"@{_ARRAY_TYPE}")
    _require(f, "i32", _field(f, "i32", array, _RANK), rank)
    _require(f, "i32", f(f"and i32 {_field(f, 'i32', array, _FLAGS)}, {flags}"), flags)
    return _field(f, "ptr", array, _DIMS)


def _checked_frame(f: Function, frame: str, slots: int) -> str:
    dims = _checked_array(f, frame, 1, _CONTIGUOUS_ALIGNED | _WRITEABLE)
    dtype = _field(f, "ptr", frame, _DTYPE)
    matches = [f(f"icmp eq ptr {dtype}, @graphc_dtype_{name}") for name in ("i64", "u64")]
    _go_on_if(f, functools.reduce(f.either, matches))
    _go_on_if(f, f(f"icmp sge i64 {f.load('i64', dims)}, {slots}"))
    return _field(f, "ptr", frame, _DATA)


def _checked_number(f: Function, number: str, dtype: str) -> str:
    """The address of a number: in a NumPy scalar of that type, a Python float for f64, or an array of no
    dimensions.
    """
    place = f("alloca ptr")
    scalar, array, found = (f.label(x) for x in ("scalar", "array", "found"))
    kind = _field(f, "ptr", number, _TYPE)
    types = [f"graphc_scalar_{dtype}", *([_FLOAT_TYPE] if dtype == "f64" else [])]
    matches = [f(f"icmp eq ptr {kind}, @{name}") for name in types]
    f.do(f"br i1 {functools.reduce(f.either, matches)}, label %{scalar}, label %{array}")
    f.begin(scalar)
    f.store("ptr", f.at("i8", number, _NUMBER), place)
    f.do(f"br label %{found}")
    f.begin(array)
    f.store("ptr", _checked_argument(f, number, dtype, 0, "", 0), place)
    f.do(f"br label %{found}")
    f.begin(found)
    return f.load("ptr", place)


def _checked_argument(
    f: Function, array: str, dtype: str, rank: int, table: str, at: int, flags: int = _CONTIGUOUS_ALIGNED
) -> str:
    dims = _checked_array(f, array, rank, flags)
    _require(f, "ptr", _field(f, "ptr", array, _DTYPE), f"@graphc_dtype_{dtype}")
    for d in range(rank):
        size = f.load("i64", f.at("i64", dims, d))
        _require(f, "i64", size, f.load("i64", f.at("i64", table, at + d)))
    return _field(f, "ptr", array, _DATA)


class _MethodDefinition(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


def python_callable(code: Code, name: str) -> Callable[..., Any]:
    """The loaded entry `name` as a built-in function; it keeps the code alive.

    Raises
    ------
    LinkError
        This NumPy's arrays are not laid out as the entry expects (see `layout_is_known`).
    """
    if not layout_is_known():
        raise LinkError(f"arrays of NumPy {np.__version__} are laid out in a way that graphc does not know")
    definition = _MethodDefinition(name.encode(), code.address(name), _METH_FASTCALL, None)
    new = ctypes.pythonapi.PyCFunction_NewEx
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    make = prototype(ctypes.cast(new, ctypes.c_void_p).value or 0)
    # The function owns its `self`, which owns the definition and the code.
    return cast(Callable[..., Any], make(ctypes.addressof(definition), (definition, code), None))
