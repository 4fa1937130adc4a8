"""`check_grads`: gradients against differences, for users and tests."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from graphc.ir.errors import ArgumentError, NumericsError
from graphc.npjit.derivable import floating
from graphc.npjit.gradient import vjp
from graphc.npjit.leaves import ATOMS, made_like
from graphc.npjit.lookup import attributes
from graphc.npjit.values import Num, Sym


def check_grads(
    f: Callable[..., Any],
    args: Any,
    order: int = 1,
    modes: Sequence[str] = ("rev",),
    rtol: float = 1e-4,
    atol: float = 1e-5,
    eps: float = 1e-4,
    seed: int = 0,
) -> None:
    """Compare the gradients of `f` at `args` with central differences, along a random direction in each leaf.

    Args:
        f: a function of arrays, numbers and containers of them, whose result is an array or a number, or a
            tuple or list of them.
        args: its arguments; a single one may stand for itself. They are not changed.
        order: 2 checks the second derivatives too.
        modes: "rev", the only one.
        rtol, atol: the largest difference that passes, relative to the derivative, and absolute.
        eps: the step of the differences. All is done in float64.
        seed: of the directions.

    Raises NumericsError, which names the argument whose gradient is wrong.

    >>> check_grads(lambda x, p: np.sum(np.tanh(x @ p["W"])), (np.ones((2, 3)), {"W": np.eye(3)}), order=2)
    """
    if order not in (1, 2) or tuple(modes) != ("rev",):
        raise ArgumentError(
            f"check_grads takes order=1 or 2 and modes=('rev',), but got {order!r} and {modes!r}."
        )
    given = changed(args if isinstance(args, (tuple, list)) else (args,), lambda x: np.array(x, float)[()])
    rng = np.random.default_rng(seed)
    out = f(*copy.deepcopy(given))
    several = isinstance(out, (tuple, list))
    cts = [rng.normal(size=np.shape(y)) for y in (out if several else [out])]
    ct: Any = tuple(cts) if several else cts[0]

    def value(*inner: Any) -> float:
        found = f(*inner)
        return float(sum(np.sum(y * c) for y, c in zip(found if several else [found], cts)))

    directions = [rng.normal(size=np.shape(x)) for _, x in floats(given)]
    _compare(value, given, vjp(f)(*copy.deepcopy(given), ct), directions, (rtol, atol, eps), "gradient")
    if order == 1:
        return
    slope = Slope(f, ct, directions)
    gradients = vjp(slope)(*copy.deepcopy(given), 1.0)
    limits = (10 * rtol, 10 * atol, eps)
    _compare(slope, given, gradients, directions, limits, "derivative of the gradient")


class Slope:
    """The sum of gradient times direction over all leaves: a number, which can be differentiated again."""

    def __init__(self, f: Callable[..., Any], ct: Any, directions: list[Any]) -> None:
        self.first, self.ct, self.directions = vjp(f), ct, directions

    def __call__(self, *args: Any) -> Any:
        found = [g for _, g in floats(self.first(*args, self.ct))]
        return sum(np.sum(g * v) for g, v in zip(found, self.directions))

    def __graphc_record__(self, rt: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = [g for _, g in floats(rt.call(self.first, *args, self.ct))]
        terms = [rt.call(np.sum, rt.op("mul", g, v)) for g, v in zip(found, self.directions)]
        return rt.call(sum, terms)


def _compare(
    value: Callable[..., Any],
    given: Any,
    gradients: Any,
    directions: list[Any],
    limits: tuple[float, float, float],
    what: str,
) -> None:
    """The slope of `value` along the direction in each leaf, by gradient and by differences."""
    rtol, atol, eps = limits
    found = [g for _, g in floats(gradients)]
    for k, ((path, _), v) in enumerate(zip(floats(given), directions, strict=True)):
        mine = float(np.sum(found[k] * v))
        high, low = (float(value(*copy.deepcopy(_moved(given, k, s * v)))) for s in (eps, -eps))
        expected = (high - low) / (2 * eps)
        if not abs(mine - expected) <= atol + rtol * abs(expected):
            raise NumericsError(
                f"the {what} with respect to args{path} is {mine:.8g} along a random direction, but "
                f"differences give {expected:.8g}."
            )


def _moved(given: Any, k: int, step: Any) -> Any:
    """The arguments with leaf k moved."""
    numbers = iter(range(len(list(floats(given)))))
    return changed(given, lambda x: x + step if next(numbers) == k else x)


def is_float(x: Any) -> bool:
    """Whether x is a floating array or number."""
    if type(x) is Sym:
        return floating(x.meta)
    return isinstance(x, (float, np.ndarray, np.generic)) and np.asarray(x).dtype.kind == "f"


def _parts(x: Any) -> list[tuple[Any, str, Any]]:
    """The parts of a container: key, how it is written, value."""
    if isinstance(x, dict):
        return [(k, f"[{k!r}]", v) for k, v in x.items()]
    if isinstance(x, (list, tuple, deque)):
        return [(i, f"[{i}]", v) for i, v in enumerate(x)]
    if not isinstance(x, (*ATOMS, np.generic, np.ndarray, Sym, Num)):
        return [(k, f".{k}", getattr(x, k)) for k in attributes(x)]
    return []


def floats(x: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The floating leaves of nested containers, each with its path.

    >>> list(floats(({"a": 1.0, "n": 2}, [3.0])))
    [("[0]['a']", 1.0), ('[1][0]', 3.0)]
    """
    if is_float(x):
        yield path, x
    for _, text, v in _parts(x):
        yield from floats(v, path + text)


def changed(x: Any, fn: Callable[[Any], Any]) -> Any:
    """New containers with fn(leaf) in the place of each floating leaf."""
    if is_float(x):
        return fn(x)
    values = {k: changed(v, fn) for k, _, v in _parts(x)}
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*values.values())
    if isinstance(x, (list, tuple)):
        return type(x)(values.values())
    if not values:
        return x
    if isinstance(x, deque):
        return deque(values.values(), x.maxlen)
    if isinstance(x, dict):
        made = copy.copy(x)
        made.update(values)
        return made
    return made_like(x, values)
