"""`match` as tests one after the other: what each pattern becomes.

case [a, 0, *rest]  ->  if __rt.is_sequence(t, 2, True) and (a := t[0], ) and ...:
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphc.npjit.syntax import Rewriter

LOAD, STORE = ast.Load(), ast.Store()
TRUE = ast.Constant(True)


def captures(n: ast.AST) -> set[str]:
    """The names that a pattern binds."""
    named = {n.name} if isinstance(n, ast.MatchAs | ast.MatchStar) and n.name else set()
    return named | ({n.rest} if isinstance(n, ast.MatchMapping) and n.rest else set())


class Patterns:
    """The statements of one `match`, for a rewriter."""

    def __init__(self, rewriter: Rewriter, rt: Callable[..., ast.Call]) -> None:
        self.rewriter, self.rt = rewriter, rt

    def statements(self, n: ast.Match) -> list[ast.stmt]:
        """The subject in a name of its own, and one `if` in the other branch of the one before."""
        subject = self.rewriter.temporary()
        rest: list[ast.stmt] = []
        for case in reversed(n.cases):
            tests = [self.test(case.pattern, ast.Name(subject, LOAD))]
            if case.guard is not None:
                tests.append(self.rewriter.test(case.guard))
            rest = [ast.If(both(tests), self.rewriter.block(case.body), rest)]
        return [ast.Assign([ast.Name(subject, STORE)], self.rewriter.visit(n.subject)), *rest]

    def test(self, p: ast.pattern, x: ast.expr) -> ast.expr:
        """Whether x has the pattern p; x is an expression that may be evaluated again."""
        made: ast.expr = getattr(self, f"_{type(p).__name__}")(p, x)
        return made

    def part(self, p: ast.pattern, value: ast.expr) -> list[ast.expr]:
        """The tests of a part, which is taken once."""
        if isinstance(p, ast.MatchAs) and p.pattern is None and p.name is None:
            return []
        t = self.rewriter.temporary()
        return [bound(t, value), self.test(p, ast.Name(t, LOAD))]

    def _MatchValue(self, p: ast.MatchValue, x: ast.expr) -> ast.expr:
        return self.rt("truth", self.rt("op", ast.Constant("eq"), x, self.rewriter.visit(p.value)))

    def _MatchSingleton(self, p: ast.MatchSingleton, x: ast.expr) -> ast.expr:
        return self.rt("is_singleton", x, ast.Constant(p.value))

    def _MatchAs(self, p: ast.MatchAs, x: ast.expr) -> ast.expr:
        tests = [self.test(p.pattern, x)] if p.pattern is not None else []
        return both([*tests, *([bound(p.name, x)] if p.name else [])])

    def _MatchOr(self, p: ast.MatchOr, x: ast.expr) -> ast.expr:
        return ast.BoolOp(ast.Or(), [self.test(q, x) for q in p.patterns])

    def _MatchSequence(self, p: ast.MatchSequence, x: ast.expr) -> ast.expr:
        star = next((i for i, q in enumerate(p.patterns) if isinstance(q, ast.MatchStar)), None)
        fixed = len(p.patterns) - (star is not None)
        tests: list[ast.expr] = [
            self.rt("is_sequence", x, ast.Constant(fixed), ast.Constant(star is not None))
        ]
        for i, q in enumerate(p.patterns):
            place = i if star is None or i < star else i - len(p.patterns)
            if not isinstance(q, ast.MatchStar):
                tests += self.part(q, self.rt("getitem", x, ast.Constant(place)))
            elif q.name:
                tests.append(bound(q.name, self.rt("between", x, ast.Constant(i), ast.Constant(fixed - i))))
        return both(tests)

    def _MatchMapping(self, p: ast.MatchMapping, x: ast.expr) -> ast.expr:
        keys = [self.rewriter.visit(k) for k in p.keys]
        tests: list[ast.expr] = [self.rt("has_keys", x, *keys)]
        for k, q in zip(keys, p.patterns, strict=True):
            tests += self.part(q, self.rt("getitem", x, k))
        if p.rest:
            tests.append(bound(p.rest, self.rt("without", x, *keys)))
        return both(tests)

    def _MatchClass(self, p: ast.MatchClass, x: ast.expr) -> ast.expr:
        t = self.rewriter.temporary()
        names: list[ast.expr] = [ast.Constant(a) for a in p.kwd_attrs]
        parts = self.rt("parts", x, self.rewriter.visit(p.cls), ast.Constant(len(p.patterns)), *names)
        tests: list[ast.expr] = [ast.Compare(named(t, parts), [ast.IsNot()], [ast.Constant(None)])]
        for i, q in enumerate([*p.patterns, *p.kwd_patterns]):
            tests += self.part(q, ast.Subscript(ast.Name(t, LOAD), ast.Constant(i), LOAD))
        return both(tests)


def both(tests: list[ast.expr]) -> ast.expr:
    """All tests, from the left."""
    return ast.BoolOp(ast.And(), tests) if len(tests) > 1 else tests[0] if tests else TRUE


def named(name: str, value: ast.expr) -> ast.expr:
    return ast.NamedExpr(ast.Name(name, STORE), value)


def bound(name: str | None, value: ast.expr) -> ast.expr:
    """An assignment that is always true."""
    return ast.Tuple([named(name or "", value)], LOAD)
