"""Fits the polynomials of `vmath`, and writes them to `coefficients.py`: `python -m graphc.codegen.fit >
codegen/coefficients.py`.

Interpolation at Chebyshev nodes by divided differences, in decimal arithmetic of 60 digits, so that a formula
with cancellation does no harm and the result is the same on every machine. Nothing here runs when code is
made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache

_DIGITS = 60
_ERFC_DIGITS = 110  # 1 - erf loses 40 digits at 9


@dataclass(frozen=True)
class Recipe:
    """A function to approximate on [low, high] by a polynomial of degree `f32` or `f64`, by element type."""

    function: Callable[[Decimal], Decimal]
    low: float
    high: float
    f32: int
    f64: int


def _series(v: Decimal, term: Callable[[int], Decimal]) -> Decimal:
    return sum((term(k) * v**k for k in range(60)), Decimal(0))


def _factorial(n: int) -> Decimal:
    return Decimal(math.factorial(n))


def _sign(k: int) -> int:
    return -1 if k % 2 else 1


@cache
def _root() -> Decimal:
    """2 / sqrt(pi), with pi by Machin's formula."""

    def atan_of_inverse(n: int) -> Decimal:
        return sum(
            (Decimal(_sign(k)) / ((2 * k + 1) * Decimal(n) ** (2 * k + 1)) for k in range(160)), Decimal(0)
        )

    with localcontext() as context:
        context.prec = _ERFC_DIGITS
        return 2 / (16 * atan_of_inverse(5) - 4 * atan_of_inverse(239)).sqrt()


def _erf_tail(v: Decimal) -> Decimal:
    """erf(s) / s - 1 for v = s * s."""
    return _root() * _series(v, lambda k: _sign(k) / (_factorial(k) * (2 * k + 1))) - 1


def _log_erfc(x: Decimal) -> Decimal:
    with localcontext() as context:
        context.prec = _ERFC_DIGITS
        term, total, k = x, x, 0
        while abs(term) > Decimal(10) ** (5 - _ERFC_DIGITS):
            k += 1
            term = -term * x * x / k
            total += term / (2 * k + 1)
        return (1 - _root() * total).ln()


RECIPES: dict[str, Recipe] = {
    # (exp(v) - 1 - v) / v^2
    "exp": Recipe(lambda v: _series(v, lambda k: 1 / _factorial(k + 2)), -0.3470, 0.3470, 4, 10),
    # log((1 + s) / (1 - s)) = 2 s + s z R(z), z = s^2
    "log": Recipe(lambda v: _series(v, lambda k: Decimal(2) / (2 * k + 3)), 0.0, 0.02944, 3, 7),
    "erf": Recipe(_erf_tail, 0.0, 1.0, 7, 14),
    # log(erfc(x)) from the lower end of an interval, where it matters most; its singularities at 1.35 +-
    # 1.99i limit what one polynomial can do
    "erfc_short": Recipe(lambda u: _log_erfc(u + 1), 0.0, 3.0, 12, 12),
    "erfc_low": Recipe(lambda u: _log_erfc(u + 1), 0.0, 1.5, 19, 19),
    "erfc_high": Recipe(lambda u: _log_erfc(u + Decimal("2.5")), 0.0, 3.5, 22, 22),
    # (sin(s) / s - 1) / v and (cos(s) - 1 + v / 2) / v^2, v = s^2
    "sin": Recipe(lambda v: _series(v, lambda k: -_sign(k) / _factorial(2 * k + 3)), 0.0, 0.6170, 3, 6),
    "cos": Recipe(lambda v: _series(v, lambda k: _sign(k) / _factorial(2 * k + 4)), 0.0, 0.6170, 3, 6),
}


def fit(function: Callable[[Decimal], Decimal], low: float, high: float, degree: int) -> list[Decimal]:
    """Monomial coefficients, lowest first, of the interpolant of `function` at the Chebyshev nodes of [low,
    high].
    """
    with localcontext() as context:
        context.prec = _DIGITS
        angles = (math.pi * (2 * i + 1) / (2 * degree + 2) for i in range(degree + 1))
        middle, half = (Decimal(low) + Decimal(high)) / 2, (Decimal(high) - Decimal(low)) / 2
        x = [middle + half * Decimal(math.cos(angle)) for angle in angles]
        d = [function(v) for v in x]
        for j in range(1, degree + 1):
            d[j:] = [(d[i] - d[i - 1]) / (x[i] - x[i - j]) for i in range(j, degree + 1)]
        coefficients = [d[-1]]
        for k in range(degree - 1, -1, -1):
            shifted = [Decimal(0), *coefficients]
            coefficients = [a - x[k] * b for a, b in zip(shifted, [*coefficients, Decimal(0)])]
            coefficients[0] += d[k]
        return coefficients


def coefficients_of(recipe: Recipe, dtype: str) -> tuple[float, ...]:
    """The coefficients of a recipe for f32 or f64, as doubles (f32 code rounds them once more)."""
    degree = recipe.f32 if dtype == "f32" else recipe.f64
    return tuple(float(c) for c in fit(recipe.function, recipe.low, recipe.high, degree))


def table_text(rows: Sequence[tuple[str, str]]) -> str:
    """The source text of `coefficients.py` for (recipe, dtype) pairs."""
    lines = ['"""Coefficients of the polynomials of `vmath`, lowest first, as `fit` writes them."""', ""]
    lines += ["COEFFICIENTS: dict[tuple[str, str], tuple[float, ...]] = {"]
    for name, dtype in rows:
        lines.append(f'    ("{name}", "{dtype}"): (')
        lines += [f"        {c!r}," for c in coefficients_of(RECIPES[name], dtype)]
        lines.append("    ),")
    return "\n".join([*lines, "}"])


def every_row() -> list[tuple[str, str]]:
    """All (recipe, dtype) pairs that `vmath` uses."""
    only = {"erfc_short": "f32", "erfc_low": "f64", "erfc_high": "f64"}
    return [(name, dtype) for name in RECIPES for dtype in ("f32", "f64") if only.get(name, dtype) == dtype]


if __name__ == "__main__":
    print(table_text(every_row()))
