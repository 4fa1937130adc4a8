"""Deferred numbers that decide the size or layout of a result: n in np.zeros(n), where n was computed.

No stand-in can tell what they are, so the value is needed before the call is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from graphc.npjit.values import Sym

FIRST_TOO = frozenset(
    {
        *("zeros", "ones", "empty", "full", "eye", "identity", "tri", "linspace", "logspace", "geomspace"),
        *("indices", "tril_indices", "triu_indices", "diag_indices", "mask_indices", "bartlett", "blackman"),
        *("hamming", "hanning", "kaiser"),
    }
)
"""Functions whose first argument is a size too; that of others is data."""
ALL_DATA = frozenset(
    {
        *("where", "append", "isin", "searchsorted", "dot", "outer", "inner", "vdot", "matmul", "allclose"),
        *("isclose", "array_equal", "full_like", "interp", "take", "clip", "item", "choose", "select"),
        *("polyval", "percentile", "quantile", "cross", "convolve", "contains"),
    }
)
"""Functions of which no argument is a size."""
BY_ARRAYS = frozenset(
    {
        *("split", "array_split", "hsplit", "vsplit", "dsplit", "pad", "tile", "resize", "reshape"),
        *("broadcast_to", "zeros", "ones", "empty", "full"),
    }
)
"""Functions whose sizes may come in an array: the length or number of the results is unknown then."""
COUNTED = frozenset(
    {
        *("repeat", "delete", "insert", "compress"),
    }
)
"""Functions of one result, as long as an array says."""


def name_of(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__name__", "")


def is_whole(a: Any) -> bool:
    """Whether a is a deferred integer or truth value, not an array of them."""
    if type(a) is not Sym:
        return False
    m = a.meta
    if m.kind == "python":
        return m.dtype in (int, bool)
    return m.kind in ("scalar", "array") and m.shape == () and m.dtype.kind in "iu"


def decides(fn: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether a size may hang on a deferred number among the arguments."""
    name = name_of(fn)
    if name in ALL_DATA:
        return False
    found = inside([args if name in FIRST_TOO else args[1:], kwargs])
    return any(is_whole(a) for a in found)


def by_array(
    fn: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], among: frozenset[str]
) -> bool:
    """Whether fn is one of `among`, and an array of integers or truth values says how long its result is."""
    name = name_of(fn)
    if name not in among:
        return False
    found = inside([args if name in FIRST_TOO else args[1:], kwargs])
    return any(_is_integral(a) for a in found)


def _is_integral(a: Any) -> bool:
    if type(a) is Sym and a.meta.kind == "array":
        return a.meta.dtype.kind in "iub"
    return type(a) is np.ndarray and a.dtype.kind in "iub"


def inside(a: Any) -> Iterator[Any]:
    """The leaves of nested lists, tuples and dicts."""
    if type(a) in (list, tuple):
        for x in a:
            yield from inside(x)
    elif type(a) is dict:
        yield from inside(list(a.values()))
    elif type(a) is slice:
        yield from inside([a.start, a.stop, a.step])
    else:
        yield a


def known(a: Any, value_of: Callable[[Sym], Any]) -> Any:
    """a with values in the place of deferred integers."""
    if is_whole(a):
        return value_of(a)
    if type(a) in (list, tuple):
        return type(a)([known(x, value_of) for x in a])
    if type(a) is dict:
        return {k: known(v, value_of) for k, v in a.items()}
    return a
