"""Rewrite rules as a table of (pattern, replacement), and the driver that applies them.

A pattern is written as the call that it matches: `transpose(transpose(x, axes=first), axes=second)`. A name
stands for any operand, the same name for the same one; a number matches a constant that holds nothing but
this number (-0.0 is not 0.0); `name=word` binds an attribute, `name=1` requires it. Operands of commutative
ops match in either order. The replacement is a function of the builder and of the bound names; `out` is the
type of the result. It gives the new result, or None where the rule does not apply.
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Union

import numpy as np

from graphc.ir.builder import Builder, Expr
from graphc.ir.dims import Size
from graphc.ir.equalities import Equalities
from graphc.ir.graph import Graph, Node, Value
from graphc.passes.rewrite import Rewriter, in_regions

MAX_SWEEPS = 64
Bound = dict[str, Any]
Term = Union["Call", str, int, float]


@dataclass(frozen=True)
class Call:
    """A pattern for the result of an op."""

    op: str
    operands: tuple[Term, ...]
    attrs: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Rule:
    """A pattern and what takes its place."""

    pattern: str
    replacement: Callable[..., Any]

    @cached_property
    def call(self) -> Call:
        """The parsed pattern."""
        term = _term(ast.parse(self.pattern, mode="eval").body)
        assert isinstance(term, Call)
        return term

    @cached_property
    def needs(self) -> frozenset[str]:
        """The ops that must be among those of the operands: a quick test before the match."""
        parts = [p for p in self.call.operands if not isinstance(p, str)]
        return frozenset(p.op if isinstance(p, Call) else "constant" for p in parts)

    @cached_property
    def _wanted(self) -> frozenset[str]:
        return frozenset(list(inspect.signature(self.replacement).parameters)[1:])

    def build(self, builder: Builder, bound: Bound) -> Any:
        """What the replacement makes of the bound names."""
        return self.replacement(builder, **{k: v for k, v in bound.items() if k in self._wanted})


def _term(node: ast.expr) -> Term:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        attrs = [(k.arg or "", _attribute(k.value)) for k in node.keywords]
        return Call(node.func.id, tuple(_term(a) for a in node.args), tuple(attrs))
    if isinstance(node, ast.Name):
        return node.id
    return ast.literal_eval(node)


@dataclass(frozen=True)
class Word:
    """The name that an attribute's value is bound to."""

    name: str


def _attribute(node: ast.expr) -> Any:
    return Word(node.id) if isinstance(node, ast.Name) else ast.literal_eval(node)


def _matches(
    term: Term, value: Value, producer: Callable[[Value], Node | None], bound: Bound
) -> Iterator[Bound]:
    """All ways in which a value is an instance of a term."""
    if isinstance(term, str):
        if term not in bound or bound[term] is value:
            yield bound | {term: value}
        return
    node = producer(value)
    if node is None:
        return
    if isinstance(term, Call):
        yield from _node_matches(term, node, producer, bound)
    elif node.op.name == "constant" and holds_only(node.attrs["value"], term):
        yield bound


def _node_matches(
    call: Call, node: Node, producer: Callable[[Value], Node | None], bound: Bound
) -> Iterator[Bound]:
    if node.op.name != call.op or len(node.operands) != len(call.operands):
        return
    for name, wanted in call.attrs:
        given = node.attrs[name]
        if isinstance(wanted, Word):
            bound = bound | {wanted.name: given}
        elif given != wanted:
            return
    yield from _operand_matches(call.operands, node.operands, producer, bound)
    if node.op.commutative and len(node.operands) == 2:
        yield from _operand_matches(call.operands, node.operands[::-1], producer, bound)


def _operand_matches(
    terms: Sequence[Term], values: Sequence[Value], producer: Callable[[Value], Node | None], bound: Bound
) -> Iterator[Bound]:
    if not terms:
        yield bound
        return
    for found in _matches(terms[0], values[0], producer, bound):
        yield from _operand_matches(terms[1:], values[1:], producer, found)


def holds_only(value: Any, number: float) -> bool:
    """Whether a constant's value is this number in each element, the sign of zero included."""
    if isinstance(value, Size):
        return False
    array = np.asarray(value)
    if array.size == 0 or not np.all(array == number):
        return False
    signs = np.signbit(array) if array.dtype.kind == "f" else np.zeros(1, bool)
    return number != 0 or bool(np.all(signs == (math.copysign(1.0, number) < 0)))


def apply_rules(graph: Graph, rules: Sequence[Rule], counts: dict[str, int] | None = None) -> Graph:
    """The graph after all rules, in it and in its regions, until none applies; `counts` gets uses per
    pattern.
    """
    by_op = _by_op(tuple(rules))
    for _ in range(MAX_SWEEPS):
        after = _sweep(graph, by_op, counts if counts is not None else {})
        if after is graph:
            break
        graph = after
    return graph


@functools.cache
def _by_op(rules: tuple[Rule, ...]) -> dict[str, list[Rule]]:
    """The rules for each op; a pattern is parsed only when its op is met."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.pattern.partition("(")[0], []).append(rule)
    return found


def _sweep(graph: Graph, by_op: dict[str, list[Rule]], counts: dict[str, int]) -> Graph:
    rewriter, known = Rewriter(graph), Equalities(graph.requirements)
    for node in graph.nodes:
        rule = _apply_first(rewriter, node, by_op.get(node.op.name, ()), known)
        if rule is not None:
            counts[rule.pattern] = counts.get(rule.pattern, 0) + 1
        else:
            rewriter.keep(node, in_regions(node, lambda region: _sweep(region, by_op, counts)))
    return rewriter.finish()


def _apply_first(rewriter: Rewriter, node: Node, rules: Sequence[Rule], known: Equalities) -> Rule | None:
    if not rules or len(node.results) != 1:
        return None
    operands = tuple(rewriter.value(v) for v in node.operands)
    current = Node(node.op, operands, node.attrs, node.results, node.regions, node.location)
    producers = [rewriter.producer(v) for v in operands]
    ops = {p.op.name for p in producers if p is not None}
    for rule in rules:
        if not rule.needs <= ops:
            continue
        for bound in _node_matches(rule.call, current, rewriter.producer, {}):
            if _replace(rewriter, node, rule, bound, known):
                return rule
    return None


def _replace(rewriter: Rewriter, node: Node, rule: Rule, bound: Bound, known: Equalities) -> bool:
    """Apply a rule; it does not apply where the new result's type is another one."""
    out = node.result.type

    def build(b: Builder, /, *operands: Expr, **attrs: Any) -> Any:
        named = {k: Expr(b, v) if isinstance(v, Value) else v for k, v in bound.items()}
        made = rule.build(b, named | {"out": out})
        return made if isinstance(made, Expr) and known.same_type(made.type, out) else None

    return rewriter.replace(node, build)
