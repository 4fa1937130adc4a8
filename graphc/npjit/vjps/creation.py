"""Rules of functions that make arrays from numbers: full, linspace, random draws with a location and a
scale."""

from __future__ import annotations

from typing import Any

from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.table import define, zero

define("full", None, lambda ct, out, shape, fill_value, dtype=None, order="C", **o: ct, keeps=True)
define("full_like", None, lambda ct, out, a, fill_value, dtype=None, **o: ct, keeps=True)


def _positions(ct: Any, num: Any, endpoint: bool, axis: int = 0) -> Any:
    """0 ... 1 along the axis of the samples."""
    steps = num - 1 if endpoint else num
    t = np.arange(num) / (steps if steps else 1)
    rank = np.ndim(ct)
    return np.reshape(t, tuple(-1 if i == axis % rank else 1 for i in range(rank)))


def _linspace(ct: Any, weights: Any, axis: int) -> Any:
    return np.sum(ct * weights, axis=axis)


define(
    "linspace",
    lambda ct, out, start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0: _linspace(
        ct, 1 - _positions(ct, num, endpoint, axis), axis
    ),
    lambda ct, out, start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0: _linspace(
        ct, _positions(ct, num, endpoint, axis), axis
    ),
)


def _standard(out: Any, loc: Any, scale: Any) -> Any:
    """The draw without its location and scale."""
    return (out - loc) / scale


for _name in ("normal", "laplace", "logistic", "gumbel"):
    define(
        f"random.{_name}",
        lambda ct, out, loc=0.0, scale=1.0, size=None: ct,
        lambda ct, out, loc=0.0, scale=1.0, size=None: ct * _standard(out, loc, scale),
    )
define(
    "random.uniform",
    lambda ct, out, low=0.0, high=1.0, size=None: ct * (1 - (out - low) / (high - low)),
    lambda ct, out, low=0.0, high=1.0, size=None: ct * ((out - low) / (high - low)),
)
for _name in ("exponential", "rayleigh"):
    define(f"random.{_name}", lambda ct, out, scale=1.0, size=None: ct * out / scale)

zero("zeros ones empty random.rand random.randn random.random random.random_sample random.randint")
zero("random.choice")
zero("random.binomial random.multinomial random.poisson random.permutation random.standard_normal")
zero("random.seed")
