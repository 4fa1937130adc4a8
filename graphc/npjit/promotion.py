"""The results of element-wise operations: NumPy's broadcasting and promotion, without touching data.

The element type and the kind (array, NumPy scalar) of a result do not depend on sizes, so NumPy is asked once
per combination of element types, on arrays of one element.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.npjit.log import Meta, foreign
from graphc.npjit.values import IN_PLACE, OPERATORS, UNARY, Num, Sym

ELEMENTWISE = frozenset(fn for name, fn in (OPERATORS | UNARY).items() if name != "matmul")
CHANGING = frozenset(fn for name, fn in IN_PLACE.items() if name != "matmul")
PLAIN = (int, float, complex, np.generic)
_types: dict[Any, tuple[str, Any] | None] = {}


def is_elementwise(fn: Callable[..., Any]) -> bool:
    """Whether fn is a ufunc of one result without core dimensions, or such an operator."""
    if type(fn) is np.ufunc:
        return fn.signature is None and fn.nout == 1
    try:
        return fn in ELEMENTWISE
    except TypeError:
        return False


def only_arithmetic(fn: Callable[..., Any]) -> bool:
    """Whether numbers among the arguments are operands: they don't decide sizes."""
    fn = getattr(fn, "function", fn)
    return is_elementwise(fn) or fn in CHANGING


def elementwise(fn: Callable[..., Any], args: Sequence[Any]) -> Meta | None:
    """The meta of fn(*args); None where these rules do not say (then NumPy is asked with all sizes)."""
    if not is_elementwise(fn) or (type(fn) is np.ufunc and len(args) != fn.nin):
        return None
    metas: list[Meta] = []
    small: list[Any] = []
    key: list[Any] = [fn]
    for a in args:
        t = type(a)
        m = a.meta if t is Sym else Meta("array", a.dtype, a.shape, a.strides) if t is np.ndarray else None
        if m is not None and m.kind == "array":
            if None in m.shape or m.dtype.kind not in "biufc":
                return None
            metas.append(m)
            key.append((m.dtype, not m.shape))
            small.append(None)
        elif m is not None:
            key.append((m.kind, m.dtype))
            small.append(m.dtype.type(1) if m.kind == "scalar" else m.dtype(1))
        elif t is Num or isinstance(a, PLAIN):
            v = a.value if t is Num else a
            key.append((type(v), v if isinstance(v, int | np.integer) else None))
            small.append(v)
        else:
            return None
    if not metas:
        return None
    return _combined(fn, tuple(key), small, metas)


def _combined(
    fn: Callable[..., Any], key: tuple[Any, ...], small: list[Any], metas: list[Meta]
) -> Meta | None:
    shape = metas[0].shape
    if any(m.shape != shape for m in metas[1:]):
        try:
            shape = np.broadcast_shapes(*[m.shape for m in metas])
        except ValueError:
            return None  # asked again, for the exact message
    contiguous = all(_in_c_order(m) for m in metas)
    if not contiguous and not all(m.strides == metas[0].strides and m.shape == shape for m in metas):
        return None
    if not contiguous and not _packed(metas[0]):
        return None
    if key not in _types:
        _types[key] = _type(fn, small, metas)
    found = _types[key]
    if found is None:
        return None
    kind, dtype = found
    if kind != "array" or not shape:
        return Meta(kind, dtype, ()) if not shape else None
    strides = c_strides(shape, dtype.itemsize)
    if not contiguous:
        strides = tuple(s // metas[0].dtype.itemsize * dtype.itemsize for s in metas[0].strides)
    return Meta("array", dtype, shape, strides)


def _type(fn: Callable[..., Any], small: list[Any], metas: list[Meta]) -> tuple[str, Any] | None:
    rest = iter(metas)
    values = []
    for v in small:
        if v is None:
            m = next(rest)
            values.append(np.ones((1,) * len(m.shape), m.dtype))
        else:
            values.append(v)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = fn(*values)
    except Exception:  # whatever NumPy raises, it raises again for the real sizes
        return None
    if type(result) is np.ndarray:
        return ("array", result.dtype) if not foreign(result.dtype) else None
    return ("scalar", result.dtype) if isinstance(result, np.generic) else None


def c_strides(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """The strides of a new array in C order, as NumPy gives them."""
    strides, step = [], itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def _in_c_order(m: Meta) -> bool:
    step = m.dtype.itemsize
    for n, s in zip(reversed(m.shape), reversed(m.strides)):
        if n != 1 and s != step:
            return False
        step *= n
    return True


def _packed(m: Meta) -> bool:
    """Whether the elements lie side by side in some order of the axes, all strides positive."""
    step = m.dtype.itemsize
    for s, n in sorted(zip(m.strides, m.shape)):
        if n == 1:
            return False
        if s != step:
            return False
        step *= n
    return True
