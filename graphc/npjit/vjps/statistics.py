"""Averages, quantiles, covariances and what leaves NaN out, as programs of other functions."""

from __future__ import annotations

from typing import Any

from graphc.ir.errors import ArgumentError
from graphc.npjit.vjps.calls import cast, dtype_of, np
from graphc.npjit.vjps.choosing import taken
from graphc.npjit.vjps.composites import composite
from graphc.npjit.vjps.reductions import axes_of


def _average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    if weights is None:
        found = np.mean(a, axis=axis, keepdims=keepdims)
        return (found, np.ones_like(found)) if returned else found
    if np.shape(weights) != np.shape(a):
        axes = axes_of(a, axis)
        others = tuple(i for i in range(np.ndim(a)) if i not in axes)
        weights = np.expand_dims(np.asarray(weights), others)
        weights = weights * np.ones_like(a)
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    found = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (found, total) if returned else found


composite("average", _average)
composite(
    "ptp",
    lambda a, axis=None, out=None, keepdims=False: (
        np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)
    ),
)


def _ranked(a: Any, axis: Any, keepdims: bool) -> tuple[Any, int]:
    """The sorted values with the reduced axes joined in front."""
    axes = axes_of(a, axis)
    kept = [i for i in range(np.ndim(a)) if i not in axes]
    shape = np.shape(a)
    moved = np.transpose(a, (*axes, *kept))
    flat = np.reshape(moved, (-1, *(shape[i] for i in kept)))
    return np.sort(flat, axis=0), int(np.shape(flat)[0])


def _back_in(found: Any, a: Any, axis: Any, keepdims: bool, lead: int = 0) -> Any:
    return np.expand_dims(found, tuple(i + lead for i in axes_of(a, axis))) if keepdims else found


def _median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:
    ranked, n = _ranked(a, axis, keepdims)
    middle = ranked[n // 2] if n % 2 else (ranked[n // 2 - 1] + ranked[n // 2]) * 0.5
    return _back_in(middle, a, axis, keepdims)


composite("median", _median)


def _quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    if method != "linear":
        raise ArgumentError(
            "graphc has the gradient of quantiles with method='linear' only.\n  fix     leave `method` out."
        )
    ranked, n = _ranked(a, axis, keepdims)
    position = np.asarray(q) * (n - 1)
    below = np.clip(cast(np.floor(position), dtype_of(0)), 0, max(n - 2, 0))
    share = position - below
    above = np.minimum(below + 1, n - 1)
    share = np.reshape(share, (*np.shape(share), *(1,) * (np.ndim(ranked) - 1)))
    share = cast(share, dtype_of(a))
    found = np.take(ranked, below, axis=0) * (1 - share) + np.take(ranked, above, axis=0) * share
    return _back_in(found, a, axis, keepdims, np.ndim(q))


composite("quantile", _quantile)
composite("row_stack", lambda tup: np.vstack(tup))
composite("percentile", lambda a, q, *rest, **options: _quantile(a, np.asarray(q) / 100, *rest, **options))


def _present(a: Any) -> tuple[Any, Any]:
    missing = np.isnan(a)
    return np.where(missing, 0, a), np.logical_not(missing)


def _nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **options: Any
) -> Any:
    filled, present = _present(a)
    n = cast(np.sum(present, axis=axis, keepdims=keepdims), dtype_of(a))
    return np.sum(filled, axis=axis, keepdims=keepdims) / n


def _nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: int = 0,
    keepdims: bool = False,
    **options: Any,
) -> Any:
    _, present = _present(a)
    mean = _nanmean(a, axis, keepdims=True)
    centred = taken(a - mean, present)
    n = cast(np.sum(present, axis=axis, keepdims=keepdims), dtype_of(a)) - ddof
    return np.sum(centred * centred, axis=axis, keepdims=keepdims) / n


composite("nanmean", _nanmean)


def _nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    if method != "linear":
        raise ArgumentError(
            "graphc has the gradient of quantiles with method='linear' only.\n  fix     leave `method` out."
        )
    ranked, _ = _ranked(a, axis, keepdims)  # NaN comes last
    lead = np.ndim(q)
    last = np.sum(np.logical_not(np.isnan(ranked)), axis=0) - 1
    position = np.reshape(np.asarray(q), (-1, *(1,) * np.ndim(last))) * last
    below = cast(np.floor(position), dtype_of(0))
    share = cast(position - below, dtype_of(a))
    low = np.take_along_axis(ranked, below, axis=0)
    high = np.take_along_axis(ranked, np.minimum(below + 1, last), axis=0)
    found = low * (1 - share) + high * share
    found = np.reshape(found, (*np.shape(q), *np.shape(last)))
    return _back_in(found, a, axis, keepdims, lead)


composite("nanquantile", _nanquantile)
composite(
    "nanpercentile",
    lambda a, q, *rest, **options: _nanquantile(a, np.asarray(q) / 100, *rest, **options),
)
composite(
    "nanmedian",
    lambda a, axis=None, out=None, overwrite_input=False, keepdims=False: _nanquantile(
        a, 0.5, axis, keepdims=keepdims
    ),
)
composite("nanvar", _nanvar)


def _nanstd(a: Any, *rest: Any, **options: Any) -> Any:
    """Subgradient 0 where all elements are equal."""
    square = _nanvar(a, *rest, **options)
    flat = square == 0
    return np.where(flat, 0, np.sqrt(np.where(flat, 1, square)))


composite("nanstd", _nanstd)
composite(
    "nanprod",
    lambda a, axis=None, dtype=None, out=None, keepdims=False: np.prod(
        np.where(np.isnan(a), 1, a), axis=axis, keepdims=keepdims
    ),
)


def _cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    **options: Any,
) -> Any:
    if fweights is not None or aweights is not None:
        raise ArgumentError("graphc has no gradient of np.cov with weights.\n  fix     leave them out.")
    x = np.atleast_2d(m)
    x = np.transpose(x) if not rowvar and np.ndim(m) > 1 else x
    if y is not None:
        other = np.atleast_2d(y)
        x = np.concatenate([x, np.transpose(other) if not rowvar and np.ndim(y) > 1 else other])
    n = np.shape(x)[1] - ((0 if bias else 1) if ddof is None else ddof)
    centred = x - np.mean(x, axis=1, keepdims=True)
    return np.squeeze(centred @ np.transpose(centred) / n)


def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, **options: Any) -> Any:
    c = _cov(x, y, rowvar)
    if np.ndim(c) == 0:
        return c / c
    d = np.sqrt(np.diagonal(c))
    return c / np.expand_dims(d, 1) / np.expand_dims(d, 0)


composite("cov", _cov)
composite("corrcoef", _corrcoef)
