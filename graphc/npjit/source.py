"""The syntax tree of a function, found in its file, and the names that are local to it."""

from __future__ import annotations

import ast
import functools
import linecache
import sysconfig
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import NamedTuple

from graphc.npjit.patterns import captures

LIBRARIES = tuple({sysconfig.get_path(p) for p in ("stdlib", "platstdlib", "purelib", "platlib")})
"""Folders whose functions are never rewritten."""

Function = ast.FunctionDef | ast.Lambda | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Found(NamedTuple):
    """A function's syntax tree, and the class whose body it stands in (None: in none)."""

    node: Function
    owner: str | None


class File(NamedTuple):
    """The functions of one source file, by (first line, name), and the code objects that it compiles to."""

    functions: dict[tuple[int, str], list[Found]]
    codes: dict[tuple[int, str], list[CodeType]]


@functools.lru_cache(64)
def _file(name: str, text: str) -> File:
    tree = ast.parse(text)
    functions: dict[tuple[int, str], list[Found]] = {}

    def walk(node: ast.AST, owner: str | None) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                decorators = getattr(child, "decorator_list", ())
                line = min([child.lineno] + [d.lineno for d in decorators])
                functions.setdefault((line, getattr(child, "name", "<lambda>")), []).append(
                    Found(child, owner)
                )
            walk(child, child.name if isinstance(child, ast.ClassDef) else owner)

    walk(tree, None)
    codes: dict[tuple[int, str], list[CodeType]] = {}
    for code in _code_objects(compile(text, name, "exec", dont_inherit=True)):
        codes.setdefault((code.co_firstlineno, code.co_name), []).append(code)
    return File(functions, codes)


def _code_objects(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_objects(constant)


def find(f: FunctionType) -> Found | None:
    """The syntax tree of f; None where there is no source, or the file is no longer what f was made from."""
    code = f.__code__
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, f.__globals__))
    if not text:
        return None
    file, key = _file(code.co_filename, text), (code.co_firstlineno, code.co_name)
    if not any(_same(code, c) for c in file.codes.get(key, ())):
        return None
    found = file.functions.get(key, [])
    if len(found) > 1:
        found = _by_column(code, found)
    return found[0] if found else None


def _same(code: CodeType, compiled: CodeType) -> bool:
    """Whether the file still holds this function. Where a test runner rewrote asserts, less is compared."""
    if any(name.startswith("@py_") for name in code.co_varnames):
        return code.co_argcount == compiled.co_argcount and set(compiled.co_names) <= set(code.co_names)
    same_text = code.co_code == compiled.co_code and code.co_names == compiled.co_names
    plain = [c for c in code.co_consts if not isinstance(c, CodeType)]
    return (
        same_text
        and code.co_varnames == compiled.co_varnames
        and code.co_freevars == compiled.co_freevars
        and repr(plain) == repr([c for c in compiled.co_consts if not isinstance(c, CodeType)])
    )


def _by_column(code: CodeType, found: list[Found]) -> list[Found]:
    """Of several lambdas in one line, the one that the code object's columns lie in."""
    columns = {p[2] for p in code.co_positions() if p[0] == code.co_firstlineno and p[2] is not None}
    inside = [x for x in found if _holds(x.node, columns)] or found
    if len({ast.dump(x.node) for x in inside}) == 1:
        return inside[:1]
    return sorted(inside, key=lambda x: (x.node.end_col_offset or 0) - x.node.col_offset)[:1]


def _holds(node: Function, columns: set[int]) -> bool:
    body = node.body
    if isinstance(body, list) or not columns:
        return False
    return body.col_offset in columns and max(columns) < (node.end_col_offset or 0)


def bound_names(function: Function) -> set[str]:
    """Names local to a function: parameters and what is stored in it, not in nested functions."""
    found = {p.arg for p in parameters(function.args)}
    outer: set[str] = set()
    body = function.body
    for statement in body if isinstance(body, list) else [body]:
        _bound(statement, found, outer)
    return found - outer


def parameters(a: ast.arguments) -> list[ast.arg]:
    """All parameters, the starred ones last."""
    return [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, [a.vararg, a.kwarg])]


def _bound(n: ast.AST, found: set[str], outer: set[str]) -> None:
    if isinstance(n, ast.FunctionDef | ast.ClassDef):
        found.add(n.name)
        return
    if isinstance(n, ast.Lambda):
        return
    if isinstance(n, Comprehension):
        found.update(w.target.id for w in ast.walk(n) if isinstance(w, ast.NamedExpr))
        _bound(n.generators[0].iter, found, outer)
        return
    if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load):
        found.add(n.id)
    elif isinstance(n, ast.Global | ast.Nonlocal):
        outer.update(n.names)
    elif isinstance(n, ast.alias):
        found.add((n.asname or n.name).split(".")[0])
    elif isinstance(n, ast.ExceptHandler) and n.name:
        found.add(n.name)
    elif isinstance(n, ast.pattern):
        found |= captures(n)
    for child in ast.iter_child_nodes(n):
        _bound(child, found, outer)
