"""Rules of the methods of ufuncs: `outer`, and `reduce`, `accumulate` and `reduceat` of those
for which no other function does the same."""

from __future__ import annotations

from typing import Any

import numpy

from graphc.npjit.vjps.calls import Recorded, cast, dtype_of, np
from graphc.npjit.vjps.choosing import taken
from graphc.npjit.vjps.composites import composite
from graphc.npjit.vjps.running import segments
from graphc.npjit.vjps.table import RULES, define


def _outer(ufunc: Any) -> Any:
    """Every element of a with every one of b."""

    def program(a: Any, b: Any) -> Any:
        return Recorded(ufunc)(np.reshape(a, (*np.shape(a), *(1,) * np.ndim(b))), b)

    return program


for _ufunc in [f for f in RULES if isinstance(f, numpy.ufunc) and f.nin == 2 and f.signature is None]:
    composite(f"{_ufunc.__name__}.outer", _outer(_ufunc))


def _first_and_rest(x: Any, axis: Any) -> tuple[Any, Any]:
    moved = np.moveaxis(x, axis, 0)
    return moved[0], moved[1:]


def _subtract(array: Any, axis: Any = 0) -> Any:
    first, rest = _first_and_rest(array, axis)
    return first - np.sum(rest, axis=0)


def _divide(array: Any, axis: Any = 0) -> Any:
    first, rest = _first_and_rest(array, axis)
    return first / np.prod(rest, axis=0)


composite("subtract.reduce", _subtract)
composite("divide.reduce", _divide)
composite(
    "hypot.reduce",
    lambda array, axis=0, *, keepdims=False: np.linalg.norm(
        np.reshape(array, (-1,)) if axis is None else array, axis=axis, keepdims=keepdims
    ),
)


def _logaddexp_running(ct: Any, out: Any, array: Any, axis: Any = 0) -> Any:
    """Element j has the share exp(x[j] - out[i]) in each result i from j on."""
    x, y, g = (np.moveaxis(v, axis, -1) for v in (array, out, ct))
    n = np.shape(x)[-1]
    steps = np.arange(n)
    later = np.expand_dims(steps, 1) >= steps
    gap = np.where(later, np.expand_dims(x, -2) - np.expand_dims(y, -1), 0)
    share = taken(np.exp(gap), later)
    return np.moveaxis(np.sum(np.expand_dims(g, -1) * share, axis=-2), -1, axis)


define("logaddexp.accumulate", _logaddexp_running)


def _extreme_reduceat(ct: Any, out: Any, array: Any, indices: Any, axis: Any = 0) -> Any:
    """Those in a segment that reach its extreme share."""
    x, y, g = (np.moveaxis(v, axis, -1) for v in (array, out, ct))
    equal = segments(indices, np.shape(x)[-1]) & (np.expand_dims(x, -2) == np.expand_dims(y, -1))
    ties = np.maximum(cast(np.sum(equal, axis=-1), dtype_of(ct)), 1)
    return np.moveaxis(np.sum(taken(np.expand_dims(g / ties, -1), equal), axis=-2), -1, axis)


define("maximum.reduceat", _extreme_reduceat, masks=True)
define("minimum.reduceat", _extreme_reduceat, masks=True)
