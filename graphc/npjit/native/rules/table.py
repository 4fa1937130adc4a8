"""The table of translations: NumPy function -> rule.

A rule is called as `rule(b, *args, **kwargs)` with the log's arguments, in which nodes and numbers computed
at run time are `Operand`s, and gives an Expr, or a list of them for several results. Its parameters have
NumPy's names; one that it lacks makes the call stay NumPy's. It raises `Unexpressed` where the IR can't say
what the call means.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.ir.builder import Builder
from graphc.npjit.native.operands import Unexpressed

Rule = Callable[..., Any]

RULES: dict[Any, Rule] = {}
"""By NumPy function, ufunc or function of `operator`; methods and attributes by ("method", name) and
("attribute", name).
"""

_SIGNATURES: dict[Rule, inspect.Signature] = {}


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
    signature = _SIGNATURES.get(made)
    if signature is None:
        signature = _SIGNATURES[made] = inspect.signature(made)
    try:
        signature.bind(b, *args, **given)
    except TypeError as e:
        raise Unexpressed(str(e)) from None
    return made(b, *args, **given)
