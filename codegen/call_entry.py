"""A whole call in native code: `entry(table, x0, x1, ...)` checks the arguments, makes the outputs, runs the
step, and gives what the caller wants: an array, a NumPy scalar, or a tuple of them.

Where anything is not exactly as expected, or the step fails, it gives NotImplemented, and Python takes the
slow road. Outputs begin at a cache line: each is a view of a slightly longer array of bytes. A large one is
made in those of an earlier call if nobody else has them any more (see `frames`). NumPy's C functions are
looked up in its table of functions, whose order never changes (`numpy/_core/code_generators/numpy_api.py`).
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from itertools import pairwise

from graphc.codegen.entry import CONTIGUOUS_ALIGNED, DATA, WRITEABLE, entry_globals, symbols
from graphc.codegen.entry_checks import (
    call_step,
    checked_argument,
    checked_frame,
    checked_number,
    field,
    require,
)
from graphc.codegen.frames import SPARES
from graphc.codegen.layout import Layout
from graphc.codegen.text import Function
from graphc.ir.types import TensorType

STEP, ENTRY = "step", "entry"
"""The symbols of a compiled step: the code itself, and its Python function."""

_NUMPY = {"graphc_new_array": 94, "graphc_set_base": 282, "graphc_scalar": 60}
_PYTHON = ("PyTuple_New", "PyTuple_SetItem", "Py_DecRef")
_CARRAY = 0x1 | 0x100 | 0x400  # C-contiguous, aligned, writeable
_MEMORY = "output_memory"
LARGE = 1 << 16
"""Bytes from which on an output's memory is remembered; smaller memory comes from the heap, at no cost."""


@functools.cache
def call_symbols() -> dict[str, int]:
    """The addresses of everything that a call entry refers to."""
    core = importlib.import_module("numpy._core._multiarray_umath")
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    table = prototype(ctypes.cast(pointer, ctypes.c_void_p).value or 0)(core._ARRAY_API, None)
    functions = (ctypes.c_void_p * (max(_NUMPY.values()) + 1)).from_address(table)
    found = {name: int(functions[i] or 0) for name, i in _NUMPY.items()}
    for name in _PYTHON:
        found[name] = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0
    return symbols() | found


def call_globals() -> str:
    """The declarations that a module with a call entry needs."""
    return "\n".join(
        [
            entry_globals(),
            "declare ptr @graphc_new_array(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)",
            "declare i32 @graphc_set_base(ptr, ptr)",
            "declare ptr @graphc_scalar(ptr, ptr, ptr)",
        ]
    )


def call_entry_text(name: str, step: str, layout: Layout, release_gil: bool) -> str:
    """The entry `name` of a layout, which calls `i64 step(ptr table)`."""
    f = Function(name, "ptr %self, ptr %args, i64 %count", ret="ptr")
    size = f("alloca i64")
    require(f, "i64", "%count", 1 + len(layout.inputs))
    table = checked_frame(f, f.load("ptr", "%args"), layout.slots)
    at = layout.dims_at
    for i, t in enumerate(layout.inputs):
        argument = f.load("ptr", f.at("ptr", "%args", i + 1))
        flags = CONTIGUOUS_ALIGNED | (WRITEABLE if i >= len(layout.inputs) - layout.passed else 0)
        if t.rank or flags & WRITEABLE:
            data = checked_argument(f, argument, t.dtype.name, t.rank, table, at, flags)
        else:
            data = checked_number(f, argument, t.dtype.name)
        f.store("ptr", data, f.at("i64", table, i))
        at += t.rank
    results: list[str] = []
    arrays = [t for t in layout.outputs if t.rank]
    spares = f.load("ptr", f.at("i64", table, layout.spares_at))
    for i, t in enumerate(arrays):
        length = f.add(f.load("i64", f.at("i64", table, layout.output_bytes_at + i)), 64)
        f.store("i64", length, size)
        raw = f(f"call ptr @{_MEMORY}(ptr {f.at('ptr', spares, SPARES * i)}, ptr {size})")
        f.give_up(f(f"icmp eq ptr {raw}, null"), "ptr null")
        results.append(_output_in(f, t, raw, f.at("i64", table, at)))
        data = field(f, "ptr", results[-1], DATA)
        f.store("ptr", data, f.at("i64", table, len(layout.inputs) + i))
        at += t.rank
    status = call_step(f, step, table, release_gil)
    failed, fine = f.label("failed"), f.label("fine")
    f.do(f"br i1 {f(f'icmp ne i64 {status}, 0')}, label %{failed}, label %{fine}")
    f.begin(failed)
    for array in results:
        f.do(f"call void @Py_DecRef(ptr {array})")
    f.do("br label %unexpected")
    f.begin(fine)
    f.do(f"ret ptr {_result(f, layout, table, results)}")
    f.begin("unexpected")
    f.do("call void @Py_IncRef(ptr @graphc_not_implemented)")
    entry = f.text("ptr @graphc_not_implemented")
    return f"{_memory_text()}\n{entry}" if arrays else entry


def _output_in(f: Function, t: TensorType, raw: str, shape: str) -> str:
    """An array of these sizes in the memory of an array of bytes, from its first cache line on."""
    start = f(f"ptrtoint ptr {field(f, 'ptr', raw, DATA)} to i64")
    aligned = f(f"inttoptr i64 {f(f'and i64 {f.add(start, 63)}, -64')} to ptr")
    array = _new_array(f, t.dtype.name, t.rank, shape, aligned, _CARRAY)
    f(f"call i32 @graphc_set_base(ptr {array}, ptr {raw})")
    return array


def _memory_text() -> str:
    """The function that gives an array of bytes for an output: a spare one that nobody else refers to, or a
    fresh one, which is remembered in the place of the older spare if it is large. Null if there is no memory.

    A frame's outputs always have the same sizes, so every spare is as long as wanted.
    """
    f = Function(_MEMORY, "ptr %spares, ptr %length", ret="ptr", linkage="internal")
    large = f(f"icmp uge i64 {f.load('i64', '%length')}, {LARGE}")
    places = [f.at("ptr", "%spares", i) for i in range(SPARES)]
    for place in places:
        spare = f.load("ptr", place)
        alone = f(f"icmp eq i64 {f.load('i64', spare)}, 1")  # the number of references
        again = f.both(large, alone)
        with f.when(again):
            f.do(f"call void @Py_IncRef(ptr {spare})")
        f.give_up(again, f"ptr {spare}")
    raw = _new_array(f, "u8", 1, "%length", "null", 0)
    with f.when(large):
        f.do(f"call void @Py_IncRef(ptr {raw})")
        oldest = f.load("ptr", places[0])
        for older, newer in pairwise(places):
            f.store("ptr", f.load("ptr", newer), older)
        f.store("ptr", raw, places[-1])
        f.do(f"call void @Py_DecRef(ptr {oldest})")
    return f.text(f"ptr {raw}")


def _new_array(f: Function, dtype: str, rank: int, shape: str, data: str, flags: int) -> str:
    f.do(f"call void @Py_IncRef(ptr @graphc_dtype_{dtype})")  # the new array takes over a reference
    call = f"call ptr @graphc_new_array(ptr @graphc_ndarray_type, ptr @graphc_dtype_{dtype}, i32 {rank}"
    array = f(f"{call}, ptr {shape}, ptr null, ptr {data}, i32 {flags}, ptr null)")
    f.give_up(f(f"icmp eq ptr {array}, null"), "ptr null")  # NumPy has set a MemoryError
    return array


def _result(f: Function, layout: Layout, table: str, arrays: list[str]) -> str:
    waiting, places = iter(arrays), layout.scalar_places
    values = []
    for i, t in enumerate(layout.outputs):
        if t.rank:
            values.append(next(waiting))
            continue
        data = f.load("ptr", f.at("ptr", table, places[i]))
        values.append(f(f"call ptr @graphc_scalar(ptr {data}, ptr @graphc_dtype_{t.dtype.name}, ptr null)"))
    if len(values) == 1:
        return values[0]
    result = f(f"call ptr @PyTuple_New(i64 {len(values)})")
    for i, value in enumerate(values):
        f(f"call i32 @PyTuple_SetItem(ptr {result}, i64 {i}, ptr {value})")
    return result
