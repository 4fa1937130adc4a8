"""Rules of functions that make arrays from numbers: full, linspace, random draws with a location and a
scale."""

from __future__ import annotations

from typing import Any

from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.table import define, zero

define("full", None, lambda ct, out, shape, fill_value, dtype=None, order="C", **o: ct, keeps=True)
define("full_like", None, lambda ct, out, a, fill_value, dtype=None, **o: ct, keeps=True)


define(
    "arange",
    lambda ct, out, start, stop=None, step=1, **o: np.sum(ct) if stop is not None else 0 * np.sum(ct),
    None,
    lambda ct, out, start, stop=None, step=1, **o: np.sum(ct * np.arange(np.shape(ct)[0])),
)
define("bincount", None, lambda ct, out, x, weights=None, minlength=0: ct[x], keeps=True)


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
zero("zeros_like ones_like empty_like")
