"""Functions whose rule is that of a program of other functions: interpolation, filters, products, series.

`through` records the program again, and walks back over it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from graphc.ir.errors import ArgumentError
from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.reductions import axes_of
from graphc.npjit.vjps.table import joint


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
    x, xp, fp = np.asarray(x), np.asarray(xp), np.asarray(fp)
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


def _poly_sum(a1: Any, a2: Any) -> Any:
    n, m = np.size(a1), np.size(a2)
    return np.pad(a1, (max(m - n, 0), 0)) + np.pad(a2, (max(n - m, 0), 0))


composite("polyadd", lambda a1, a2: _poly_sum(np.atleast_1d(a1), np.atleast_1d(a2)))
composite("polysub", lambda a1, a2: _poly_sum(np.atleast_1d(a1), -np.atleast_1d(a2)))


def _polyder(p: Any, m: Any = 1) -> Any:
    for _ in range(int(m)):
        n = int(np.shape(p)[0]) - 1
        p = p[:-1] * np.arange(n, 0, -1)
    return p


def _polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    if k is not None:
        raise ArgumentError("graphc has no gradient of np.polyint with constants.\n  fix     leave `k` out.")
    for _ in range(int(m)):
        p = np.append(p / np.arange(int(np.shape(p)[0]), 0, -1), 0.0)
    return p


composite("polyder", _polyder)
composite("polyint", _polyint)


def _polyfit(x: Any, y: Any, deg: Any) -> Any:
    """Least squares; the coefficients do not depend on NumPy's scaling of the columns."""
    return np.linalg.pinv(np.vander(x, int(deg) + 1)) @ y


composite("polyfit", _polyfit)
composite("divmod", lambda x, y: (np.floor_divide(x, y), np.remainder(x, y)))
composite("modf", lambda x: (np.fmod(x, 1.0), np.trunc(x)))
