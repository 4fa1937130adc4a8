"""What native code knows of Python, so that a call gets into it in some 40 ns: a METH_FASTCALL function in
LLVM text (`call_entry`), which reads arrays where they lie in memory (`entry_checks`).

Python's objects (the ndarray type, dtypes, NotImplemented) are external symbols which `symbols()` binds when
the object file is loaded, so that the file is the same in all processes and can be cached.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from graphc.codegen.errors import LinkError
from graphc.codegen.loader import Code

TYPE, DATA, RANK, DIMS, DTYPE, FLAGS = 8, 16, 24, 32, 56, 64
"""Places in a PyArrayObject, the same in NumPy 1 and 2: `layout_is_known` looks whether it still is so."""
CONTIGUOUS_ALIGNED, WRITEABLE = 0x1 | 0x100, 0x400
"""Flags of arrays."""
_METH_FASTCALL = 0x80

_DTYPES: dict[str, np.dtype] = {
    "bool": np.dtype(np.bool_),
    **{f"{kind}{8 * size}": np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)},
    **{f"f{8 * size}": np.dtype(f"f{size}") for size in (4, 8)},
}
_FUNCTIONS = ("PyEval_SaveThread", "PyEval_RestoreThread", "Py_IncRef")
ARRAY_TYPE, NOT_IMPLEMENTED = "graphc_ndarray_type", "graphc_not_implemented"
FLOAT_TYPE = "graphc_float_type"
NUMBER = 16
"""Where the value of a float or a NumPy scalar is."""


@functools.cache
def layout_is_known() -> bool:
    """Whether arrays of this NumPy lie in memory as the entry expects; if not, call the step through ctypes
    instead.
    """
    x = np.zeros((3, 5), "f4")

    def at(offset: int, kind: Any = ctypes.c_int64) -> Any:
        return kind.from_address(id(x) + offset).value

    return bool(
        at(TYPE) == id(np.ndarray)
        and at(DATA) == x.ctypes.data
        and at(RANK, ctypes.c_int32) == 2
        and at(DTYPE) == id(x.dtype)
        and at(FLAGS, ctypes.c_int32) & (CONTIGUOUS_ALIGNED | WRITEABLE) == CONTIGUOUS_ALIGNED | WRITEABLE
        and list((ctypes.c_int64 * 2).from_address(at(DIMS))) == [3, 5]
        and all(ctypes.c_double.from_address(id(n) + NUMBER).value == 0.1 for n in _SAMPLES)
    )


_SAMPLES = (0.1, np.float64(0.1))


@functools.cache
def symbols() -> dict[str, int]:
    """The addresses in this process of everything that an entry refers to."""
    objects: dict[str, object] = {ARRAY_TYPE: np.ndarray, NOT_IMPLEMENTED: NotImplemented}
    objects |= {f"graphc_dtype_{name}": kind for name, kind in _DTYPES.items()}
    objects |= {f"graphc_scalar_{name}": kind.type for name, kind in _DTYPES.items()}
    objects[FLOAT_TYPE] = float
    functions = {
        name: ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value for name in _FUNCTIONS
    }
    return {name: id(item) for name, item in objects.items()} | cast(dict[str, int], functions)


def entry_globals() -> str:
    """The declarations that a module with entries needs, for `module(top=...)`."""
    return "\n".join(f"@{name} = external global i8" for name in symbols() if name not in _FUNCTIONS)


def python_callable(code: Code, name: str) -> Callable[..., Any]:
    """The loaded entry `name` as a built-in function; it keeps the code alive.

    Raises
    ------
    LinkError
        This NumPy's arrays are not laid out as the entry expects (see `layout_is_known`).
    """
    if not layout_is_known():
        raise LinkError(f"arrays of NumPy {np.__version__} are laid out in a way that graphc does not know")
    spelled = np.frombuffer(name.encode() + b"\0", np.uint8)
    definition = np.array([spelled.ctypes.data, code.address(name), _METH_FASTCALL, 0], np.int64)
    new = ctypes.pythonapi.PyCFunction_NewEx
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    make = prototype(ctypes.cast(new, ctypes.c_void_p).value or 0)
    # The function owns its `self`, which owns its PyMethodDef and the code. In arrays, which the garbage
    # collector does not empty as it does structures of ctypes: a function reads it when it is freed.
    return cast(Callable[..., Any], make(definition.ctypes.data, (definition, spelled, code), None))
