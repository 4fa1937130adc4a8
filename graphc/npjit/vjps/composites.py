"""Functions whose rule is that of a program made of other functions: norms, quantiles, covariances,
interpolation.

`through` records the program again, and walks back over it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from graphc.ir.errors import ArgumentError
from graphc.npjit.vjps.calls import cast, dtype_of, np
from graphc.npjit.vjps.choosing import taken
from graphc.npjit.vjps.reductions import axes_of, expand
from graphc.npjit.vjps.table import define, joint


def through(
    program: Callable[..., Any], ct: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Any, ...]:
    """Cotangents of the arguments of a program."""
    from graphc.npjit.reverse import pull_through

    return pull_through(program, ct, args, kwargs)


def composite(name: str, program: Callable[..., Any]) -> None:
    """The function's gradient is that of the program, which takes the same arguments."""

    @joint(name)
    def rule(ct: Any, out: Any, *args: Any, **kwargs: Any) -> Any:
        return through(program, ct, args, kwargs)

    own = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in ("ct", "out_")]
    rule.__signature__ = inspect.Signature([*own, *_open(program)])  # type: ignore[attr-defined]


def _open(program: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a program."""
    return list(inspect.signature(program).parameters.values())


# ---- norms


def _vector_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    size = np.absolute(x)
    if ord is None or ord == 2:
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if ord == float("inf"):
        return np.max(size, axis=axis, keepdims=keepdims)
    if ord == float("-inf"):
        return np.min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(x * 0, axis=axis, keepdims=keepdims)
    return np.sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    rows, columns = (a % np.ndim(x) for a in axes)
    if ord in ("nuc", 2, -2):
        values = np.linalg.svd(np.moveaxis(x, (rows, columns), (-2, -1)), compute_uv=False)
        reduce = {"nuc": np.sum, 2: np.max, -2: np.min}[ord]
        found = reduce(values, axis=-1)
        return np.expand_dims(found, tuple(sorted((rows, columns)))) if keepdims else found
    summed, kept = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = np.sum(np.absolute(x), axis=summed, keepdims=True)
    found = (np.max if ord > 0 else np.min)(sums, axis=kept, keepdims=True)
    return found if keepdims else np.squeeze(found, (rows, columns))


def _norm_program(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if axis is None and np.ndim(x) == 2 and ord is not None:
        axis = (0, 1)
    if isinstance(axis, (tuple, list)) and len(axis) == 2 and ord not in (None, "fro"):
        return _matrix_norm(x, ord, (axis[0], axis[1]), keepdims)
    return _vector_norm(x, None if ord == "fro" else ord, axis, keepdims)


def _norm(ct: Any, out: Any, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """x / |x| for the Euclidean norm, with the subgradient 0 at the origin."""
    matrix = (np.ndim(x) == 2 and axis is None) or (isinstance(axis, (tuple, list)) and len(axis) == 2)
    if ord is None or ord == "fro" or (ord == 2 and not matrix):
        at_zero = out == 0
        per = np.where(at_zero, 0, ct / np.where(at_zero, 1, out))
        return expand(per, x, axis, keepdims) * x
    return through(_norm_program, ct, (x, ord, axis, keepdims), {})[0]


define("linalg.norm", _norm)
define(
    "linalg.vector_norm",
    lambda ct, out, x, *, axis=None, keepdims=False, ord=2: (
        through(lambda x: _vector_norm(x, ord, axis, keepdims), ct, (x,), {})[0]
        if ord not in (2, None)
        else _norm(ct, out, x, None, axis, keepdims)
    ),
)
define(
    "linalg.matrix_norm",
    lambda ct, out, x, *, keepdims=False, ord="fro": _norm(ct, out, x, ord, (-2, -1), keepdims),
)


def _cond(x: Any, p: Any = None) -> Any:
    if p in (None, 2, -2):
        values = np.linalg.svd(x, compute_uv=False)
        return values[..., -1] / values[..., 0] if p == -2 else values[..., 0] / values[..., -1]
    return _norm_program(x, p, (-2, -1)) * _norm_program(np.linalg.inv(x), p, (-2, -1))


composite("linalg.cond", _cond)


# ---- averages and spreads


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
composite("nanvar", _nanvar)
composite("nanstd", lambda a, *rest, **options: np.sqrt(_nanvar(a, *rest, **options)))
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


# ---- polynomials, integrals, differences, interpolation


def _polyval(p: Any, x: Any) -> Any:
    found = np.zeros_like(x)
    for i in range(int(np.shape(p)[0])):
        found = found * x + p[i]
    return found


composite("polyval", _polyval)


def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = np.moveaxis(y, axis, -1)
    mean = 0.5 * (y[..., 1:] + y[..., :-1])
    if x is None:
        return np.sum(mean * dx, axis=-1)
    x = x if np.ndim(x) == 1 else np.moveaxis(x, axis, -1)
    return np.sum(mean * (x[..., 1:] - x[..., :-1]), axis=-1)


for _name in ("trapezoid", "trapz"):
    composite(_name, _trapezoid)


def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    if edge_order != 1 or any(np.ndim(v) for v in varargs):
        raise ArgumentError("graphc has the gradient of np.gradient for even spacing and edge_order=1 only.")
    axes = axes_of(f, axis)
    spacing = list(varargs) * len(axes) if len(varargs) == 1 else list(varargs) or [1.0] * len(axes)
    found = []
    for a, h in zip(axes, spacing):
        m = np.moveaxis(f, a, 0)
        inner = (m[2:] - m[:-2]) / (2 * h)
        whole = np.concatenate([(m[1:2] - m[:1]) / h, inner, (m[-1:] - m[-2:-1]) / h])
        found.append(np.moveaxis(whole, 0, a))
    return found[0] if len(found) == 1 else tuple(found)


composite("gradient", _gradient)


def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    if period is not None:
        raise ArgumentError("graphc has no gradient of np.interp with a period.\n  fix     reduce x before.")
    n = int(np.shape(xp)[0])
    i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, n - 2)
    x0, x1, f0, f1 = np.take(xp, i), np.take(xp, i + 1), np.take(fp, i), np.take(fp, i + 1)
    inside = f0 + (f1 - f0) * ((x - x0) / (x1 - x0))
    found = np.where(x < xp[0], fp[0] if left is None else left, inside)
    return np.where(x > xp[-1], fp[-1] if right is None else right, found)


composite("interp", _interp)


def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    if np.shape(v)[0] > np.shape(a)[0]:
        a, v = v, a
    n, m = int(np.shape(a)[0]), int(np.shape(v)[0])
    padded = np.pad(a, m - 1)
    whole = padded[m - 1 : m - 1 + n + m - 1] * v[0]
    for j in range(1, m):
        whole = whole + padded[m - 1 - j : m - 1 - j + n + m - 1] * v[j]
    if mode == "full":
        return whole
    return whole[m - 1 : n] if mode == "valid" else whole[(m - 1) // 2 : (m - 1) // 2 + n]


composite("convolve", _convolve)


def _correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    if np.shape(v)[0] > np.shape(a)[0]:  # np.correlate swaps and turns the result round
        return np.flip(_convolve(v, np.flip(a, 0), mode), 0)
    return _convolve(a, np.flip(v, 0), mode)


composite("correlate", _correlate)


# ---- products


def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = np.moveaxis(a, axisa, 0), np.moveaxis(b, axisb, 0)
    if np.shape(x)[0] == 2 and np.shape(y)[0] == 2:
        return x[0] * y[1] - x[1] * y[0]
    x2 = x[2] if np.shape(x)[0] == 3 else 0 * x[0]
    y2 = y[2] if np.shape(y)[0] == 3 else 0 * y[0]
    parts = [x[1] * y2 - x2 * y[1], x2 * y[0] - x[0] * y2, x[0] * y[1] - x[1] * y[0]]
    return np.stack(parts, axis=axisc)


composite("cross", _cross)
composite("linalg.cross", lambda x1, x2, *, axis=-1: _cross(x1, x2, axis=axis))
composite("vecdot", lambda x1, x2, **options: np.sum(x1 * x2, axis=options.get("axis", -1)))
composite("linalg.vecdot", lambda x1, x2, *, axis=-1: np.sum(x1 * x2, axis=axis))
composite("matvec", lambda x1, x2: np.matmul(x1, np.expand_dims(x2, -1))[..., 0])
composite("vecmat", lambda x1, x2: np.matmul(np.expand_dims(x1, -2), x2)[..., 0, :])
composite("linalg.matmul", lambda x1, x2: np.matmul(x1, x2))
composite("linalg.tensordot", lambda x1, x2, *, axes=2: np.tensordot(x1, x2, axes))


def _multi_dot(arrays: Any, *, out: Any = None) -> Any:
    found = arrays[0]
    for x in arrays[1:]:
        found = np.dot(found, x)
    return found


composite("linalg.multi_dot", _multi_dot)


def _matrix_power(a: Any, n: Any) -> Any:
    n = int(n)
    if n == 0:
        return a * 0 + np.eye(int(np.shape(a)[-1]))
    base = np.linalg.inv(a) if n < 0 else a
    found, left = None, abs(n)
    while left:
        if left % 2:
            found = base if found is None else found @ base
        left //= 2
        base = base @ base if left else base
    return found


composite("linalg.matrix_power", _matrix_power)


def _lstsq(ct: Any, out: Any, a: Any, b: Any, rcond: Any = None) -> Any:
    """The solution's gradient, for matrices of full rank; residuals, rank and singular values have none."""
    if any(c is not None for c in ct[1:]):
        raise ArgumentError("only the solution of np.linalg.lstsq, its first result, has a gradient.")
    if ct[0] is None:
        return None, None
    return through(lambda a, b: np.linalg.pinv(a) @ b, ct[0], (a, b), {})


joint("linalg.lstsq")(_lstsq)


# ---- other


def _linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    steps = int(num) - 1 if endpoint else int(num)
    start, stop = np.asarray(start) * np.ones_like(stop), np.asarray(stop) * np.ones_like(start)
    t = np.arange(int(num)) / (steps if steps > 0 else 1)
    t = np.reshape(t, (-1, *(1,) * np.ndim(start)))
    found = np.moveaxis(start * (1 - t) + stop * t, 0, axis)
    return (found, (stop - start) / steps) if retstep else found


composite("linspace", _linspace)


def _logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    return base ** np.linspace(start, stop, num, endpoint=endpoint, axis=axis)


composite("logspace", _logspace)
composite(
    "geomspace",
    lambda start, stop, num=50, endpoint=True, dtype=None, axis=0: np.exp(
        np.linspace(np.log(start), np.log(stop), num, endpoint=endpoint, axis=axis)
    ),
)


def _vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    n = int(np.shape(x)[0]) if N is None else int(N)
    powers = [x**i for i in (range(n) if increasing else range(n - 1, -1, -1))]
    return np.stack(powers, axis=-1)


composite("vander", _vander)


def _resize(a: Any, new_shape: Any) -> Any:
    shape = tuple(new_shape) if isinstance(new_shape, (tuple, list)) else (new_shape,)
    size, have = int(numpy.prod(shape)), int(np.size(a))
    return np.reshape(np.tile(np.reshape(a, (-1,)), -(-size // have))[:size], shape)


composite("resize", _resize)
composite("polymul", lambda a1, a2: np.convolve(a1, a2))
composite("divmod", lambda x, y: (np.floor_divide(x, y), np.remainder(x, y)))
composite("modf", lambda x: (x - np.fmod(x, 1.0), np.fmod(x, 1.0)))
