"""NumPy as gradient rules call it: recorded while a recording is active, computed at once otherwise.

    >>> from graphc.npjit.vjps.calls import np
    >>> np.add(1.0, 2.0)
    np.float64(3.0)

`np.f(...)`, `np.linalg.f(...)` and `np.add.at(...)` dispatch; types and constants are NumPy's own.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy

from graphc.npjit.current import recording, runtime

_MODULES = frozenset(["numpy.linalg", "numpy.lib.stride_tricks", "numpy.lib"])


class Recorded:
    """A NumPy function that goes through the recording, if there is one."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if recording() is None:
            return self.fn(*args, **kwargs)
        return runtime().call(self.fn, *args, **kwargs)

    def __getattr__(self, name: str) -> Recorded:
        found = Recorded(getattr(self.fn, name))
        self.__dict__[name] = found
        return found


class Surface:
    """A module whose functions are `Recorded`."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if isinstance(found, types.ModuleType):
            found = Surface(found)
        elif callable(found) and not isinstance(found, type):
            found = Recorded(found)
        self.__dict__[name] = found
        return found


np: Any = Surface(numpy)


def method(x: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """x.name(...) of an array or NumPy scalar."""
    if recording() is None:
        return getattr(numpy.asarray(x)[()] if not isinstance(x, numpy.ndarray) else x, name)(*args, **kwargs)
    return runtime().method(x, name, *args, **kwargs)


def meta(x: Any) -> Any:
    """The meta of a deferred value; None of any other."""
    return getattr(x, "meta", None)


def dtype_of(x: Any) -> numpy.dtype[Any]:
    """The dtype of x as an operand: float64 for a Python float."""
    m = meta(x)
    if m is not None and m.kind in ("array", "scalar"):
        return m.dtype
    if m is not None:
        return numpy.dtype(m.dtype if m.kind == "python" else object)
    return numpy.result_type(getattr(x, "value", x)) if hasattr(x, "expr") else numpy.asarray(x).dtype


def cast(x: Any, dtype: numpy.dtype[Any]) -> Any:
    """x in the dtype, without a copy where it has it."""
    return x if dtype_of(x) == dtype else method(x, "astype", dtype)
