"""Rules of functions that choose among their arguments: where, clip, maximum and their kin.

At a tie the cotangent is shared: half to each side of `maximum(x, y)` where x equals y, so that
np.maximum(x, 0) has the gradient 0.5 at 0, and so does np.clip at its bounds.
"""

from __future__ import annotations

from typing import Any

from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.table import define, elementwise, joint


def taken(ct: Any, where: Any) -> Any:
    """ct where the condition holds, else 0."""
    return np.where(where, ct, 0)


def tie(ct: Any, ahead: Any, equal: Any) -> Any:
    """ct where this side is ahead, half of it at a tie."""
    return np.where(ahead, ct, np.where(equal, 0.5 * ct, 0))


define(
    "where",
    None,
    lambda ct, out, condition, x, y: taken(ct, condition),
    lambda ct, out, condition, x, y: np.where(condition, 0, ct),
    masks=True,
)


def _extremes(name: str, better: Any, worse: Any, skips_nan: bool = False) -> None:
    """The rules of a function that takes the better of two; `skips_nan`: as fmax and fmin do."""

    def left(ct: Any, out: Any, x: Any, y: Any) -> Any:
        ahead = better(x, y)
        return tie(ct, ahead | np.isnan(y) if skips_nan else ahead, x == y)

    def right(ct: Any, out: Any, x: Any, y: Any) -> Any:
        ahead = worse(x, y)
        return tie(ct, ahead | np.isnan(x) if skips_nan else ahead, x == y)

    elementwise(name, left, right, singular=False, masks=True)


_extremes("maximum", np.greater, np.less)
_extremes("minimum", np.less, np.greater)
_extremes("fmax", np.greater, np.less, skips_nan=True)
_extremes("fmin", np.less, np.greater, skips_nan=True)


def _clip(ct: Any, a: Any, low: Any, high: Any) -> tuple[Any, Any, Any]:
    """As minimum(maximum(a, low), high)."""
    raised = a if low is None else np.maximum(a, low)
    for_high = for_low = None
    if high is not None:
        for_high = tie(ct, raised > high, raised == high)
        ct = tie(ct, raised < high, raised == high)
    if low is not None:
        for_low = tie(ct, a < low, a == low)
        ct = tie(ct, a > low, a == low)
    return ct, for_low, for_high


define(
    "clip",
    lambda ct, out, a, a_min=None, a_max=None: _clip(ct, a, a_min, a_max)[0],
    lambda ct, out, a, a_min=None, a_max=None: _clip(ct, a, a_min, a_max)[1],
    lambda ct, out, a, a_min=None, a_max=None: _clip(ct, a, a_min, a_max)[2],
    masks=True,
    renamed={"min": "a_min", "max": "a_max"},
)


@joint("select", keeps=True)
def _select(ct: Any, out: Any, condlist: Any, choicelist: Any, default: Any = 0) -> tuple[Any, Any, Any]:
    shares, free = [], np.ones(np.shape(out), bool)
    for condition, _choice in zip(condlist, choicelist):
        shares.append(taken(ct, free & condition))
        free = free & np.logical_not(condition)
    return None, shares, taken(ct, free)


@joint("choose", keeps=True)
def _choose(
    ct: Any, out: Any, a: Any, choices: Any, out_: Any = None, mode: str = "raise"
) -> tuple[Any, Any]:
    count, a = len(choices), np.asarray(a)
    if mode == "wrap":
        a = np.remainder(a, count)
    elif mode == "clip":
        a = np.clip(a, 0, count - 1)
    return None, [taken(ct, a == i) for i in range(count)]
