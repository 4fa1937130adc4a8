"""Rules of ufuncs and other functions of single elements."""

from __future__ import annotations

from typing import Any

from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.table import define, elementwise, zero

LN2, LN10 = 0.6931471805599453, 2.302585092994046

# finite derivative wherever the function is finite: no guard needed behind a choice
for _name in ("positive", "conjugate", "real", "asarray_chkfinite"):
    elementwise(_name, lambda ct, out, x: ct, singular=False)
elementwise("negative", lambda ct, out, x: -ct, singular=False)
elementwise("add", lambda ct, out, x, y: ct, lambda ct, out, x, y: ct, singular=False)
elementwise("subtract", lambda ct, out, x, y: ct, lambda ct, out, x, y: -ct, singular=False)
elementwise("sin", lambda ct, out, x: ct * np.cos(x))
elementwise("cos", lambda ct, out, x: -ct * np.sin(x))
elementwise("tanh", lambda ct, out, x: ct * (1 - out * out), singular=False)
elementwise("arctan", lambda ct, out, x: ct / (1 + x * x), singular=False)
elementwise("absolute", lambda ct, out, x: ct * np.sign(x), singular=False)
elementwise("fabs", lambda ct, out, x: ct * np.sign(x), singular=False)
for _name in ("deg2rad", "radians"):
    elementwise(_name, lambda ct, out, x: np.deg2rad(ct), singular=False)
for _name in ("rad2deg", "degrees"):
    elementwise(_name, lambda ct, out, x: np.rad2deg(ct), singular=False)

elementwise("multiply", lambda ct, out, x, y: ct * y, lambda ct, out, x, y: ct * x)
elementwise("divide", lambda ct, out, x, y: ct / y, lambda ct, out, x, y: -ct * out / y)
elementwise("exp", lambda ct, out, x: ct * out)
elementwise("exp2", lambda ct, out, x: ct * out * LN2)
elementwise("expm1", lambda ct, out, x: ct * (out + 1))
elementwise("log", lambda ct, out, x: ct / x)
elementwise("log2", lambda ct, out, x: ct / (x * LN2))
elementwise("log10", lambda ct, out, x: ct / (x * LN10))
elementwise("log1p", lambda ct, out, x: ct / (1 + x))
elementwise("sqrt", lambda ct, out, x: 0.5 * ct / out)
elementwise("cbrt", lambda ct, out, x: ct / (3 * out * out))
elementwise("square", lambda ct, out, x: ct * (2 * x))
elementwise("reciprocal", lambda ct, out, x: -ct * out * out)
elementwise("tan", lambda ct, out, x: ct * (1 + out * out))
elementwise("arcsin", lambda ct, out, x: ct / np.sqrt(1 - x * x))
elementwise("arccos", lambda ct, out, x: -ct / np.sqrt(1 - x * x))
elementwise("sinh", lambda ct, out, x: ct * np.cosh(x))
elementwise("cosh", lambda ct, out, x: ct * np.sinh(x))
elementwise("arcsinh", lambda ct, out, x: ct / np.sqrt(x * x + 1))
elementwise("arccosh", lambda ct, out, x: ct / np.sqrt(x * x - 1))
elementwise("arctanh", lambda ct, out, x: ct / (1 - x * x))


def _sinc(ct: Any, out: Any, x: Any) -> Any:
    """(cos(pi x) - sinc(x)) / x, and its limit 0 at 0."""
    at_zero = x == 0
    safe = np.where(at_zero, 1, x)
    return ct * np.where(at_zero, 0, (np.cos(np.pi * safe) - out) / safe)


elementwise("sinc", _sinc)


def _power_base(ct: Any, out: Any, x: Any, y: Any) -> Any:
    """y * x**(y - 1); 0 where y is 0, also at x = 0."""
    if np.ndim(y) == 0 and type(y) in (int, float):
        if y == 2:
            return ct * (2 * x)
        return ct * (y * x ** (y - 1)) if y != 0 else ct * 0
    lower = np.where(y == 0, 1, y - 1)
    return ct * (y * x**lower)


def _power_exponent(ct: Any, out: Any, x: Any, y: Any) -> Any:
    """out * log(x); 0 at x = 0, where a small change of a positive exponent changes nothing."""
    return ct * (out * np.log(np.where(x == 0, 1, x)))


elementwise("power", _power_base, _power_exponent)
elementwise("float_power", _power_base, _power_exponent)

for _name in ("remainder", "mod"):
    elementwise(_name, lambda ct, out, x, y: ct, lambda ct, out, x, y: -ct * np.floor_divide(x, y))
elementwise("fmod", lambda ct, out, x, y: ct, lambda ct, out, x, y: -ct * np.rint((x - out) / y))


def _over_hypot(ct: Any, side: Any, out: Any) -> Any:
    """ct * side / out; the subgradient 0 at the origin."""
    at_zero = out == 0
    return np.where(at_zero, 0, ct * side / np.where(at_zero, 1, out))


elementwise(
    "hypot",
    lambda ct, out, x, y: _over_hypot(ct, x, out),
    lambda ct, out, x, y: _over_hypot(ct, y, out),
)
elementwise(
    "arctan2",
    lambda ct, out, x, y: ct * y / (x * x + y * y),
    lambda ct, out, x, y: -ct * x / (x * x + y * y),
)


def _share(x: Any, out: Any) -> Any:
    """exp(x - out) of a logaddexp; infinite ones are compared first, since inf - inf is NaN."""
    return np.exp(np.where(x == out, 0, x - out))


elementwise(
    "logaddexp",
    lambda ct, out, x, y: ct * _share(x, out),
    lambda ct, out, x, y: ct * _share(y, out),
)
elementwise(
    "logaddexp2",
    lambda ct, out, x, y: ct * np.exp2(np.where(x == out, 0, x - out)),
    lambda ct, out, x, y: ct * np.exp2(np.where(y == out, 0, y - out)),
)
elementwise("copysign", lambda ct, out, x, y: ct * np.copysign(np.sign(x), x * y), None, singular=False)
elementwise("nextafter", lambda ct, out, x, y: ct, None, singular=False)
elementwise("ldexp", lambda ct, out, x, n: np.ldexp(ct, n), None)
define("frexp", lambda cts, outs, x: None if cts[0] is None else np.ldexp(cts[0], -outs[1]), keeps=True)
elementwise(
    "heaviside",
    None,
    lambda ct, out, x, y: np.where(x == 0, ct, 0),
    singular=False,
    masks=True,
)
elementwise(
    "nan_to_num",
    lambda ct, out, x, copy=True, nan=0.0, posinf=None, neginf=None: np.where(np.isfinite(x), ct, 0),
    singular=False,
    masks=True,
)
elementwise("unwrap", lambda ct, out, p, discont=None, axis=-1, *, period=6.283185307179586: ct)

zero("sign floor ceil trunc rint round around fix floor_divide spacing imag angle")
