"""The table of gradient rules: what each NumPy function's arguments get for a cotangent of its result.

A rule is a function `(ct, out, *args, **kwargs)` that gives the cotangent of one argument; `define` takes
one for each argument, by position, None for those without gradient. A joint rule gives a tuple for all
arguments at once: it may nest lists as the arguments do. `bind` puts arguments that were given by keyword
in their place.

Elementwise rules give the cotangent at the shape of the result; `pull` undoes the broadcasting and the
promotion. Where the cotangent comes from a choice (`masked`), elements that were not taken stay 0 even
where the derivative there is infinite or NaN: `np.where(x > 0, np.sqrt(x), 0)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy

from graphc.npjit.vjps.calls import cast, dtype_of, np, open_sizes, record, sum_to

Rule = Callable[..., Any]


@dataclass(frozen=True)
class Rules:
    """The rules of one function. `singular`: its derivative may be infinite or NaN where the function is
    finite, or where nobody looks; `masks`: it chooses among elements; `keeps`: a mask of its cotangent is
    one of its arguments' too."""

    name: str
    parts: tuple[Rule | None, ...] = ()
    joint: Rule | None = None
    elementwise: bool = False
    singular: bool = False
    masks: bool = False
    keeps: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def signature(self) -> inspect.Signature:
        """The parameters of the function itself: those of a rule without ct and out."""
        rule = self.joint or next(p for p in self.parts if p is not None)
        parameters = list(inspect.signature(rule).parameters.values())[2:]
        return inspect.Signature(parameters)

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments by position as far as the rules name them, and the other keywords."""
        if not kwargs:
            return list(args), {}
        positional = [
            p
            for p in self.signature.parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        placed, rest = list(args), {self.renamed.get(k, k): v for k, v in kwargs.items()}
        last = max((i for i, p in enumerate(positional) if p.name in rest), default=-1)
        for p in positional[len(placed) : last + 1]:
            placed.append(rest.pop(p.name) if p.name in rest else p.default)
        return placed, rest


RULES: dict[Any, Rules] = {}
RULES[sum_to] = Rules("sum_to", (lambda ct, out, g, x: np.broadcast_to(ct, np.shape(g)), None), keeps=True)
ZERO: set[Any] = set()
"""Functions whose results do not change, or are not floating, where their arguments change a little."""


def function(name: str) -> Any:
    """The NumPy function of this name, such as "linalg.inv" or "add.reduce"; None where this NumPy has
    none."""
    found: Any = numpy
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def define(
    name: str,
    *parts: Rule | None,
    keeps: bool = False,
    masks: bool = False,
    renamed: Mapping[str, str] | None = None,
) -> None:
    """One rule for each argument; `renamed`: other names of arguments, that keywords may use."""
    _add(Rules(name, parts, keeps=keeps, masks=masks, renamed=renamed or {}))


def elementwise(name: str, *parts: Rule | None, singular: bool = True, masks: bool = False) -> None:
    """Rules of a ufunc, at the shape of its result."""
    _add(Rules(name, parts, elementwise=True, singular=singular, masks=masks, keeps=True))


def joint(name: str, keeps: bool = False) -> Callable[[Rule], Rule]:
    """Decorator: a rule for all arguments at once."""

    def register(rule: Rule) -> Rule:
        _add(Rules(name, joint=rule, keeps=keeps))
        return rule

    return register


def zero(names: str) -> None:
    """Functions without gradient, by names with spaces between them."""
    ZERO.update(found for found in map(function, names.split()) if found is not None)


def _add(rules: Rules) -> None:
    found = function(rules.name)
    if found is not None:
        RULES[found] = rules


def pull(
    rules: Rules,
    ct: Any,
    out: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    wanted: Sequence[bool] | None = None,
    masked: bool = True,
) -> list[Any]:
    """Cotangents of the arguments; None where not `wanted` (by position), or where there is none.

    >>> from graphc.npjit.vjps.find import rules_of
    >>> pull(rules_of(numpy.multiply), 1.0, 6.0, (2.0, 3.0), {}, masked=False)
    [3.0, 2.0]
    """
    if rules.joint is not None:
        given = rules.joint(ct, out, *args, **kwargs)
        return [fit(g, a) for g, a in zip(given, args)]
    if rules.elementwise:
        where = kwargs.pop("where", True)
        for option in ("dtype", "casting", "order", "subok", "signature"):
            kwargs.pop(option, None)
        if where is not True:
            ct = np.where(where, ct, 0)
    given = args
    args = [
        np.array(a) if isinstance(a, (list, tuple)) and _is_operand(rules, i) else a
        for i, a in enumerate(args)
    ]
    found: list[Any] = []
    for i, a in enumerate(given):
        if wanted is not None and wanted[i] and i >= len(rules.parts):
            raise LookupError(rules.name)
        rule = rules.parts[i] if i < len(rules.parts) else None
        if rule is None or (wanted is not None and not wanted[i]):
            found.append(None)
            continue
        g = rule(ct, out, *args, **kwargs)
        if rules.elementwise and rules.singular and masked:
            g = np.where(ct == 0, 0, g)
        found.append(fit(g, a))
    return found


def _is_operand(rules: Rules, i: int) -> bool:
    """Whether argument i can have a gradient: a list there stands for an array."""
    return i < len(rules.parts) and rules.parts[i] is not None


def fit(g: Any, x: Any) -> Any:
    """The cotangent with the shape and dtype of the argument: what broadcasting repeated is summed."""
    if g is None:
        return None
    if isinstance(x, (list, tuple)):
        return [fit(part, item) for part, item in zip(g, x)]
    return cast(unbroadcast(g, x), dtype_of(x)) if dtype_of(x).kind == "f" else None


def unbroadcast(g: Any, x: Any) -> Any:
    """g summed over the axes along which x was repeated, or repeated itself where g has size 1 or no axis."""
    if open_sizes(g) or open_sizes(x):
        return np.sum(g) if np.ndim(x) == 0 else record(sum_to, g, x)
    have, want = np.shape(g), np.shape(x)
    lead = len(have) - len(want)
    if lead < 0:
        return np.broadcast_to(g, want)
    ones = [i for i, n in enumerate(want) if n == 1 and have[i + lead] != 1]
    axes = (*range(lead), *(i + lead for i in ones))
    if axes:
        g = np.sum(g, axis=axes)
        g = np.expand_dims(g, tuple(ones)) if ones else g
    short = any(n == 1 and m != 1 for n, m in zip(have[lead:], want))
    return np.broadcast_to(g, want) if short else g
