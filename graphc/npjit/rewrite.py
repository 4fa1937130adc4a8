"""A function made anew from its source, with every load, store, operator and call going to the runtime.

`rewritten(f)` has the same globals, defaults and closure cells as f. None: there is no source, or a form in
it that is not rewritten (async, exec, ...), and f runs as it is.
"""

from __future__ import annotations

import ast
import functools
import inspect
import weakref
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType
from typing import Any

from graphc.npjit.current import recording, runtime
from graphc.npjit.source import LIBRARIES, find
from graphc.npjit.syntax import REFUSED, RefusedError, Rewriter, const

ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
TEMPLATE = """
def __make(__rt, __g, __cells, __gs, __cs, __slice, __super):
    def __f():
        pass
    return __f
"""


class Slots:
    """Targets anywhere: `attrs(x)["name"] = v`, `items(x)[k] = v`, globals and cells."""

    def __init__(self, put: Callable[[Any, Any], None], delete: Callable[[Any], None]) -> None:
        self.put, self.delete = put, delete

    def __setitem__(self, k: Any, v: Any) -> None:
        self.put(k, v)

    def __delitem__(self, k: Any) -> None:
        self.delete(k)


OURS: set[CodeType] = set()
"""Code objects that are rewritten already: functions made by rewritten code are not to be rewritten again."""

_factories: dict[CodeType, Callable[..., FunctionType] | None] = {}
_reasons: dict[CodeType, str] = {}
_instances: weakref.WeakKeyDictionary[FunctionType, tuple[Any, FunctionType]] = weakref.WeakKeyDictionary()


def _remember(code: CodeType) -> None:
    """A code object and those in it, without the bodies of classes, whose methods are not rewritten yet."""
    OURS.add(code)
    for c in code.co_consts:
        if isinstance(c, CodeType) and not _is_class(c):
            _remember(c)


def rewritten(f: FunctionType) -> FunctionType | None:
    """The rewritten f, f itself if it was made by rewritten code, or None."""
    code = f.__code__
    if code in OURS:
        return f
    if code not in _factories:
        try:
            _factories[code] = _factory(f)
        except (RefusedError, SyntaxError, OSError, RecursionError) as e:
            _factories[code], _reasons[code] = None, f"{e} is not rewritten"
    make = _factories[code]
    return _instance(f, make) if make is not None else None


def why_not(f: FunctionType) -> str:
    """Why there is no rewritten f."""
    return _reasons.get(f.__code__, "its source is not to be found")


def _factory(f: FunctionType) -> Callable[..., FunctionType] | None:
    if f.__code__.co_filename.startswith(LIBRARIES):
        _reasons[f.__code__] = "it belongs to a library"
        return None
    if f.__code__.co_flags & ASYNC:
        _reasons[f.__code__] = "it is asynchronous"
        return None
    found = find(f)
    if found is None:
        return None
    node = _copied(found.node)
    refused = next((x for x in ast.walk(node) if isinstance(x, REFUSED)), None)
    if refused is not None:
        raise RefusedError(type(refused).__name__.lower())
    code = compile(_module(f, node, found.owner), f.__code__.co_filename, "exec", dont_inherit=True)
    bodies = {(c.co_name, c.co_firstlineno): c for c in _inside(f.__code__) if _is_class(c)}
    code = _named(_with_bodies(code, bodies), f.__qualname__)
    _remember(code)
    scope: dict[str, Any] = {}
    exec(code, scope)
    return scope["__make"]


def _copied(x: Any) -> Any:
    """A tree of its own."""
    if isinstance(x, list):
        return [_copied(v) for v in x]
    if not isinstance(x, ast.AST):
        return x
    new = type(x).__new__(type(x))
    vars(new).update({k: _copied(v) for k, v in vars(x).items()})
    return new


def _inside(code: CodeType) -> Iterator[CodeType]:
    for c in code.co_consts:
        if isinstance(c, CodeType):
            yield c
            yield from _inside(c)


def _is_class(code: CodeType) -> bool:
    """Whether the code is the body of a class."""
    return not code.co_flags & inspect.CO_OPTIMIZED


def _with_bodies(code: CodeType, bodies: dict[tuple[str, int], CodeType]) -> CodeType:
    """The code with the user's own bodies of classes, so that the source of their methods is found."""

    def kept(c: Any) -> Any:
        if not isinstance(c, CodeType):
            return c
        own = bodies.get((c.co_name, c.co_firstlineno)) if _is_class(c) else None
        return own if own is not None and own.co_freevars == c.co_freevars else _with_bodies(c, bodies)

    return code.replace(co_consts=tuple(map(kept, code.co_consts)))


def _named(code: CodeType, name: str) -> CodeType:
    """The code with the names that messages of errors in functions of f have; what makes f is nowhere in the
    user's file, where a debugger would stop.
    """
    consts = [_named(c, name) if isinstance(c, CodeType) and not _is_class(c) else c for c in code.co_consts]
    full = code.co_qualname.replace("__make.<locals>.__f", name, 1)
    return code.replace(
        co_consts=tuple(consts),
        co_qualname=full,
        co_name=full.rpartition(".")[2],
        co_filename=code.co_filename if full != code.co_qualname else "<graphc>",
    )


def _module(f: FunctionType, node: Any, owner: str | None) -> ast.Module:
    a = node.args
    first = next((x.arg for x in [*a.posonlyargs, *a.args]), None)
    rewriter = Rewriter(set(f.__code__.co_freevars), owner, first)
    a.defaults = [const(None)] * len(a.defaults)
    a.kw_defaults = [d and const(None) for d in a.kw_defaults]
    rewriter.defaults(a)
    body = rewriter.function(node, top=True)
    module = ast.parse(TEMPLATE)
    made: Any = module.body[0]
    inner = made.body[0]
    inner.args, inner.body = a, body if isinstance(body, list) else [ast.Return(body)]
    for n in ast.walk(made):
        if n in (made, inner, made.body[1]) or not hasattr(n, "lineno"):
            _clear_lines(n)
    _fill_lines(module, node.lineno)
    return module


def _clear_lines(n: Any) -> None:
    if "lineno" in getattr(n, "_attributes", ()):
        n.lineno = n.col_offset = None


def _fill_lines(n: Any, line: int) -> None:
    """New nodes get the line of what they were made from, so that tracebacks show the user's lines."""
    first: dict[Any, int | None] = {}
    _find_lines(n, first)
    _set_lines(n, line, first)


def _find_lines(n: Any, first: dict[Any, int | None]) -> int | None:
    """The first line of each node and of what is below it, where that is known."""
    lines = [_find_lines(c, first) for c in ast.iter_child_nodes(n)]
    known = [x for x in (getattr(n, "lineno", None), *lines) if x]
    first[n] = min(known, default=None)
    return first[n]


def _set_lines(n: Any, line: int, first: dict[Any, int | None]) -> None:
    here = getattr(n, "lineno", None)
    if here is None and hasattr(n, "lineno"):
        here = first[n] or line
        n.lineno = n.end_lineno = here
        n.col_offset = n.end_col_offset = 0
    c: Any
    for c in ast.iter_child_nodes(n):
        if not hasattr(c, "lineno") and "lineno" in getattr(c, "_attributes", ()):
            c.lineno = c.end_lineno = here or line
            c.col_offset = c.end_col_offset = 0
        _set_lines(c, here or line, first)


def _instance(f: FunctionType, make: Callable[..., FunctionType]) -> FunctionType:
    """The rewritten code with f's own globals, cells and present defaults."""
    made_by, got = _instances.get(f, (None, f))
    if made_by is not make:
        g = f.__globals__
        cells: dict[str, CellType] = dict(zip(f.__code__.co_freevars, f.__closure__ or ()))
        globals_ = Slots(functools.partial(_store_global, g), functools.partial(_delete_global, g))
        free = Slots(
            lambda k, v: runtime().store_cell(cells[k], v), lambda k: runtime().delete_cell(cells[k])
        )
        here = FunctionType(make.__code__, g)  # classes that f makes are not rewritten
        got = here(runtime(), g, cells, globals_, free, slice, super)
        _instances[f] = make, got
        got.__name__, got.__qualname__ = f.__name__, f.__qualname__
    got.__defaults__, got.__kwdefaults__ = f.__defaults__, f.__kwdefaults__
    return got


def _store_global(g: dict[str, Any], k: str, v: Any) -> None:
    runtime().store_global(g, k, v)


def _delete_global(g: dict[str, Any], k: str) -> None:
    if recording() is not None:
        recording().leak("del of a global name")
        recording().written.add((id(g), k))
    del g[k]
