"""The table of translations: NumPy function -> rule.

A rule is called as `rule(b, *args, **kwargs)` with the log's arguments, in which nodes and numbers computed
at run time are `Operand`s, and gives an Expr, or a list of them for several results. Its parameters have
NumPy's names; one that it lacks makes the call stay NumPy's. It raises `Unexpressed` where the IR can't say
what the call means.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from graphc.ir.builder import Builder
from graphc.npjit.native.operands import Unexpressed

Rule = Callable[..., Any]

RULES: dict[Any, Rule] = {}
"""By NumPy function, ufunc or function of `operator`; methods and attributes by ("method", name) and
("attribute", name).
"""


class Parameters(NamedTuple):
    """What a rule takes beside the builder: least and most positional arguments, and names."""

    least: int
    most: float
    names: frozenset[str]
    needed: frozenset[str]

    @staticmethod
    def of(made: Rule) -> Parameters:
        """The parameters of a rule."""
        _, *given = inspect.signature(made).parameters.values()
        positional = [p for p in given if p.kind is p.POSITIONAL_OR_KEYWORD]
        several = any(p.kind is p.VAR_POSITIONAL for p in given)
        named = frozenset(p.name for p in given if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
        needed = [p for p in positional if p.default is p.empty]
        return Parameters(
            len(needed), math.inf if several else len(positional), named, frozenset(p.name for p in needed)
        )

    def fit(self, count: int, keywords: Mapping[str, Any]) -> bool:
        """Whether a call with so many positional arguments and these names is possible."""
        missing = self.least - count
        return (
            count <= self.most
            and keywords.keys() <= self.names
            and (missing <= 0 or len(self.needed & keywords.keys()) >= missing)
        )


_PARAMETERS: dict[Rule, Parameters] = {}


def rule(*functions: Any, methods: str = "") -> Callable[[Rule], Rule]:
    """Enter a rule for these functions and for ndarray's methods of these names."""

    def enter(made: Rule) -> Rule:
        for f in functions:
            RULES[f] = made
        for name in methods.split():
            RULES["method", name] = made
        return made

    return enter


def apply(b: Builder, made: Rule, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A rule on arguments.

    Raises
    ------
    Unexpressed
        The rule lacks a parameter, or can't say what the call means.
    """
    given = {k: v for k, v in kwargs.items() if v is not np._NoValue}
    parameters = _PARAMETERS.get(made)
    if parameters is None:
        parameters = _PARAMETERS[made] = Parameters.of(made)
    if not parameters.fit(len(args), given):
        raise Unexpressed(f"arguments {', '.join(given) or len(args)} of this function")
    return made(b, *args, **given)
