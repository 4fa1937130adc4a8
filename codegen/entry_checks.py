"""The checks of a native call's arguments, and the call of the step, as LLVM text.

A call is `fn(frame, x0, x1, ...)`. Where an argument is not exactly what the code was made for, the function
goes to its label `unexpected`, which gives NotImplemented: then Python converts it, or raises a readable
error. Each x must be an exact ndarray (no subclass) of the right dtype object (so in native byte order),
C-contiguous, aligned, of the right rank, and of the sizes that the frame expects.

The frame is a one-dimensional C-contiguous int64 or uint64 array, a table of 8-byte slots: the data pointers
of the arguments, which the entry writes; the sizes that are expected, of all arguments one after the other;
and what the step needs (buffers, sizes, arena, ...). Two threads may be inside at once if each has a frame
of its own.
"""

from __future__ import annotations

import functools

from graphc.codegen.entry import (
    ARRAY_TYPE,
    CONTIGUOUS_ALIGNED,
    DATA,
    DIMS,
    DTYPE,
    FLAGS,
    FLOAT_TYPE,
    NUMBER,
    RANK,
    TYPE,
    WRITEABLE,
)
from graphc.codegen.text import Function


def call_step(f: Function, step: str, table: str, release_gil: bool) -> str:
    """The status of `i64 step(ptr table)`. Releasing the GIL costs 30 to 40 ns: worth it from some
    microseconds of work on.
    """
    if not release_gil:
        return f(f"call i64 @{step}(ptr {table})")
    state = f("call ptr @PyEval_SaveThread()")
    status = f(f"call i64 @{step}(ptr {table})")
    f.do(f"call void @PyEval_RestoreThread(ptr {state})")
    return status


def require(f: Function, ty: str, value: str, want: str | int) -> None:
    """Go on only where a value is as wanted."""
    _go_on_if(f, f(f"icmp eq {ty} {value}, {want}"))


def _go_on_if(f: Function, condition: str) -> None:
    expected = f.label("expected")
    f.do(f"br i1 {condition}, label %{expected}, label %unexpected")
    f.begin(expected)


def field(f: Function, ty: str, array: str, offset: int) -> str:
    """What lies at a place of a Python object."""
    return f.load(ty, f.at("i8", array, offset))


def _checked_array(f: Function, array: str, rank: int, flags: int) -> str:
    """Type, rank and flags; the address of the sizes."""
    require(f, "ptr", field(f, "ptr", array, TYPE), f"@{ARRAY_TYPE}")
    require(f, "i32", field(f, "i32", array, RANK), rank)
    require(f, "i32", f(f"and i32 {field(f, 'i32', array, FLAGS)}, {flags}"), flags)
    return field(f, "ptr", array, DIMS)


def checked_frame(f: Function, frame: str, slots: int) -> str:
    """The table of a frame that has at least so many slots."""
    dims = _checked_array(f, frame, 1, CONTIGUOUS_ALIGNED | WRITEABLE)
    dtype = field(f, "ptr", frame, DTYPE)
    matches = [f(f"icmp eq ptr {dtype}, @graphc_dtype_{name}") for name in ("i64", "u64")]
    _go_on_if(f, functools.reduce(f.either, matches))
    _go_on_if(f, f(f"icmp sge i64 {f.load('i64', dims)}, {slots}"))
    return field(f, "ptr", frame, DATA)


def checked_number(f: Function, number: str, dtype: str) -> str:
    """The address of a number: in a NumPy scalar of that type, a Python float for f64, or an array of no
    dimensions.
    """
    place = f("alloca ptr")
    scalar, array, found = (f.label(x) for x in ("scalar", "array", "found"))
    kind = field(f, "ptr", number, TYPE)
    types = [f"graphc_scalar_{dtype}", *([FLOAT_TYPE] if dtype == "f64" else [])]
    matches = [f(f"icmp eq ptr {kind}, @{name}") for name in types]
    f.do(f"br i1 {functools.reduce(f.either, matches)}, label %{scalar}, label %{array}")
    f.begin(scalar)
    f.store("ptr", f.at("i8", number, NUMBER), place)
    f.do(f"br label %{found}")
    f.begin(array)
    f.store("ptr", checked_argument(f, number, dtype, 0, "", 0), place)
    f.do(f"br label %{found}")
    f.begin(found)
    return f.load("ptr", place)


def checked_argument(
    f: Function, array: str, dtype: str, rank: int, table: str, at: int, flags: int = CONTIGUOUS_ALIGNED
) -> str:
    """The data of an array whose sizes are those in the table from `at` on."""
    dims = _checked_array(f, array, rank, flags)
    require(f, "ptr", field(f, "ptr", array, DTYPE), f"@graphc_dtype_{dtype}")
    for d in range(rank):
        size = f.load("i64", f.at("i64", dims, d))
        require(f, "i64", size, f.load("i64", f.at("i64", table, at + d)))
    return field(f, "ptr", array, DATA)
