"""Runs NumPy idioms plainly and under `graphc.jit`, and tells the first difference.

Every case runs with fresh inputs several times (calls 0 and 1 share shapes, call 2 often differs in the batch
size). Compared are: the returned value (structure, types and dtypes exactly, numbers within `tol`),
the arguments after the call, the exception, the states of the random streams, printed text, and that the
result of an earlier call is not overwritten by a later one.

    @case("family", make)      one function; make(i, rng) -> args tuple, or Args(...)
    @program("family")         p(jit): applies `jit` itself, returns what is to be compared
    @grad("family", make)      graphc.grad or graphc.value_and_grad of the function
"""

from __future__ import annotations

import contextlib
import io
import random
import re
import types
import warnings

import numpy as np

REGISTRY = []


class Args:
    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


class Case:
    def __init__(self, kind, family, fn, make, tol, **kw):
        self.kind, self.family, self.fn, self.make, self.tol = kind, family, fn, make, tol
        self.name = fn.__name__
        self.calls = kw.pop("calls", 3)
        self.__dict__.update(kw)

    def inputs(self, i):
        made = self.make(i, np.random.default_rng(100 * i + 7))
        if isinstance(made, Args):
            return made.args, dict(made.kwargs)
        return (made if isinstance(made, tuple) else (made,)), {}


def _add(c):
    if any(k.name == c.name for k in REGISTRY):
        raise ValueError("duplicate case " + c.name)
    REGISTRY.append(c)


B = (8, 8, 5)
"""The batch sizes of calls 0, 1 and 2."""


def case(family, make=lambda i, rng: (), tol="reduce", **kw):
    def deco(fn):
        _add(Case("case", family, fn, make, tol, **kw))
        return fn

    return deco


def program(family, tol="reduce", **kw):
    def deco(fn):
        _add(Case("program", family, fn, None, tol, **kw))
        return fn

    return deco


def grad(family, make, argnums=0, value=False, accept=None, rtol=1e-6, ref="auto", **kw):
    """accept(grads, args) -> None or a complaint, for points without a unique gradient."""

    def deco(fn):
        _add(
            Case(
                "grad",
                family,
                fn,
                make,
                "reduce",
                argnums=argnums,
                value=value,
                accept=accept,
                rtol=rtol,
                ref=ref,
                **kw,
            )
        )
        return fn

    return deco


TOL = {  # (relative, share of the largest magnitude) for float64, float32 and complex64, float16
    "exact": ((0, 0), (0, 0), (0, 0)),
    "elem": ((1e-12, 1e-13), (1e-6, 1e-7), (2e-3, 1e-3)),
    "reduce": ((1e-12, 1e-10), (1e-6, 2e-6), (2e-3, 2e-3)),
    "loop": ((1e-8, 1e-8), (2e-5, 2e-5), (1e-2, 1e-2)),
}


def _cmp_numbers(a, b, tol, path):
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.kind not in "fc":
        if a.dtype.kind == "O":
            for k, (x, y) in enumerate(zip(a.ravel().tolist(), b.ravel().tolist())):
                d = diff(x, y, tol, f"{path}[{k}]")
                if d:
                    return d
            return None
        if a.dtype.names:
            return None if a.tobytes() == b.tobytes() else f"{path}: values differ"
        return None if np.array_equal(a, b) else f"{path}: values differ, e.g. {_first(a, b, a != b)}"
    which = 2 if a.dtype.itemsize == 2 else 1 if a.dtype in (np.float32, np.complex64) else 0
    rtol, slack = TOL[tol][which]
    with np.errstate(all="ignore"):
        same = (a == b) | ((a != a) & (b != b))
        fin = np.isfinite(a)
        scale = np.max(np.abs(a[fin])) if fin.any() else 0.0
        bad = ~same & ~(np.isfinite(a) & np.isfinite(b) & (np.abs(a - b) <= rtol * np.abs(a) + slack * scale))
    return f"{path}: values differ, e.g. {_first(a, b, bad)}" if bad.any() else None


def _first(a, b, bad):
    k = tuple(int(j[0]) for j in np.nonzero(np.atleast_1d(bad)))
    return f"{np.atleast_1d(a)[k]!r} != {np.atleast_1d(b)[k]!r} at {k}"


def diff(a, b, tol="reduce", path="value", memo=None):
    """None, or one line about how b (the mode's) differs from a (plain NumPy's)."""
    memo = set() if memo is None else memo
    if (id(a), id(b)) in memo:
        return None
    if type(a) is not type(b):
        ta, tb = type(a), type(b)
        if not (ta.__name__ == tb.__name__ and hasattr(a, "__dict__")):
            return f"{path}: type {tb.__module__}.{tb.__name__}, NumPy gives {ta.__module__}.{ta.__name__}"
    if isinstance(a, np.ndarray):
        if a.dtype != b.dtype:
            return f"{path}: dtype {b.dtype}, NumPy gives {a.dtype}"
        if a.shape != b.shape:
            return f"{path}: shape {b.shape}, NumPy gives {a.shape}"
        return _cmp_numbers(a, b, tol, path)
    if isinstance(a, (bool, int)):
        return None if a == b else f"{path}: {b!r}, NumPy gives {a!r}"
    if isinstance(a, (np.generic, float, complex)):
        return _cmp_numbers(a, b, tol, path)
    if isinstance(a, (str, bytes, type(None), type, slice)):
        return None if a == b else f"{path}: {b!r} != {a!r}"
    memo.add((id(a), id(b)))
    if isinstance(a, (tuple, list)) or type(a).__name__ == "deque":
        if len(a) != len(b):
            return f"{path}: length {len(b)}, NumPy gives {len(a)}"
        for k, (x, y) in enumerate(zip(a, b)):
            d = diff(x, y, tol, f"{path}[{k}]", memo)
            if d:
                return d
        return None
    if isinstance(a, dict):
        if list(a) != list(b):
            return f"{path}: keys {list(b)}, NumPy gives {list(a)}"
        for k in a:
            d = diff(a[k], b[k], tol, f"{path}[{k!r}]", memo)
            if d:
                return d
        return None
    if isinstance(a, (set, frozenset)):
        return None if a == b else f"{path}: {b!r} != {a!r}"
    if isinstance(a, np.random.Generator):
        return diff(a.bit_generator.state, b.bit_generator.state, "exact", path + ".state", memo)
    if isinstance(a, np.random.RandomState):
        return diff(a.get_state(), b.get_state(), "exact", path + ".state", memo)
    if callable(a) and not hasattr(type(a), "__call__"):
        return None
    if isinstance(a, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
        return None
    state = lambda o: dict(
        getattr(o, "__dict__", {}),
        **{s: getattr(o, s) for s in getattr(type(o), "__slots__", ()) if hasattr(o, s)},
    )
    return diff(state(a), state(b), tol, path + ".", memo)


NUM = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")


def diff_text(a, b):
    if a == b:
        return None
    if NUM.sub("#", a) != NUM.sub("#", b):
        return f"printed {b[:80]!r}, NumPy prints {a[:80]!r}"
    for x, y in zip(NUM.findall(a), NUM.findall(b)):
        if abs(float(x) - float(y)) > 1e-6 * max(1e-12, abs(float(x))):
            return f"printed {y}, NumPy prints {x}"
    return None


def leaves(x, out=None, memo=None):
    out, memo = ([] if out is None else out), (set() if memo is None else memo)
    if id(x) in memo:
        return out
    memo.add(id(x))
    if isinstance(x, np.ndarray):
        out.append(x)
    elif isinstance(x, dict):
        for v in x.values():
            leaves(v, out, memo)
    elif isinstance(x, (list, tuple)):
        for v in x:
            leaves(v, out, memo)
    elif hasattr(x, "__dict__") and not isinstance(x, (type, types.ModuleType, types.FunctionType)):
        leaves(vars(x), out, memo)
    return out


def copy_tree(x, cast=None):
    if isinstance(x, np.ndarray):
        return x.astype(cast) if cast and x.dtype.kind == "f" else x.copy()
    if isinstance(x, np.floating) and cast:
        return cast(x)
    if isinstance(x, dict):
        new = x.copy()
        new.update((k, copy_tree(v, cast)) for k, v in x.items())
        return new
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(copy_tree(v, cast) for v in x))
    if isinstance(x, (list, tuple)):
        return type(x)(copy_tree(v, cast) for v in x)
    return x


class Obs:
    pass


def observe(call, case=None, i=0):
    np.random.seed(1000 + i)
    random.seed(1000 + i)
    o, text = Obs(), io.StringIO()
    o.args, o.kwargs = case.inputs(i) if case is not None else ((), {})
    o.ret = o.exc = None
    with warnings.catch_warnings(record=True) as w, contextlib.redirect_stdout(text):
        warnings.simplefilter("always")
        try:
            o.ret = call(*o.args, **o.kwargs)
            if isinstance(o.ret, types.GeneratorType):
                o.ret = list(o.ret)
        except Exception as e:
            o.exc = e
    o.warnings = sorted({x.category.__name__ for x in w})
    o.text, o.rng, o.rnd = text.getvalue(), np.random.get_state(), random.getstate()
    ins = leaves([o.args, o.kwargs])
    o.alias = (
        [[bool(np.may_share_memory(r, a)) for a in ins] for r in leaves(o.ret)] if case is not None else []
    )
    return o


def compare(ref, got, tol):
    """(failure or None, notes)"""
    notes = []
    if ref.exc is not None or got.exc is not None:
        if ref.exc is None:
            return f"raised {type(got.exc).__name__}: {str(got.exc).strip()[:160]!r}", notes
        if got.exc is None:
            return f"did not raise {type(ref.exc).__name__}", notes
        if not isinstance(got.exc, type(ref.exc)):
            return f"raised {type(got.exc).__name__}, NumPy raises {type(ref.exc).__name__}", notes
    d = (
        diff(ref.ret, got.ret, tol, "result")
        or diff(ref.args, got.args, tol, "args")
        or diff(ref.kwargs, got.kwargs, tol, "kwargs")
    )
    d = d or diff_text(ref.text, got.text)
    if d:
        return d, notes
    if diff(ref.rng, got.rng, "exact"):
        return "global NumPy RNG state differs afterwards", notes
    if ref.rnd != got.rnd:
        return "state of `random` differs afterwards", notes
    if ref.alias != got.alias:
        notes.append("aliasing of result and arguments differs")
    if ref.warnings != got.warnings:
        notes.append(f"warnings {got.warnings}, NumPy gives {ref.warnings}")
    return None, notes


def run_case(c, jit):
    if c.kind == "program":
        ref = observe(lambda: c.fn(lambda fn=None, **kw: fn if fn is not None else (lambda g: g)))
        got = observe(lambda: c.fn(jit))
        return compare(ref, got, c.tol)
    notes, kept = [], []
    f = jit(c.fn)
    for i in range(c.calls):
        ref, got = observe(c.fn, c, i), observe(f, c, i)
        bad, more = compare(ref, got, c.tol)
        notes += [n for n in more if n not in notes]
        if bad:
            return f"call {i}: {bad}", notes
        kept.append((ref, got, copy_tree(ref.ret), copy_tree(got.ret)))
    for i, (ref, got, r0, g0) in enumerate(kept):
        if diff(r0, ref.ret, "exact") is None and diff(g0, got.ret, "exact"):
            return f"the result of call {i} was overwritten by a later call", notes
    return None, notes
