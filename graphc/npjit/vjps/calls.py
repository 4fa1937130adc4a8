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


def shape_of(x: Any) -> tuple[Any, ...]:
    """The shape of a value, deferred or not; never an operation of its own."""
    m = getattr(x, "meta", None)
    if m is not None and m.kind in ("array", "scalar", "python"):
        return runtime().sym_attr(x, "shape") if m.kind == "array" else ()
    if isinstance(x, (list, tuple)):
        return (len(x), *shape_of(x[0])) if x else (0,)
    return numpy.shape(getattr(x, "value", x) if hasattr(x, "expr") else x)


def _ndim(x: Any) -> int:
    m = getattr(x, "meta", None)
    return len(m.shape) if m is not None and m.kind == "array" else len(shape_of(x))


def _size(x: Any) -> Any:
    size = 1
    for n in shape_of(x):
        size = size * n
    return size


SIZES: dict[str, Callable[[Any], Any]] = {"shape": shape_of, "ndim": _ndim, "size": _size}
"""Questions about sizes, which are answered at once."""


class Surface:
    """A module whose functions are `Recorded`."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if name in SIZES:
            found = SIZES[name]
        elif isinstance(found, types.ModuleType):
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


def record(fn: Callable[..., Any], *args: Any) -> Any:
    """A function of graphc's own on arrays, as one operation."""
    return fn(*args) if recording() is None else recording().record(fn, args)


def open_sizes(x: Any) -> bool:
    """Whether sizes of a deferred array depend on data (`x[mask]`)."""
    m = meta(x)
    return m is not None and m.kind == "array" and None in m.shape


def broadcast_like(g: Any, x: Any) -> Any:
    """g in the shape of x."""
    return g + np.zeros_like(x) if open_sizes(x) else np.broadcast_to(g, np.shape(x))


def sum_to(g: numpy.ndarray, x: numpy.ndarray) -> numpy.ndarray:
    """g summed over the axes along which x was repeated, decided when sizes are known.

    >>> sum_to(numpy.ones((2, 3)), numpy.ones((1, 3)))
    array([[2., 2., 2.]])
    """
    lead = g.ndim - x.ndim
    ones = tuple(i + lead for i, n in enumerate(x.shape) if n == 1 and g.shape[i + lead] != 1)
    return g.sum(axis=(*range(lead), *ones), keepdims=True).reshape(x.shape)
