"""The rewriting itself: one visit method per syntactic form; what each becomes.

o.a  ->  __rt.getattr(o, "a")        a + b  ->  __rt.op("add", a, b)        f(x)  ->  __rt.call(f, x)
"""

from __future__ import annotations

import ast
from typing import Any

from graphc.npjit.patterns import Patterns, captures
from graphc.npjit.source import Function, bound_names, parameters

BINARY: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.BitAnd: "and_",
    ast.BitOr: "or_",
    ast.BitXor: "xor",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}
UNARY: dict[type[ast.AST], str] = {ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "invert"}
REFUSED = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith, ast.TryStar)
REFUSED_NAMES = frozenset(["locals", "globals", "exec", "eval", "vars", "dir"])
OF_OBJECTS = frozenset(["vars", "dir"])
"""Those of them that look at an object, if one is given."""
LOAD, STORE = ast.Load(), ast.Store()


class RefusedError(Exception):
    """A form that is not rewritten: the function runs as it is."""


def name(n: str, ctx: ast.expr_context = LOAD) -> ast.Name:
    return ast.Name(n, ctx)


def rt(method: str, *args: ast.expr, keywords: list[ast.keyword] | None = None) -> ast.Call:
    """A call of the runtime."""
    return ast.Call(ast.Attribute(name("__rt"), method, LOAD), list(args), keywords or [])


def const(v: Any) -> ast.Constant:
    return ast.Constant(v)


def depth(target: ast.expr) -> ast.expr | None:
    """How deep a target unpacks: None for a plain one, else a tuple; True where a star leaves it open."""
    if not isinstance(target, ast.Tuple | ast.List):
        return None
    if any(isinstance(e, ast.Starred) for e in target.elts):
        return const(True)
    return ast.Tuple([depth(e) or const(None) for e in target.elts], LOAD)


class Rewriter(ast.NodeTransformer):
    """`free`: names of the function's cells; `owner`: its class; `first`: its first parameter."""

    def __init__(self, free: set[str], owner: str | None, first: str | None) -> None:
        self.free, self.owner, self.first = free, owner, first
        self.scopes: list[set[str]] = []
        self.temporaries = 0

    def temporary(self) -> str:
        self.temporaries += 1
        return f"__t{self.temporaries}"

    def mangled(self, a: str) -> str:
        private = self.owner and a.startswith("__") and not a.endswith("__")
        return f"_{(self.owner or '').lstrip('_')}{a}" if private else a

    def is_local(self, n: str) -> bool:
        return any(n in s for s in self.scopes)

    # ---- names

    def visit_Name(self, n: ast.Name) -> ast.expr:
        if self.is_local(n.id) or n.id.startswith("__t") or n.id == "__rt":
            return n
        if n.id in REFUSED_NAMES and isinstance(n.ctx, ast.Load):
            raise RefusedError(f"{n.id}()")
        if not isinstance(n.ctx, ast.Load):
            return ast.Subscript(name("__cs" if n.id in self.free else "__gs"), const(n.id), n.ctx)
        if n.id in self.free:
            return rt("load_cell", ast.Subscript(name("__cells"), const(n.id), LOAD), const(n.id))
        return rt("load_global", name("__g"), const(n.id))

    def visit_Global(self, _n: ast.Global) -> ast.stmt:
        return ast.Pass()

    def visit_Nonlocal(self, n: ast.Nonlocal) -> ast.stmt:
        return n if all(self.is_local(x) for x in n.names) else ast.Pass()

    # ---- functions

    def function(self, n: Function, top: bool = False) -> Any:
        """The rewritten body: statements, or the expression of a lambda."""
        self.scopes.append(bound_names(n))
        for x in ast.walk(n):
            if isinstance(x, REFUSED):
                raise RefusedError(type(x).__name__)
        body: Any = n.body
        if isinstance(body, list):
            named = [x.arg for x in [*n.args.posonlyargs, *n.args.args, *n.args.kwonlyargs]]
            body = self.block(body)
            if not top:
                body = [ast.Assign([name(p, STORE)], rt("arg", name(p))) for p in named] + body
        else:
            body = self.visit(body)
        self.scopes.pop()
        return body

    def visit_FunctionDef(self, n: ast.FunctionDef) -> ast.stmt:
        n.decorator_list = [self.visit(d) for d in n.decorator_list]
        self.defaults(n.args)
        n.body, n.returns = self.function(n), None
        return n

    def visit_Lambda(self, n: ast.Lambda) -> ast.expr:
        self.defaults(n.args)
        n.body = self.function(n)
        return n

    def defaults(self, a: ast.arguments) -> None:
        a.defaults = [self.visit(d) for d in a.defaults]
        a.kw_defaults = [d and self.visit(d) for d in a.kw_defaults]
        for x in parameters(a):
            x.annotation = None

    def visit_ClassDef(self, n: ast.ClassDef) -> ast.stmt:
        if self.free.intersection(x.id for x in ast.walk(n) if isinstance(x, ast.Name)):
            raise RefusedError("class with names of an outer function")
        return n  # its methods are rewritten when they are called

    def comprehension(self, n: Any) -> ast.expr:
        first = n.generators[0]
        first.iter = self.iterate(self.visit(first.iter), first.target)
        targets = {x.id for g in n.generators for x in ast.walk(g.target) if isinstance(x, ast.Name)}
        self.scopes.append(targets)
        for i, g in enumerate(n.generators):
            if i:
                g.iter = self.iterate(self.visit(g.iter), g.target)
            g.target = self.visit(g.target)
            g.ifs = [self.test(x) for x in g.ifs]
        for field in ("elt", "key", "value"):
            if hasattr(n, field):
                v = self.visit(getattr(n, field))
                setattr(n, field, self.hashed(v) if field == "key" or isinstance(n, ast.SetComp) else v)
        self.scopes.pop()
        return n

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        return self.comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> ast.expr:
        return self.comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.expr:
        return self.comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.expr:
        return self.comprehension(node)

    def iterate(self, it: ast.expr, target: ast.expr, method: str = "iter") -> ast.expr:
        unpacked = depth(target)
        return rt(method, it, *([unpacked] if unpacked is not None else []))

    def hashed(self, n: ast.expr) -> ast.expr:
        """A key, which Python needs the value of."""
        return n if isinstance(n, ast.Constant) else rt("steered", n)

    def visit_Dict(self, n: ast.Dict) -> ast.expr:
        keys = [k and self.hashed(self.visit(k)) for k in n.keys]
        values = [self.visit(v) if k else rt("mapping", self.visit(v)) for k, v in zip(n.keys, n.values)]
        return ast.Dict(keys, values)

    def visit_Set(self, n: ast.Set) -> ast.expr:
        return ast.Set([self.element(e) for e in n.elts])

    def element(self, e: ast.expr) -> ast.expr:
        """An element of a set, which Python needs the value of."""
        if isinstance(e, ast.Starred):
            return ast.Starred(rt("all_steered", self.visit(e.value)), LOAD)
        return self.hashed(self.visit(e))

    # ---- expressions

    def visit_Attribute(self, n: ast.Attribute) -> ast.expr:
        if isinstance(n.ctx, ast.Load):
            return rt("getattr", self.visit(n.value), const(self.mangled(n.attr)))
        return ast.Subscript(rt("attrs", self.visit(n.value)), const(self.mangled(n.attr)), n.ctx)

    def visit_Subscript(self, n: ast.Subscript) -> ast.expr:
        if isinstance(n.ctx, ast.Load):
            return rt("getitem", self.visit(n.value), self.key(n.slice))
        return ast.Subscript(rt("items", self.visit(n.value)), self.key(n.slice), n.ctx)

    def key(self, k: ast.expr) -> ast.expr:
        if isinstance(k, ast.Slice):
            parts = [self.visit(x) if x else const(None) for x in (k.lower, k.upper, k.step)]
            return ast.Call(name("__slice"), parts, [])
        if isinstance(k, ast.Tuple):
            return ast.Tuple([self.key(x) for x in k.elts], LOAD)
        return self.visit(k)

    def visit_Starred(self, n: ast.Starred) -> ast.expr:
        value = self.visit(n.value)
        return ast.Starred(rt("iter", value) if isinstance(n.ctx, ast.Load) else value, n.ctx)

    def visit_YieldFrom(self, n: ast.YieldFrom) -> ast.expr:
        return ast.YieldFrom(rt("delegated", self.visit(n.value)))

    def visit_BinOp(self, n: ast.BinOp) -> ast.expr:
        return rt("op", const(BINARY[type(n.op)]), self.visit(n.left), self.visit(n.right))

    def visit_UnaryOp(self, n: ast.UnaryOp) -> ast.expr:
        if isinstance(n.op, ast.Not):
            return ast.UnaryOp(n.op, self.test(n.operand))
        if isinstance(n.operand, ast.Constant):
            return n
        return rt("uop", const(UNARY[type(n.op)]), self.visit(n.operand))

    def visit_Compare(self, n: ast.Compare) -> ast.expr:
        if len(n.ops) > 1:
            return self.visit(ast.BoolOp(ast.And(), self.pairs(n)))
        op, a, b = n.ops[0], self.visit(n.left), self.visit(n.comparators[0])
        if isinstance(op, ast.In | ast.NotIn):
            found = rt("contained", a, b)  # in this order: left is evaluated first
            return found if isinstance(op, ast.In) else ast.UnaryOp(ast.Not(), found)
        if isinstance(op, ast.Is | ast.IsNot):
            same = rt("same", a, b)
            return same if isinstance(op, ast.Is) else ast.UnaryOp(ast.Not(), same)
        return rt("op", const(BINARY[type(op)]), a, b)

    def pairs(self, n: ast.Compare) -> list[ast.expr]:
        """a < b < c as [a < (t := b), t < c]."""
        found: list[ast.expr] = []
        left = n.left
        for i, (op, right) in enumerate(zip(n.ops, n.comparators)):
            if i == len(n.ops) - 1:
                found.append(ast.Compare(left, [op], [right]))
            else:
                t = self.temporary()
                found.append(ast.Compare(left, [op], [ast.NamedExpr(name(t, STORE), right)]))
                left = name(t)
        return found

    def visit_BoolOp(self, n: ast.BoolOp) -> ast.expr:
        out = self.visit(n.values[-1])
        for v in reversed(n.values[:-1]):
            t = self.temporary()
            test = rt("truth", ast.NamedExpr(name(t, STORE), self.visit(v)))
            branches = (name(t), out) if isinstance(n.op, ast.Or) else (out, name(t))
            out = ast.IfExp(test, *branches)
        return out

    def test(self, n: ast.expr) -> ast.expr:
        return rt("truth", self.visit(n))

    def visit_IfExp(self, n: ast.IfExp) -> ast.expr:
        return ast.IfExp(self.test(n.test), self.visit(n.body), self.visit(n.orelse))

    def visit_Call(self, n: ast.Call) -> ast.expr:
        f = n.func
        if isinstance(f, ast.Name) and f.id == "super" and not n.args:
            cell = ast.Subscript(name("__cells"), const("__class__"), LOAD)
            return ast.Call(
                name("__super"), [ast.Attribute(cell, "cell_contents", LOAD), name(self.first or "")], []
            )
        if isinstance(f, ast.Name) and f.id in OF_OBJECTS and n.args and not self.is_local(f.id):
            return rt("call", rt("load_global", name("__g"), const(f.id)), *[self.visit(a) for a in n.args])
        args = [self.visit(a) for a in n.args]
        keywords = [
            ast.keyword(k.arg, self.visit(k.value) if k.arg else rt("mapping", self.visit(k.value)))
            for k in n.keywords
        ]
        if isinstance(f, ast.Attribute):
            return rt("method", self.visit(f.value), const(self.mangled(f.attr)), *args, keywords=keywords)
        return rt("call", self.visit(f), *args, keywords=keywords)

    def visit_JoinedStr(self, n: ast.JoinedStr) -> ast.expr:
        pieces: list[ast.expr] = []
        for p in n.values:
            if isinstance(p, ast.FormattedValue):
                spec = self.visit(p.format_spec) if p.format_spec else const("")
                p = ast.Tuple([self.visit(p.value), const(p.conversion), spec], LOAD)
            pieces.append(p)
        return rt("fstring", *pieces)

    # ---- statements

    def visit_Assign(self, n: ast.Assign) -> Any:
        if len(n.targets) == 1:
            return self.assign(n.targets[0], self.visit(n.value))
        t = self.temporary()
        stores = [self.assign(x, name(t)) for x in n.targets]
        return [ast.Assign([name(t, STORE)], self.visit(n.value)), *stores]

    def assign(self, target: ast.expr, value: ast.expr) -> ast.stmt:
        if isinstance(target, ast.Attribute):
            place = self.visit(target.value), const(self.mangled(target.attr))
            return ast.Expr(rt("setattr", value, *place))
        if isinstance(target, ast.Subscript):
            return ast.Expr(rt("setitem", value, self.visit(target.value), self.key(target.slice)))
        unpacked = depth(target)
        if unpacked is not None:
            value = rt("unpack", value, unpacked)
        return ast.Assign([self.visit(target)], value)

    def visit_AnnAssign(self, n: ast.AnnAssign) -> ast.stmt:
        return self.assign(n.target, self.visit(n.value)) if n.value else ast.Pass()

    def visit_AugAssign(self, n: ast.AugAssign) -> ast.stmt:
        op, t = const(BINARY[type(n.op)]), n.target
        if isinstance(t, ast.Attribute):
            slot = rt("attr_slot", self.visit(t.value), const(self.mangled(t.attr)))
            return ast.Expr(rt("iattr", op, slot, self.visit(n.value)))
        if isinstance(t, ast.Subscript):
            slot = rt("item_slot", self.visit(t.value), self.key(t.slice))
            return ast.Expr(rt("iitem", op, slot, self.visit(n.value)))
        old = self.visit(name(t.id))
        return ast.Assign([self.visit(name(t.id, STORE))], rt("iop", op, old, self.visit(n.value)))

    def visit_For(self, n: ast.For) -> ast.stmt:
        it = self.iterate(self.visit(n.iter), n.target, "loop")
        return ast.For(self.visit(n.target), it, self.block(n.body), self.block(n.orelse), None)

    def block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for s in statements:
            made = self.visit(s)
            found += made if isinstance(made, list) else [made]
        return found

    def visit_If(self, n: ast.If) -> ast.stmt:
        return ast.If(self.test(n.test), self.block(n.body), self.block(n.orelse))

    def visit_Match(self, n: ast.Match) -> list[ast.stmt]:
        stored = {x for c in n.cases for p in ast.walk(c.pattern) for x in captures(p)}
        if not all(map(self.is_local, stored)):
            raise RefusedError("match that binds names of other functions")
        return Patterns(self, rt).statements(n)

    def visit_While(self, n: ast.While) -> ast.stmt:
        return ast.While(self.test(n.test), self.block(n.body), self.block(n.orelse))

    def visit_Assert(self, n: ast.Assert) -> ast.stmt:
        return ast.Assert(self.test(n.test), n.msg and self.visit(n.msg))

    def visit_Try(self, n: ast.Try) -> list[ast.stmt]:
        if n.finalbody and (n.handlers or n.orelse):  # these are in a `try` too
            inner = ast.copy_location(ast.Try(n.body, n.handlers, n.orelse, []), n)
            n = ast.copy_location(ast.Try([inner], [], [], n.finalbody), n)
        handlers = [
            ast.ExceptHandler(h.type and self.visit(h.type), h.name, self.block(h.body)) for h in n.handlers
        ]
        body = ast.Try(self.block(n.body), [], [], [ast.Expr(rt("attempted"))])
        after = self.block(n.orelse), self.block(n.finalbody)
        return [ast.Expr(rt("attempt")), ast.Try([body], handlers, *after)]

    def visit_With(self, n: ast.With) -> list[ast.stmt]:
        items = [
            ast.withitem(
                rt("manager", self.visit(i.context_expr)), i.optional_vars and self.visit(i.optional_vars)
            )
            for i in n.items
        ]
        return [ast.Expr(rt("boundary")), ast.With(items, self.block(n.body))]
